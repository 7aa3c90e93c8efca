"""What evidence is worth: for each family a line that rises with what its model says, and never falls.

A log Bayes factor is only so good as the two models that it compares, and families see the same contacts: what one
says, others say again. How much a nat of a family tells beside all others is therefore read off a curve, which is part
of the policy. Curves flatten: no family decides alone, whatever it says. They are those of a logistic regression,
additive in the families, with every increment held at zero or above (`benchmarks/calibration.py`).

Source: calibration and fusion of likelihood ratios, as in Brümmer and du Preez, "Application-independent evaluation of
speaker detection", Computer Speech and Language 20 (2006); Morrison, "Tutorial on logistic-regression calibration and
fusion", Australian Journal of Forensic Sciences 45 (2013).
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graph.jit import njit

__all__ = ["AT", "Curves", "problem_of", "worth"]

AT: Final = "at"
"""The name of the points at which all curves are given."""
MOST_POINTS: Final = 40
MOST_NATS: Final = 1000.0


@njit
def worth(x: float, at: Any, zero: int, curves: Any, f: int) -> Any:
    """Return what raw evidence `x` of family `f` is worth: on lines between (at, curve), flat beyond their ends.

    `zero` is the place of 0 in `at`.
    """
    if x == 0.0:
        return 0.0
    if x <= at[0]:
        return curves[f, 0]
    for i in range(zero + 1 if x > 0.0 else 1, len(at)):
        if x < at[i]:
            low, high = curves[f, i - 1], curves[f, i]
            return min(low + (high - low) * ((x - at[i - 1]) / (at[i] - at[i - 1])), high)
    return curves[f, len(at) - 1]


@dataclass(frozen=True, slots=True)
class Curves:
    """What evidence is worth.

    Attributes
    ----------
    at : ndarray, shape (k,)
        Raw evidence, in nats, rising; 0 is among it.
    worth : ndarray, shape (families, k)
        What so much of each family is worth, in nats; never falling, and 0 at 0.
    """

    at: NDArray[np.float64]
    worth: NDArray[np.float64]
    _points: list[float] = field(init=False)
    _lines: list[list[float]] = field(init=False)

    def __post_init__(self) -> None:
        # one number at a time is read faster from lists
        object.__setattr__(self, "_points", self.at.tolist())
        object.__setattr__(self, "_lines", self.worth.tolist())

    @property
    def zero(self) -> int:
        """The place of 0 in `at`."""
        return self._points.index(0.0)

    def reach(self, f: int, goal: float) -> float | None:
        """Return the least raw evidence of family `f` that is worth `goal`; None if the least of all is."""
        curve, at = self._lines[f], self._points
        i = bisect_left(curve, goal)
        if i in (0, len(curve)):
            return None
        low, begin = curve[i - 1], at[i - 1]
        return begin + (at[i] - begin) * (goal - low) / (curve[i] - low)

    @classmethod
    def of(cls, curves: dict[str, list[float]], names: list[str]) -> Curves:
        """Return the curves of a policy, for the families of these names, in their order."""
        return cls(np.array(curves[AT], np.float64), np.array([curves[name] for name in names], np.float64))


def problem_of(curves: dict[str, Any]) -> str | None:
    """Return what is wrong with the curves of a policy, after the name of the one that is; None if nothing is."""
    for name, curve in curves.items():
        if not isinstance(curve, list) or not all(type(x) in (int, float) for x in curve):
            return f"{name}: expected a list of numbers"
    at = curves[AT]
    rising = all(low < high for low, high in itertools.pairwise(at))
    if not 2 <= len(at) <= MOST_POINTS or not rising or not _ordinary(at) or 0.0 not in at:
        return f"{AT}: expected 2 to {MOST_POINTS} rising numbers, and 0 among them"
    zero = at.index(0.0)
    for name, curve in curves.items():
        if len(curve) != len(at):
            return f"{name}: expected {len(at)} numbers, one for each of `{AT}`"
        if not _ordinary(curve) or any(low > high for low, high in itertools.pairwise(curve)):
            return f"{name}: a curve never falls, and its numbers are at most {MOST_NATS:g}"
        if curve[zero] != 0.0:
            return f"{name}: no evidence is worth nothing, so that the curve is 0 at 0"
    return None


def _ordinary(numbers: list[float]) -> bool:
    return all(math.isfinite(x) and abs(x) <= MOST_NATS for x in numbers)
