"""What a detector is: families of evidence, and the words for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.cohorts import describe
from detectors.evidence import FAMILIES, SHARES, share_counts
from detectors.reference import Reference
from detectors.sums import Sum
from detectors.table import WINDOW_NAMES, column_number
from graph.state import DAY, HOUR

__all__ = ["LENGTHS", "Case", "Detector", "Story"]

LENGTHS: Final = (HOUR, DAY, 7 * DAY)
_RECENT: Final = [f"recent_{name.lower()}" for name in Sum._fields]
_NUMBER: Final = {family.name: i for i, family in enumerate(FAMILIES)}


@dataclass(frozen=True, slots=True)
class Case:
    """One row that is to be explained: what it was judged by, and nothing else.

    Attributes
    ----------
    row : record of graph.state.FEATURES
    cohort : int
    sums : ndarray of float32, shape (Sum.SIZE,)
        The account's fading sums as of the row.
    cusum : record of detectors.cusum.SUM
    nats : ndarray, shape (families,)
        The evidence, by family.
    reference : Reference
        As it was when the row was judged.
    evidence_list : list of float
        The evidence by family, in their order.
    """

    row: Any
    cohort: int
    sums: NDArray[np.float32]
    cusum: Any
    nats: NDArray[np.float64]
    reference: Reference
    evidence_list: list[float] = field(init=False)
    _counts: list[list[float]] = field(init=False)
    _windows: list[int] = field(init=False)
    _sums: list[float] = field(init=False)

    def __post_init__(self) -> None:
        # lists, since single numbers are read, and many: an array makes an object of each
        shares = np.zeros((2, len(SHARES)))
        share_counts(self.sums, shares[0], shares[1])
        object.__setattr__(self, "_counts", shares.tolist())
        object.__setattr__(self, "_windows", self.row["counts"].tolist())
        object.__setattr__(self, "_sums", self.sums.tolist())
        object.__setattr__(self, "evidence_list", self.nats.tolist())

    @property
    def who(self) -> str:
        """The account's age group, to begin a sentence with."""
        return describe(self.cohort).split(",")[0].capitalize()

    def window(self, name: str, w: int) -> int:
        """Return one window count."""
        return self._windows[column_number(name, w)]

    def sum(self, which: int) -> float:
        """Return one fading sum."""
        return self._sums[which]

    def share(self, family: str) -> tuple[float, float, float]:
        """Return k, n, and the ordinary share of a family."""
        f = _NUMBER[family]
        k, n = self._counts
        return k[f], n[f], float(self.reference.share[f, self.cohort])

    def evidence(self, family: str) -> float:
        """Return the evidence of a family, in nats."""
        return self.evidence_list[_NUMBER[family]]

    def best_window(self, name: str) -> int:
        """Return the shortest window that holds most of what the longest holds."""
        week = self.window(name, 2)
        return next(w for w in range(3) if 3 * self.window(name, w) >= 2 * week)


class Story(Struct, frozen=True):
    """What a detector says of a case.

    Attributes
    ----------
    explanation : str
        One sentence.
    features, baseline : dict of str to number
        What was counted, and what is usual, beside what all detectors state.
    length : int
        How far back the evidence lies, ms.
    mask : int
        Pair flags (see `graph.state`) of the contacts to show.
    """

    explanation: str
    features: dict[str, float]
    baseline: dict[str, float]
    length: int
    mask: int


class Detector(Protocol):
    """One pattern of behaviour: which families speak for it, and how to say so.

    Scores are computed for all detectors at once (`detectors.evidence`); a detector has no state.
    """

    name: str

    def explain(self, case: Case) -> Story:
        """Say what the detector's families rest on in a case."""
        ...


def digits(value: float) -> float:
    """Return what is usual with three digits that matter: a rare thing is not nothing.

    Examples
    --------
    >>> digits(0.254321), digits(0.000012345), digits(12.3456)
    (0.254, 1.23e-05, 12.3)
    """
    return float(f"{value:.3g}")


def windows(case: Case, *names: str) -> dict[str, float]:
    """Return window counts by column name."""
    counts = case._windows
    return {name: counts[number] for name, number in _columns(names)}


@lru_cache
def _columns(names: tuple[str, ...]) -> list[tuple[str, int]]:
    """Return the columns that hold some counts, in every window that has them: name and number."""
    found = [(f"{name}_{window}", column_number(name, w)) for name in names for w, window in enumerate(WINDOW_NAMES)]
    return [(name, number) for name, number in found if number >= 0]


def recent(case: Case, *which: int) -> dict[str, float]:
    """Return fading sums by name."""
    return {_RECENT[i]: round(case.sum(i), 2) for i in which}
