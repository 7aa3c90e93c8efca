"""Curves: what evidence is worth never falls with it, is on a line between the points, and can be asked backwards."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.curves import Curves, problem_of, worth
from detectors.evidence import FAMILIES
from detectors.policy import default_policy

NAMES = [family.name for family in FAMILIES]
DEFAULT = Curves.of(default_policy().evidence.curves, NAMES)
NATS = st.floats(-30.0, 30.0)


@st.composite
def any_curves(draw: st.DrawFn) -> Curves:
    """Curves of one family."""
    below = draw(st.lists(st.floats(-20.0, -0.01), max_size=6, unique=True))
    above = draw(st.lists(st.floats(0.01, 20.0), min_size=1, max_size=6, unique=True))
    at = np.array(sorted([*below, 0.0, *above]))
    steps = draw(st.lists(st.sampled_from([0.0, 0.1, 1.0, 5.0]), min_size=len(at), max_size=len(at)))
    curve = np.cumsum(steps)
    return Curves(at, (curve - curve[len(below)])[None, :])


@settings(max_examples=300)
@given(any_curves(), st.lists(NATS, min_size=1, max_size=20))
def test_it_is_linear_between_the_points_and_flat_beyond_them(curves: Curves, nats: list[float]) -> None:
    found = [worth(x, curves.at, curves.zero, curves.worth, 0) for x in nats]
    assert found == pytest.approx(np.interp(nats, curves.at, curves.worth[0]).tolist(), abs=1e-9)
    assert worth(0.0, curves.at, curves.zero, curves.worth, 0) == 0.0


@settings(max_examples=300)
@given(any_curves(), st.lists(NATS, min_size=2, max_size=40))
def test_more_evidence_is_never_worth_less(curves: Curves, nats: list[float]) -> None:
    nats = sorted([*nats, *curves.at.tolist(), *np.nextafter(curves.at, -99).tolist()])
    found = [worth(x, curves.at, curves.zero, curves.worth, 0) for x in nats]
    assert found == sorted(found)


@settings(max_examples=300)
@given(any_curves(), st.floats(0.0, 1.0))
def test_the_least_evidence_that_is_worth_so_much_is_found(curves: Curves, part: float) -> None:
    low, high = curves.worth[0, 0], curves.worth[0, -1]
    goal = float(low + part * (high - low))
    least = curves.reach(0, goal)
    if least is None:
        assert goal <= low
        return
    assert worth(least + 1e-6, curves.at, curves.zero, curves.worth, 0) >= goal - 1e-9
    assert worth(least - 1e-3, curves.at, curves.zero, curves.worth, 0) < goal


def test_no_evidence_reaches_more_than_the_top() -> None:
    assert DEFAULT.reach(0, float(DEFAULT.worth[0, -1]) + 0.01) is None
    assert DEFAULT.reach(0, float(DEFAULT.worth[0, 0])) is None


def test_by_the_default_every_family_is_worth_something_and_none_decides_alone() -> None:
    def at(x: float) -> NDArray[np.float64]:
        return np.array([worth(x, DEFAULT.at, DEFAULT.zero, DEFAULT.worth, f) for f in range(len(NAMES))])

    assert problem_of(default_policy().evidence.curves) is None
    assert (at(4.0) >= 0.99).all()  # a quarter of what the model says
    assert (np.diff([at(x) for x in (0.0, 0.5, 1.0, 2.0, 4.0)], axis=0) > 0.0).all()
    tops = DEFAULT.worth[:, -1]
    assert tops.max() <= 0.25 * tops.sum()
    assert (DEFAULT.worth[:, 0] >= -tops.max()).all()  # nor does favour
