"""Rows of features for tests of detectors: `rows(n, minors_7d=5, ...)`; what is not named is 0 or unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import tests.strategies  # noqa: F401  loads the profile with no deadlines
from detectors.baseline import Baseline
from detectors.cohorts import COHORTS
from detectors.policy import default_policy
from graph.batch import AgeBand
from graph.state import COLUMNS, DAY, FEATURES, FIRST, MINOR, STRANGER

__all__ = ["NOW", "baseline", "rows"]

NOW = 1_767_225_600_000 + 10 * DAY


def rows(n: int, **columns: Any) -> NDArray[np.void]:
    """Return `n` rows of adults' first contacts, one account each, an hour's contacts at one time."""
    table = np.zeros(n, FEATURES)
    table["time"] = NOW
    table["age"] = AgeBand.AGE_21_PLUS
    table["account"] = np.arange(n)
    table["hash"] = np.arange(n) + 1
    table["what"] = FIRST
    table["flags"] = STRANGER | MINOR
    table["created"] = NOW // 1000 - 400 * 86_400
    for name, value in columns.items():
        if name in COLUMNS:
            table["counts"][:, COLUMNS.index(name)] = value
        else:
            table[name] = value
    return table


def baseline(*, share: float = 0.1, mean: float = 1.0) -> Baseline:
    """Return a baseline that has learned the same of every cohort."""
    learned = Baseline(default_policy().baseline)
    learned.mean[:] = mean
    learned.shape[:] = 1.0
    learned.minor_share[:] = share
    learned.minor_alpha = np.full(COHORTS, 20.0 * share)
    learned.minor_beta = np.full(COHORTS, 20.0 * (1.0 - share))
    learned.minor_rate[:] = 0.01
    return learned
