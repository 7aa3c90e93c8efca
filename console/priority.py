"""In which order cases are looked at: one number from scores, severity, minors recently reached, and age.

Points: up to 60 for the fused score, 25 for severity, 15 for minors reached, and a tenth of a point for every hour a
case waits, so that nothing waits for ever: a low one overtakes a new high one after about three weeks. Since all cases
age at the same rate, their order does not change with time, and `rank` (points less the age at a fixed date) can be
stored and indexed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import msgspec

__all__ = ["Priority", "fused", "parts", "points_now", "rank_of"]

EPOCH: Final = 1_767_225_600_000
"""2026-01-01; ranks are points as of then."""
AN_HOUR: Final = 0.1
MANY_MINORS: Final = 50


class Priority(msgspec.Struct, frozen=True):
    """The parts of a case's points, so that a reviewer can see why it stands where it stands."""

    score: float
    severity: float
    minors: float
    age: float

    @property
    def total(self) -> float:
        """All together."""
        return self.score + self.severity + self.minors + self.age


def fused(scores: Iterable[float]) -> float:
    """Return one score for several detectors: the chance that not all are wrong, were they independent (noisy-or).

    Examples
    --------
    >>> round(fused([0.5, 0.5]), 2), fused([])
    (0.75, 0.0)
    """
    return 1.0 - math.prod(1.0 - score for score in scores)


def parts(score: float, severity: int, minors: int, waiting_ms: float) -> Priority:
    """Return the parts of the points of a case that has waited for so long."""
    reached = min(math.log1p(minors) / math.log1p(MANY_MINORS), 1.0)
    return Priority(60 * score, 25 * severity / 3, 15 * reached, AN_HOUR * waiting_ms / 3_600_000)


def rank_of(score: float, severity: int, minors: int, opened_at: int) -> float:
    """Return what cases are sorted by, the largest first."""
    return parts(score, severity, minors, EPOCH - opened_at).total


def points_now(rank: float, now: int) -> float:
    """Return the points behind a rank as of now."""
    return rank + AN_HOUR * (now - EPOCH) / 3_600_000
