"""Evidence by family: what formula and curve say, for those whom it is about, and never less for more of the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors import evidence
from detectors.cohorts import COHORTS, MINOR
from detectors.curves import Curves
from detectors.cusum import SUM
from detectors.evidence import (
    DETECTORS,
    FAMILIES,
    RATES,
    SHARES,
    Params,
    add_up,
    family_numbers,
    fill_counts,
    odds_against,
    weigh,
)
from detectors.policy import default_policy, role_bits
from detectors.reference import Reference
from detectors.sums import Sum
from graph.batch import Role
from tests.detectors.rows import any_rows, rows

POLICY = default_policy()
NAMES = [family.name for family in FAMILIES]
CURVES = Curves.of(POLICY.evidence.curves, NAMES)
ODDS = np.array([POLICY.detectors.named(family.detector).odds[family.name] for family in FAMILIES])
MASKS = np.array([int(Role.EDUCATOR | Role.COACH), int(Role.MODERATOR)], np.int64)
OWN = np.array([family.own_rate for family in SHARES])
PRIOR = np.array([family.prior for family in SHARES])
PLAIN = Curves(np.array([-1e9, 0.0, 1e9]), np.tile([-1e9, 0.0, 1e9], (len(FAMILIES), 1)))
"""Curves by which evidence is worth what the formula says."""
ALL = np.ones(len(FAMILIES))
EVEN = np.ones(len(FAMILIES))


def learned(seed: int = 0) -> Reference:
    """A reference of some platform: every cohort has shares and rates of its own."""
    rng = np.random.Generator(np.random.PCG64(seed))
    reference = Reference(POLICY.baseline, np.array([f.prior for f in SHARES]), np.array([RATES[0].prior, 0.1]))
    reference.share = rng.uniform(0.001, 0.99, reference.share.shape)
    reference.share[OWN] *= (1.0, 0.05)[seed % 2]  # with even seeds, often more common than among attackers
    reference.rho = rng.uniform(0.005, 0.5, reference.rho.shape)
    reference.mean = rng.uniform(0.02, 20.0, reference.mean.shape)
    reference.shape = rng.uniform(0.2, 10.0, reference.shape.shape)
    reference.filled = (0.1, 1.0)[seed % 2]
    return reference


def params(curves: Curves = PLAIN, odds: NDArray[np.float64] = ODDS, seed: int = 0) -> Params:
    return Params.of(learned(seed), odds, ALL, curves, EVEN)


def weighed(
    p: Params, sums: NDArray[Any], cohort: int | NDArray[np.int64] = 15, table: Any = None, cusum: Any = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the evidence of accounts with these sums, one row each, and its sum."""
    n = len(sums)
    table = rows(n) if table is None else table
    cusum = np.zeros(n, SUM) if cusum is None else cusum
    k, counts = np.zeros(len(SHARES)), np.zeros(len(SHARES))
    out, total = np.empty((n, len(FAMILIES))), np.empty(n)
    cohorts = np.broadcast_to(np.asarray(cohort, np.int64), n).copy()
    weigh(table, sums.astype(np.float32), cusum, cohorts, p, MASKS, k, counts, out, total)
    return out, total


def any_sums(rng: np.random.Generator, n: int) -> NDArray[np.float32]:
    """Sums as an account can have them: parts are no more than wholes."""
    v = rng.exponential(rng.choice([0.3, 3.0, 30.0], (n, 1)), (n, Sum.SIZE))
    for part, whole in (
        *((Sum.STRANGERS, Sum.FIRST), (Sum.FIRST_MINORS, Sum.FIRST), (Sum.LINKED, Sum.STRANGERS)),
        *((Sum.AGED, Sum.STRANGERS), (Sum.MINORS, Sum.AGED), (Sum.GAP, Sum.AGED), (Sum.FAR, Sum.AGED)),
        *((Sum.SUSPECTS, Sum.STRANGERS), (Sum.SHARED, Sum.STRANGERS), (Sum.BLOCKED_MINORS, Sum.BLOCKED)),
        (Sum.KNOWN_MINORS, Sum.KNOWN),
    ):
        v[:, part] = v[:, whole] * rng.choice([0.0, 0.3, 1.0], n)
    return v.astype(np.float32)


def counts_of(v: dict[str, float]) -> dict[str, tuple[float, float]]:
    """k and n of every share, as `detectors.evidence` and the detectors' files say in words."""
    others, children = v["first"] - v["first_minors"], v["first_minors"]
    return {
        "strangers": (v["strangers"], v["first"]),
        "scattered": (v["strangers"] - v["linked"], v["strangers"]),
        "minors": (v["minors"], v["aged"]),
        "age_gap": (v["gap"], v["aged"]),
        "refused": (v["refused"], v["refused"] + v["welcome"]),
        "refused_by_minors": (v["refused_minors"], v["refused_minors"] + v["welcome_minors"]),
        "unanswered": (v["cold"], v["cold"] + v["cold_answered"]),
        "blocked": (v["blocked"], v["blocked"] + v["first"]),
        "luring": (min(v["luring"], others), others),
        "severe": (min(v["severe"], others), others),
        "deep": (min(v["deep"], others), others),
        "luring_minors": (min(v["luring_minors"], children), children),
        "severe_minors": (min(v["severe_minors"], children), children),
        "deep_minors": (min(v["deep_minors"], children), children),
        "suspects": (v["suspects"], v["strangers"]),
        "shared": (min(v["shared"], v["strangers"]), v["strangers"]),
        "not_peers": (v["far"], v["aged"]),
    }


def plain(
    v: NDArray[np.float32], row: Any, cohort: int, test: float, reference: Reference, curves: Curves
) -> list[float]:
    """The evidence of one row, from the two hypotheses themselves."""
    out = []
    counts = counts_of(dict(zip((name.lower() for name in Sum._fields), v.tolist(), strict=False)))
    for f, family in enumerate(FAMILIES):
        odds = float(ODDS[f])
        if family.name == "minor_sum":
            x = odds * test
        elif family.name == "volume":
            count = float(v[Sum.STRANGERS] - v[Sum.LINKED])
            mean, shape = reference.filled * reference.mean[0, cohort], reference.shape[0, cohort]

            def log_pmf(mu: float, count: float = count, shape: float = shape) -> float:
                """The negative binomial, but for what does not depend on the mean."""
                return count * math.log(mu / (shape + mu)) + shape * math.log(shape / (shape + mu))

            x = log_pmf(odds * mean) - log_pmf(mean)
        else:
            k, n = counts[family.name]
            q = reference.share[f, cohort]
            if family.name == "minors":  # what is ordinary among those whom the account knows is so for it
                known, children = float(v[Sum.KNOWN]), float(v[Sum.KNOWN_MINORS])
                q = max(q, min((3.0 * q + children) / (3.0 + known), 0.9))
            if family.own_rate:  # the alternative stays where the prior puts it, whatever is ordinary
                odds = min(max(odds * family.prior / (1.0 - family.prior) / (q / (1.0 - q)), 1.0), odds**2)
            q1 = 1.0 / (1.0 + (1.0 / q - 1.0) / odds)
            x = k * math.log(q1 / q) + (n - k) * math.log((1.0 - q1) / (1.0 - q))
            x /= 1.0 + max(n - 1.0, 0.0) * reference.rho[f, cohort]
        minor = cohort // 4 == MINOR
        if (family.groups == "adults" and minor) or (family.groups == "minors" and not minor):
            x = 0.0
        if family.detector == "minor_targeting" and row["roles"] & MASKS[0]:
            x = 0.0
        if family.name == "volume" and row["roles"] & MASKS[1]:
            x = 0.0
        out.append(float(np.interp(x, curves.at, curves.worth[f])))
    return out


@settings(max_examples=150)
@given(any_rows(), st.integers(0, 2**32 - 1), st.sampled_from([CURVES, PLAIN]))
def test_it_is_what_the_formula_says(table: NDArray[np.void], seed: int, curves: Curves) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    n, cohort = len(table), rng.integers(0, COHORTS, len(table))
    sums, cusum = any_sums(rng, n), np.zeros(n, SUM)
    cusum["value"] = rng.exponential(4.0, n) * rng.choice([0.0, 1.0], n)
    counts = rng.choice([0.0, 1.0], len(FAMILIES))
    weight = rng.uniform(0.25, 4.0, len(FAMILIES))
    p = Params.of(learned(seed), ODDS, counts, curves, weight)
    found, total = weighed(p, sums, cohort, table, cusum)
    for i in range(n):
        want = plain(sums[i], table[i], int(cohort[i]), float(cusum["value"][i]), learned(seed), curves)
        assert found[i].tolist() == pytest.approx((weight * want).tolist(), rel=1e-4, abs=1e-4)
        assert total[i] == pytest.approx(sum(x for x, counted in zip(found[i], counts, strict=True) if counted))


def test_every_family_belongs_to_a_detector_and_stands_once() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert sorted(f for detector in DETECTORS for f in family_numbers(detector)) == list(range(len(FAMILIES)))
    assert set(counts_of(dict.fromkeys((name.lower() for name in Sum._fields), 0.0))) == {f.name for f in SHARES}
    assert len(SHARES) + len(RATES) + 1 == evidence.N


def test_an_account_of_which_nothing_is_known_has_little_evidence() -> None:
    found, _ = weighed(params(), np.zeros((1, Sum.SIZE)))
    volume = NAMES.index("volume")
    assert found[0, volume] < 0.0  # to have reached for nobody is in one's favour
    assert not np.delete(found[0], volume).any()


@pytest.mark.parametrize("f", range(len(SHARES)), ids=[family.name for family in SHARES])
def test_the_ordinary_share_speaks_for_an_account_and_the_alternatives_against_it(f: int) -> None:
    """By as much either way, at the design effect of one contact: the sign follows which of the two is nearer."""
    reference = learned()
    reference.rho[:] = 0.0
    reference.share[OWN] = PRIOR[OWN, None]
    p = Params.of(reference, ODDS, ALL, PLAIN, EVEN)
    c = 4 * MINOR + 3 if FAMILIES[f].groups == "minors" else 15
    q = reference.share[f, c]
    q1 = 1.0 / (1.0 + (1.0 / q - 1.0) / ODDS[f])
    ordinary = 100.0 * (q * p.plus[f, c] + (1.0 - q) * p.minus[f, c])
    attack = 100.0 * (q1 * p.plus[f, c] + (1.0 - q1) * p.minus[f, c])
    assert ordinary < 0.0 < attack
    if OWN[f]:
        return
    # were the two hypotheses exchanged, so would be the signs: what speaks for one speaks against the other
    swapped = Reference(POLICY.baseline, np.array([s.prior for s in SHARES]), np.array([RATES[0].prior, 0.1]))
    swapped.share, swapped.rho = np.full_like(reference.share, q1), reference.rho
    back = Params.of(swapped, 1.0 / ODDS, ALL, PLAIN, EVEN)
    assert back.plus[f, c] == pytest.approx(-p.plus[f, c])
    assert back.minus[f, c] == pytest.approx(-p.minus[f, c])


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32 - 1), odds=st.floats(1.0, 64.0))
def test_odds_near_one_say_nothing_and_greater_odds_say_more_of_one_of_the_kind(seed: int, odds: float) -> None:
    p = params(odds=np.full(len(FAMILIES), odds), seed=seed)
    more = params(odds=np.full(len(FAMILIES), odds * 1.5), seed=seed)
    assert (p.plus >= -1e-12).all()
    assert (p.minus <= 1e-12).all()
    assert (more.plus >= p.plus).all()
    assert (more.minus <= p.minus).all()
    assert (p.slope >= -1e-12).all()
    assert all(np.isfinite(array).all() for array in (p.plus, p.minus, p.slope, p.offset))


@settings(max_examples=100)
@given(share=st.floats(1e-5, 0.999), step=st.floats(1.01, 50.0))
@pytest.mark.parametrize("f", range(len(SHARES)), ids=[family.name for family in SHARES])
def test_what_is_common_among_all_tells_less_of_an_attacker_with_a_rate_of_its_own(
    f: int, share: float, step: float
) -> None:
    """A sign found in everybody tells nothing; elsewhere the same alternative is assumed."""
    odds, prior = ODDS[: len(SHARES)], PRIOR[f]

    def assumed(q: float) -> tuple[float, float]:
        """The odds against an account there, and the alternative's share."""
        times = float(odds_against(np.full((len(SHARES), COHORTS), q), odds)[f, 0])
        return times, times * q / (1.0 - q + times * q)

    (times, there), (fewer, elsewhere) = assumed(share), assumed(share * step / (1.0 - share + share * step))
    assert assumed(float(prior))[0] == pytest.approx(odds[f])
    if not OWN[f]:
        assert times == fewer == odds[f]
        return
    alternative = odds[f] * prior / (1.0 - prior + odds[f] * prior)
    assert 1.0 <= fewer <= times <= odds[f] ** 2
    assert share - 1e-12 <= there <= max(alternative, share) + 1e-12
    if 1.0 < times < odds[f] ** 2:
        assert there == pytest.approx(alternative)
    if share >= alternative:
        assert times == 1.0
    assert elsewhere >= there - 1e-12


GROWS = {
    # family: the sum that is its k, or None where it is another thing; n must not move with it
    "strangers": Sum.STRANGERS,
    "minors": Sum.MINORS,
    "age_gap": Sum.GAP,
    "luring": Sum.LURING,
    "severe": Sum.SEVERE,
    "deep": Sum.DEEP,
    "luring_minors": Sum.LURING_MINORS,
    "severe_minors": Sum.SEVERE_MINORS,
    "deep_minors": Sum.DEEP_MINORS,
    "suspects": Sum.SUSPECTS,
    "not_peers": Sum.FAR,
    "shared": Sum.SHARED,
}
SWAPS = {
    # family: one more of the first and one fewer of the second, at the same n
    "refused": (Sum.REFUSED, Sum.WELCOME),
    "refused_by_minors": (Sum.REFUSED_MINORS, Sum.WELCOME_MINORS),
    "unanswered": (Sum.COLD, Sum.COLD_ANSWERED),
    "blocked": (Sum.BLOCKED, Sum.FIRST),
}


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32 - 1), by=st.floats(0.01, 1.0))
@pytest.mark.parametrize("name", [*GROWS, *SWAPS, "scattered"])
def test_more_of_the_kind_among_as_many_is_never_less_evidence(name: str, seed: int, by: float) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    sums, cohort = any_sums(rng, 20), rng.integers(0, COHORTS, 20)
    greater = sums.copy()
    if name in GROWS:
        greater[:, GROWS[name]] *= 1.0 + by
    elif name in SWAPS:
        more, less = SWAPS[name]
        step = by * sums[:, less]
        greater[:, more] += step
        greater[:, less] -= step
    else:
        greater[:, Sum.LINKED] *= 1.0 - by
    p, f = params(seed=seed % 7), NAMES.index(name)
    (before, _), (after, _) = weighed(p, sums, cohort), weighed(p, greater, cohort)
    assert (after[:, f] >= before[:, f] - 1e-4 * (1.0 + np.abs(before[:, f]))).all()


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32 - 1), by=st.floats(0.0, 50.0))
def test_more_strangers_are_never_less_volume_and_answered_ones_never_more_evidence(seed: int, by: float) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    sums, cohort = any_sums(rng, 20), rng.integers(0, COHORTS, 20)
    p = params(seed=seed % 7)
    before, _ = weighed(p, sums, cohort)
    greater = sums.copy()
    greater[:, [Sum.FIRST, Sum.STRANGERS]] += by
    volume = NAMES.index("volume")
    after, _ = weighed(p, greater, cohort)
    assert (after[:, volume] >= before[:, volume] - 1e-4 * (1.0 + np.abs(before[:, volume]))).all()
    welcome = sums.copy()
    welcome[:, [Sum.WELCOME, Sum.WELCOME_MINORS, Sum.COLD_ANSWERED]] += by
    answered = [NAMES.index(name) for name in ("refused", "refused_by_minors", "unanswered")]
    after, _ = weighed(p, welcome, cohort)
    gained = after[:, answered] - before[:, answered]
    # somebody with nothing but favour may have a little less of it: many who answer say less each
    assert (gained <= 1e-4 * (1.0 + np.abs(before[:, answered])))[before[:, answered] >= 0.0].all()


@settings(max_examples=60)
@given(any_rows(), st.integers(0, 2**32 - 1))
def test_no_family_says_more_than_the_policy_lets_it(table: NDArray[np.void], seed: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    sums = any_sums(rng, len(table)) * np.float32(rng.choice([1.0, 1e3, 1e6]))
    cusum = np.zeros(len(table), SUM)
    cusum["value"] = 1e6
    found, total = weighed(params(CURVES), sums, rng.integers(0, COHORTS, len(table)), table, cusum)
    assert np.isfinite(found).all()
    assert (found >= CURVES.worth[:, 0]).all()
    assert (found <= CURVES.worth[:, -1]).all()
    assert (total <= CURVES.worth[:, -1].sum()).all()


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32 - 1), more=st.floats(0.1, 50.0))
def test_who_lives_among_children_is_less_suspect_for_meeting_some_and_nobody_more_for_knowing_adults(
    seed: int, more: float
) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    sums, cohort = any_sums(rng, 20), rng.integers(0, COHORTS, 20)
    p, f = params(seed=seed % 7), NAMES.index("minors")
    children, adults = sums.copy(), sums.copy()
    children[:, [Sum.KNOWN, Sum.KNOWN_MINORS]] += more
    adults[:, Sum.KNOWN] += more
    (before, _), (among, _), (apart, _) = (weighed(p, v, cohort) for v in (sums, children, adults))
    whole = sums[:, Sum.MINORS] == sums[:, Sum.AGED]  # of those who meet nobody else, every child weighs less
    slack = 1e-4 * (1.0 + np.abs(before[:, f]))
    assert (among[:, f] <= before[:, f] + slack)[whole].all()
    nobody = sums.copy()
    nobody[:, [Sum.KNOWN, Sum.KNOWN_MINORS]] = 0.0
    assert (apart[:, f] <= weighed(p, nobody, cohort)[0][:, f] + slack)[whole].all()


def test_in_the_first_weeks_sums_are_compared_with_what_they_can_hold_by_then() -> None:
    """Half the strangers in sums that are half full are what all of them are in full ones."""
    early, late = learned(), learned()
    early.filled, late.filled = 0.5, 1.0
    late.mean = late.mean / 2.0
    one, other = (Params.of(reference, ODDS, ALL, PLAIN, EVEN) for reference in (early, late))
    np.testing.assert_allclose(one.slope, other.slope)
    np.testing.assert_allclose(one.offset, other.offset)


@pytest.mark.parametrize("cohort", range(COHORTS))
def test_families_speak_only_of_the_age_groups_that_they_are_about(cohort: int) -> None:
    cusum = np.zeros(1, SUM)
    cusum["value"] = 5.0
    sums = np.full((1, Sum.SIZE), 8.0)
    sums[0, Sum.LINKED] = 0.0
    found, _ = weighed(params(seed=1), sums, cohort, cusum=cusum)
    for f, family in enumerate(FAMILIES):
        about = family.groups == "all" or (cohort // 4 == MINOR) == (family.groups == "minors")
        said_of_others = f in [NAMES.index(x) for x in ("luring", "severe", "deep")]  # n is 0 in these sums
        assert (found[0, f] != 0.0) == (about and not said_of_others), family.name


@pytest.mark.parametrize("role", list(Role))
def test_roles_that_a_policy_vouches_for_are_spared_what_their_work_brings(role: Role) -> None:
    cusum = np.zeros(1, SUM)
    cusum["value"] = 5.0
    sums = np.full((1, Sum.SIZE), 8.0)
    table = rows(1, roles=int(role))
    found, _ = weighed(params(), sums, table=table, cusum=cusum)
    plain_found, _ = weighed(params(), sums, cusum=cusum)
    for f, family in enumerate(FAMILIES):
        spared = (family.detector == "minor_targeting" and role & MASKS[0]) or (
            family.name == "volume" and role & MASKS[1]
        )
        assert found[0, f] == (0.0 if spared else plain_found[0, f]), family.name


def test_the_masks_are_those_of_the_policy() -> None:
    detectors = POLICY.detectors
    assert role_bits(detectors.minor_targeting.exempt_roles) & role_bits(["educator"])
    assert role_bits(detectors.mass_add.exempt_roles) == Role.MODERATOR


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_sums_of_evidence_do_not_depend_on_how_many_are_asked_for(seed: int, n: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    nats, weights = rng.normal(0, 5, (n, len(FAMILIES))), rng.choice([0.0, 1.0], (len(FAMILIES), 3))
    whole = np.empty((n, 3))
    add_up(nats, np.arange(n), weights, whole)
    assert whole == pytest.approx(nats @ weights, abs=1e-9)
    for i in range(n):
        alone = np.empty((1, 3))
        add_up(nats, np.array([i]), weights, alone)
        np.testing.assert_array_equal(alone[0], whole[i])


@given(st.integers(0, 2**32 - 1))
def test_what_references_learn_is_what_evidence_compares(seed: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    sums = any_sums(rng, 10)
    k, n, rate = np.zeros((10, len(SHARES))), np.zeros((10, len(SHARES))), np.zeros((10, 2))
    fill_counts(sums, k, n, rate)
    for i in range(10):
        v = dict(zip((name.lower() for name in Sum._fields), sums[i].tolist(), strict=False))
        want = counts_of(v)
        assert k[i].tolist() == pytest.approx([want[family.name][0] for family in SHARES], rel=1e-5, abs=1e-5)
        assert n[i].tolist() == pytest.approx([want[family.name][1] for family in SHARES], rel=1e-5, abs=1e-5)
        assert rate[i].tolist() == pytest.approx([v["strangers"] - v["linked"], v["minors"]], rel=1e-5, abs=1e-4)
