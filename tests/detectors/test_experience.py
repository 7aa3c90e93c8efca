"""Experience: lines lie where innocent account-days say, attackers hardly move them, and a prior holds at first."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.experience import BINS, FLOOR, GROUPS, LEAST, LOWER, STRETCH, UPPER, WIDTH, Experience, weaken
from detectors.policy import default_policy
from graph.state import DAY
from tests.detectors.rows import NOW, rows

POLICY = default_policy()
LOW, MEDIUM, HIGH, CRITICAL = POLICY.severities.nats()
MIDNIGHT = NOW // DAY * DAY
ADULT = 3


def live(experience: Experience, days: list[NDArray[np.float64]], group: int = ADULT, first: int = 1) -> Experience:
    """Let accounts reach so much evidence, a day each."""
    for day, nats in enumerate(days):
        experience.note(rows(len(nats)), np.full(len(nats), group), nats)
        experience.learn(MIDNIGHT + (first + day) * DAY)
    return experience


def crowd(rng: np.random.Generator, size: int, days: int, scale: float = 1.5, shift: float = -3.0):
    return [shift + rng.exponential(scale, size) for _ in range(days)]


@pytest.mark.parametrize(("scale", "shift"), [(0.6, -6.0), (1.5, -3.0), (4.0, 0.0)])
def test_of_an_exponential_the_line_and_the_fall_are_recovered(scale: float, shift: float) -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    experience = live(Experience(POLICY.baseline), crowd(rng, 5_000, 14, scale, shift))
    assert experience.at[ADULT] == pytest.approx(shift - math.log(UPPER) * scale, abs=0.1 * scale + 0.1)
    assert experience.scale[ADULT] == pytest.approx(max(STRETCH * scale, LEAST), rel=0.1)


@pytest.mark.parametrize("policy_says", [LOW, MEDIUM])
def test_about_as_many_innocent_account_days_reach_a_line_as_the_policy_says_or_fewer(policy_says: float) -> None:
    """Where there are no attackers to stretch the fall, at most by as much more as it is held to be stretched."""
    rng = np.random.Generator(np.random.PCG64(2))
    experience = live(Experience(POLICY.baseline), crowd(rng, 5_000, 14))
    line = experience.needed(ADULT, policy_says)
    exponential = math.exp(-(line + 3.0) / 1.5)
    share = UPPER * (math.exp(-policy_says) / UPPER) ** STRETCH
    assert exponential <= 1.05 * share
    assert exponential >= share ** (1.0 / 0.7)  # not out of all proportion: that would hide attackers
    seen = np.concatenate(crowd(rng, 100_000, 1))
    assert (seen >= line).mean() <= 1.3 * share + 3e-5


@pytest.mark.parametrize("share", [0.01, 0.03])
def test_attackers_move_the_lines_by_little(share: float) -> None:
    rng = np.random.Generator(np.random.PCG64(3))
    days = crowd(rng, 5_000, 14)
    clean = live(Experience(POLICY.baseline), [nats.copy() for nats in days])
    for nats in days:
        nats[: round(share * len(nats))] = rng.uniform(10.0, 40.0, round(share * len(nats)))
    taught = live(Experience(POLICY.baseline), days)
    # 3 % of a group is more than any platform should bear; even so what is far above the crowd stays far above
    assert taught.needed(ADULT, LOW) <= clean.needed(ADULT, LOW) + {0.01: 1.0, 0.03: 3.5}[share]
    assert taught.needed(ADULT, MEDIUM) <= clean.needed(ADULT, MEDIUM) + {0.01: 3.0, 0.03: 8.0}[share]
    assert taught.needed(ADULT, LOW) >= clean.needed(ADULT, LOW) - 0.1


@given(
    nats=st.floats(-100, 1000),
    at=st.floats(-20, 80),
    scale=st.floats(LEAST, 40),
    wanted=st.floats(0.01, 40),
)
def test_needed_and_weaken_are_inverse(nats: float, at: float, scale: float, wanted: float) -> None:
    experience = Experience(POLICY.baseline)
    experience.at[:], experience.scale[:] = at, scale
    weakened = weaken(nats, experience.share, at, scale)
    assert weakened >= 0.0
    if weakened > 0.0:
        assert experience.needed(ADULT, weakened) == pytest.approx(nats, abs=1e-6 + 1e-9 * abs(nats))
    assert weaken(experience.needed(ADULT, wanted), experience.share, at, scale) == pytest.approx(wanted, rel=1e-6)
    assert weaken(nats + 1.0, experience.share, at, scale) >= weakened


def test_before_experience_the_prior_asks_for_much_and_for_the_same_of_everybody() -> None:
    experience = Experience(POLICY.baseline)
    lines = [[experience.needed(group, nats) for nats in (LOW, MEDIUM, HIGH, CRITICAL)] for group in range(GROUPS)]
    assert all(line == lines[0] for line in lines)
    assert lines[0] == sorted(lines[0])
    assert lines[0][0] > LOW  # a nat of evidence is worth less than a nat until the platform has shown otherwise
    assert 0.9 * MEDIUM < lines[0][1] < 4 * MEDIUM


def test_a_few_account_days_do_not_overthrow_the_prior() -> None:
    quiet = live(Experience(POLICY.baseline), [np.full(3, -5.0)])
    assert quiet.needed(ADULT, LOW) == pytest.approx(Experience(POLICY.baseline).needed(ADULT, LOW), abs=0.5)


def test_it_is_the_highest_of_a_day_that_counts_once_an_account() -> None:
    many, once = Experience(POLICY.baseline), Experience(POLICY.baseline)
    rng = np.random.Generator(np.random.PCG64(4))
    for day in range(5):
        nats = rng.normal(0.0, 3.0, (2_000, 6))
        for column in nats.T:
            many.note(rows(2_000), np.full(2_000, ADULT), column)
        once.note(rows(2_000), np.full(2_000, ADULT), nats.max(axis=1))
        for experience in (many, once):
            experience.learn(MIDNIGHT + day * DAY + DAY // 4)  # between days there is nothing to learn
            experience.learn(MIDNIGHT + (day + 1) * DAY)
    np.testing.assert_array_equal(many.histogram, once.histogram)
    assert many.histogram.sum() == pytest.approx(
        sum(2_000 * 0.5 ** (d / POLICY.baseline.half_life_days) for d in range(5))
    )


def test_old_days_fade_and_another_life_replaces_them() -> None:
    rng = np.random.Generator(np.random.PCG64(5))
    experience = live(Experience(POLICY.baseline), crowd(rng, 3_000, 10, 4.0, 0.0))
    before = experience.at[ADULT]
    live(experience, crowd(rng, 3_000, 90, 1.0, -4.0), first=11)
    assert before > 8.0
    assert experience.at[ADULT] == pytest.approx(-4.0 - math.log(UPPER), abs=0.4)


def test_groups_learn_apart_and_a_group_without_its_own_leans_on_all() -> None:
    rng = np.random.Generator(np.random.PCG64(6))
    experience = Experience(POLICY.baseline)
    for day in range(14):
        nats = np.concatenate([rng.exponential(3.0, 5_000), -5.0 + rng.exponential(1.0, 5_000)])
        experience.note(rows(10_000), np.repeat([1, ADULT], 5_000), nats)
        experience.learn(MIDNIGHT + (day + 1) * DAY)
    assert experience.at[1] > experience.at[ADULT] + 8.0
    assert experience.at[ADULT] < experience.at[0] < experience.at[1] + 0.5


def test_forgotten_accounts_leave_no_day_behind() -> None:
    experience = Experience(POLICY.baseline)
    experience.note(rows(50), np.full(50, ADULT), np.full(50, 30.0))
    experience.forget(np.array([*range(50), 10**6], np.uint32))
    experience.learn(MIDNIGHT + DAY)
    assert experience.histogram.sum() == 0.0


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([-1e6, FLOOR - 1, FLOOR, -3.0, 0.0, 5.0, FLOOR + BINS * WIDTH, 1e6]), st.integers(1, 2000)
        ),
        max_size=8,
    )
)
def test_whatever_accounts_reach_the_lines_are_finite_and_rise(days: list[tuple[float, int]]) -> None:
    experience = live(Experience(POLICY.baseline), [np.full(count, nats) for nats, count in days])
    for group in range(GROUPS):
        lines = [experience.needed(group, nats) for nats in (0.0, LOW, MEDIUM, HIGH, CRITICAL)]
        assert np.isfinite(lines).all()
        assert lines == sorted(set(lines))
    assert (experience.scale >= LEAST).all()
    assert LOWER > UPPER


def test_whatever_accounts_come_there_is_room_for_all_that_is_noted_of_them() -> None:
    """Arrays of items of other sizes grow in other steps; a kernel writes both by the same account."""
    experience, row = Experience(POLICY.baseline), rows(1)
    for account in range(900, 400_000, 97):
        row["account"] = account
        experience.note(row, np.full(1, ADULT), np.zeros(1))
        assert min(len(experience.peaks), len(experience.groups)) > account
