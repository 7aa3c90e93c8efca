"""Baselines recover what made the counts, fade, and are not taught by attackers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from detectors.baseline import Baseline, negative_binomial_tail
from detectors.cohorts import COHORTS, cohort_of, describe
from detectors.policy import default_policy
from detectors.tails import beta_binomial_nats
from graph.batch import AgeBand
from tests.detectors.rows import NOW

POLICY = default_policy().baseline
DAY = 86_400_000
ADULT = 15  # cohort: adult, over three months


def learned(counts: NDArray[np.int64], n: NDArray[np.int64], minors: NDArray[np.int64], rounds: int = 1) -> Baseline:
    baseline = Baseline(POLICY, tick=7 * DAY)
    for _ in range(rounds):
        size = len(counts)
        active = np.ones((size, 3), np.bool_)
        baseline.learn(np.full(size, ADULT), active, np.repeat(counts[:, None], 3, axis=1), n, minors)
        baseline.fit()
    return baseline


def people(rng: np.random.Generator, size: int, mean: float, shape: float) -> NDArray[np.int64]:
    return rng.poisson(rng.gamma(shape, mean / shape, size))


@pytest.mark.parametrize(("mean", "shape"), [(0.5, 0.3), (2.0, 1.0), (8.0, 2.0), (30.0, 0.5)])
def test_strangers_recover_mean_and_shape(mean: float, shape: float) -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    counts = people(rng, 40_000, mean, shape)
    none = np.zeros_like(counts)
    baseline = learned(counts, none, none)
    assert baseline.mean[2, ADULT] == pytest.approx(mean, rel=0.15)
    assert baseline.shape[2, ADULT] == pytest.approx(shape, rel=0.35)


@pytest.mark.parametrize("attackers", [0.005, 0.01])
def test_attackers_hardly_move_what_is_ordinary(attackers: float) -> None:
    rng = np.random.Generator(np.random.PCG64(2))
    counts = people(rng, 20_000, 2.0, 1.0)
    n = people(rng, 20_000, 4.0, 1.0)
    minors = rng.binomial(n, rng.beta(1.0, 9.0, len(n)))
    clean = learned(counts, n, minors, rounds=4)
    bad = round(attackers * len(counts))
    counts[:bad] = rng.integers(50, 400, bad)
    n[:bad] = rng.integers(20, 60, bad)
    minors[:bad] = n[:bad]
    taught = learned(counts, n, minors, rounds=4)
    assert taught.mean[2, ADULT] == pytest.approx(clean.mean[2, ADULT], rel=0.15)
    assert taught.shape[2, ADULT] == pytest.approx(clean.shape[2, ADULT], rel=0.4)
    assert taught.minor_share[ADULT] == pytest.approx(clean.minor_share[ADULT], rel=0.15)
    assert taught.minor_shape[ADULT] == pytest.approx(clean.minor_shape[ADULT], rel=0.6)


def test_the_share_of_minors_is_recovered_and_does_not_collapse() -> None:
    """Leaving out whoever stands out, by the share learned so far, once taught a share of none at all."""
    rng = np.random.Generator(np.random.PCG64(3))
    n = people(rng, 3_000, 1.0, 0.3)
    minors = rng.binomial(n, rng.beta(0.4, 4.0, len(n)))
    none = np.zeros_like(n)
    baseline = learned(none, n, minors, rounds=60)
    # trimmed, so somewhat low
    assert baseline.minor_share[ADULT] == pytest.approx(minors.sum() / n.sum(), rel=0.35)


def test_before_anything_was_seen_the_prior_holds() -> None:
    baseline = Baseline(POLICY)
    assert baseline.mean[:, ADULT] == pytest.approx(POLICY.prior_mean.values(), rel=0.15)
    assert baseline.shape[:, ADULT] == pytest.approx(np.full(3, POLICY.prior_shape), rel=0.35)
    assert baseline.minor_share == pytest.approx(np.full(COHORTS, POLICY.prior_minor_share))
    assert baseline.minor_shape == pytest.approx(np.full(COHORTS, POLICY.prior_minor_shape))


def test_looking_at_one_account_often_does_not_make_it_ordinary() -> None:
    """A week of ticks, with one account that reaches for twenty children: it teaches as much as one account may."""
    baseline = Baseline(POLICY)
    twenty = np.array([20])
    for _ in range(28):
        baseline.learn(np.array([ADULT]), np.ones((1, 3), np.bool_), np.array([[1, 4, 20]]), twenty, twenty)
        baseline.fit()
    assert baseline.minor_share[ADULT] < (POLICY.prior_minor_share * 50 + 21) / (50 + 20)
    assert baseline.active[ADULT] == pytest.approx(1.0)


def test_old_samples_fade_by_half_in_a_half_life() -> None:
    rng = np.random.Generator(np.random.PCG64(4))
    counts = people(rng, 1_000, 2.0, 1.0)
    baseline = learned(counts, counts, np.zeros_like(counts))
    baseline.fade(NOW)
    before = baseline.histogram.sum(), baseline.exposure.sum(), baseline.active.sum()
    baseline.fade(NOW + int(POLICY.half_life_days * DAY))
    after = baseline.histogram.sum(), baseline.exposure.sum(), baseline.active.sum()
    assert after == pytest.approx([value / 2 for value in before])


def test_a_cohort_hardly_seen_leans_on_all() -> None:
    rng = np.random.Generator(np.random.PCG64(5))
    counts = people(rng, 20_000, 8.0, 2.0)
    none = np.zeros_like(counts)
    baseline = learned(counts, none, none)
    assert baseline.mean[2, 0] > 2 * POLICY.prior_mean.week / 3
    assert baseline.mean[2, 0] > Baseline(POLICY).mean[2, 0]


@given(count=st.integers(0, 300), mean=st.floats(0.01, 100), shape=st.floats(0.05, 30))
def test_tail_agrees_with_scipy(count: int, mean: float, shape: float) -> None:
    ours = float(negative_binomial_tail(np.array([count]), np.array([mean]), np.array([shape]))[0])
    theirs = float(stats.nbinom.sf(count - 1, shape, shape / (shape + mean)))
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-250)


@given(total=st.integers(0, 300), share=st.floats(0, 1), alpha=st.floats(0.05, 20), beta=st.floats(0.5, 200))
def test_beta_binomial_agrees_with_scipy(total: int, share: float, alpha: float, beta: float) -> None:
    count = int(share * total)
    ours = float(np.exp(-beta_binomial_nats(count, total, alpha, beta)))
    theirs = 1.0 if count == 0 else float(stats.betabinom.pmf(np.arange(count, total + 1), total, alpha, beta).sum())
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-250)


def test_cohorts_go_by_age_band_and_account_age() -> None:
    now = NOW // 1000
    created = np.array([0, now, now - 7 * 86_400, now - 90 * 86_400, now + 10**6])
    assert cohort_of(np.full(5, AgeBand.AGE_21_PLUS), created, now).tolist() == [12, 13, 14, 15, 13]
    assert cohort_of(np.arange(6), np.zeros(6, np.int64), now).tolist() == [0, 4, 4, 4, 8, 12]
    assert len({describe(cohort) for cohort in range(COHORTS)}) == COHORTS
