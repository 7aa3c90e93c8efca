"""The graph agrees with its definition: every account, count, row and counter, on streams where things collide."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from graph.batch import EventKind
from graph.shard import Shard
from graph.state import DAY, HOUR, Var
from tests.graph.build import START, Event, batch_of
from tests.graph.compare import KINDS, SETTINGS, STEPS, Pair, events_from

K = EventKind
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def streams(accounts: int, length: int) -> st.SearchStrategy[list[Event]]:
    """Streams that shrink: a list of small numbers, each taken as one choice; 0 when they run out."""

    def build(choices: list[int]) -> list[Event]:
        rest = iter(choices)
        return events_from(lambda n: next(rest, 0) % n, accounts, length)

    return st.lists(st.integers(0, 839), max_size=8 * length).map(build)


def check(events: list[Event], which: int, cuts: Callable[[int], int], rows: int) -> Pair:
    """Feed a stream to both in batches of the sizes that `cuts` gives, comparing after each."""
    pair = Pair(SETTINGS[which], rows=rows)
    at = 0
    while at < len(events):
        size = 1 + cuts(6)
        pair.feed(events[at : at + size])
        pair.suspect(events[at].actor, size % 3)
        pair.compare()
        at += size
    return pair


@settings(max_examples=300, deadline=None, suppress_health_check=QUIET)
@given(events=streams(4, 12), which=st.integers(0, 2), size=st.integers(0, 5), rows=st.sampled_from([1, 64]))
def test_a_short_stream_agrees_after_every_batch(events: list[Event], which: int, size: int, rows: int) -> None:
    check(events, which, lambda _: size, rows)


def soak(seeds: range, lengths: tuple[int, ...]) -> int:
    """Run seeded streams of many events; return how many cases agreed."""
    for seed in seeds:
        chance = random.Random(seed)
        events = events_from(chance.randrange, chance.choice((3, 5, 8)), chance.choice(lengths))
        pair = check(events, seed % 3, chance.randrange, chance.choice((1, 4, 64)))
        gone = pair.shard.forget_silent()
        assert len(gone) == len(pair.model.forget_silent()), seed
        pair.compare()
    return len(seeds)


def test_two_thousand_streams_agree() -> None:
    assert soak(range(2000), (5, 10, 20, 40)) == 2000


@pytest.mark.slow
def test_thousands_of_longer_streams_agree() -> None:
    assert soak(range(10_000, 14_000), (40, 80, 160)) == 4000


class Platform(RuleBasedStateMachine):
    """Whatever people do, in any order: the graph says what the definition says."""

    @initialize(which=st.integers(0, 2))
    def start(self, which: int) -> None:
        self.pair = Pair(SETTINGS[which], rows=1)
        self.now = START
        self.number = 0
        self.sent: list[Event] = []

    def _send(self, kind: EventKind, time: int, actor: int, other: int = 0, **fields: Any) -> None:
        target = f"t{(actor + 1 + other) % 5}" if kind not in (K.ACCOUNT_UPDATED, K.ACCOUNT_DELETED) else ""
        self.sent.append(Event(kind, time, f"event-{self.number}", f"t{actor}", target, **fields))
        self.number += 1
        self.pair.feed(self.sent[-1:])

    @rule(kind=st.sampled_from(KINDS), actor=st.integers(0, 4), other=st.integers(0, 3))
    def now_(self, kind: EventKind, actor: int, other: int) -> None:
        self._send(kind, self.now, actor, other)

    @rule(kind=st.sampled_from(KINDS), step=st.sampled_from(STEPS), actor=st.integers(0, 4), other=st.integers(0, 3))
    def at_another_time(self, kind: EventKind, step: int, actor: int, other: int) -> None:
        self._send(kind, self.now + step, actor, other)

    @rule(step=st.sampled_from(STEPS))
    def time_passes(self, step: int) -> None:
        self.now += max(step, 0)

    @rule(actor=st.integers(0, 4), age=st.integers(0, 5), source=st.integers(0, 3))
    def says_its_age(self, actor: int, age: int, source: int) -> None:
        self._send(K.ACCOUNT_UPDATED, self.now, actor, actor_age=age, age_source=source)

    @rule(actor=st.integers(0, 4), other=st.integers(0, 3), age=st.integers(1, 3), mutual=st.integers(-1, 1))
    def writes_to_a_child(self, actor: int, other: int, age: int, mutual: int) -> None:
        self._send(K.MESSAGE_SENT, self.now, actor, other, target_age=age, mutual=mutual)

    @rule(back=st.integers(0, 9))
    def delivered_again(self, back: int) -> None:
        if self.sent:
            self.pair.feed([self.sent[-1 - back % len(self.sent)]])

    @rule(actor=st.integers(0, 4), value=st.integers(0, 255))
    def comes_under_suspicion(self, actor: int, value: int) -> None:
        self.pair.suspect(f"t{actor}", value)

    @rule()
    def forgets_the_silent(self) -> None:
        assert len(self.pair.shard.forget_silent()) == len(self.pair.model.forget_silent())

    @invariant()
    def all_agrees(self) -> None:
        if hasattr(self, "pair"):
            self.pair.compare()


TestPlatform = Platform.TestCase
TestPlatform.settings = settings(
    max_examples=80, stateful_step_count=25, deadline=None, suppress_health_check=QUIET, print_blob=False
)


@pytest.mark.parametrize("width", [HOUR, 12 * HOUR, DAY, 7 * DAY, 30 * DAY])
@pytest.mark.parametrize("edge", [-1, 0, 1])
def test_a_contact_leaves_a_window_at_its_width_and_not_a_millisecond_before(width: int, edge: int) -> None:
    #   first contact                           clock
    #   |------------- width + edge -------------|
    pair = Pair()
    times = [START, *range(START + DAY, START + width + edge, DAY), START + width + edge]
    events = [Event(K.REQUEST_SENT, START, "e", "a", "b", target_age=2)]
    events += [Event(K.ACCOUNT_UPDATED, time, f"tick-{time}", "c") for time in times]
    for event in events:
        pair.feed([event])
    pair.compare()
    for name, window in (("1h", HOUR), ("24h", DAY), ("7d", 7 * DAY)):
        row = pair.shard.find(int(batch_of(events[:1]).rows["actor"][0]))
        assert row is not None
        assert pair.shard.counts(row)[f"strangers_{name}"] == (pair.shard.clock - window < START)
    assert pair.shard.contacts == (width + edge < 30 * DAY)


def test_three_accounts_far_ahead_move_the_clock_and_one_does_not() -> None:
    far = START + 100 * DAY
    pair = Pair()
    pair.feed([Event(K.ACCOUNT_UPDATED, START + n, f"now-{n}", "a") for n in range(3)])
    pair.feed([Event(K.ACCOUNT_UPDATED, far, f"far-{n}", "a") for n in range(5)])
    assert pair.shard.clock == START + 2
    pair.feed([Event(K.ACCOUNT_UPDATED, far + 40 * DAY * n, f"apart-{n}", f"b{n}") for n in range(5)])
    assert pair.shard.clock == START + 2
    pair.feed([Event(K.ACCOUNT_UPDATED, far + HOUR * n, f"agreed-{n}", f"b{n}") for n in range(3)])
    assert pair.shard.clock == far + 2 * HOUR
    pair.compare()


def test_an_account_that_acts_on_itself_breaks_nothing() -> None:
    pair = Pair(rows=1)
    for n, kind in enumerate(K):
        if kind != K.ACCOUNT_DELETED:
            pair.feed([Event(kind, START + n, f"self-{n}", "a", "a")])
            pair.compare()
    pair.feed([Event(K.ACCOUNT_DELETED, START + 99, "gone", "a")])
    assert pair.shard.accounts == 0
    pair.compare()


def test_triangles_are_near_for_accounts_with_many_friends_and_never_negative() -> None:
    chance = random.Random(1)
    made = [(f"hub{h}", f"m{n}") for h in range(3) for n in range(600) if n % 2 == h % 2 or n % 3]
    made += [("hub0", "hub1"), ("hub1", "hub2")]
    chance.shuffle(made)
    shard = Shard(rows=1)
    events = [Event(K.FRIENDSHIP_CREATED, START, f"{a}-{b}", a, b) for a, b in made]
    list(shard.process(batch_of(events)))
    hub = int(np.flatnonzero(shard.state.accounts["friends"] > 300)[0])
    truth = {a: {b for x, b in made if x == a} for a in ("hub0", "hub1", "hub2")}
    shared = len(truth["hub0"] & truth["hub1"]) + len(truth["hub1"] & truth["hub2"])
    total = int(shard.state.accounts["triangles"].sum())
    assert total == pytest.approx(3 * shared, rel=0.35)
    ended = [Event(K.FRIENDSHIP_REMOVED, START + 1, f"end-{a}-{b}", a, b) for a, b in made]
    list(shard.process(batch_of(ended)))
    assert shard.friendships == 0
    assert int(shard.state.accounts["friends"][hub]) == 0
    assert int(shard.state.accounts["triangles"].max()) < 300
    assert int(shard.state.vars[Var.FRIENDSHIPS]) == 0
