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
    assert (detail["group"], detail["group_unnamed"]) == ([], 0)
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
    assert actions[:5] == ["queue.view", "case.view", "case.confirm", "case.undo", "identity.unmask"]


def test_the_next_cases_saved_views_and_colleagues_by_api(service: Service, call: Call) -> None:
    before = call("reviewer", "GET", "queue/counts").json()
    assert (before["active"], before["severity"]["high"], before["in_hand"]) == (2, 1, 0)
    assert call("reviewer", "PUT", "me/settings", json={"max_severity": "low", "batch": 3}).status_code == 204
    assert call("reviewer", "GET", "me").json()["max_severity"] == "low"
    (taken,) = call("reviewer", "POST", "queue/next", json={"count": 5}).json()
    assert taken["severity"] == "low", "the high one is more urgent, and more than was asked for"
    after = call("reviewer", "GET", "queue/counts").json()
    assert after["in_hand"] == 1
    assert after["version"] >= before["version"]
    call("lead", "POST", "views", json={"name": "Ours", "filters": {"severity": "2"}, "shared": True})
    (view,) = call("reviewer", "GET", "views").json()
    assert (view["query"], view["own"]) == ("severity=2", False)
    assert call("reviewer", "DELETE", f"views/{view['id']}").status_code == 404, "it is the lead's"
    assert call("lead", "DELETE", f"views/{view['id']}").status_code == 204
    logins = [one["login"] for one in call("reviewer", "GET", "colleagues").json()]
    assert len(logins) == 2, "the reviewer and the lead"
    graph = call("viewer", "GET", f"cases/{taken['id']}/graph.graphml")
    assert graph.headers["content-type"] == "application/graphml+xml"
    assert b"<graphml" in graph.content


def test_administration_by_api(service: Service, client: TestClient, call: Call) -> None:
    made = call("admin", "POST", "users", json={"login": "nora", "name": "Nora", "role": "viewer"})
    assert made.status_code == 201
    assert call("admin", "POST", "users", json={"login": "nora", "role": "viewer"}).status_code == 409
    beyond = {"owner": "nora", "name": "export", "scopes": ["cases:decide"], "days": 3}
    assert "More than its owner may do" in call("admin", "POST", "tokens", json=beyond).json()["problem"]
    token = call("admin", "POST", "tokens", json=beyond | {"scopes": ["cases:read"]}).json()["token"]
    headers = {"authorization": f"Bearer {token}"}
    assert client.get("cases", headers=headers).status_code == 200
    listed = call("admin", "GET", "tokens")
    assert listed.json()[0]["owner_name"] == "Nora"
    assert "hash" not in listed.text
    assert token not in listed.text
    assert call("admin", "DELETE", f"tokens/{listed.json()[0]['id']}").status_code == 204
    assert client.get("cases", headers=headers).status_code == 401
    hook = call("admin", "POST", "webhooks", json={"url": "https://example.org/hook", "events": ["case.opened"]}).json()
    assert call("admin", "PATCH", f"webhooks/{hook['id']}", json={"active": False}).status_code == 204
    assert call("admin", "GET", "webhooks").json()[0]["active"] is False
    assert call("admin", "GET", "webhooks/deliveries").json() == []
    assert call("admin", "GET", "retention").json()["days"]["dismissed"] > 0
    told = call("admin", "GET", "audit", params={"object": f"webhook:{hook['id']}"}).json()["records"]
    assert [record["action"] for record in told] == ["webhook.off", "webhook.add"]


def test_cases_are_found_by_the_policy_they_were_decided_under(call: Call) -> None:
    decision = {"action": "confirm", "reason": "minors_sought", "policy": "child_safety.grooming"}
    call("reviewer", "POST", "cases/1/decisions", json=decision)

    def under(policy: str) -> list[int]:
        found = call("reviewer", "GET", "cases", params={"state": "any", "policy": policy}).json()["cases"]
        return [case["id"] for case in found]

    assert under("child_safety.grooming") == [1]
    assert under("platform.spam") == []
    call("reviewer", "POST", "cases/1/undo")
    assert under("child_safety.grooming") == [], "what was taken back was not decided"


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


def test_there_is_a_scope_for_every_right() -> None:
    assert set(SCOPES.values()) == set().union(*RIGHTS.values()), "what a person may do, a token can be given"


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
    ("GET", "cases/1/graph.graphml"): "cases.see",
    ("GET", "queue/counts"): "cases.see",
    ("POST", "queue/next"): "cases.decide",
    ("PUT", "me/settings"): "cases.decide",
    ("GET", "colleagues"): "cases.decide",
    ("GET", "views"): "cases.see",
    ("POST", "views"): "cases.see",
    ("DELETE", "views/1"): "cases.see",
    ("GET", "users"): "people.manage",
    ("POST", "users"): "people.manage",
    ("GET", "tokens"): "tokens.manage",
    ("POST", "tokens"): "tokens.manage",
    ("DELETE", "tokens/999"): "tokens.manage",
    ("GET", "webhooks/deliveries"): "webhooks.manage",
    ("PATCH", "webhooks/1"): "webhooks.manage",
    ("GET", "retention"): "retention.manage",
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
    assert len(document["paths"]) >= 30
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["security"], (path, method)
            assert operation["summary"]
