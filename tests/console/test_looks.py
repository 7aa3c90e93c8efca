"""Whoever is shown something leaves one record of it: every page and every GET of the API, from the routing tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import select
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from console.api.app import make_api
from console.bulk import propose
from console.decisions import Choice
from console.rights import RIGHTS, SCOPES, may
from console.service import Service
from console.tables import audit
from console.tokens import make_token
from console.web.app import make_app
from tests.console.build import Clock, flag, person, service_of, take
from tests.console.pages import Visitor, visitor

ROLES = ("lead", "admin")
"""Together they may see every page."""
NOTHING_SHOWN = {
    "/": "leads to the queue, which is recorded",
    "/sign-in": "nobody is signed in yet",
    "/sign-in/oidc": "nobody is signed in yet",
    "/sign-in/oidc/done": "nobody is signed in yet; the session it begins is recorded",
    "/livez": "health, nothing of a case",
    "/readyz": "health, nothing of a case",
    "/queue/version": "a number by which a page's script sees that something changed",
}
FILES = {"/static": "style sheets and scripts", "/api/v1": "the API, walked by itself"}
DOCUMENT = {"/openapi.json": "what the API can do, for anybody"}


@pytest.fixture
def own(tmp_path: Path, clock: Clock) -> Service:
    """A service on SQLite, with something to see on every page."""
    made = service_of(tmp_path, clock)
    take(made, flag("u1", targets=["kid", "t2"]), flag("u2", targets=["kid"]), flag("kid", role="target"))
    who = person(made, "pia", "reviewer")
    choice = Choice(action="dismiss", reason="too_little", policy="none", note="Old hints.")
    with made.database.writing() as connection:
        propose(connection, made.keys, who, [2], choice, made.rules, now=made.clock())
    return made


def pages(service: Service) -> list[str]:
    """Return the paths of all pages, or fail: what is neither a page nor a known folder would not be walked."""
    routes = make_app(service).routes
    folders = {route.path for route in routes if isinstance(route, Mount)}
    assert folders == set(FILES)
    assert all(isinstance(route, (Route, Mount)) for route in routes)
    return [route.path for route in routes if isinstance(route, Route) and "GET" in (route.methods or ())]


def calls(service: Service) -> list[str]:
    """Return the paths of all GETs of the API, likewise."""
    routes: list[Any] = [route for route in walked(make_api(service).routes) if "GET" in (route.methods or ())]
    assert {route.path for route in routes if not isinstance(route, APIRoute)} == set(DOCUMENT)
    return [route.path for route in routes if isinstance(route, APIRoute)]


def walked(routes: Any) -> list[Any]:
    """Return routes, with those of routers that were included."""
    found = []
    for route in routes:
        inner = getattr(route, "original_router", None)
        found += walked(inner.routes) if inner is not None else [route]
    return found


def filled(path: str, service: Service) -> str:
    kid = service.keys.pseudonym_of("kid")
    for name, value in (("{id}", "1"), ("{number}", "1"), ("{account}", kid)):
        path = path.replace(name, value)
    assert "{" not in path, "say here what this parameter stands for"
    return path


def records(service: Service) -> list[Any]:
    with service.database.reading() as connection:
        return list(connection.execute(select(audit).order_by(audit.c.seq)).all())


def left(service: Service, before: int) -> list[tuple[str, str, str]]:
    return [(row.actor, row.action, row.object) for row in records(service)[before:]]


def without_ids(service: Service) -> None:
    for row in records(service):
        for account in ("u1", "u2", "kid", "t2"):
            assert f'"{account}' not in row.detail
            assert not row.object.endswith(f":{account}")


def test_every_page_leaves_one_record(own: Service, clock: Clock) -> None:
    people = {role: visitor(own, role, role) for role in ROLES}
    assert set(NOTHING_SHOWN) < set(pages(own))
    named = set()
    for path in pages(own):
        if path in NOTHING_SHOWN:
            continue
        clock.move(11)  # what a script fetches is not part of a page seen before
        shown = 0
        for role, somebody in people.items():
            before = len(records(own))
            status = somebody.get(filled(path, own)).status_code
            looks = left(own, before)
            if status == 200:
                shown += 1
                assert [look[0] for look in looks] == [role], (path, looks)
                named.add(looks[0][1])
            else:
                assert (status, looks) == (403, []), path
        assert shown, f"nobody was shown {path}"
    assert len(named) == len(pages(own)) - len(NOTHING_SHOWN), "each is told from the others"
    without_ids(own)


def test_what_shows_nothing_leaves_nothing(own: Service) -> None:
    lead = visitor(own, "lead", "lead")
    before = len(records(own))
    for path in NOTHING_SHOWN:
        lead.get(path)
    lead.get("/static/base.css")
    lead.get("/api/v1/openapi.json")
    lead.get("/cases/77")
    lead.get("/at-risk/0000-0000-0000")
    Visitor(own).get("/queue")
    assert left(own, before) == []


def test_every_get_of_the_api_leaves_one_record(own: Service) -> None:
    client = TestClient(make_app(own), base_url="http://testserver/api/v1/")
    tokens = {}
    for role in ROLES:
        who = person(own, role, role)
        scopes = [scope for scope, right in SCOPES.items() if may(role, right)]
        with own.database.writing() as connection:
            tokens[role] = make_token(connection, who.id, role, "test", scopes, 3, now=own.clock())
    named = set()
    assert len(calls(own)) > 15
    for path in calls(own):
        shown = 0
        for role, token in tokens.items():
            before = len(records(own))
            url = f"http://testserver/api/v1{filled(path, own)}"
            status = client.get(url, headers={"authorization": f"Bearer {token}"}).status_code
            looks = left(own, before)
            if status == 200:
                shown += 1
                assert [look[0] for look in looks] == [role], (path, looks)
                assert '"by":"api"' in records(own)[-1].detail
                named.add(looks[0][1])
            else:
                assert (status, looks) == (403, []), path
        assert shown, f"nobody was shown {path}"
    assert len(named) == len(calls(own)), "each is told from the others"
    without_ids(own)


def test_the_roles_walked_may_see_all_that_is_to_be_seen() -> None:
    everything = frozenset().union(*RIGHTS.values())
    assert RIGHTS["lead"] | RIGHTS["admin"] == everything


def test_what_a_pages_script_fetches_belongs_to_the_page(own: Service, clock: Clock) -> None:
    rita, olga = visitor(own, "rita", "reviewer"), visitor(own, "olga", "reviewer")
    start = len(records(own))
    rita.get("/cases/1")
    for _ in range(3):
        rita.get("/cases/1/graph.json")
        rita.get("/cases/1/timeline.json")
    assert left(own, start) == [("rita", "case.view", "case:1")]
    olga.get("/cases/1/graph.json")
    rita.get("/cases/2/graph.json")
    assert left(own, start)[1:] == [("olga", "case.graph", "case:1"), ("rita", "case.graph", "case:2")]
    clock.move(11)
    rita.get("/cases/1/timeline.json")
    assert left(own, start)[3:] == [("rita", "case.timeline", "case:1")], "that page was left long ago"


def test_a_queue_that_is_left_open_is_recorded_now_and_then(own: Service, clock: Clock) -> None:
    rita = visitor(own, "rita", "reviewer")
    start = len(records(own))
    rita.get("/queue?severity=2")
    for _ in range(25):
        clock.move(1)
        assert rita.get("/queue?severity=2", headers={"x-fragment": "rows"}).status_code == 200
    assert [look[1] for look in left(own, start)] == ["queue.view"] * 3
    rita.get("/queue?severity=1", headers={"x-fragment": "rows"})
    rita.get("/queue?severity=1&after=90.5_7", headers={"x-fragment": "rows"})
    rows = records(own)[start + 3 :]
    assert [row.detail for row in rows] == ['{"severity":"1"}', '{"severity":"1","after":7}'], "other rows, other looks"


def test_rows_that_a_script_fetches_do_not_keep_a_session_alive(own: Service, clock: Clock) -> None:
    rita = visitor(own, "rita", "reviewer")
    for _ in range(8):
        clock.move(10)
        answer = rita.get("/queue", headers={"x-fragment": "rows"})
    assert answer.status_code == 401


def test_what_was_typed_into_filters_is_not_kept(own: Service) -> None:
    lead = visitor(own, "lead", "lead")
    lead.get("/queue", params={"detector": "u1", "age": "u1", "policy": "u1", "after": "u1", "q": "u1"})
    lead.get("/audit", params={"object": "u1", "actor": "u1"})
    lead.get("/audit", params={"actor": "lead"})
    search, nothing, found = (row for row in records(own)[-3:])
    assert search.object == f"search:{own.keys.pseudonym_of('u1')}"
    assert "u1" not in search.detail
    assert nothing.detail == '{"where":{"actor":"not found","object":"not found"}}'
    assert found.detail == '{"where":{"actor":"lead"}}'
    without_ids(own)
