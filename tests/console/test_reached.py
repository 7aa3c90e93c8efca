"""Whom accounts under review reach for: what upkeep works out part by part is what a plain model says of all rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from console import reached as module
from console.database import Database
from console.erasure import ask_for_erasure
from console.reached import as_of, keep_up, most_reached
from console.service import Service
from console.tables import cases, contacts, reached, sweeps
from console.upkeep import Upkeep
from console.words import MINORS, OPEN
from tests.console.build import START, Clock, flag, service_of, take

AGES = ("unknown", "unknown", "13_15", "under_13", "21_plus")
STATES = ("open", "held", "confirmed", "dismissed", "withdrawn")


@pytest.fixture
def own(tmp_path: Path, clock: Clock) -> Iterator[Service]:
    made = service_of(tmp_path, clock)
    yield made
    made.database.close()


def model(database: Database) -> list[dict[str, Any]]:
    """Return what the table should say, from all cases and contacts."""
    with database.reading() as connection:
        known = {row.id: row for row in connection.execute(select(cases))}
        rows = connection.execute(select(contacts)).all()
    told: dict[str, list[Any]] = {}
    for row in rows:
        case = known[row.case_id]
        if case.role == "actor" and not case.shadow and case.state in (*OPEN, "confirmed"):
            told.setdefault(row.other, []).append((row, case))
    found = []
    for account, pairs in told.items():
        bands = {row.age_band for row, _ in pairs}
        minor = max((band for band in bands if band in MINORS), default="")
        if minor or (len(pairs) > 1 and bands == {"unknown"}):
            found.append(
                {
                    "account": account,
                    "age_band": minor or "unknown",
                    "suspects": len(pairs),
                    "severity": max(case.severity for _, case in pairs),
                    "last_at": max(row.last_at for row, _ in pairs),
                    "answered": any(row.outcomes & 0b100001 for row, _ in pairs),
                }
            )
    return sorted(found, key=lambda row: (row["suspects"], row["severity"], row["account"]), reverse=True)


def kept(database: Database) -> list[dict[str, Any]]:
    with database.reading() as connection:
        return most_reached(connection)


class Ticking:
    """A timer that goes forward by a second each time it is asked."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def a_round(database: Database, now: int) -> int:
    """Go through everything, one or two parts at a time; return how often that was."""
    for count in range(1, 500):
        if keep_up(database, now, budget=4, timer=Ticking()):
            return count
    raise AssertionError("the round does not end")


world = st.lists(
    st.tuples(
        st.sampled_from(STATES),
        st.booleans(),
        st.integers(0, 3),
        st.dictionaries(st.integers(0, 12), st.tuples(st.sampled_from(AGES), st.integers(0, 63), st.integers(1, 9))),
    ),
    max_size=8,
)


def put(database: Database, service: Service, given: Any) -> None:
    """Put cases and contacts into the place of those that are there."""
    with database.writing() as connection:
        connection.execute(delete(cases))
        for number, (state, shadow, severity, reaches) in enumerate(given, 1):
            row = service.ingest.empty_case(f"A{number:03}", "actor", START)
            more = {"id": number, "state": state, "shadow": shadow, "severity": severity}
            connection.execute(insert(cases).values(**row | more))
            for other, (age, outcomes, at) in reaches.items():
                told = {"age_band": age, "outcomes": outcomes, "last_at": at, "first_at": 1, "signs": 0}
                told |= {"requests": 0, "messages": 0}
                connection.execute(insert(contacts).values(case_id=number, other=f"T{other:03}", **told))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=world, second=world)
def test_a_round_in_parts_finds_what_a_plain_model_finds(
    own: Service, monkeypatch: pytest.MonkeyPatch, first: Any, second: Any
) -> None:
    monkeypatch.setattr(module, "PART", 3)
    for given_ in (first, second):
        put(own.database, own, given_)
        a_round(own.database, START)  # one may have begun before
        a_round(own.database, START)
        assert kept(own.database) == model(own.database)


def test_on_both_databases(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART", 4)
    monkeypatch.setattr(module, "FIRST", 1)
    take(service, *(flag(f"u{number}", targets=[f"t{number}", f"t{number + 1}", "kid"]) for number in range(6)))
    assert a_round(service.database, service.clock()) > 1
    assert kept(service.database) == model(service.database)
    assert kept(service.database)[0]["account"] == service.keys.pseudonym_of("kid")
    assert kept(service.database)[0]["suspects"] == 6


def test_what_changes_on_a_case_shows_before_the_round_comes_to_it(service: Service, clock: Clock) -> None:
    take(service, *(flag(f"u{number}", targets=["kid", "other"]) for number in range(3)))
    a_round(service.database, clock.now)
    clock.move(1)
    take(service, flag("u7", targets=["kid"]))
    with service.database.writing() as connection:
        connection.execute(update(cases).where(cases.c.id == 1).values(state="dismissed", changed_at=clock.now))
    clock.move(1)
    assert not keep_up(service.database, clock.now, budget=4, timer=OnlyChanges())
    assert {row["account"]: row["suspects"] for row in kept(service.database)} == {
        service.keys.pseudonym_of("kid"): 3,
        service.keys.pseudonym_of("other"): 2,
    }
    with service.database.reading() as connection:
        known = as_of(connection)
    assert known is not None
    assert clock.now - module.SETTLED_MS == known.changes > known.whole


class OnlyChanges:
    """A timer by which the time is over as soon as changed cases were looked at once."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> float:
        self.asked += 1
        return 0.0 if self.asked < 3 else 99.0


def test_of_each_part_those_reached_for_by_most_are_kept(own: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART", 10)
    monkeypatch.setattr(module, "KEPT", 2)
    take(own, *(flag(f"u{n}", targets=[f"t{place}" for place in range(n, 20)]) for n in range(12)))
    a_round(own.database, own.clock())
    with own.database.reading() as connection:
        assert most_reached(connection, limit=2) == model(own.database)[:2]
        assert len(connection.execute(select(reached)).all()) < len(model(own.database))


def test_of_two_consoles_one_goes_on(own: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    take(own, flag("u1", targets=["kid"]), flag("u2", targets=["kid"]))
    a_round(own.database, own.clock())
    slow = module._state
    seen: list[int] = []

    def overtaken(database: Database, now: int) -> Any:
        state = slow(database, now)
        if not seen:  # while this console looks, another finishes a round
            seen.append(1)
            take(own, flag("u3", targets=["kid"]))
            assert keep_up(database, now + 1)
        return state

    monkeypatch.setattr(module, "_state", overtaken)
    keep_up(own.database, own.clock() + 7)
    with own.database.reading() as connection:
        assert connection.execute(select(sweeps.c.began_at)).scalar_one() == own.clock() + 8, (
            "what the slower found is dropped"
        )
    assert kept(own.database) == model(own.database)


def test_an_erased_account_is_gone_at_once(own: Service, clock: Clock) -> None:
    take(own, flag("u1", targets=["kid"]), flag("u2", targets=["kid"]))
    upkeep = Upkeep(own)
    upkeep.look()
    assert [row["suspects"] for row in kept(own.database)] == [2]
    with own.database.writing() as connection:
        ask_for_erasure(connection, own.keys.pseudonym_of("kid"), clock.now)
    upkeep.look()
    assert kept(own.database) == []
