"""The feature table: what detectors see of an account, a row as of one event."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.cohorts import cohort_of
from graph.jit import njit
from graph.state import COLUMNS

__all__ = ["WINDOW_NAMES", "FeatureTable", "answered_in", "column", "outreach", "outreach_in"]

WINDOW_NAMES: Final = ("1h", "24h", "7d")
_INDEX: Final = {name: i for i, name in enumerate(COLUMNS)}


def column(name: str) -> tuple[int, ...]:
    """Return where a count stands in each window; -1 where the window does not have it."""
    return tuple(_INDEX.get(f"{name}_{window}", -1) for window in WINDOW_NAMES)


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


@njit
def fill_outreach(counts: Any, found: Any) -> Any:
    """Write the outreach of rows of counts in each window into `found`."""
    for i in range(len(counts)):
        for w in range(3):
            found[i, w] = outreach_in(counts[i], w)


def outreach(counts: NDArray[Any]) -> NDArray[np.int64]:
    """Return the outreach of rows of counts in each window, shape (n, 3)."""
    found = np.empty((len(counts), 3), np.int64)
    fill_outreach(counts, found)
    return found


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

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column by name: one of the window counts, or a field of a row."""
        at = _INDEX.get(name)
        return self.rows[name] if at is None else self.rows["counts"][:, at].astype(np.int64)

    def value(self, name: str, i: int) -> int:
        """Return one window count of one row."""
        return int(self.rows["counts"][i, _INDEX[name]])
