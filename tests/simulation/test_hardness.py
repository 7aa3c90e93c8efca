"""The streams are hard, and can be solved: no single feature separates, labels help, and do not make it easy.

Every count by itself, the signs, the complaints and plain limits stay below an average precision of 0.5, and the
supervised reference below 0.95.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.detection_data import CONTACTS, Job, Run, feature_names, features, gather
from benchmarks.detection_peers import PEERS
from benchmarks.detection_reference import Reference
from detectors.evaluation import average_precision
from graph.batch import EventKind
from simulation.kinds import KINDS

QUICK = "social"


def single_features(run: Run) -> dict[str, np.ndarray]:
    """Return, for each account, one number a feature: the highest it had, or how often it occurred."""
    found: dict[str, np.ndarray] = {}
    table = features(run.rows)
    for at, name in enumerate(feature_names(run.rows.dtype)):
        highest = np.full(len(run), -np.inf)
        np.maximum.at(highest, run.who, np.nan_to_num(table[:, at]))
        found[name] = highest
        lowest = np.full(len(run), np.inf)
        np.minimum.at(lowest, run.who, np.nan_to_num(table[:, at]))
        found[f"low {name}"] = -lowest
    events = run.events
    signed = events[events["signs"] > 0]
    for bit in range(9):
        sent = signed["actor"][(signed["signs"] >> bit) & 1 == 1]
        found[f"sign {bit}"] = np.bincount(sent, minlength=len(run)).astype(float)
    for kind in EventKind:
        part = events[events["kind"] == kind]
        found[f"sent {kind.name}"] = np.bincount(part["actor"], minlength=len(run)).astype(float)
        got = part["target"][part["target"] >= 0]
        found[f"got {kind.name}"] = np.bincount(got, minlength=len(run)).astype(float)
    complaints = np.isin(events["kind"], [EventKind.ACCOUNT_BLOCKED, EventKind.ACCOUNT_REPORTED])
    found["complaints"] = np.bincount(events["target"][complaints], minlength=len(run)).astype(float)
    out = events[np.isin(events["kind"], CONTACTS)]
    first = np.unique(out["actor"].astype(np.int64) * len(run) + out["target"])
    found["targets"] = np.bincount(first // len(run), minlength=len(run)).astype(float)
    return found


@pytest.mark.parametrize(
    "kind", [kind if kind == QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
def test_no_feature_separates_attackers_and_labels_do_not_make_it_easy(kind: str):
    run = gather(Job(kind, 21, 4_000, 12.0))
    truth = run.harmful
    for name, values in single_features(run).items():
        for ranking in (values, -values):
            assert average_precision(ranking, truth) < 0.5, name
    limits = {name: average_precision(peer(run).highest(len(run)), truth) for name, peer in PEERS.items()}
    assert max(limits.values()) < 0.5, limits
    # and yet there is something to find
    assert limits["minors a week"] > 4 * truth.mean()
    learned = Reference([gather(Job(kind, seed, 4_000, 12.0)) for seed in (22, 23)], sums=True)(run)
    assert max(limits.values()) < average_precision(learned.highest(len(run)), truth) < 0.95
