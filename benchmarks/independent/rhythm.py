"""Times: the calendar of a stream, day and night, weekdays, busy and quiet spells."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp() * 1000)

# Relative activity by local hour: early risers, school days, office days, night owls.
_SHAPES = np.array(
    [
        [2, 1, 1, 1, 1, 3, 8, 9, 6, 5, 5, 5, 6, 5, 5, 5, 6, 7, 8, 9, 8, 6, 4, 3],
        [2, 1, 1, 0.5, 0.5, 1, 4, 6, 2, 2, 3, 2, 4, 3, 4, 9, 10, 9, 9, 10, 11, 10, 7, 4],
        [2, 1, 1, 0.5, 0.5, 1, 3, 5, 5, 4, 4, 4, 7, 5, 4, 4, 5, 7, 8, 9, 10, 10, 7, 4],
        [8, 7, 5, 3, 2, 1, 1, 1, 2, 3, 3, 4, 5, 5, 5, 5, 6, 6, 7, 8, 9, 10, 11, 10],
    ]
)
SHAPES: NDArray[np.float64] = _SHAPES / _SHAPES.sum(axis=1, keepdims=True)
WEEKDAY = (0.92, 0.9, 0.94, 0.97, 1.05, 1.18, 1.12)


def hour_of(when: int) -> int:
    """Return the hour of the day of a moment."""
    return when // HOUR % 24


def weekday_of(when: int) -> int:
    """Return the day of the week of a moment, Monday being 0."""
    return (when // DAY + 3) % 7


def spells(rng: np.random.Generator, count: int, days: int) -> NDArray[np.float64]:
    """Draw each account's busy and quiet spells: one factor a day, correlated from day to day."""
    level = rng.normal(0.0, 0.7, count)
    rows = np.empty((days, count))
    for day in range(days):
        level = 0.75 * level + rng.normal(0.0, 0.46, count)
        rows[day] = np.exp(level - 0.25) * (rng.random(count) > 0.12)
    return rows
