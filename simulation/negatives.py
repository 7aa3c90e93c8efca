"""The campaigns of innocent accounts that reach for many people, or for many children, and mean well."""

from __future__ import annotations

import numpy as np

from simulation.campaigns import AGED, CIRCLE, CROWD, MIXES, NEAR, POPULAR, SCHOOL, SECOND, campaigns
from simulation.people import CLASSES, People
from simulation.rows import DAY, Array

__all__ = ["innocent_campaigns"]


def innocent_campaigns(rng: np.random.Generator, people: People, kind: str, *, start: int, days: float) -> Array:
    """Return the campaigns of all hard negatives and of some of everybody else.

    Parameters
    ----------
    rng : the stream's randomness.
    people : who there is.
    kind : the platform's kind.
    start : epoch milliseconds.
    days : length of the stream.
    """
    made = [
        _teachers(rng, people, start, days),
        _coaches(rng, people, start, days),
        _newcomers(rng, people),
        _teens(rng, people, start, days),
        _recruiters(rng, people, start, days),
        _streamers(rng, people, start, days),
        _eager(rng, people, kind, start, days),
    ]
    return np.concatenate(made)


def _begin(rng: np.random.Generator, table: Array, mix: dict[int, float]) -> Array:
    for way, share in mix.items():
        table["mix"][:, way] = share
    # no two go about it alike
    table["mix"] *= rng.gamma(3.0, 1.0, (len(table), MIXES))
    table["mix"] /= table["mix"].sum(axis=1, keepdims=True)
    return table


def _of(people: People, name: str) -> Array:
    return campaigns(np.flatnonzero(people.label == CLASSES.index(name)))


def _when(table: Array, begin: Array, length_days: Array) -> None:
    table["begin"] = begin.astype(np.int64)
    table["end"] = table["begin"] + (length_days * DAY).astype(np.int64)


def _teachers(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Add and write to the pupils of their own school, whom they know and the graph does not."""
    table = _begin(rng, _of(people, "teacher"), {SCHOOL: 0.85, SECOND: 0.1, CIRCLE: 0.05})
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(1.2, 0.8, n), 60
    table["duty"], table["messages"] = rng.uniform(0.1, 0.6, n), rng.beta(1.0, 1.0, n)
    table["pursue"], table["tempo"] = 0.4, 3.0
    _when(table, start + rng.random(n) * 0.7 * days * DAY, rng.lognormal(1.7, 0.6, n))
    return table


def _coaches(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Write to the children of their club, with no role that would say so."""
    table = _begin(rng, _of(people, "coach"), {CIRCLE: 0.8, AGED: 0.05, SECOND: 0.15})
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(1.2, 0.8, n), 50
    table["duty"], table["messages"] = rng.uniform(0.05, 0.5, n), rng.beta(1.5, 1.0, n)
    table["youngest"], table["oldest"] = 9.0, rng.choice([13.0, 16.0, 18.0], n)
    table["pursue"], table["tempo"] = 0.6, 2.0
    _when(table, start + rng.random(n) * 0.7 * days * DAY, rng.lognormal(1.9, 0.6, n))
    return table


def _newcomers(rng: np.random.Generator, people: People) -> Array:
    """Join and ask everybody they know at once; only the platform's import may know that they know them."""
    table = _begin(rng, _of(people, "newcomer"), {CIRCLE: 0.35, CROWD: 0.4, SCHOOL: 0.15, SECOND: 0.1})
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(3.3, 0.7, n), 200
    table["duty"] = rng.uniform(0.15, 0.7, n)
    table["told"] = np.where(rng.random(n) < 0.4, rng.uniform(0.5, 1.0, n), 0.0)
    anchors = people.tiers[0].pick(rng, people.tiers[0].of[table["account"]])
    table["anchor"] = np.where(anchors == table["account"], -1, anchors)
    age = people.age[table["account"]]
    table["youngest"], table["oldest"] = age - 2.0, age + 2.0
    table["pursue"], table["tempo"] = 0.3, 2.0
    _when(table, people.joined[table["account"]] + rng.exponential(0.05 * DAY, n), rng.lognormal(0.5, 0.6, n))
    return table


def _teens(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Ask the new class and the new school, where they have no mutual friend yet."""
    table = _begin(rng, _of(people, "teen_new_school"), {CIRCLE: 0.4, SCHOOL: 0.4, CROWD: 0.15, NEAR: 0.05})
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(2.4, 0.6, n), 80
    table["duty"], table["messages"] = rng.uniform(0.2, 0.8, n), rng.beta(0.5, 2.0, n)
    age = people.age[table["account"]]
    table["youngest"], table["oldest"] = age - 1.0, age + 1.0
    table["pursue"], table["tempo"] = 0.6, 0.7
    _when(table, start + rng.random(n) * 0.8 * days * DAY, rng.lognormal(1.3, 0.5, n))
    return table


def _recruiters(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Ask and write to grown-up strangers every working day; few answer."""
    table = _begin(rng, _of(people, "recruiter"), {AGED: 0.6, NEAR: 0.2, CROWD: 0.15, SECOND: 0.05})
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(2.2, 0.7, n), rng.choice([20, 40, 50, 100], n)
    table["duty"], table["messages"] = rng.uniform(0.15, 0.7, n), rng.beta(1.0, 1.5, n)
    table["youngest"] = rng.choice([16.0, 18.0, 20.0, 22.0], n, p=[0.15, 0.25, 0.3, 0.3])
    table["oldest"] = rng.choice([30.0, 45.0, 60.0], n)
    table["pursue"], table["tempo"], table["withdraw"] = 0.3, 1.0, rng.beta(0.5, 2.5, n)
    _when(table, np.maximum(start, people.joined[table["account"]]), rng.uniform(0.5, 1.0, n) * days)
    return table


def _streamers(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Write to fans, many of them children; most of their contacts come to them."""
    table = _begin(rng, _of(people, "streamer"), {SECOND: 0.6, AGED: 0.15, POPULAR: 0.25})
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(1.5, 0.8, n), 100
    table["duty"], table["messages"] = rng.uniform(0.1, 0.5, n), rng.beta(3.0, 1.0, n)
    table["youngest"], table["oldest"] = 11.0, 25.0
    table["pursue"], table["tempo"] = 0.2, 2.0
    _when(table, np.full(n, start), np.full(n, days))
    return table


def _eager(rng: np.random.Generator, people: People, kind: str, start: int, days: float) -> Array:
    """Ordinary people have such weeks too: a party, a new game, a lonely winter, a summer camp."""
    ordinary = np.flatnonzero(people.label == 0)
    chosen = rng.choice(ordinary, round(0.03 * len(ordinary)), replace=False)
    table = campaigns(chosen)
    n = len(table)
    stranger = {"social": 0.25, "gaming": 0.6, "dating": 0.85}[kind]
    table = _begin(
        rng,
        table,
        {CIRCLE: 0.3 * (1 - stranger), SECOND: 0.3 * (1 - stranger), CROWD: 0.4 * (1 - stranger), NEAR: stranger},
    )
    age = people.age[chosen]
    # some look for younger company, and mean no harm
    wide = rng.choice([2.0, 4.0, 8.0], n, p=[0.6, 0.3, 0.1])
    table["youngest"], table["oldest"] = age - wide, age + wide
    table["per_day"], table["limit"] = rng.lognormal(2.0, 0.8, n), 80
    table["duty"], table["messages"] = rng.uniform(0.1, 0.6, n), rng.beta(0.7, 1.5, n)
    table["pursue"], table["tempo"] = 0.5, 1.0
    begin = np.maximum(people.joined[chosen], start) + rng.random(n) * 0.8 * days * DAY
    _when(table, begin, rng.lognormal(1.0, 0.6, n))
    return table
