"""What a detector is: scores for a table of rows, and the evidence for one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.baseline import Baseline
from detectors.table import FeatureTable

__all__ = ["Detector", "Evidence", "Scored"]


@dataclass(frozen=True, slots=True)
class Scored:
    """What a detector makes of a table.

    Attributes
    ----------
    nats : ndarray of float64, shape (n,)
        Evidence: minus the natural logarithm of a probability under the baseline; 0 says nothing.
    count : ndarray of int64, shape (n,)
        The count that the evidence rests on, for telling growth.
    detail : dict of str to ndarray, each with n entries
        What the detector needs again to explain a row; evidence is read from here and from the row, so that
        what a reviewer is shown is why it was flagged.
    """

    nats: NDArray[np.float64]
    count: NDArray[np.int64]
    detail: dict[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why one row was flagged.

    Attributes
    ----------
    features, thresholds, baseline : dict of str to number
    window : int
        The length of the window that the evidence lies in, ms.
    mask : int
        Pair flags (see `graph.state`) of the contacts to show.
    explanation, counterfactual : str
        Each one sentence.
    """

    features: dict[str, float]
    thresholds: dict[str, float]
    baseline: dict[str, float]
    window: int
    mask: int
    explanation: str
    counterfactual: str


class Detector(Protocol):
    """One pattern of behaviour.

    A detector is deterministic in the order of rows and ticks; how rows are cut into tables makes no difference.
    What it carries from row to row stands in the attributes that `STATE` names (see `graph.kept`).
    """

    STATE: ClassVar[tuple[str, ...]]
    name: str
    shadow: bool
    weight: float  # what a nat counts for in the score

    def score(self, table: FeatureTable, baseline: Baseline) -> Scored:
        """Return the evidence in each row; may carry state of its own from row to row."""
        ...

    def explain(self, table: FeatureTable, scored: Scored, i: int, baseline: Baseline) -> Evidence:
        """Return the evidence of row `i`."""
        ...

    def learn(self, time: int) -> None:
        """Learn from the rows scored so far; called at every tick of event time, epoch ms, after the baseline."""
        ...

    def forget(self, accounts: NDArray[np.uint32]) -> None:
        """Drop all state of the accounts in these rows of the shard: they are gone."""
        ...
