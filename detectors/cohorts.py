"""Cohorts: the groups within which behaviour is compared, by age band and account age."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graph.batch import AgeBand

__all__ = ["COHORTS", "MINOR", "UNKNOWN_AGE", "age_group", "cohort_of", "describe"]

DAY_S: Final = 86_400

UNKNOWN_AGE: Final = 0
MINOR: Final = 1
YOUNG_ADULT: Final = 2
ADULT: Final = 3
_GROUP = np.zeros(6, np.int64)
_GROUP[[AgeBand.UNDER_13, AgeBand.AGE_13_15, AgeBand.AGE_16_17]] = MINOR
_GROUP[AgeBand.AGE_18_20] = YOUNG_ADULT
_GROUP[AgeBand.AGE_21_PLUS] = ADULT
_GROUP_NAMES: Final = ("account of unknown age", "minor's account", "18–20 account", "adult account")

_AGE_EDGES: Final = (7 * DAY_S, 90 * DAY_S)
_AGE_NAMES: Final = ("unknown", "under a week", "a week to three months", "over three months")

COHORTS: Final = 16
"""Four age groups by four account ages (unknown, under 7 days, under 90 days, older)."""


def age_group(age: NDArray[Any]) -> NDArray[np.int64]:
    """Return the age group (0 unknown, 1 minor, 2 18–20, 3 adult) of each `AgeBand`."""
    groups: NDArray[np.int64] = _GROUP[np.minimum(age, 5)]
    return groups


def cohort_of(age: NDArray[Any], created: NDArray[Any], now: NDArray[Any] | int) -> NDArray[np.int64]:
    """Return the cohort number of accounts.

    Parameters
    ----------
    age : ndarray of AgeBand
    created : ndarray
        When each account was made, epoch seconds; 0: unknown.
    now : ndarray or int
        Event time, epoch seconds.
    """
    old = np.asarray(now, np.int64) - created.astype(np.int64)
    step = 1 + (old >= _AGE_EDGES[0]).astype(np.int64) + (old >= _AGE_EDGES[1])
    cohort: NDArray[np.int64] = 4 * age_group(age) + np.where(created == 0, 0, step)
    return cohort


def describe(cohort: int) -> str:
    """Return a cohort's name in words."""
    return f"{_GROUP_NAMES[cohort // 4]}, account age {_AGE_NAMES[cohort % 4]}"
