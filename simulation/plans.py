"""What the campaigns of innocent people have in common: many ways of finding somebody, and no two alike."""

from __future__ import annotations

import numpy as np

from simulation.campaigns import MIXES, campaigns, mix
from simulation.classes import number_of
from simulation.people import People
from simulation.rows import DAY, Array

__all__ = ["plan", "spread_out", "varied"]


def plan(rng: np.random.Generator, people: People, names: tuple[str, ...], **ways: float) -> Array:
    """Return the campaigns of all accounts of some classes, with their ways of finding somebody."""
    accounts = np.flatnonzero(np.isin(people.label, [number_of(name) for name in names]))
    return varied(rng, campaigns(accounts), **ways)


def varied(rng: np.random.Generator, table: Array, **ways: float) -> Array:
    """Set ways of finding somebody, differently for each campaign, and return the campaigns."""
    table["mix"] = mix(len(table), **ways) * rng.gamma(3.0, 1.0, (len(table), MIXES))
    table["mix"] /= table["mix"].sum(axis=1, keepdims=True)
    return table


def spread_out(table: Array, begin: Array, length_days: Array) -> Array:
    """Set when campaigns begin and end, and return them."""
    table["begin"] = begin.astype(np.int64)
    table["end"] = table["begin"] + (length_days * DAY).astype(np.int64)
    return table
