"""The supervised reference: gradient boosting with labels, on the very features that detectors see, as of each event.

It marks how far detection without labels has to go: it is told, on streams of other seeds, which accounts do harm.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from benchmarks.detection_data import Run, features
from detectors.evaluation import Steps
from graph.state import FIRST

__all__ = ["Reference", "so_far"]

MODELS: Final = 2
INNOCENT_ROWS: Final = 120_000


def so_far(run: Run) -> NDArray[np.float32]:
    """Return for each row what the account's rows up to it came to, one column a kind of thing."""
    rows, first = run.rows, run.rows["what"] == FIRST
    columns = [rows["what"] == what for what in np.unique(rows["what"])]
    columns += [first & (rows["target_age"] == band) for band in range(6)]
    columns += [first & (rows["mutual"] > 0), first & (rows["flags"] & 1 > 0)]
    columns += [(rows["flags"] >> bit) & 1 > 0 for bit in range(9)]
    columns += [(rows["new_signs"] >> bit) & 1 > 0 for bit in range(9)]
    columns += [rows["kind"] == kind for kind in np.unique(rows["kind"])]
    order = np.argsort(run.who, kind="stable")
    who = run.who[order]
    begins = np.searchsorted(who, who)
    table = np.empty((len(rows), len(columns)), np.float32)
    for at, column in enumerate(columns):
        sums = np.cumsum(column[order].astype(np.int64))
        table[order, at] = sums - sums[begins] + column[order][begins]
    return table


class Reference:
    """A classifier of rows of features; an account's score is the highest of its rows.

    Parameters
    ----------
    runs : list of Run
        Labelled streams to learn from: of other seeds than those it is measured on.
    sums : bool
        Also give it what each account's rows came to so far, since the beginning of the stream: how often each kind of
        row, of target, of outcome and of sign. No window forgets there, so that it marks how far memory could go.
    evidence : bool
        Give it nothing but the evidence by family that our own sum adds up. What it finds beyond that sum lies in how
        families go together, not in what they see.
    """

    def __init__(self, runs: list[Run], *, sums: bool = False, evidence: bool = False) -> None:
        self._sums = sums
        self._evidence = evidence
        rng = np.random.Generator(np.random.PCG64(0))
        tables, truths, weights = [], [], []
        for run in runs:
            kept = self._useful(run, rng, INNOCENT_ROWS // len(runs))
            truth = run.harmful[run.who[kept]]
            tables.append(self._table(run)[kept])
            truths.append(truth)
            # an account with many rows must not drown one with few; innocent rows are a sample
            rows = np.bincount(run.who[kept], minlength=len(run))[run.who[kept]]
            weights.append(1.0 / np.sqrt(rows))
        table, truth, weight = np.concatenate(tables), np.concatenate(truths), np.concatenate(weights)
        self._models = [
            HistGradientBoostingClassifier(
                max_iter=150,
                learning_rate=0.08,
                max_leaf_nodes=31,
                min_samples_leaf=40,
                l2_regularization=1.0,
                max_features=0.5,
                early_stopping=False,
                random_state=number,
            )
            for number in range(MODELS)
        ]
        with threadpool_limits(1):  # threads that wait for one another by spinning are slow on a busy machine
            for model in self._models:
                model.fit(table, truth, sample_weight=weight)

    def _table(self, run: Run) -> NDArray[np.float32]:
        if self._evidence:
            return run.nats
        table = features(run.rows)
        return np.hstack([table, so_far(run)]) if self._sums else table

    @staticmethod
    def _useful(run: Run, rng: np.random.Generator, innocent: int) -> NDArray[np.int64]:
        """Return rows to learn from: those of attackers once they are at it, and a sample of all others."""
        begun = np.full(len(run), np.inf)
        np.minimum.at(begun, run.victim, run.reached)
        begun[~np.isfinite(begun)] = -np.inf  # reached no child: learn from all that they did
        harmful = run.harmful[run.who]
        attacks = np.flatnonzero(harmful & (run.rows["time"] >= begun[run.who]))
        others = np.flatnonzero(~harmful)
        chosen = rng.choice(others, min(innocent, len(others)), replace=False)
        return np.sort(np.concatenate([attacks, chosen]))

    def __call__(self, run: Run) -> Steps:
        """Return the score of each row of a stream: the mean probability."""
        table = self._table(run)
        with threadpool_limits(1):
            chance = np.mean([model.predict_proba(table)[:, 1] for model in self._models], axis=0)
        return Steps(run.who, run.rows["time"].astype(np.float64), chance)
