"""Judging: severities from evidence, plain limits that only raise, suspicion, and what is learned at ticks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import detectors.judge as judging
from detectors.evidence import DETECTORS
from detectors.experience import GROUPS
from detectors.judge import Judge, Judged
from detectors.policy import Policy, load_policy
from detectors.table import MASS_LIMIT, MINOR_LIMIT, VOUCHED_LIMIT
from graph.batch import AgeBand, Role
from graph.state import ACCOUNT, COLUMNS, DAY, HOUR
from tests.detectors.rows import NOW, any_rows, random_rows, rows

ANSWER_TIME = 12 * HOUR
TICK = NOW // DAY * DAY
POLICY = load_policy("")
LOW, MEDIUM, HIGH, CRITICAL = range(4)
OPEN = """
    detectors:
      mass_add: {limits: {1h: 20, 24h: 50, 7d: 100}}
      minor_targeting: {limits: {1h: 5, 24h: 6, 7d: 8}, exempt_limit_7d: 200}
"""


def judge_of(policy: str = OPEN, *, at: float = 0.0) -> Judge:
    """A judge for whom evidence of `at` nats is as rare as the experience's share, and one more each nat."""
    made = Judge(load_policy(policy), ANSWER_TIME)
    made.experience.at[:], made.experience.scale[:] = at, 1.0
    return made


def graded(judge: Judge, table: NDArray[np.void], total: float) -> tuple[int, int]:
    """Return severity and limit of one row whose evidence is so much."""
    group = np.array([0 if table["age"][0] == 0 else 1 if table["age"][0] <= 3 else 3])
    level, limit = judge._grade(table, group, np.array([total]))
    return int(level[0]), int(limit[0])


def test_severities_begin_at_their_lines() -> None:
    judge = judge_of()
    lines = [judge.experience.needed(3, float(line)) for line in judge.lines]
    for level, line in enumerate(lines):
        assert graded(judge, rows(1), line - 0.01)[0] == level - 1
        assert graded(judge, rows(1), line + 0.01)[0] == level
    assert judge.line(3) == lines[0]


@pytest.mark.parametrize(
    ("counts", "limit"),
    [
        ({"strangers_1h": 19}, 0),
        ({"strangers_1h": 20}, MASS_LIMIT),
        ({"strangers_1h": 25, "linked_1h": 6}, 0),
        ({"strangers_24h": 50}, MASS_LIMIT + 1),
        ({"strangers_24h": 60, "replied_24h": 11, "accepted_24h": 3}, 0),
        ({"strangers_7d": 130, "linked_7d": 10, "accepted_7d": 20}, MASS_LIMIT + 2),
        ({"strangers_7d": 130, "linked_7d": 10, "accepted_7d": 21}, 0),
        ({"minors_1h": 5}, MINOR_LIMIT),
        ({"minors_24h": 6}, MINOR_LIMIT + 1),
        ({"minors_7d": 7, "minors_24h": 5, "minors_1h": 4}, 0),
        ({"minors_7d": 8}, MINOR_LIMIT + 2),
    ],
)
def test_a_limit_makes_a_hint_a_case_and_nothing_else(counts: dict[str, int], limit: int) -> None:
    judge = judge_of()
    table = rows(1, **counts)
    line = judge.line(3)
    assert graded(judge, table, line - 0.01) == (-1, 0)  # nothing is flagged by a limit alone
    assert graded(judge, table, line + 0.01) == (MEDIUM if limit else LOW, limit)
    above = judge.experience.needed(3, float(judge.lines[HIGH])) + 0.01
    assert graded(judge, table, above) == (HIGH, 0)  # nor made worse than it is


def test_limits_spare_whom_the_policy_vouches_for_and_minors_are_no_childs_limit() -> None:
    judge = judge_of()
    hint = judge.line(3) + 0.01
    flood, children = {"strangers_7d": 150}, {"minors_7d": 30}
    assert graded(judge, rows(1, roles=int(Role.MODERATOR), **flood), hint) == (LOW, 0)
    assert graded(judge, rows(1, roles=int(Role.EDUCATOR), **flood), hint) == (MEDIUM, MASS_LIMIT + 2)
    assert graded(judge, rows(1, roles=int(Role.EDUCATOR), **children), hint) == (LOW, 0)
    assert graded(judge, rows(1, roles=int(Role.MODERATOR), **children), hint) == (MEDIUM, MINOR_LIMIT + 2)
    assert graded(judge, rows(1, age=AgeBand.AGE_13_15, **children), hint) == (LOW, 0)
    assert graded(judge, rows(1, age=AgeBand.UNKNOWN, **children), hint) == (MEDIUM, MINOR_LIMIT + 2)


def test_a_vouched_account_has_one_limit_that_flags_by_itself() -> None:
    judge = judge_of()
    for minors, level, limit in ((199, -1, 0), (200, MEDIUM, VOUCHED_LIMIT)):
        assert graded(judge, rows(1, roles=int(Role.COACH), minors_7d=minors), -50.0) == (level, limit)
        assert graded(judge, rows(1, roles=int(Role.CREATOR), minors_7d=minors), -50.0) == (-1, 0)


@pytest.mark.parametrize("setting", ["enabled: false", "shadow: true"])
def test_limits_of_a_detector_that_is_off_or_in_shadow_raise_nothing(setting: str) -> None:
    off = f"detectors: {{mass_add: {{{setting}}}, minor_targeting: {{{setting}}}}}"
    judge = judge_of(off)
    table = rows(1, strangers_7d=10**6, minors_7d=10**6)
    assert graded(judge, table, judge.line(3) + 0.01) == (LOW, 0)
    assert graded(judge, rows(1, roles=int(Role.EDUCATOR), minors_7d=10**6), -50.0) == (-1, 0)


def fields(judged: Judged) -> list[NDArray[np.generic]]:
    return [getattr(judged, name) for name in Judged.__slots__]


@settings(max_examples=60)
@given(any_rows(), st.lists(st.integers(0, 40), max_size=4), st.booleans())
def test_any_cut_of_the_rows_is_judged_the_same(table: NDArray[np.void], cuts: list[int], trial: bool) -> None:
    policy = load_policy("detectors: {association: {shadow: true}, lockstep: {shadow: true}}" if trial else "")
    whole, cut = Judge(policy, ANSWER_TIME), Judge(policy, ANSWER_TIME)
    once = fields(whole.judge(table))
    edges = [0, *sorted(min(at, len(table)) for at in cuts), len(table)]
    pieces = [fields(cut.judge(table[a:b])) for a, b in itertools.pairwise(edges)]
    for column, parts in zip(once, zip(*pieces, strict=True), strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), column)


@settings(max_examples=40)
@given(any_rows())
def test_a_trial_changes_nothing_that_counts(table: NDArray[np.void]) -> None:
    """With a detector in shadow the sum is what it would be without; only the trial's level knows of it."""

    def judged(setting: str) -> Judged:
        return Judge(load_policy(f"detectors: {{scattered_targets: {{{setting}}}}}"), ANSWER_TIME).judge(table)

    shadow, off = judged("shadow: true"), judged("enabled: false")
    for name in ("sums", "nats", "total", "level", "limit"):
        np.testing.assert_array_equal(getattr(shadow, name), getattr(off, name))
    assert (off.trial == -1).all()
    here = DETECTORS.index("scattered_targets")
    live = judged("shadow: false")
    np.testing.assert_array_equal(shadow.trial[:, here], live.level)
    assert (np.delete(shadow.trial, here, axis=1) == -1).all()


@pytest.mark.parametrize(("name", "other"), [("lockstep", "association"), ("association", "lockstep")])
def test_of_two_on_trial_each_is_judged_as_if_it_alone_were_live(name: str, other: str) -> None:
    table = random_rows(3, 200)
    both = judge_of(f"detectors: {{{name}: {{shadow: true}}, {other}: {{shadow: true}}}}", at=5.0).judge(table)
    alone = judge_of(f"detectors: {{{other}: {{enabled: false}}}}", at=5.0).judge(table)
    np.testing.assert_array_equal(both.trial[:, DETECTORS.index(name)], alone.level)
    assert (alone.level >= 0).any()
    assert (alone.level < 0).any()


# ticks


def people(n: int) -> NDArray[np.void]:
    """The shard's accounts, to which rows of that number belong."""
    accounts = np.zeros(n, ACCOUNT)
    accounts["hash"] = np.random.Generator(np.random.PCG64(1)).integers(1, 2**64 - 1, n, np.uint64)
    accounts["age"] = AgeBand.AGE_21_PLUS
    accounts["created"] = NOW // 1000 - 400 * 86_400
    return accounts


def filled(ticks: int) -> float:
    """What part of full sums an account can hold after so many ticks: a sample counts as much."""
    return 1.0 - math.exp(-ticks * 6 * HOUR / (POLICY.evidence.memory_days * DAY))


def test_what_moved_since_the_last_tick_teaches_and_nothing_else() -> None:
    judge = Judge(load_policy(""), ANSWER_TIME)
    for tick, moving in enumerate(([0, 1, 2], [2, 3], [])):
        table = rows(len(moving), account=moving, time=TICK + tick * 6 * HOUR + 1) if moving else rows(0)
        judge.judge(table)
        before = judge.reference.count.sum(axis=1)[0]
        judge.learn(TICK + (tick + 1) * 6 * HOUR, people(4))
        after = judge.reference.count.sum(axis=1)[0]
        faded = 0.5 ** (0.25 / judge.reference.half_life * DAY) if tick else 1.0
        if moving:
            assert after == pytest.approx(before * faded + len(moving) * filled(tick + 1))
        else:
            assert after == before


def test_an_account_deleted_before_the_first_tick_teaches_nothing() -> None:
    judge = Judge(load_policy(""), ANSWER_TIME)
    judge.judge(rows(3))
    judge.forget(np.array([0, 1], np.uint32))
    judge.learn(TICK + DAY, people(3))
    assert judge.reference.count.sum(axis=1) == pytest.approx([filled(4)] * 2)
    assert judge.experience.histogram.sum() == 1.0


def test_on_a_large_platform_a_sample_drawn_by_hash_teaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "SAMPLE", 500)
    judge = Judge(load_policy(""), ANSWER_TIME)
    judge.judge(rows(4000))
    judge.learn(TICK + DAY, people(4000))
    trimmed = judge.reference.count.sum(axis=1)[0] / filled(4)
    assert 400 < trimmed < 600


def test_what_it_learned_changes_what_evidence_is_worth() -> None:
    """A platform where everybody meets ten strangers: of one who does, the volume says nothing any more."""
    judge = Judge(load_policy(""), ANSWER_TIME)
    volume = list(judging.NUMBERS).index("volume")
    crowd = np.concatenate([rows(300, time=NOW + i) for i in range(10)])
    before = judge.judge(crowd).nats[-1, volume]
    for tick in range(8):
        judge.learn(NOW // DAY * DAY + (tick + 1) * 6 * HOUR, people(300))
        judge.judge(rows(300, what=0, time=NOW + tick))  # looked at again, nothing new
    after = judge.judge(rows(300, what=0, time=NOW + 20)).nats[-1, volume]
    assert before > 0.1
    assert after < 0.0


def test_under_suspicion_is_whose_evidence_of_the_day_reached_the_line() -> None:
    judge = judge_of(at=-50.0)
    judge.judge(rows(3, flags=0))
    accounts, values = judge.suspects()
    assert accounts.tolist() == [0, 1, 2]
    assert values.all()
    judge.experience.at[:] = 50.0
    assert not judge.suspects()[1].any()
    judge.learn(TICK + DAY, people(3))
    assert judge.suspects()[0].tolist() == []


def test_a_forgotten_account_begins_anew() -> None:
    judge, fresh = (Judge(load_policy(""), ANSWER_TIME) for _ in range(2))
    table = np.concatenate([rows(1, account=5, time=NOW + i, target_age=2) for i in range(30)])
    judge.judge(table)
    judge.forget(np.array([5, 10**6], np.uint32))
    for mine, new in zip(fields(judge.judge(table)), fields(fresh.judge(table)), strict=True):
        np.testing.assert_array_equal(mine, new)
    assert judge.suspects()[0].tolist() == [5]


def test_each_age_group_has_a_line_of_its_own() -> None:
    policy: Policy = load_policy("")
    judge = Judge(policy, ANSWER_TIME)
    judge.experience.at[:] = [1.0, 2.0, 3.0, 4.0]
    judge.experience.scale[:] = 1.0
    assert np.diff([judge.line(group) for group in range(GROUPS)]) == pytest.approx([1.0, 1.0, 1.0])
    assert len(COLUMNS) == rows(1)["counts"].shape[1]
