"""What an attacker would try: forged forms, planted sessions, others' rights, hostile account ids."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from console.people import add_user, digest
from console.service import Service
from console.tables import audit, cases, sessions, users
from console.web.security import CONTENT_SECURITY_POLICY, Limiter
from console.web.visit import local_path
from tests.console.build import PASSWORD, Clock, flag, service_of, take
from tests.console.pages import Visitor, visitor

HOSTILE = [
    "'; DROP TABLE cases; --",
    '"><script>alert(1)</script>',
    "<img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% include 'base.html' %}",
    "../../etc/passwd",
    "%00%0d%0aSet-Cookie: a=b",
    "javascript:alert(1)",
    "\u202egnp.exe",
    "' OR '1'='1",
    "{pseudonym}",
    "a" * 128,
]


@pytest.fixture
def own(tmp_path: Path, clock: Clock) -> Service:
    """A service on SQLite: these tests are about the pages."""
    made = service_of(tmp_path, clock)
    take(made, flag("u1"))
    return made


def with_password(service: Service, login: str = "rita") -> None:
    with service.database.writing() as connection:
        add_user(connection, login, login.capitalize(), "reviewer", PASSWORD, now=service.clock())


def state(service: Service, case: int = 1) -> str:
    with service.database.reading() as connection:
        return str(connection.execute(select(cases.c.state).where(cases.c.id == case)).scalar_one())


DECISION = {"action": "dismiss", "reason": "dismiss:known_role", "policy": "none", "seen": "0"}


def test_a_form_without_the_sessions_token_is_not_taken(own: Service) -> None:
    rita = visitor(own, "rita", "reviewer")
    for csrf in ("", "x" * 43, visitor(own, "olga", "reviewer").csrf):
        assert rita.client.post("/cases/1/decide", data=DECISION | {"csrf": csrf}).status_code == 403
    assert state(own) == "open"
    assert rita.post("/cases/1/decide", **DECISION).status_code == 303
    assert state(own) == "dismissed"


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}],
)
def test_a_form_on_another_site_is_not_taken(own: Service, headers: dict[str, str]) -> None:
    rita = visitor(own, "rita", "reviewer")
    answer = rita.client.post("/cases/1/decide", data=DECISION | {"csrf": rita.csrf}, headers=headers)
    assert (answer.status_code, state(own)) == (403, "open")
    fresh = Visitor(own)
    answer = fresh.client.post("/sign-in", data={"login": "rita", "password": PASSWORD}, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/sign-in", "/queue", "/cases/1", "/nowhere", "/static/base.css", "/livez", "/me"])
def test_every_answer_carries_the_headers(own: Service, path: str) -> None:
    headers = visitor(own, "rita", "reviewer").get(path).headers
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert ("no-store" in headers["cache-control"]) == (not path.startswith("/static"))
    assert "unsafe" not in CONTENT_SECURITY_POLICY


@pytest.mark.parametrize("path", ["/sign-in", "/queue", "/cases/1", "/nowhere", "/me"])
def test_pages_hold_no_inline_script_or_style(own: Service, path: str) -> None:
    text = visitor(own, "rita", "reviewer").get(path).text
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", text)
    assert not re.search(r"<style|\sstyle=|\son\w+=", text)


def test_a_planted_session_is_worth_nothing(own: Service) -> None:
    with_password(own)
    planted = Visitor(own)
    planted.client.cookies.set("kithwatch", "planted-by-an-attacker", domain="testserver.local", path="/")
    planted.sign_in("rita")
    fresh = planted.client.cookies.get("kithwatch")
    assert fresh
    assert fresh != "planted-by-an-attacker"
    with own.database.reading() as connection:
        held = connection.execute(select(sessions.c.id)).scalars().all()
    assert digest(fresh) in held
    assert digest("planted-by-an-attacker") not in held
    assert fresh not in held, "the database alone signs nobody in"


def test_signing_out_ends_the_session_everywhere(own: Service) -> None:
    rita = visitor(own, "rita", "reviewer")
    kept = rita.client.cookies.get("kithwatch")
    rita.post("/sign-out")
    again = Visitor(own)
    again.client.cookies.set("kithwatch", kept or "")
    assert again.get("/queue").headers["location"].startswith("/sign-in")


def test_a_session_ends_when_idle_and_in_any_case(own: Service, clock: Clock) -> None:
    with_password(own)
    rita = Visitor(own)
    rita.sign_in("rita")
    clock.move(own.rules.idle_minutes + 1)
    assert rita.get("/queue").status_code == 303
    rita.sign_in("rita")
    for _ in range(int(own.rules.session_hours * 60 / 50) + 1):
        clock.move(50)
        answer = rita.get("/queue")
    assert answer.status_code == 303


def test_looking_by_itself_does_not_keep_a_session_alive(own: Service, clock: Clock) -> None:
    rita = visitor(own, "rita", "reviewer")
    for _ in range(8):
        clock.move(10)
        answer = rita.get("/queue/version")
    assert answer.status_code == 401


def test_cookies_are_out_of_scripts_reach_and_for_https_alone(tmp_path: Path) -> None:
    service = service_of(tmp_path, secure=True, public_url="http://testserver")
    with_password(service)
    answer = Visitor(service).client.post("/sign-in", data={"login": "rita", "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("__host-kithwatch=")
    assert all(part in cookie for part in ("httponly", "secure", "samesite=lax", "path=/"))
    assert "strict-transport-security" in answer.headers


def test_wrong_passwords_lock_and_say_nothing(own: Service, clock: Clock) -> None:
    with_password(own)
    guess = Visitor(own)
    unknown = guess.sign_in("nobody-of-that-name", "a wrong password")
    wrong = [guess.sign_in("rita", "a wrong password") for _ in range(own.rules.sign_in_failures)]
    assert {answer.status_code for answer in (unknown, *wrong)} == {401}
    assert wrong[0].text.replace("rita", "") == unknown.text.replace("nobody-of-that-name", "")
    assert guess.sign_in("rita").status_code == 401, "locked even for the right one"
    clock.move(own.rules.lock_minutes + 1)
    assert guess.sign_in("rita").status_code == 303


def test_a_bucket_lets_so_many_through_and_fills_up_again() -> None:
    now = [0.0]
    limiter = Limiter(3, 60, lambda: now[0])
    assert [limiter.allow("a") for _ in range(5)] == [True, True, True, False, False]
    assert limiter.allow("b")
    now[0] = 2.5
    assert [limiter.allow("a") for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "evil", "/a\nb"]
)
def test_signing_in_leads_nowhere_else(target: str) -> None:
    assert local_path(target) == "/queue"
    assert local_path("/cases/3?x=1") == "/cases/3?x=1"


PAGES: dict[str, set[str]] = {
    "/queue": {"viewer", "reviewer", "lead", "admin"},
    "/cases/1": {"viewer", "reviewer", "lead", "admin"},
    "/cases/1/graph.json": {"viewer", "reviewer", "lead", "admin"},
    "/cases/1/graph.graphml": {"viewer", "reviewer", "lead", "admin"},
}
ACTIONS: dict[str, tuple[set[str], dict[str, str]]] = {
    "/cases/1/decide": ({"reviewer", "lead"}, {"action": "note", "note": "seen"}),
    "/cases/1/undo": ({"reviewer", "lead"}, {}),
    "/queue/next": ({"reviewer", "lead"}, {}),
    "/unmask": ({"reviewer", "lead"}, {"account": "x", "reason": "long enough a reason"}),
}


@pytest.mark.parametrize("role", ["none", "viewer", "reviewer", "lead", "admin"])
def test_each_role_may_do_what_it_is_for_and_nothing_else(own: Service, role: str) -> None:
    somebody = visitor(own, "somebody", role)
    for path, allowed in PAGES.items():
        assert (somebody.get(path).status_code == 403) == (role not in allowed), path
    for path, (allowed, fields) in ACTIONS.items():
        assert (somebody.post(path, **fields).status_code == 403) == (role not in allowed), path


def test_without_a_session_there_is_nothing(own: Service) -> None:
    nobody = Visitor(own)
    for path in PAGES:
        assert nobody.get(path).status_code in (303, 401), path
    for path in ACTIONS:
        assert nobody.post(path).headers["location"] == "/sign-in", path


def test_a_disabled_user_is_out_at_once(own: Service) -> None:
    rita = visitor(own, "rita", "reviewer")
    with own.database.writing() as connection:
        connection.execute(users.update().values(disabled=True))
    assert rita.get("/queue").status_code == 303


@pytest.mark.parametrize("account", HOSTILE)
def test_hostile_account_ids_are_only_text(tmp_path: Path, account: str) -> None:
    service = service_of(tmp_path)
    take(service, flag(account, targets=[account + "!", "t1"], explanation=f"About {account}"))
    rita = visitor(service, "rita", "reviewer")
    pseudonym = service.keys.pseudonym_of(account)
    page = rita.get("/cases/1").text
    assert f"About {account}" in html.unescape(page)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    answer = rita.post("/unmask", account=pseudonym, reason="needed for the report", back="/cases/1")
    assert answer.status_code == 303
    page = rita.get("/cases/1").text
    assert account in html.unescape(page)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    found = rita.get("/queue", params={"q": account})
    assert found.status_code == 200
    assert pseudonym in found.text
    assert "<script>alert" not in found.text
    for path in ("graph.json", "graph.graphml", "timeline.json"):
        assert rita.get(f"/cases/1/{path}").status_code == 200
    assert state(service) == "open"


@pytest.mark.parametrize("query", [*HOSTILE, "\0", "#", "*", '"', "-", "a AND", "NEAR(", "🙂", "#999999999999999999"])
def test_hostile_searches_find_nothing_and_break_nothing(service: Service, query: str) -> None:
    take(service, flag("u1"))
    rita = visitor(service, "rita", "reviewer")
    answer = rita.get("/queue", params={"q": query, "after": query, "state": query, "severity": query, "sort": query})
    assert answer.status_code == 200


def test_an_account_stays_masked_until_asked_for_with_a_reason(own: Service, clock: Clock) -> None:
    rita, olga = visitor(own, "rita", "reviewer"), visitor(own, "olga", "reviewer")
    account = own.keys.pseudonym_of("u1")
    assert ">u1<" not in rita.get("/cases/1").text
    assert rita.post("/unmask", account=account, reason="short", back="/cases/1").status_code == 409
    rita.post("/unmask", account=account, reason="asked by the liaison officer", back="/cases/1")
    assert ">u1<" in rita.get("/cases/1").text
    assert ">u1<" not in olga.get("/cases/1").text, "for the one who asked"
    clock.move(own.rules.unmask_minutes + 0.1)
    assert ">u1<" not in rita.get("/cases/1").text, "for a while"
    with own.database.reading() as connection:
        rows = connection.execute(select(audit).where(audit.c.action == "identity.unmask")).all()
    (row,) = rows
    assert (row.actor, row.object) == ("rita", f"account:{account}")
    assert "liaison" in row.detail


def test_views_and_searches_are_recorded_without_account_ids(own: Service) -> None:
    rita = visitor(own, "rita", "reviewer")
    rita.get("/cases/1")
    rita.get("/queue", params={"q": "u1"})
    with own.database.reading() as connection:
        rows: list[Any] = list(connection.execute(select(audit).where(audit.c.actor == "rita")).all())
    assert [row.action for row in rows] == ["case.view", "cases.search"]
    assert rows[1].object == f"search:{own.keys.pseudonym_of('u1')}"
    assert "u1" not in rows[1].detail
