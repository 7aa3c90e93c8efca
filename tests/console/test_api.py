"""The API: scopes bound by the owner's role, the same rules as the pages, and no account id without a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from console.rights import RIGHTS, SCOPES, may
from console.service import Service
from console.tables import audit, users
from console.tokens import make_token
from console.web.app import make_app
from tests.console.build import Clock, flag, person, take

REASON = "asked for by the liaison officer"
Call = Callable[..., Any]


@pytest.fixture
def client(service: Service) -> TestClient:
    take(service, flag("u1"), flag("u2", severity="low"))
    return TestClient(make_app(service), base_url="http://testserver/api/v1/")


def token_of(service: Service, role: str, *scopes: str, login: str = "", days: int = 30) -> str:
    login = login or f"{role}-{len(scopes)}"
    with service.database.reading() as connection:
        known = connection.execute(select(users.c.id).where(users.c.login == login)).scalar()
    owner = known or person(service, login, role).id
    with service.database.writing() as connection:
        return make_token(connection, owner, role, "test", scopes, days, now=service.clock())


@pytest.fixture
def call(service: Service, client: TestClient) -> Call:
    """Call the API with all scopes of a role."""
    tokens: dict[str, str] = {}

    def call(role: str, method: str, path: str, **more: Any) -> Any:
        if role not in tokens:
            tokens[role] = token_of(service, role, *(scope for scope, right in SCOPES.items() if may(role, right)))
        return client.request(method, path, headers={"authorization": f"Bearer {tokens[role]}"}, **more)

    return call


def test_a_day_by_api(service: Service, call: Call) -> None:
    found = call("reviewer", "GET", "cases", params={"severity": 2}).json()
    (case,) = found["cases"]
    assert (case["severity"], case["detectors"], found["after"]) == ("high", ["minor_targeting"], None)
    detail = call("reviewer", "GET", f"cases/{case['id']}").json()
    assert detail["flags_shown"][0]["evidence"]["features"]["minors_7d"] == 6
    assert len(detail["contacts"]) == 2
    made = call(
        "reviewer",
        "POST",
        f"cases/{case['id']}/decisions",
        json={"action": "confirm", "reason": "minors_sought", "policy": "child_safety.grooming"},
    )
    assert (made.status_code, made.json()["state"]) == (201, "confirmed")
    assert call("reviewer", "POST", f"cases/{case['id']}/undo").json()["state"] == "open"
    identity = call("reviewer", "POST", f"accounts/{case['account']}/unmask", json={"reason": REASON}).json()
    assert identity["account_id"] == "u1"
    number = call(
        "reviewer",
        "POST",
        "bulks",
        json={"cases": [1, 2], "action": "dismiss", "reason": "too_little", "policy": "none", "note": "Old hints."},
    ).json()["id"]
    assert call("reviewer", "POST", f"bulks/{number}/answer", json={"approve": True}).status_code == 409
    assert call("lead", "POST", f"bulks/{number}/answer", json={"approve": True}).json()["decided"] == 2
    assert call("lead", "GET", "overview").json()["precision"][0]["dismissed"] == 2
    assert call("lead", "GET", "bulks").json()[0]["state"] == "approved"
    assert call("viewer", "GET", f"cases/{case['id']}/graph").json()["nodes"]
    assert call("viewer", "GET", f"cases/{case['id']}/timeline").json()["hours"]
    pack = call("reviewer", "POST", f"cases/{case['id']}/pack", json={"reason": REASON, "format": "pdf"})
    assert pack.content.startswith(b"%PDF")
    with service.database.reading() as connection:
        actions = connection.execute(select(audit.c.action).order_by(audit.c.seq)).scalars().all()
    assert actions[:4] == ["case.view", "case.confirm", "case.undo", "identity.unmask"]


def test_account_ids_are_nowhere_but_where_they_are_asked_for(call: Call) -> None:
    for path in ("cases", "cases/1", "cases/1/graph", "cases/1/timeline", "accounts-at-risk", "overview", "bulks"):
        assert '"u1"' not in call("lead", "GET", path).text, path


def test_a_token_does_what_its_scopes_and_its_owner_may(service: Service, client: TestClient) -> None:
    reading = {"authorization": f"Bearer {token_of(service, 'lead', 'cases:read')}"}
    assert client.get("cases", headers=reading).status_code == 200
    assert client.get("audit", headers=reading).status_code == 403
    assert client.post("cases/1/undo", headers=reading).status_code == 403
    assert client.get("me", headers=reading).json()["rights"] == ["cases.see"]
    with service.database.writing() as connection:
        connection.execute(users.update().values(role="none"))
    assert client.get("cases", headers=reading).status_code == 403, "the owner lost the right, and so the token"


def test_a_token_never_gets_more_than_its_owner(service: Service) -> None:
    with pytest.raises(ValueError, match="More than its owner may do: identities:read"):
        token_of(service, "viewer", "cases:read", "identities:read")


def test_tokens_end(service: Service, client: TestClient, clock: Clock) -> None:
    headers = {"authorization": f"Bearer {token_of(service, 'viewer', 'cases:read', days=1)}"}
    assert client.get("cases", headers=headers).status_code == 200
    clock.move(24 * 60 + 1)
    assert client.get("cases", headers=headers).status_code == 401


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer x", "Basic YTpi", "Bearer kwt_\u00e9"])
def test_without_a_good_token_there_is_nothing(client: TestClient, given: str) -> None:
    headers = {"authorization": given.encode("latin-1")}
    for path in ("cases", "cases/1", "me", "audit", "users", "webhooks", "overview"):
        assert client.get(path, headers=headers).status_code == 401, path


def test_a_cookie_is_no_token_and_a_token_no_cookie(service: Service, client: TestClient) -> None:
    from tests.console.pages import visitor

    rita = visitor(service, "rita", "reviewer")
    assert rita.client.get("/api/v1/cases").status_code == 401
    token = token_of(service, "lead", "cases:read")
    assert (
        client.get(
            "http://testserver/queue", headers={"authorization": f"Bearer {token}"}, follow_redirects=False
        ).status_code
        == 303
    )


ENDPOINTS = {
    ("GET", "cases"): "cases.see",
    ("GET", "cases/1"): "cases.see",
    ("POST", "cases/1/undo"): "cases.decide",
    ("POST", "cases/1/decisions"): "cases.decide",
    ("POST", "cases/1/pack"): "packs.make",
    ("PUT", "cases/1/legal-hold"): "cases.hold",
    ("GET", "accounts-at-risk"): "cases.see",
    ("POST", "accounts/0000-0000-0000/unmask"): "identities.unmask",
    ("POST", "accounts/0000-0000-0000/protections"): "protect",
    ("GET", "bulks"): "bulk.propose",
    ("POST", "bulks"): "bulk.propose",
    ("GET", "overview"): "overview.see",
    ("GET", "audit"): "audit.see",
    ("GET", "users"): "people.manage",
    ("PATCH", "users/1"): "people.manage",
    ("GET", "webhooks"): "webhooks.manage",
    ("POST", "webhooks"): "webhooks.manage",
    ("DELETE", "webhooks/1"): "webhooks.manage",
}


@pytest.mark.parametrize("role", ["viewer", "reviewer", "lead", "admin"])
def test_no_role_reaches_beyond_itself(call: Call, role: str) -> None:
    for (method, path), right in ENDPOINTS.items():
        status = call(role, method, path, json={}).status_code
        assert (status == 403) == (right not in RIGHTS[role]), (method, path, status)
        assert status < 500


def test_what_is_refused_says_why_in_one_form(call: Call) -> None:
    for method, path, body, status in (
        ("GET", "cases/999", None, 404),
        ("GET", "nowhere", None, 404),
        ("DELETE", "cases", None, 405),
        ("POST", "cases/1/decisions", {"action": "dismiss"}, 409),
        ("POST", "cases/1/decisions", {"action": "delete"}, 422),
        ("POST", "cases/1/decisions", {"action": "note", "note": "x", "more": 1}, 422),
        ("GET", "cases/99999999999999999999", None, 422),
    ):
        answer = call("lead", method, path, json=body)
        assert answer.status_code == status, (path, answer.text)
        assert set(answer.json()) == {"problem"}


def test_the_document_names_every_address(client: TestClient) -> None:
    document = client.get("openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert len(document["paths"]) >= 18
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["security"], (path, method)
            assert operation["summary"]
