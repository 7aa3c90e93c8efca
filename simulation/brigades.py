"""Brigades: groups that agree to block and report somebody who has done nothing."""

from __future__ import annotations

import numpy as np

from simulation.classes import number_of
from simulation.people import People
from simulation.rows import BLOCKED, DAY, HOUR, MESSAGE, MINUTE, REPORTED, ROW, Array, rows

__all__ = ["brigades"]


def brigades(rng: np.random.Generator, people: People, *, start: int, end: int) -> Array:
    """Return the messages, reports and blocks of all brigades, as rows.

    Parameters
    ----------
    rng : the stream's randomness.
    people : who there is.
    start, end : of the stream, epoch milliseconds.
    """
    victims = np.flatnonzero(people.label == number_of("brigaded"))
    crowd = rng.permutation(np.flatnonzero(people.label == number_of("brigader")))
    if not len(victims) or not len(crowd):
        return np.empty(0, ROW)
    made = []
    for victim, group in zip(victims, np.array_split(crowd, len(victims)), strict=True):
        since = max(start, int(people.joined[victim]))
        begin = since + int(rng.uniform(0.1, 0.8) * (end - since))
        spread = rng.choice([2 * HOUR, 12 * HOUR, 2 * DAY])
        at = begin + (rng.random(len(group)) * spread).astype(np.int64)
        writes, reports, blocks = (rng.random(len(group)) < share for share in (0.3, 0.8, 0.5))
        target = np.full(len(group), victim)
        made.append(rows(MESSAGE, at[writes], group[writes], target[writes]))
        at = at + rng.integers(MINUTE, HOUR, len(group))
        reason = rng.integers(0, 4, len(group))
        made.append(rows(REPORTED, at[reports], group[reports], target[reports], extra=reason[reports]))
        at = at + rng.integers(1000, MINUTE, len(group))
        made.append(rows(BLOCKED, at[blocks], group[blocks], target[blocks]))
    return np.concatenate(made)
