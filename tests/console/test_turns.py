"""Who writes when: people first, readers of topics give way between two chunks, and nothing is lost over it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import TopicPartition
from sqlalchemy import Connection, func, select

from console.decisions import Choice, decide
from console.server import take_flags
from console.service import Service
from console.storing import MovedError, Store
from console.tables import audit, flags, offsets
from console.turns import ABOUT_SECONDS, IN_A_ROW, Turns
from streams.flags import Flag, encode_flag
from tests.console.build import Clock, flag, person, service_of

WAIT = 60
PARTS = (TopicPartition("flags", 0), TopicPartition("flags", 1))
Polled = dict[TopicPartition, list["Read"]]


class Read(msgspec.Struct, frozen=True):
    topic: str
    partition: int
    offset: int
    value: bytes


def polled(*counts: int, first: int = 0) -> Polled:
    """Return flags of accounts of their own, so many of each partition."""
    return {
        part: [Read(*part, first + at, encode_flag(flag(f"u{part.partition}-{first + at}"))) for at in range(count)]
        for part, count in zip(PARTS, counts, strict=False)
        if count
    }


def ends(batch: Polled) -> dict[TopicPartition, int]:
    return {part: records[-1].offset + 1 for part, records in batch.items()}


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.005)


def stored(connection: Connection) -> tuple[int, int]:
    """Return how many flags there are, and how many the offsets say."""
    there = connection.execute(select(func.count()).select_from(flags)).scalar_one()
    return int(there), int(connection.execute(select(func.coalesce(func.sum(offsets.c.next_offset), 0))).scalar_one())


def now_stored(service: Service) -> tuple[int, int]:
    with service.database.reading() as connection:
        return stored(connection)


@pytest.fixture
def lite(tmp_path: Path, clock: Clock) -> Iterator[Service]:
    made = service_of(tmp_path, clock)
    yield made
    made.database.close()


class Look(threading.Thread):
    """Somebody looks: writes a record into the audit, and sees how far the reader was."""

    def __init__(self, service: Service) -> None:
        super().__init__(daemon=True)
        self.service = service
        self.saw: tuple[int, int] | None = None
        self.start()

    def run(self) -> None:
        with self.service.database.writing() as connection:
            self.service.note(connection, "rita", "case.view", "case:1")
            self.saw = stored(connection)


class Watched:
    """Takes flags; at some chunks somebody begins to look before, and the chunk ends only once they wait."""

    def __init__(self, service: Service, at: set[int], failing: int = -1) -> None:
        self.service, self.at, self.failing = service, at, failing
        self.sizes: list[int] = []
        self.looks: list[Look] = []
        self.inner = take_flags(service)

    def __call__(self, connection: Connection, records: list[Any], now: int) -> list[tuple[Any, str]]:
        number = len(self.sizes)
        self.sizes.append(len(records))
        if number == self.failing:
            raise OSError("the disk went away")
        if number in self.at:
            self.looks.append(Look(self.service))
            until(lambda: self.service.database.awaited)
        return list(self.inner(connection, records, now))


def test_somebody_who_looks_gets_in_between_two_chunks(lite: Service, clock: Clock) -> None:
    take = Watched(lite, {0, 2})
    batch = polled(7, 9)
    Store(lite.database, take, clock, chunk=3, alone=5).store(batch, ends(batch))
    for look in take.looks:
        look.join(WAIT)
    assert [look.saw for look in take.looks] == [(5, 5), (11, 11)], "after the chunk in hand, with its offsets"
    assert take.sizes == [5, 3, 3, 3, 2], "small ones once somebody is about"
    assert now_stored(lite) == (16, 16)
    with lite.database.reading() as connection:
        assert set(connection.execute(select(flags.c.records)).scalars()) == {1}


def test_a_batch_is_one_transaction_while_nobody_waits(lite: Service, clock: Clock) -> None:
    take = Watched(lite, set(), failing=3)
    batch = polled(7, 6)
    with pytest.raises(OSError, match="disk"):
        Store(lite.database, take, clock, chunk=3, alone=3).store(batch, ends(batch))
    assert now_stored(lite) == (0, 0)


def test_after_a_failure_it_goes_on_where_it_stopped(lite: Service, clock: Clock) -> None:
    batch = polled(9)
    with pytest.raises(OSError, match="disk"):
        Store(lite.database, Watched(lite, {1}, failing=2), clock, chunk=3, alone=3).store(batch, ends(batch))
    until(lambda: not lite.database.awaited)
    assert now_stored(lite) == (6, 6), "what was there when somebody got in"
    again = Store(lite.database, take_flags(lite), clock, chunk=3, alone=3)
    with pytest.raises(MovedError):
        again.store(batch, ends(batch))
    rest = {PARTS[0]: batch[PARTS[0]][6:]}
    again.store(rest, ends(rest))
    assert now_stored(lite) == (9, 9)
    with lite.database.reading() as connection:
        assert set(connection.execute(select(flags.c.records)).scalars()) == {1}


def test_whatever_the_chunks_the_same_is_stored(service: Service, clock: Clock) -> None:
    stream: list[Flag] = []
    for minutes in range(4):
        kind = "flag.updated" if minutes else "flag.raised"
        stream += [flag(f"u{number}", kind=kind, minutes=minutes, minors=minutes + 4) for number in range(5)]
    batch = {PARTS[0]: [Read(*PARTS[0], at, encode_flag(one)) for at, one in enumerate(stream)]}
    Store(service.database, take_flags(service), clock, chunk=7, alone=7).store(batch, ends(batch))
    assert now_stored(service) == (5, 20)
    with service.database.reading() as connection:
        rows = {tuple(row) for row in connection.execute(select(flags.c.records, flags.c.minors, flags.c.type))}
    assert rows == {(4, 7, "flag.updated")}


def test_a_transaction_that_reopens_a_case_leaves_its_record(service: Service, clock: Clock) -> None:
    who = person(service)
    first, second = (
        {PARTS[0]: [Read(*PARTS[0], at, encode_flag(one))]}
        for at, one in enumerate((flag(severity="medium"), flag(kind="flag.updated", severity="high", minutes=5)))
    )
    store = Store(service.database, take_flags(service), clock)
    store.store(first, ends(first))
    with service.database.writing() as connection:
        choice = Choice(action="dismiss", reason="peer_group", policy="none")
        decide(connection, service.keys, who, 1, choice, now=clock.now)
    store.store(second, ends(second))
    with service.database.reading() as connection:
        actions = connection.execute(select(audit.c.action).order_by(audit.c.seq)).scalars().all()
    assert actions[-1] == "case.reopen"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), max_size=30))
def test_people_go_first_in_their_order_and_who_gives_way_still_gets_a_turn(arrivals: list[bool]) -> None:
    turns = Turns(WAIT)
    served: list[int] = []
    threads: list[threading.Thread] = []

    def wait(number: int, gives_way: bool) -> None:
        with turns.turn(gives_way=gives_way):
            served.append(number)

    with turns.turn():
        for number, gives_way in enumerate(arrivals):
            threads.append(threading.Thread(target=wait, args=(number, gives_way), daemon=True))
            threads[-1].start()
            until(lambda: turns.waiting == len(threads))
    for thread in threads:
        thread.join(WAIT)
        assert not thread.is_alive()
    people = [number for number, gives_way in enumerate(arrivals) if not gives_way]
    others = [number for number, gives_way in enumerate(arrivals) if gives_way]
    expected: list[int] = []
    while people or others:
        expected += people[:IN_A_ROW] + others[:1] if others else people
        people, others = (people[IN_A_ROW:], others[1:]) if others else ([], [])
    assert served == expected
    assert not turns.awaited


def test_people_are_about_for_ten_minutes() -> None:
    now = [5.0]
    turns = Turns(WAIT, lambda: now[0])
    with turns.turn(gives_way=True):
        assert not turns.about
    with turns.turn():
        assert turns.about
    now[0] += ABOUT_SECONDS - 1
    assert turns.about
    now[0] += 1
    assert not turns.about


def test_who_waits_too_long_is_told_and_holds_up_nobody() -> None:
    turns = Turns(0.01)
    with turns.turn():
        with pytest.raises(TimeoutError, match="busy"), turns.turn():
            pass
        assert not turns.awaited
    with turns.turn(gives_way=True):
        pass
