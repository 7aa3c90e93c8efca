"""Who reaches for the same targets: callers at the target, ties at the actor, exact or at least never too high."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.batch import EventKind
from graph.callers import count_calls
from graph.shard import Rows, Settings, Shard, Tick
from graph.state import DAY, EXPOSED, FIRST, HOUR, SLOTS, WITHDRAWN
from graph.views import callers_of, rows_of, ties_of
from tests.graph.build import START, Event, batch_of, hash_of
from tests.graph.compare import Pair
from tests.graph.lockstep import agree

K = EventKind
MINUTE = 60_000


def low(name: str) -> int:
    return hash_of(name) & 0xFFFFFFFF


def calls(chance: random.Random, actors: int, targets: int, length: int, step: int = MINUTE) -> list[Event]:
    """Make requests of actors to targets, `step` apart, with some of what disturbs them."""
    made = []
    for number in range(length):
        actor, target = f"a{chance.randrange(actors)}", f"t{chance.randrange(targets)}"
        kind = chance.choices(
            (K.REQUEST_SENT, K.REQUEST_CANCELLED, K.FRIENDSHIP_CREATED, K.ACCOUNT_DELETED), (60, 4, 1, 1)
        )[0]
        time = START + number * step - (chance.randrange(3) == 0) * chance.randrange(4 * step)
        made.append(Event(kind, time, f"e{number}", actor, "" if kind == K.ACCOUNT_DELETED else target))
    return made


@pytest.mark.parametrize("seed", range(25))
def test_callers_and_ties_are_those_of_the_model(seed: int) -> None:
    chance = random.Random(seed)
    pair = Pair(rows=1)
    # from minutes to days apart: full tables, wearing out, expiry, halving
    events = calls(chance, 20, chance.choice((2, 12)), 250, chance.choice((MINUTE, HOUR, 8 * HOUR)))
    told = [Event(K.ACCOUNT_UPDATED, START, f"age{t}", f"t{t}", actor_age=t % 6) for t in range(12)]
    pair.feed(told)
    at = 0
    while at < len(events):
        size = chance.choice((1, 3, 20))
        pair.feed(events[at : at + size])
        pair.suspect(f"a{chance.randrange(20)}", chance.randrange(3))
        pair.compare()
        assert count_calls(pair.shard.state) == calls_on_minors(pair)
        at += size


def calls_on_minors(pair: Pair) -> tuple[int, int, int]:
    """Count the calls of the last week on minors, those of suspects and of strong suspects, where these are few."""
    since = (pair.model.clock - 7 * DAY) // 1000
    found = [
        [caller.suspicion for caller in account.callers if caller.at > since]
        for account in pair.model.accounts.values()
        if account.age in (1, 2, 3)
    ]
    usual = [one for some in found if sum(one > 0 for one in some) < 3 for one in some]
    return len(usual), sum(one > 0 for one in usual), sum(one > 1 for one in usual)


def test_a_minor_on_whom_a_suspect_calls_has_a_row_of_its_own() -> None:
    pair = Pair()
    names = "abc"
    pair.feed([Event(K.ACCOUNT_UPDATED, START, f"0{name}", name) for name in names])
    pair.feed([Event(K.ACCOUNT_UPDATED, START, "0t", "t", actor_age=2), Event(K.ACCOUNT_UPDATED, START, "0u", "u")])
    pair.suspect("a", 2)
    pair.suspect("c", 1)
    events = [
        Event(K.REQUEST_SENT, START + number, f"{name}{target}", name, target)
        for number, (name, target) in enumerate(itertools.product(names, "tu"))
    ]
    rows = [row for row in table_of(pair.shard, events) if row["what"] == EXPOSED]
    assert [int(row["hash"]) for row in rows] == [hash_of("t")] * 2
    told = [tuple(int(row[name]) for name in ("callers", "suspects", "strong", "flags")) for row in rows]
    assert told == [(1, 1, 1, 0), (3, 2, 1, 0)]
    assert count_calls(pair.shard.state) == (3, 2, 1)


@pytest.mark.parametrize("shards", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_several_shards_find_the_same(seed: int, shards: int) -> None:
    chance = random.Random(seed)
    events = sorted(calls(chance, 20, 6, 200, HOUR), key=lambda event: event.time)
    agree(events, shards, Settings(max_jump=5000 * DAY))


def table_of(shard: Shard, events: list[Event]) -> list[Any]:
    """Return all rows of features."""
    return [row for step in shard.process(batch_of(events)) if isinstance(step, Rows) for row in step.table.copy()]


@settings(max_examples=60)
@given(groups=st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=14, unique=True), min_size=1, max_size=40))
def test_a_tie_never_says_too_much_and_lacks_a_ninth_of_all_meetings_at_most(groups: list[list[int]]) -> None:
    # each group calls on one target, and "me" after them
    events, number, met = [], 0, Counter[str]()
    for target, group in enumerate(groups):
        for actor in (*(f"a{one}" for one in group), "me"):
            events.append(Event(K.REQUEST_SENT, START + number, f"e{number}", actor, f"t{target}"))
            number += 1
        met.update(f"a{one}" for one in group[-SLOTS:])
    shard = Shard()
    rows = table_of(shard, events)
    row = shard.find(hash_of("me"))
    assert row is not None
    ties = ties_of(shard, row)
    for name, true in met.items():
        assert true - met.total() // (SLOTS + 1) <= ties.get(low(name), 0) <= true
    assert set(ties) <= {low(name) for name in met}
    assert rows[-1]["shared"] == max(ties.values(), default=0)
    assert rows[-1]["sharers"] == sum(count >= 3 for count in ties.values())
    assert rows[-1]["callers"] == min(len(groups[-1]), SLOTS)


def test_who_calls_again_counts_once_and_meets_nobody_twice() -> None:
    #   b calls        a calls, takes it back, calls again
    #   |--- minute ---|-------- minute ------|
    again = [
        Event(K.REQUEST_SENT, START, "1", "b", "t"),
        Event(K.REQUEST_SENT, START + MINUTE, "2", "a", "t"),
        Event(K.REQUEST_CANCELLED, START + 2 * MINUTE, "3", "a", "t"),
        Event(K.REQUEST_SENT, START + 3 * MINUTE, "4", "a", "t"),
    ]
    shard = Shard()
    rows = table_of(shard, again)
    assert [int(row["what"]) for row in rows] == [FIRST, FIRST, WITHDRAWN, FIRST]
    assert [(int(row["callers"]), int(row["shared"])) for row in rows] == [(0, 0), (1, 1), (0, 1), (1, 1)]
    target = shard.find(hash_of("t"))
    assert target is not None
    assert [caller.actor for caller in callers_of(shard, target)] == [low("a"), low("b")]


def test_only_strangers_call_and_whoever_comes_later_sees_them() -> None:
    events = [
        Event(K.FRIENDSHIP_CREATED, START, "0", "friend", "t"),
        Event(K.MESSAGE_SENT, START, "1", "friend", "t"),
        Event(K.REQUEST_SENT, START + 1, "2", "a", "t"),
        Event(K.MESSAGE_SENT, START + 2, "3", "other-friend", "t", mutual=2),
    ]
    rows = table_of(Shard(), events)
    assert [(int(row["callers"]), int(row["shared"])) for row in rows] == [(0, 0), (0, 0), (1, 0)]


@pytest.mark.parametrize("edge", [-1000, 0])
def test_a_call_counts_for_seven_days_to_the_second(edge: int) -> None:
    #   a calls                            b calls
    #   |------------ 7 d + edge ----------|
    events = [
        Event(K.REQUEST_SENT, START, "1", "a", "t"),
        *(Event(K.ACCOUNT_UPDATED, START + day * DAY, f"d{day}", "x") for day in range(1, 7)),
        Event(K.REQUEST_SENT, START + 7 * DAY + edge, "2", "b", "t"),
    ]
    rows = [row for row in table_of(Shard(), events) if row["what"] == FIRST]
    assert rows[-1]["callers"] == (1 if edge < 0 else 0)


def test_suspicion_is_that_of_the_time_of_the_call() -> None:
    pair = Pair()
    pair.feed([Event(K.ACCOUNT_UPDATED, START, "0", "a"), Event(K.ACCOUNT_UPDATED, START, "00", "b")])
    pair.suspect("a", 2)
    pair.feed([Event(K.REQUEST_SENT, START + 1, "1", "a", "t"), Event(K.REQUEST_SENT, START + 1, "2", "b", "t")])
    pair.suspect("a", 0)
    pair.suspect("b", 1)
    rows = table_of(pair.shard, [Event(K.REQUEST_SENT, START + 2, "3", "c", "t")])
    assert [(int(row["callers"]), int(row["suspects"])) for row in rows] == [(2, 1)]
    target = pair.shard.find(hash_of("t"))
    assert target is not None
    found = callers_of(pair.shard, target)
    rows = rows_of(pair.shard, [caller.actor for caller in found])
    assert {half: pair.shard.name(row) for half, row in rows.items()} == {low(name): name for name in "abc"}
    assert [(caller.actor, caller.suspicion) for caller in found] == [(low("c"), 0), (low("b"), 0), (low("a"), 2)]


@settings(max_examples=60)
@given(
    happens=st.lists(st.tuples(st.booleans(), st.integers(0, 7), st.integers(0, 3)), max_size=40),
    wanted=st.sets(st.integers(0, 9)),
)
def test_accounts_are_told_by_half_a_hash_where_it_is_theirs_alone(
    happens: list[tuple[bool, int, int]], wanted: set[int]
) -> None:
    # hashes by hand: few lower halves, so that several accounts stand as one; 0 stands as 1
    model: dict[str, int] = {}
    shard = Shard()
    for number, (deleted, lower, upper) in enumerate(happens):
        name = f"{upper}-{lower}"
        kind = K.ACCOUNT_DELETED if deleted else K.ACCOUNT_UPDATED
        batch = batch_of([Event(kind, START + number, f"e{number}", name)])
        batch.rows["actor"] = (upper + 1) << 32 | lower
        list(shard.process(batch))
        model.pop(name, None)
        if not deleted:
            model[name] = lower or 1
    alone = {half for half, count in Counter(model.values()).items() if count == 1}
    told = {half: shard.name(row) for half, row in rows_of(shard, wanted).items()}
    assert told == {half: name for name, half in model.items() if half in alone & wanted}


def test_of_a_deleted_account_nothing_is_left_after_the_next_tick() -> None:
    shard = Shard(Settings(tick=HOUR))
    events = [Event(K.REQUEST_SENT, START + i, f"{name}{t}", name, t) for t in "tuv" for i, name in enumerate("ab")]
    events.append(Event(K.ACCOUNT_DELETED, START + 10, "gone", "a"))
    table_of(shard, events)
    ticks = [step.time for step in shard.pass_ticks(START + HOUR) if isinstance(step, Tick)]
    assert ticks == [START + HOUR]
    b, t = shard.find(hash_of("b")), shard.find(hash_of("t"))
    assert b is not None
    assert t is not None
    assert ties_of(shard, b) == {}
    assert [caller.actor for caller in callers_of(shard, t)] == [low("b")]
    assert not np.isin(shard.state.callers["actor"], low("a")).any()


def test_tables_are_freed_when_all_has_gone_by() -> None:
    shard = Shard()
    tops = []
    for week in range(8):
        start = START + week * 15 * DAY
        events = [
            Event(K.REQUEST_SENT, start + i * MINUTE, f"{week}-{i}-{j}", f"{week}a{i}", f"t{j}")
            for i in range(6)
            for j in range(20)
        ]
        table_of(shard, events)
        list(shard.pass_ticks(start + 15 * DAY))
        tops.append((len(shard.state.callers), len(shard.state.ties)))
    assert tops[2:] == tops[2:3] * 6
