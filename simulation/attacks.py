"""The campaigns of those who do harm; intensity varies from account to account by an order of magnitude.

What is known of the patterns: bursts and floods of requests to strangers (Yang et al., "Uncovering social network
Sybils in the wild", TKDD 2014); scattergun and slow, chosen contact with children, followed by secrecy, probing and a
move to a private place (Winters & Jeglic, "Stages of sexual grooming", 2017; Childline's signs of an online groomer).
"""

from __future__ import annotations

import numpy as np

from simulation.campaigns import AGED, CIRCLE, CROWD, NEAR, POPULAR, SECOND, campaigns
from simulation.people import CLASSES, People
from simulation.rows import DAY, MINUTE, Array

__all__ = ["harmful_campaigns"]


def _mix(count: int, **share: float) -> Array:
    ways = {"second": SECOND, "circle": CIRCLE, "near": NEAR, "aged": AGED, "popular": POPULAR, "crowd": CROWD}
    mix = np.zeros((count, 7))
    for name, part in share.items():
        mix[:, ways[name]] = part
    mixed: Array = mix / mix.sum(axis=1, keepdims=True)
    return mixed


def _blend(rng: np.random.Generator, one: Array, other: Array) -> Array:
    """Return mixes somewhere between two, so that no two accounts go about it alike."""
    weight = rng.beta(0.8, 0.8, len(one))[:, None]
    blended: Array = one * weight + other * (1.0 - weight)
    return blended


def harmful_campaigns(
    rng: np.random.Generator, people: People, kind: str, *, start: int, days: float, prompt: bool
) -> Array:
    """Return the campaigns of all harmful accounts.

    Parameters
    ----------
    rng : the stream's randomness.
    people : who there is.
    kind : the platform's kind.
    start : epoch milliseconds.
    days : length of the stream.
    prompt : begin within minutes, for a demonstration.
    """
    made = [
        _mass_adders(rng, people, days),
        _minor_targeters(rng, people, kind, days),
        _slow_groomers(rng, people, kind, days),
    ]
    table = np.concatenate(made)
    count = len(table)
    latest = np.array([0.6, 0.5, 0.3])[np.repeat([0, 1, 2], [len(part) for part in made])]
    here = np.maximum(people.joined[table["account"]], start)
    wait = rng.random(count) * latest * days * DAY
    fresh = people.joined[table["account"]] > start
    wait[fresh] = np.minimum(wait[fresh], rng.exponential(1.0 * DAY, int(fresh.sum())))
    if prompt:
        wait = rng.exponential(15.0 * MINUTE, count)
        here = np.full(count, start)
        # at least one of each kind is at it from the first minutes, and says so
        first = np.concatenate([[0], np.cumsum([len(part) for part in made])[:-1]])
        wait[first[first < count]] = MINUTE
        table["per_day"] *= 2.0
        table["duty"] = np.maximum(table["duty"], 0.5)
        table["per_day"][first[first < count]] *= [6.0, 12.0, 1.0][: int((first < count).sum())]
    table["begin"] = here + wait.astype(np.int64)
    table["end"] += table["begin"]
    return table


def _chosen(people: People, name: str) -> Array:
    return np.flatnonzero(people.label == CLASSES.index(name))


def _mass_adders(rng: np.random.Generator, people: People, days: float) -> Array:
    """Ask strangers without end: in a few bursts, or steadily below any round limit."""
    table = campaigns(_chosen(people, "mass_adder"))
    n = len(table)
    bursty = rng.random(n) < 0.5
    table["per_day"] = np.where(bursty, rng.lognormal(4.2, 0.6, n), rng.lognormal(2.5, 0.5, n))
    table["limit"] = np.where(bursty, 400, rng.choice([14, 18, 19, 24, 38, 39, 48, 49], n))
    table["duty"] = np.where(bursty, rng.uniform(0.08, 0.4, n), rng.uniform(0.4, 1.0, n))
    length = np.where(bursty, rng.lognormal(0.4, 0.5, n), rng.uniform(0.4, 1.0, n) * days)
    table["end"] = (length * DAY).astype(np.int64)
    table["mix"] = _blend(rng, _mix(n, near=0.9, popular=0.1), _mix(n, aged=0.4, crowd=0.4, second=0.2))
    table["youngest"] = rng.choice([10.0, 13.0, 18.0], n)
    table["oldest"] = rng.choice([30.0, 45.0, 99.0], n)
    table["messages"] = rng.beta(0.6, 4.0, n)
    table["pursue"], table["strength"], table["tempo"] = 0.10, 0.03, 0.3
    table["withdraw"] = rng.beta(0.5, 2.0, n)
    table["leaves"] = rng.random(n) < 0.2
    return table


def _minor_targeters(rng: np.random.Generator, people: People, kind: str, days: float) -> Array:
    """Reach for many children in days or a few weeks, one after another or through each other's friend lists."""
    table = campaigns(_chosen(people, "minor_targeter"))
    n = len(table)
    table["per_day"] = rng.lognormal(1.7, 0.7, n)
    table["limit"] = rng.integers(6, 40, n)
    table["duty"] = rng.uniform(0.1, 0.8, n)
    table["end"] = (np.minimum(rng.lognormal(1.8, 0.7, n), days) * DAY).astype(np.int64)
    table["mix"] = _blend(
        rng, _mix(n, aged=0.85, near=0.1, popular=0.05), _mix(n, aged=0.2, crowd=0.45, second=0.3, near=0.05)
    )
    table["youngest"], table["oldest"] = _ages_sought(rng, n, kind)
    table["messages"] = rng.beta(0.7, 1.5, n)
    table["pursue"] = rng.uniform(0.1, 0.7, n)
    table["strength"] = rng.uniform(0.02, 0.20, n)
    table["tempo"] = rng.lognormal(-0.5, 0.6, n)
    table["withdraw"] = rng.beta(0.5, 3.0, n)
    table["leaves"] = rng.random(n) < 0.12
    return table


def _slow_groomers(rng: np.random.Generator, people: People, kind: str, days: float) -> Array:
    """Seek a few children a week, each followed up for long; never many in one window."""
    table = campaigns(_chosen(people, "slow_groomer"))
    n = len(table)
    table["per_day"] = rng.lognormal(-0.1, 0.6, n)
    table["limit"] = rng.integers(2, 7, n)
    table["duty"] = rng.uniform(0.2, 1.0, n)
    table["end"] = np.int64(days * DAY)
    table["mix"] = _blend(rng, _mix(n, aged=0.9, near=0.1), _mix(n, aged=0.25, crowd=0.45, second=0.15, circle=0.15))
    table["youngest"], table["oldest"] = _ages_sought(rng, n, kind)
    table["messages"] = rng.beta(1.0, 1.2, n)
    table["pursue"] = rng.uniform(0.4, 1.0, n)
    table["strength"] = rng.uniform(0.03, 0.25, n)
    table["tempo"] = rng.lognormal(0.2, 0.6, n)
    table["withdraw"] = rng.beta(0.5, 5.0, n)
    return table


def _ages_sought(rng: np.random.Generator, n: int, kind: str) -> tuple[Array, Array]:
    if kind == "dating":
        return np.full(n, 13.0), rng.choice([17.9, 18.5, 20.0], n)
    youngest = rng.choice([9.0, 11.0, 13.0], n, p=[0.2, 0.4, 0.4])
    return youngest, youngest + rng.choice([4.0, 5.0, 7.0], n)
