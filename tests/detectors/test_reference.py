"""References recover what made the counts, fade, lean on the policy at first, and are not taught by attackers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.cohorts import COHORTS, cohort_of, describe
from detectors.policy import default_policy
from detectors.reference import CAP, LEAST_MEAN, RHO_BOUNDS, RHO_PRIOR, SHAPE_BOUNDS, Reference
from graph.batch import AgeBand
from graph.state import DAY, HOUR
from tests.detectors.rows import NOW

POLICY = default_policy().baseline
ADULT = 15  # cohort: adult, over three months
CHILD = 7
PRIOR, PRIOR_RATE = 0.1, 3.0
TICKS = 8
Samples = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def empty() -> Reference:
    return Reference(POLICY, np.array([PRIOR]), np.array([PRIOR_RATE]))


def teach(reference: Reference, samples: Samples, time: int = NOW, cohort: int = ADULT) -> Reference:
    k, n, rate = samples
    reference.learn(time, np.full(len(n), cohort), k[:, None], n[:, None], rate[:, None])
    return reference


def people(rng: np.random.Generator, size: int, q: float, rho: float, mean: float = 3.0, shape: float = 1.0) -> Samples:
    """Contacts, of which a beta-binomial share is one thing, and a negative binomial count beside them."""
    n = 1 + rng.poisson(rng.gamma(1.0, 5.0, size))
    a = (1.0 / rho - 1.0) * q
    own = rng.beta(a, (1.0 / rho - 1.0) * (1.0 - q), size)
    k = rng.binomial(n, own)
    return k.astype(float), n.astype(float), rng.poisson(rng.gamma(shape, mean / shape, size)).astype(float)


def with_attackers(rng: np.random.Generator, samples: Samples, share: float) -> Samples:
    """The same people; a share of them, the same at every tick, contacts forty others, all of the kind in question."""
    k, n, rate = (column.copy() for column in samples)
    for i in range(TICKS):
        at = np.arange(i, len(n), TICKS)
        bad = rng.permutation(at)[: round(share * len(at))]
        n[bad] = k[bad] = 40.0
        rate[bad] = 200.0
    return k, n, rate


def ticks(samples: Samples, count: int = TICKS) -> Reference:
    """What was learned of samples handed over in so many ticks: the first ones start from the prior."""
    reference = empty()
    for i in range(count):
        part: Samples = tuple(column[i::count] for column in samples)  # type: ignore[assignment]  # three of them
        teach(reference, part, NOW + 6 * HOUR * i)
    return reference


@pytest.mark.parametrize("attackers", [0.0, 0.01])
@pytest.mark.parametrize(("q", "rho"), [(0.1, 0.2), (0.5, 0.05), (0.5, 0.3), (0.9, 0.1)])
def test_a_share_and_how_much_people_differ_are_recovered(q: float, rho: float, attackers: float) -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    found = ticks(with_attackers(rng, people(rng, 60_000, q, rho), attackers))
    # the samples that stand out most are left out: what is learned is somewhat low, never high
    assert 0.75 * q <= found.share[0, ADULT] <= 1.05 * q
    assert 0.5 * rho <= found.rho[0, ADULT] <= 1.3 * rho


def test_of_what_hardly_anybody_does_the_share_is_recovered_and_spread_is_not_made_up() -> None:
    """Where one contact in fifty is of the kind, most who had any are among those left out."""
    rng = np.random.Generator(np.random.PCG64(1))
    found = ticks(with_attackers(rng, people(rng, 60_000, 0.02, 0.05), 0.01))
    assert 0.5 * 0.02 <= found.share[0, ADULT] <= 1.05 * 0.02
    assert RHO_BOUNDS[0] <= found.rho[0, ADULT] <= 1.3 * 0.05


@pytest.mark.parametrize("attackers", [0.0, 0.01])
@pytest.mark.parametrize(("mean", "shape"), [(0.5, 0.5), (3.0, 1.0), (8.0, 2.0), (30.0, 0.5)])
def test_a_rate_and_its_shape_are_recovered(mean: float, shape: float, attackers: float) -> None:
    rng = np.random.Generator(np.random.PCG64(2))
    found = ticks(with_attackers(rng, people(rng, 60_000, 0.1, 0.1, mean, shape), attackers))
    assert 0.85 * mean <= found.mean[0, ADULT] <= 1.05 * mean
    # without the tail people differ less: shape comes out somewhat high
    assert 0.8 * shape <= found.shape[0, ADULT] <= 2.5 * shape


@pytest.mark.parametrize("attackers", [0.005, 0.01])
def test_attackers_hardly_move_what_is_ordinary(attackers: float) -> None:
    rng = np.random.Generator(np.random.PCG64(3))
    clean = people(rng, 40_000, 0.1, 0.1)
    told = ticks(clean)
    taught = ticks(with_attackers(rng, clean, attackers))
    assert taught.share[0, ADULT] == pytest.approx(told.share[0, ADULT], rel=0.15)
    # attackers take the places of those left out, so that what is learned comes nearer to what is so
    assert 0.9 * told.rho[0, ADULT] <= taught.rho[0, ADULT] <= 1.2 * 0.1
    assert taught.mean[0, ADULT] == pytest.approx(told.mean[0, ADULT], rel=0.15)
    assert taught.shape[0, ADULT] == pytest.approx(told.shape[0, ADULT], rel=0.4)


def test_without_trimming_they_would_teach_it() -> None:
    """Attackers as above do move what is learned where nothing is left out: the test before can fail."""
    rng = np.random.Generator(np.random.PCG64(3))
    clean = people(rng, 40_000, 0.1, 0.1)
    bad = with_attackers(rng, clean, 0.01)
    loose = empty()
    loose.trim = 0.0
    for i in range(TICKS):
        teach(loose, (bad[0][i::TICKS], bad[1][i::TICKS], bad[2][i::TICKS]), NOW + 6 * HOUR * i)
    assert loose.mean[0, ADULT] > 1.5 * ticks(clean).mean[0, ADULT]
    assert loose.share[0, ADULT] > 1.15 * ticks(clean).share[0, ADULT]


def test_before_anything_was_seen_the_prior_holds() -> None:
    reference = empty()
    assert reference.share.ravel() == pytest.approx(np.full(COHORTS, PRIOR))
    assert reference.rho.ravel() == pytest.approx(np.full(COHORTS, RHO_PRIOR))
    assert reference.mean.ravel() == pytest.approx(np.full(COHORTS, PRIOR_RATE))
    assert reference.shape.ravel() == pytest.approx(np.ones(COHORTS))


def test_a_few_samples_move_it_a_little_and_many_wholly() -> None:
    """The prior has the weight of so many contacts, twice: a cohort leans on all cohorts, and these on the policy."""
    few, many = empty(), empty()
    teach(few, (np.array([10.0]), np.array([10.0]), np.array([9.0])))
    assert PRIOR < few.share[0, ADULT] < 0.45
    teach(many, tuple(np.full(2000, x) for x in (10.0, 20.0, 9.0)))  # type: ignore[arg-type]  # three of them
    assert many.share[0, ADULT] == pytest.approx(0.5, rel=0.02)
    assert many.mean[0, ADULT] == pytest.approx(9.0, rel=0.05)


def test_the_mean_of_full_sums_is_learned_from_sums_that_fill() -> None:
    """A stream's first days: at half of what sums will hold, and at a tenth, the same mean and shape are learned."""
    rng = np.random.Generator(np.random.PCG64(8))
    for filled in (1.0, 0.5, 0.1):
        reference = empty()
        own = rng.gamma(1.0, 8.0, 40_000)
        nothing = np.zeros((10_000, 1))
        for i in range(4):
            x = rng.poisson(filled * own[i::4]).astype(float)
            reference.learn(NOW + i * DAY, np.full(10_000, ADULT), nothing, nothing, x[:, None], filled)
        reference.filled = filled
        assert reference.mean[0, ADULT] == pytest.approx(8.0, rel=0.15)
        assert reference.usual(0)[ADULT] == pytest.approx(filled * 8.0, rel=0.15)
        assert 0.8 <= reference.shape[0, ADULT] <= 2.5


def test_a_cohort_hardly_seen_leans_on_all() -> None:
    rng = np.random.Generator(np.random.PCG64(4))
    reference = teach(empty(), people(rng, 20_000, 0.5, 0.1, mean=8.0))
    assert reference.share[0, CHILD] == pytest.approx(0.5, rel=0.15)
    assert reference.mean[0, CHILD] == pytest.approx(8.0, rel=0.15)


def test_cohorts_learn_apart() -> None:
    rng = np.random.Generator(np.random.PCG64(5))
    reference = empty()
    for i in range(4):
        teach(reference, people(rng, 5_000, 0.1, 0.1), NOW + i * DAY)
        teach(reference, people(rng, 5_000, 0.6, 0.1), NOW + i * DAY, CHILD)
    assert reference.share[0, ADULT] == pytest.approx(0.1, rel=0.2)
    assert reference.share[0, CHILD] == pytest.approx(0.6, rel=0.1)


def test_nobody_teaches_more_than_a_few_contacts_at_once() -> None:
    """One account that reaches for a thousand children, as many times as it likes in a tick, is one sample."""
    reference = teach(empty(), (np.array([1000.0]), np.array([1000.0]), np.array([0.0])))
    assert reference.n[0, ADULT] == pytest.approx(CAP)
    assert reference.share[0, ADULT] < (CAP + POLICY.prior_contacts * 0.45) / (CAP + POLICY.prior_contacts)


def test_old_samples_fade_by_half_in_a_half_life_and_a_new_life_replaces_the_old() -> None:
    rng = np.random.Generator(np.random.PCG64(6))
    reference = teach(empty(), people(rng, 1_000, 0.1, 0.1))
    sums = ("k", "n", "excess", "pairs", "count", "sum", "spread", "square")
    before = {name: getattr(reference, name).sum() for name in sums}
    nobody: Samples = (np.empty(0), np.empty(0), np.empty(0))
    half = int(POLICY.half_life_days * DAY)
    teach(reference, nobody, NOW + half)
    after = {name: getattr(reference, name).sum() for name in sums}
    assert after == pytest.approx({name: value / 2 for name, value in before.items()})
    for week in range(1, 30):
        teach(reference, people(rng, 1_000, 0.6, 0.1), NOW + half + week * 7 * DAY)
    assert reference.share[0, ADULT] == pytest.approx(0.6, rel=0.1)


def test_a_clock_that_went_back_makes_nothing_stronger() -> None:
    rng = np.random.Generator(np.random.PCG64(7))
    reference = teach(empty(), people(rng, 100, 0.1, 0.1))
    before = reference.n.sum()
    teach(reference, (np.empty(0), np.empty(0), np.empty(0)), NOW - 100 * DAY)
    assert reference.n.sum() == before


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(0, 60),
    biggest=st.sampled_from([0.0, 0.5, 3.0, 1e4, 1e9]),
    times=st.integers(1, 6),
)
def test_whatever_it_is_taught_it_stays_within_its_bounds_and_says_the_same_again(
    seed: int, size: int, biggest: float, times: int
) -> None:
    def run() -> Reference:
        rng = np.random.Generator(np.random.PCG64(seed))
        reference = empty()
        for i in range(times):
            n = biggest * rng.random(size)
            samples = (n * rng.choice([0.0, 0.3, 1.0], size), n, biggest * rng.random(size))
            teach(reference, samples, NOW + i * DAY, int(rng.integers(COHORTS)))
        return reference

    one, other = run(), run()
    for name in ("share", "rho", "mean", "shape"):
        assert np.isfinite(getattr(one, name)).all()
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.share > 0).all()
    assert (one.share < 1).all()
    assert (one.mean >= LEAST_MEAN).all()
    for values, (low, high) in ((one.rho, RHO_BOUNDS), (one.shape, SHAPE_BOUNDS)):
        assert (values >= low * (1 - 1e-12)).all()
        assert (values <= high * (1 + 1e-12)).all()


def test_samples_with_nothing_in_them_teach_nothing_of_a_share() -> None:
    reference = teach(empty(), (np.zeros(500), np.zeros(500), np.zeros(500)))
    assert reference.share[0, ADULT] == pytest.approx(PRIOR)
    assert reference.rho[0, ADULT] == pytest.approx(RHO_PRIOR)


def test_cohorts_go_by_age_band_and_account_age() -> None:
    now = NOW // 1000
    created = np.array([0, now, now - 7 * 86_400, now - 90 * 86_400, now + 10**6])
    assert cohort_of(np.full(5, AgeBand.AGE_21_PLUS), created, now).tolist() == [12, 13, 14, 15, 13]
    assert cohort_of(np.arange(6), np.zeros(6, np.int64), now).tolist() == [0, 4, 4, 4, 8, 12]
    assert len({describe(cohort) for cohort in range(COHORTS)}) == COHORTS
