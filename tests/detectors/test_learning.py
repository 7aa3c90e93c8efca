"""Learning from decisions: weights move towards what decisions bear out, and no further than they may."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.learning import LEAST, STEP, line_factor, weights_of

seeds = st.integers(0, 2**32 - 1)


def decided(seed: int, cases: int, weight: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Cases with evidence of some detectors, decided by people for whom a nat of each is worth `weight`."""
    rng = np.random.Generator(np.random.PCG64(seed))
    evidence = rng.gamma(1.0, 4.0, (cases, len(weight))) * (rng.random((cases, len(weight))) < 0.6)
    odds = 0.35 * (evidence @ weight - (evidence @ weight).mean())
    confirmed = rng.random(cases) < 1.0 / (1.0 + np.exp(-odds))
    confirmed[:LEAST], confirmed[LEAST : 2 * LEAST] = True, False
    return evidence, confirmed


@settings(max_examples=100)
@given(seed=seeds, cases=st.integers(2 * LEAST, 400), detectors=st.integers(1, 10))
def test_weights_are_bounded_and_do_not_depend_on_the_order_of_cases(seed: int, cases: int, detectors: int) -> None:
    evidence, confirmed = decided(seed, cases, np.linspace(0.0, 3.0, detectors))
    found = weights_of(evidence, confirmed)
    assert found.shape == (detectors,)
    assert ((found >= 1 / STEP - 1e-9) & (found <= STEP + 1e-9)).all()
    order = np.random.default_rng(seed).permutation(cases)
    assert weights_of(evidence[order], confirmed[order]) == pytest.approx(found, abs=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_a_detector_that_misleads_loses_weight_and_one_that_is_right_gains(seed: int) -> None:
    evidence, confirmed = decided(seed, 3000, np.array([0.3, 1.0, 1.0, 1.8]))
    found = weights_of(evidence, confirmed)
    assert found[0] < 0.85
    assert found[3] > 1.15
    assert found[0] < found[1:3].min()
    assert found[1:3].max() < found[3]


@settings(max_examples=30)
@given(seed=seeds)
def test_a_detector_that_never_spoke_keeps_its_weight(seed: int) -> None:
    evidence, confirmed = decided(seed, 300, np.array([1.0, 2.0, 1.0]))
    evidence[:, 2] = 0.0
    assert weights_of(evidence, confirmed)[2] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_few_decisions_move_little(seed: int) -> None:
    """With so few, most of what seems to be learned is chance."""
    few, many = (np.abs(np.log(weights_of(*decided(seed, n, np.array([0.3, 1.0, 2.0]))))).max() for n in (40, 4000))
    assert few < many


def test_too_few_are_refused() -> None:
    evidence, confirmed = decided(1, 100, np.ones(3))
    confirmed[:] = np.arange(100) < LEAST - 1
    with pytest.raises(ValueError, match="at least 20 confirmed and 20 dismissed"):
        weights_of(evidence, confirmed)


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.01, 0.99))
def test_more_confirmed_cases_never_make_flags_rarer(confirmed: int, dismissed: int, wanted: float) -> None:
    factor = line_factor(confirmed, dismissed, wanted)
    assert factor in (0.5, 1.0, 2.0)
    assert line_factor(confirmed + 1, dismissed, wanted) >= factor
    assert line_factor(confirmed, dismissed + 1, wanted) <= factor
    if confirmed + dismissed > 0 and factor != 1.0:
        assert (confirmed / (confirmed + dismissed) > wanted) == (factor == 2.0)


def test_without_cases_a_line_stays() -> None:
    assert line_factor(0, 0, 0.3) == 1.0
