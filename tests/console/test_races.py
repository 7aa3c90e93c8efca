"""A decision on several cases and flags of the same cases at the same time: neither is lost, and neither fails."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, select
from starlette.testclient import TestClient

from console import ingest
from console.bulk import answer, propose
from console.bulkwrite import insert_many
from console.decisions import Choice, RefusedError, decide
from console.people import Person
from console.service import Service
from console.tables import bulks, cases, decisions, flags, outbox
from console.tokens import make_token
from console.web.app import make_app
from tests.console.build import Clock, flag, person, take
from tests.console.pages import visitor

NOTE = "All of one class trip."
DISMISS = Choice(action="dismiss", reason="peer_group", policy="none", note=NOTE)
WAIT = 60


@pytest.fixture
def people(service: Service) -> tuple[Person, Person]:
    return person(service, "rita", "reviewer"), person(service, "leo", "lead")


def proposed(service: Service, who: Person, numbers: list[int]) -> int:
    with service.database.writing() as connection:
        return propose(connection, service.keys, who, numbers, DISMISS, service.rules, now=service.clock())


def approve(service: Service, who: Person, number: int) -> tuple[int, int]:
    with service.database.writing() as connection:
        return answer(connection, service.keys, who, number, approve=True, now=service.clock())


def case_of(service: Service, number: int = 1) -> Any:
    with service.database.reading() as connection:
        return connection.execute(select(cases).where(cases.c.id == number)).one()


def raised(service: Service) -> set[str]:
    with service.database.reading() as connection:
        return set(connection.execute(select(flags.c.flag_id)).scalars())


class Beside(threading.Thread):
    """Does something in a thread of its own, and gives its answer, or its failure, when asked."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.work = work
        self.answer: Any = None
        self.failure: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.answer = self.work()
        except BaseException as problem:
            self.failure = problem

    def result(self) -> Any:
        self.join(WAIT)
        assert not self.is_alive(), "it still waits"
        if self.failure is not None:
            raise self.failure
        return self.answer


def test_flags_that_come_while_a_bulk_decision_is_written_open_the_case_again(
    service: Service, people: tuple[Person, Person], clock: Clock
) -> None:
    rita, leo = people
    take(service, flag("u1", severity="medium"), flag("u2", severity="medium"))
    number = proposed(service, rita, [1, 2])
    grown = flag("u1", number=1, severity="critical", minutes=5)
    with service.database.writing() as connection:
        done = answer(connection, service.keys, leo, number, approve=True, now=clock.now)
        flags_come = Beside(lambda: take(service, grown))
        flags_come.join(0.3)
        assert flags_come.is_alive(), "it waits for the decision"
    assert done == (2, 0)
    assert flags_come.result().reopened == (1,)
    assert grown.flag_id in raised(service)
    case = case_of(service)
    assert (case.state, case.severity, case.flags, case.decided_severity) == ("open", 3, 2, 1)
    assert "severity rose" in case.reopened_because
    assert case_of(service, 2).state == "dismissed"
    with service.database.reading() as connection:
        made = connection.execute(select(decisions.c.case_id, decisions.c.action).order_by(decisions.c.id)).all()
        told = connection.execute(select(outbox.c.value).order_by(outbox.c.id)).scalars().all()
    assert [tuple(row) for row in made] == [(1, "dismiss"), (2, "dismiss")]
    assert grown.flag_id not in told[0], "it dismisses what was there, and nothing else"


def test_a_bulk_decision_that_waits_for_flags_leaves_out_the_case_that_grew(
    service: Service, people: tuple[Person, Person], clock: Clock
) -> None:
    rita, leo = people
    take(service, flag("u1", severity="medium"), flag("u2", severity="medium"), flag("u3", severity="medium"))
    number = proposed(service, rita, [1, 2, 3])
    with service.database.writing() as connection:
        news = [flag("u1", severity="critical", kind="flag.updated", minutes=5), flag("u3", number=1, minutes=5)]
        news.append(flag("u2", score=0.81, severity="medium", kind="flag.updated", minutes=5))
        service.ingest.take(connection, news, clock.now)
        bulk = Beside(lambda: approve(service, leo, number))
        bulk.join(0.3)
        assert bulk.is_alive(), "it waits for the flags"
    assert bulk.result() == (1, 2)
    assert [case_of(service, case).state for case in (1, 2, 3)] == ["open", "dismissed", "open"]
    assert (case_of(service).severity, case_of(service, 3).flags) == (3, 2)
    with service.database.reading() as connection:
        told = connection.execute(select(bulks.c.answer).where(bulks.c.id == number)).scalar_one()
    assert told == "1 decided, 2 left out"


def test_evidence_that_grew_after_somebody_looked_is_not_decided_unseen(
    service: Service, people: tuple[Person, Person], clock: Clock
) -> None:
    rita, _ = people
    take(service, flag("u1", severity="medium", minors=6))
    seen = case_of(service)
    basis = (seen.severity, seen.minors, seen.flags)
    take(service, flag("u1", severity="medium", minors=7, kind="flag.updated", minutes=5))
    for news, why in (
        (flag("u1", severity="medium", minors=30, kind="flag.updated", minutes=9), "minors reached rose from 6 to 30"),
        (flag("u1", severity="high", minors=30, kind="flag.updated", minutes=11), "severity rose from medium to high"),
    ):
        take(service, news)
        with service.database.writing() as connection, pytest.raises(RefusedError, match=why):
            decide(connection, service.keys, rita, 1, choice_on(basis), now=clock.now)
    assert case_of(service).state == "open"
    now = case_of(service)
    with service.database.writing() as connection:
        decide(connection, service.keys, rita, 1, choice_on((now.severity, now.minors, now.flags)), now=clock.now)
    assert case_of(service).state == "dismissed"


def choice_on(basis: tuple[int, int, int]) -> Choice:
    return Choice(action="dismiss", reason="peer_group", policy="none", basis=basis)


def test_neither_fails_when_each_has_come_half_way(
    service: Service, people: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    rita, leo = people
    accounts = [f"a{place}" for place in range(20)]
    taken = take(service, *(flag(account, severity="low", minors=1) for account in accounts))
    number = proposed(service, rita, sorted(taken.opened))
    began: list[Beside] = []

    def in_slow_motion(connection: Connection, statement: Any, rows: Any) -> None:
        """Write the second half of the flags after the bulk decision has come as far as it comes."""
        half = len(rows) // 2 if statement.table is flags and not began else 0
        insert_many(connection, statement, rows[:half])
        if half:
            began.append(Beside(lambda: approve(service, leo, number)))
            began[0].join(0.5)
        insert_many(connection, statement, rows[half:])

    monkeypatch.setattr(ingest, "insert_many", in_slow_motion)
    # the cases the other way round, and too little to open one again
    news = [flag(one, number=1, severity="low", minors=1, minutes=3) for one in reversed(accounts)]
    assert take(service, *news).news == 20
    assert began[0].result() == (20, 0)
    with service.database.reading() as connection:
        rows = {tuple(row) for row in connection.execute(select(cases.c.state, cases.c.flags))}
    assert rows == {("dismissed", 2)}, "both are there, on every case"


def test_the_page_asks_to_look_again(service: Service, clock: Clock) -> None:
    take(service, flag("u1", severity="medium"))
    rita = visitor(service, "rita", "reviewer")
    (basis,) = re.findall(r'name="basis" value="([^"]+)"', rita.get("/cases/1").text)
    assert basis == "1.6.1"
    take(service, flag("u1", severity="critical", kind="flag.updated", minutes=5))
    form = {"action": "dismiss", "reason": "dismiss:peer_group", "policy": "none", "basis": basis}
    answer = rita.post("/cases/1/decide", **form)
    assert answer.status_code == 409
    assert "severity rose from medium to critical" in answer.text
    assert rita.post("/cases/1/decide", **form | {"basis": "nonsense"}).status_code == 409
    assert rita.post("/cases/1/decide", **form | {"basis": "3.6.1"}).status_code == 303
    assert case_of(service).state == "dismissed"


def test_by_the_api_too(service: Service, clock: Clock) -> None:
    take(service, flag("u1", severity="medium"))
    rita = person(service, "rita", "reviewer")
    with service.database.writing() as connection:
        token = make_token(connection, rita.id, "reviewer", "test", ["cases:read", "cases:decide"], 3, now=clock.now)
    client = TestClient(make_app(service), headers={"authorization": f"Bearer {token}"})
    seen = client.get("/api/v1/cases/1").json()
    take(service, flag("u1", severity="high", kind="flag.updated", minutes=5))
    choice = {"action": "dismiss", "reason": "peer_group", "policy": "none"}
    for status in (409, 201):
        choice["basis"] = {name: seen[name] for name in ("severity", "minors", "flags")}
        assert client.post("/api/v1/cases/1/decisions", json=choice).status_code == status
        seen = client.get("/api/v1/cases/1").json()
