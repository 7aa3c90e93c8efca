"""The feature table: what detectors see of an account, a row as of one event."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.cohorts import cohort_of
from graph.jit import njit
from graph.state import COLUMNS

__all__ = ["WINDOW_NAMES", "FeatureTable", "answered_in", "column", "column_number", "outreach_in"]

WINDOW_NAMES: Final = ("1h", "24h", "7d")
MASS_LIMIT: Final = 1
"""Number of the plain limit on strangers in the first window; the others follow."""
MINOR_LIMIT: Final = 4
VOUCHED_LIMIT: Final = 7
_INDEX: Final = {name: i for i, name in enumerate(COLUMNS)}


def column(name: str) -> tuple[int, ...]:
    """Return where a count stands in each window; -1 where the window does not have it."""
    return tuple(_INDEX.get(f"{name}_{window}", -1) for window in WINDOW_NAMES)


def column_number(name: str, w: int) -> int:
    """Return where a count stands in window `w`; -1 where the window does not have it."""
    return _NUMBERS.get((name, w), -1)


_NUMBERS: Final = {(n.rpartition("_")[0], WINDOW_NAMES.index(n.rpartition("_")[2])): i for i, n in enumerate(COLUMNS)}
_STRANGERS: Final = column("strangers")
_LINKED: Final = column("linked")
_ACCEPTED: Final = column("accepted")
_REPLIED: Final = column("replied")


@njit
def answered_in(counts: Any, w: int) -> Any:
    """Return how many first contacts in window `w` were welcome: the larger of accepted and replied to."""
    if _ACCEPTED[w] < 0:
        return np.int64(0)
    return max(np.int64(counts[_ACCEPTED[w]]), np.int64(counts[_REPLIED[w]]))


@njit
def outreach_in(counts: Any, w: int) -> Any:
    """Return the strangers contacted in window `w`, less those linked, less the contacts answered; never below 0."""
    scattered = np.int64(counts[_STRANGERS[w]]) - np.int64(counts[_LINKED[w]])
    return max(scattered - answered_in(counts, w), np.int64(0))


class FeatureTable:
    """Rows of features with named columns.

    Parameters
    ----------
    rows : ndarray of graph.state.FEATURES, shape (n,)

    Attributes
    ----------
    rows : ndarray of graph.state.FEATURES
    cohort : ndarray of int64, shape (n,)
    age_group : ndarray of int64, shape (n,)
    """

    def __init__(self, rows: NDArray[np.void]) -> None:
        self.rows = rows
        self.cohort = cohort_of(rows["age"], rows["created"], rows["time"] // 1000)
        self.age_group = self.cohort // 4

    def __len__(self) -> int:
        return len(self.rows)
