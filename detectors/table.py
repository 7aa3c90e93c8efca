"""The feature table: what detectors see of an account, a row as of one event."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.cohorts import age_group, cohort_of
from graph.state import COLUMNS

__all__ = ["WINDOW_NAMES", "FeatureTable"]

WINDOW_NAMES: Final = ("1h", "24h", "7d")
_INDEX: Final = {name: i for i, name in enumerate(COLUMNS)}


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
        self.age_group = age_group(rows["age"])
        self.cohort = cohort_of(rows["age"], rows["created"], rows["time"] // 1000)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column by name: one of the window counts, or a field of a row."""
        at = _INDEX.get(name)
        return self.rows[name] if at is None else self.rows["counts"][:, at].astype(np.int64)

    def windows(self, name: str) -> NDArray[np.int64]:
        """Return a count over the three windows, shape (n, 3)."""
        return np.stack([self[f"{name}_{w}"] for w in WINDOW_NAMES], axis=1)

    def value(self, name: str, i: int) -> int:
        """Return one window count of one row."""
        return int(self.rows["counts"][i, _INDEX[name]])
