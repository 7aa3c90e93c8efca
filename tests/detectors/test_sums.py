"""Fading sums: as a plain dictionary says, for every cut; and each answer counts once, in whatever order they come."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.sums import SUMS, Sum, Sums
from graph.batch import AgeBand, EventKind, Sign
from graph.shard import Rows, Shard
from graph.state import (
    ACCEPTED,
    BLOCKED,
    CONTACT,
    DAY,
    DECLINED,
    FIRST,
    HOUR,
    IGNORED,
    LINKED,
    LONE,
    MINOR,
    OUTCOME,
    PENDING,
    REPLIED,
    REPORTED,
    SIGNED,
    SILENCE,
    STRANGER,
    WITHDRAWN,
)
from tests.detectors.rows import any_rows, random_rows, rows
from tests.graph.build import START, Event, batch_of

MEMORY = 3 * DAY
WAIT = 12 * HOUR
FOREVER = 10**18
YEARS = {1: 11.0, 2: 14.0, 3: 16.5, 4: 19.0, 5: 30.0}
MINORS = (1, 2, 3)
WELCOMES = {EventKind.REQUEST_ACCEPTED, EventKind.MESSAGE_SENT, EventKind.REQUEST_SENT}
LURING = Sign.SECRECY | Sign.PROBING | Sign.PERSONAL_INFO | Sign.OFF_PLATFORM | Sign.MEET_UP
SEVERE = Sign.SEXUAL | Sign.BLACKMAIL | Sign.IMAGE_REQUEST


class Plain:
    """The sums in a dictionary of dictionaries, faded when they are looked at."""

    def __init__(self) -> None:
        self.held: dict[int, tuple[int, dict[str, float]]] = {}

    def at(self, account: int, time: int) -> dict[str, float]:
        last, sums = self.held.get(account, (time, dict.fromkeys(SUMS, 0.0)))
        kept = math.exp(min(last - time, 0) / MEMORY)
        sums = {name: value * kept for name, value in sums.items()}
        self.held[account] = max(last, time), sums
        return sums

    def follow(self, row: Any) -> dict[str, float]:
        account = int(row["account"])
        v = self.at(account, int(row["time"]))
        if row["what"] == FIRST:
            self.first(v, row, int(row["flags"]), 1.0)
        elif row["what"] == WITHDRAWN:
            sent = int(row["time"]) - 1000 * int(row["waited"])
            self.first(v, row, int(row["flags"]), -math.exp(min(sent - self.held[account][0], 0) / MEMORY))
            v.update({name: value if value > 1e-4 else 0.0 for name, value in v.items()})
        elif row["what"] in (OUTCOME, SILENCE):
            self.outcome(v, row, int(row["flags"]), self.held[account][0])
        self.signs(v, row)
        v["shared"] = max(int(row["shared"]) - 1, 0)  # as of the last row
        return v

    @staticmethod
    def gap(row: Any) -> float:
        """Years by which the account is older, one of unknown age counting as 30."""
        return YEARS[int(row["age"]) or 5] - YEARS[int(row["target_age"])]

    def child(self, row: Any) -> bool:
        return row["target_age"] in MINORS and self.gap(row) >= 3.5

    @staticmethod
    def sides(row: Any) -> tuple[str, str]:
        """Return where a welcome of this contact counts, and a refusal."""
        if row["target_age"] in MINORS:
            return "welcome_minors", "refused_minors"
        written_to = row["flags"] & STRANGER and not row["flags"] & LONE
        return ("cold_answered", "cold") if written_to else ("welcome", "refused")

    def blocked(self, v: dict[str, float], row: Any) -> None:
        v["blocked"] += 1
        v["blocked_minors"] += row["target_age"] in MINORS

    def first(self, v: dict[str, float], row: Any, flags: int, one: float) -> None:
        v["first"] += one
        v["first_minors"] += one * self.child(row)
        welcome, refused = self.sides(row)
        if flags & (ACCEPTED | REPLIED):
            v[welcome] += one
        elif flags & (DECLINED | IGNORED | BLOCKED | REPORTED):
            v[refused] += one
        if flags & (BLOCKED | REPORTED):
            self.blocked(v, row)
        if not flags & STRANGER:
            v["known"] += one * bool(row["target_age"])
            v["known_minors"] += one * self.child(row)
            return
        v["strangers"] += one
        v["linked"] += one * bool(flags & LINKED)
        v["minors"] += one * bool(flags & MINOR)
        v["suspects"] += one * bool(row["suspects"])
        if row["target_age"]:
            v["aged"] += one
            v["gap"] += one * (min(self.gap(row), 20) / 20 if self.gap(row) >= 3.5 else 0)
            v["far"] += one * (abs(self.gap(row)) >= 3.5)

    def outcome(self, v: dict[str, float], row: Any, flags: int, now: int) -> None:
        if not flags & CONTACT or flags & PENDING:
            return
        welcome, refused = self.sides(row)
        if row["what"] == SILENCE:
            v[refused] += 1
            return
        known = [bit for bit in (ACCEPTED, DECLINED, REPLIED, BLOCKED, REPORTED) if flags & bit]
        news = len(known) <= 1
        silent = now - (int(row["time"]) - 1000 * int(row["waited"]) + WAIT)  # for how long it has counted as ignored
        too_late = news and silent > -1000
        if row["kind"] in (EventKind.ACCOUNT_BLOCKED, EventKind.ACCOUNT_REPORTED):
            if not (BLOCKED in known and REPORTED in known):
                self.blocked(v, row)
            v[refused] += news and not too_late
        elif row["kind"] == EventKind.REQUEST_DECLINED:
            v[refused] += news and not too_late
        elif not (ACCEPTED in known and REPLIED in known):
            v[welcome] += 1
            if too_late:
                v[refused] = max(0.0, v[refused] - math.exp(-max(silent, 0) / MEMORY))

    def signs(self, v: dict[str, float], row: Any) -> None:
        new, before = int(row["new_signs"]), int(row["signs"]) & ~int(row["new_signs"])
        for name, some in (("luring", LURING), ("severe", SEVERE)):
            if new & some and not before & some:
                v[name + "_minors" * self.child(row)] += 1
        # an age claim alone leads nowhere
        if (before & ~Sign.AGE_CLAIM).bit_count() < 3 <= (int(row["signs"]) & ~Sign.AGE_CLAIM).bit_count():
            v["deep" + "_minors" * self.child(row)] += 1


def pieces(table: NDArray[np.void], cuts: Iterable[int]) -> list[NDArray[np.void]]:
    return [table[a:b] for a, b in itertools.pairwise([0, *sorted(cuts), len(table)])]


@settings(max_examples=200)
@given(any_rows())
def test_they_are_what_a_dictionary_says(table: NDArray[np.void]) -> None:
    found = Sums(MEMORY, WAIT).follow(table)
    plain = Plain()
    for have, row in zip(found, table, strict=True):
        want = plain.follow(row)
        assert have.tolist() == pytest.approx([want[name] for name in SUMS], rel=1e-4, abs=1e-4)


@settings(max_examples=100)
@given(any_rows(), st.lists(st.integers(0, 40), max_size=5))
def test_any_cut_of_the_rows_gives_the_same_bits(table: NDArray[np.void], cuts: list[int]) -> None:
    whole, cut = Sums(MEMORY, WAIT), Sums(MEMORY, WAIT)
    once = whole.follow(table)
    parts = [cut.follow(piece) for piece in pieces(table, [min(at, len(table)) for at in cuts])]
    np.testing.assert_array_equal(np.concatenate(parts), once)


@settings(max_examples=100)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(
        st.tuples(st.sampled_from(["rows", "forget", "drop"]), st.sets(st.integers(0, 6), min_size=1)), max_size=12
    ),
)
def test_forgotten_and_faded_accounts_begin_anew_and_their_rows_are_used_again(
    seed: int, steps: list[tuple[str, set[int]]]
) -> None:
    sums, plain, time, most = Sums(MEMORY, WAIT), Plain(), 0, 0
    for step, (what, chosen) in enumerate(steps):
        accounts = [900 * account for account in chosen]
        if what == "rows":
            table = random_rows(seed + step, 12, accounts=7)
            table = table[np.isin(table["account"], accounts)]
            table["time"] += step * 7 * DAY
            wanted = [list(plain.follow(row).values()) for row in table]
            assert sums.follow(table).tolist() == [pytest.approx(v, rel=1e-4, abs=1e-4) for v in wanted]
            time = int(table["time"].max(initial=time))
        elif what == "forget":
            sums.forget(np.array([*accounts, *accounts, 10**6], np.uint32))
            for account in accounts:
                plain.held.pop(account, None)
        else:
            sums.drop_faded(time)
            plain.held = {a: held for a, held in plain.held.items() if held[0] >= time - 6 * MEMORY}
        most = max(most, len(plain.held))
        held = [account for account in range(0, len(sums.slots), 900) if sums.slots[account] != 0xFFFFFFFF]
        assert set(held) == set(plain.held)
        assert int(sums.free[1]) <= most
        since = time - 2 * DAY
        moved = sums.owner[sums.moved_since(since)].tolist()
        assert sorted(moved) == sorted(a for a, (last, _) in plain.held.items() if last >= since)
        everybody = sums.owner[sums.moved_since(-1)].tolist()
        assert sorted(everybody) == sorted(plain.held)


def test_what_has_faded_to_nothing_is_dropped() -> None:
    sums = Sums(MEMORY, WAIT)
    table = rows(2)
    table["time"][1] += 6 * MEMORY
    sums.follow(table)
    sums.drop_faded(int(table["time"][1]) + 1)
    assert sums.slots[:2].tolist() == [0xFFFFFFFF, 1]


def test_memory_follows_the_accounts_held_and_not_those_ever_seen() -> None:
    sums = Sums(MEMORY, WAIT)
    sums.follow(rows(1000))
    before = sums.nbytes
    for _ in range(50):
        sums.forget(np.arange(1000, dtype=np.uint32))
        sums.follow(rows(1000))
    assert sums.nbytes <= 2 * before


# what comes of a contact, from events, through the graph


def lives(pairs: list[list[Event]]) -> NDArray[np.float32]:
    """Return the sums at the end of `a0`, `a1`, … of whom each list tells; nothing fades."""
    events = [event for pair in pairs for event in pair]
    events += [Event(EventKind.MESSAGE_SENT, START + day * DAY, "", "z", f"z{day}") for day in range(1, 4)]
    events.sort(key=lambda event: event.time)
    numbered = [event._replace(id=f"e{i}") for i, event in enumerate(events)]
    shard, sums = Shard(), Sums(FOREVER, WAIT)
    last: dict[str, NDArray[np.float32]] = {}
    for step in shard.process(batch_of(numbered)):
        if isinstance(step, Rows):
            for row, found in zip(step.table, sums.follow(step.table), strict=True):
                last[shard.name(int(row["account"]))] = found.copy()
    return np.array([last.get(f"a{i}", np.zeros(Sum.SIZE)) for i in range(len(pairs))])


ANSWERS = {
    "accepted": EventKind.REQUEST_ACCEPTED,
    "declined": EventKind.REQUEST_DECLINED,
    "blocked": EventKind.ACCOUNT_BLOCKED,
    "reported": EventKind.ACCOUNT_REPORTED,
    "replied": EventKind.MESSAGE_SENT,
}
ORDERS = [order for n in range(len(ANSWERS) + 1) for order in itertools.permutations(ANSWERS, n)]
CASES = [
    # how the contact began, age of the target, and where a welcome counts
    (EventKind.REQUEST_SENT, AgeBand.AGE_21_PLUS, Sum.WELCOME),
    (EventKind.MESSAGE_SENT, AgeBand.AGE_21_PLUS, Sum.COLD_ANSWERED),
    (EventKind.REQUEST_SENT, AgeBand.AGE_13_15, Sum.WELCOME_MINORS),
    (EventKind.MESSAGE_SENT, AgeBand.AGE_13_15, Sum.WELCOME_MINORS),
    (EventKind.REQUEST_SENT, AgeBand.UNKNOWN, Sum.WELCOME),
]


def told(i: int, kind: EventKind, age: AgeBand, order: Iterable[str], first_after: int) -> list[Event]:
    """One contact of `a{i}`, and its answers in this order: the first after so many hours, then one an hour."""
    contact = Event(kind, START, "", f"a{i}", f"b{i}", actor_age=AgeBand.AGE_21_PLUS, target_age=age)
    return [contact] + [
        Event(ANSWERS[name], START + (first_after + n) * HOUR, "", f"b{i}", f"a{i}") for n, name in enumerate(order)
    ]


@pytest.mark.parametrize(("kind", "age", "welcome"), CASES)
@pytest.mark.parametrize("first_after", [1, 11, 12, 30])
def test_each_answer_counts_once_in_every_order(kind: EventKind, age: AgeBand, welcome: int, first_after: int) -> None:
    """Silence counts until there is an answer that is welcome; a block and a report are one person's displeasure."""
    found = lives([told(i, kind, age, order, first_after) for i, order in enumerate(ORDERS)])
    for order, v in zip(ORDERS, found, strict=True):
        glad = "accepted" in order or "replied" in order
        # whoever declines, blocks or reports first has refused, and so has whoever never says a word
        refused = not order or order[0] in ("declined", "blocked", "reported")
        cross = "blocked" in order or "reported" in order
        minor = age == AgeBand.AGE_13_15
        want = np.zeros(Sum.SIZE)
        want[[Sum.FIRST, Sum.STRANGERS]] = 1.0
        want[welcome], want[welcome + 1] = glad, refused
        want[Sum.BLOCKED], want[Sum.BLOCKED_MINORS] = cross, cross and minor
        if age:
            want[[Sum.AGED]] = 1.0
        if minor:
            want[[Sum.MINORS, Sum.FIRST_MINORS, Sum.FAR]] = 1.0
            want[Sum.GAP] = 16.0 / 20.0
        assert v.tolist() == pytest.approx(want.tolist(), abs=1e-6), (order, SUMS)


def test_a_crowd_that_the_account_never_contacted_does_not_count() -> None:
    mob = [Event(kind, START + i * HOUR, "", f"m{i}", "a0") for i, kind in enumerate([*ANSWERS.values()] * 20)]
    assert not lives([mob]).any()


def test_who_blocks_first_and_is_heard_of_before_the_contact_counts_once() -> None:
    """The block came over another topic, and overtook the message that it answers."""
    block = Event(EventKind.ACCOUNT_BLOCKED, START, "", "b0", "a0")
    message = Event(EventKind.MESSAGE_SENT, START + 1, "", "a0", "b0")
    v = lives([[block, message, block._replace(time=START + 2, kind=EventKind.ACCOUNT_REPORTED)]])[0]
    assert (v[Sum.FIRST], v[Sum.BLOCKED], v[Sum.COLD], v[Sum.COLD_ANSWERED]) == (1.0, 1.0, 1.0, 0.0)


def test_a_contact_that_comes_too_late_to_be_answered_counts_as_ignored_and_its_answer_takes_that_back() -> None:
    clock = Event(EventKind.MESSAGE_SENT, START + 20 * HOUR, "", "z", "zy")
    shard, sums = Shard(), Sums(FOREVER, WAIT)
    late = Event(EventKind.REQUEST_SENT, START + HOUR, "late", "a", "b")
    answer = Event(EventKind.REQUEST_ACCEPTED, START + 21 * HOUR, "answer", "b", "a")
    found = []
    for event in (clock._replace(id="c"), late, answer):
        for step in shard.process(batch_of([event])):
            if isinstance(step, Rows):
                found.extend(sums.follow(step.table)[:, [Sum.WELCOME, Sum.REFUSED]].round(6).tolist())
    assert found == [[0, 0], [0, 1], [1, 0]]


@pytest.mark.parametrize("answer", [EventKind.REQUEST_ACCEPTED, EventKind.REQUEST_DECLINED, EventKind.ACCOUNT_BLOCKED])
def test_an_answer_in_time_that_is_read_after_the_silence_counts_as_the_answer_alone(answer: EventKind) -> None:
    asked = Event(EventKind.REQUEST_SENT, START, "asked", "a", "b")
    clock = Event(EventKind.MESSAGE_SENT, START + 13 * HOUR, "clock", "z", "zy")
    reply = Event(answer, START + 2 * HOUR, "reply", "b", "a")
    shard, sums = Shard(), Sums(FOREVER, WAIT)
    found = []
    for event in (asked, clock, reply):
        for step in shard.process(batch_of([event])):
            if isinstance(step, Rows):
                table = step.table
                mine = [shard.name(int(account)) == "a" for account in table["account"]]
                found.extend(sums.follow(table)[mine][:, [Sum.WELCOME, Sum.REFUSED]].round(6).tolist())
    glad = answer == EventKind.REQUEST_ACCEPTED
    assert found == [[0, 0], [0, 1], [glad, not glad]]


def test_a_late_answer_takes_back_what_is_left_of_the_silence() -> None:
    """Two contacts, of which one is answered after days: the other's silence stands as if the first had not been."""
    one, two = rows(1, what=SILENCE, flags=CONTACT | LONE), rows(1, what=SILENCE, flags=CONTACT | LONE)
    answer = rows(1, what=0, kind=EventKind.REQUEST_ACCEPTED, flags=CONTACT | LONE | ACCEPTED)
    answer["time"] += 2 * DAY
    answer["waited"] = (2 * DAY + WAIT) // 1000
    table = np.concatenate([one, two, answer])
    table["account"] = 0
    v = Sums(MEMORY, WAIT).follow(table)[-1]
    assert v[Sum.REFUSED] == pytest.approx(math.exp(-2 * DAY / MEMORY), rel=1e-5)
    assert v[Sum.WELCOME] == 1.0


@pytest.mark.parametrize(
    ("age", "target", "child"),
    [
        (AgeBand.AGE_21_PLUS, AgeBand.AGE_16_17, True),
        (AgeBand.UNKNOWN, AgeBand.AGE_16_17, True),
        (AgeBand.AGE_18_20, AgeBand.AGE_16_17, False),
        (AgeBand.AGE_18_20, AgeBand.AGE_13_15, True),
        (AgeBand.AGE_13_15, AgeBand.AGE_13_15, False),
        (AgeBand.AGE_21_PLUS, AgeBand.AGE_18_20, False),
        (AgeBand.AGE_21_PLUS, AgeBand.UNKNOWN, False),
    ],
)
def test_signs_towards_children_are_counted_apart_and_each_sort_once_a_pair(
    age: AgeBand, target: AgeBand, child: bool
) -> None:
    shown = [Sign.SECRECY, Sign.AGE_CLAIM, Sign.MEET_UP, Sign.SEXUAL, Sign.BLACKMAIL]
    table = rows(5, account=0, age=age, target_age=target, what=[FIRST, *[SIGNED] * 4])
    table["signs"], table["new_signs"] = np.bitwise_or.accumulate(shown), shown
    found = Sums(FOREVER, WAIT).follow(table)
    for kind, counts in (("LURING", [1, 1, 1, 1, 1]), ("SEVERE", [0, 0, 0, 1, 1]), ("DEEP", [0, 0, 0, 1, 1])):
        own, other = (f"{kind}_MINORS", kind) if child else (kind, f"{kind}_MINORS")
        assert found[:, getattr(Sum, own)].tolist() == counts
        assert not found[:, getattr(Sum, other)].any()
