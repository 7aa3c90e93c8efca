"""The campaigns of innocent accounts that reach for many people, or for many children, and mean well.

Those whose work it is stand here, everybody else in `crowds`.
"""

from __future__ import annotations

import numpy as np

from simulation.campaigns import Plans
from simulation.crowds import crowd_campaigns
from simulation.people import People
from simulation.plans import plan, spread_out
from simulation.profile import Profile
from simulation.rows import DAY, Array
from simulation.talk import LOGISTICS, SALES

__all__ = ["innocent_campaigns"]


def innocent_campaigns(
    rng: np.random.Generator, people: People, profile: Profile, plans: Plans, *, start: int, days: float
) -> Array:
    """Return the campaigns of all hard negatives and of some of everybody else.

    Parameters
    ----------
    rng : the stream's randomness.
    people : who there is.
    profile : the kind of platform.
    plans : takes the lists that some of them work through.
    start : epoch milliseconds.
    days : length of the stream.
    """
    made = [
        _teachers(rng, people, start, days),
        _coaches(rng, people, start, days),
        _youth_workers(rng, people, start, days),
        _recruiters(rng, people, start, days),
        _sellers(rng, people, start, days),
        _streamers(rng, people, start, days),
        _celebrities(rng, people, start, days),
        crowd_campaigns(rng, people, profile, plans, start=start, days=days),
    ]
    return np.concatenate(made)


def _teachers(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Add and write to the pupils of their own school, whom they know and the graph does not."""
    table = plan(rng, people, ("teacher", "teacher_no_role"), school=0.85, second=0.1, circle=0.05)
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(1.2, 0.8, n), 60
    table["duty"], table["messages"] = rng.uniform(0.1, 0.6, n), rng.beta(1.0, 1.0, n)
    table["pursue"], table["sessions"], table["tempo"] = 0.4, 3.0, 3.0
    table["script"], table["strength"] = LOGISTICS, rng.uniform(0.0, 0.05, n)
    return spread_out(table, start + rng.random(n) * 0.7 * days * DAY, rng.lognormal(1.7, 0.6, n))


def _coaches(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Write to the children of their club, with no role that would say so."""
    table = plan(rng, people, ("coach",), circle=0.8, aged=0.05, second=0.15)
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(1.2, 0.8, n), 50
    table["duty"], table["messages"] = rng.uniform(0.05, 0.5, n), rng.beta(1.5, 1.0, n)
    table["youngest"], table["oldest"] = 9.0, rng.choice([13.0, 16.0, 18.0], n)
    table["pursue"], table["sessions"], table["tempo"] = 0.6, 5.0, 2.0
    table["script"], table["strength"] = LOGISTICS, rng.uniform(0.0, 0.10, n)
    return spread_out(table, start + rng.random(n) * 0.7 * days * DAY, rng.lognormal(1.9, 0.6, n))


def _youth_workers(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Reach out to children of a school and of clubs, and to some whom they have never met."""
    table = plan(rng, people, ("youth_worker",), school=0.5, circle=0.15, group=0.2, aged=0.15)
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(0.9, 0.7, n), 40
    table["duty"], table["messages"] = rng.uniform(0.1, 0.6, n), rng.beta(1.0, 1.5, n)
    table["youngest"], table["oldest"] = rng.choice([10.0, 12.0, 14.0], n), rng.choice([17.0, 20.0], n)
    table["pursue"], table["sessions"], table["tempo"] = 0.5, 5.0, 2.0
    table["script"], table["strength"] = LOGISTICS, rng.uniform(0.0, 0.08, n)
    return spread_out(table, start + rng.random(n) * 0.5 * days * DAY, rng.uniform(0.2, 1.0, n) * days)


def _recruiters(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Ask and write to grown-up strangers every working day; few answer."""
    table = plan(rng, people, ("recruiter",), aged=0.6, near=0.2, crowd=0.15, second=0.05)
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(2.2, 0.7, n), rng.choice([20, 40, 50, 100], n)
    table["duty"], table["messages"] = rng.uniform(0.15, 0.7, n), rng.beta(1.0, 1.5, n)
    table["youngest"] = rng.choice([16.0, 18.0, 20.0, 22.0], n, p=[0.15, 0.25, 0.3, 0.3])
    table["oldest"] = rng.choice([30.0, 45.0, 60.0], n)
    table["pursue"], table["tempo"], table["withdraw"] = 0.3, 1.0, rng.beta(0.5, 2.5, n)
    table["script"], table["strength"] = SALES, rng.uniform(0.0, 0.10, n)
    begin = np.maximum(start, people.joined[table["account"]])
    return spread_out(table, begin, rng.uniform(0.5, 1.0, n) * days)


def _sellers(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Write to strangers of all ages; few answer."""
    table = plan(rng, people, ("seller",), aged=0.6, popular=0.1, near=0.2, crowd=0.1)
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(2.0, 0.8, n), rng.choice([15, 19, 40, 100], n)
    table["duty"], table["messages"] = rng.uniform(0.1, 0.7, n), rng.beta(2.0, 1.0, n)
    table["youngest"], table["oldest"] = rng.choice([12.0, 14.0, 16.0, 18.0], n), rng.choice([25.0, 40.0, 99.0], n)
    table["pursue"], table["tempo"] = 0.4, 0.5
    table["script"], table["strength"] = SALES, rng.uniform(0.02, 0.15, n)
    begin = np.maximum(start, people.joined[table["account"]]) + rng.random(n) * 0.4 * days * DAY
    return spread_out(table, begin, rng.uniform(0.1, 0.7, n) * days)


def _streamers(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Write to fans, many of them children; most of their contacts come to them."""
    table = plan(rng, people, ("streamer",), second=0.6, aged=0.15, popular=0.25)
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(1.5, 0.8, n), 100
    table["duty"], table["messages"] = rng.uniform(0.1, 0.5, n), rng.beta(3.0, 1.0, n)
    table["youngest"], table["oldest"] = 11.0, 25.0
    table["pursue"], table["tempo"] = 0.2, 2.0
    return spread_out(table, np.full(n, start), np.full(n, days))


def _celebrities(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Write to other stars, and to friends of friends; everybody else comes to them."""
    table = plan(rng, people, ("celebrity",), second=0.5, popular=0.5)
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(0.8, 0.8, n), 60
    table["duty"], table["messages"] = rng.uniform(0.1, 0.5, n), rng.beta(2.0, 1.0, n)
    table["pursue"], table["tempo"] = 0.2, 2.0
    return spread_out(table, np.full(n, start), np.full(n, days))
