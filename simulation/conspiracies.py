"""Campaigns over several accounts: rings that share a list of children, and people who come back under other names."""

from __future__ import annotations

import numpy as np

from simulation.campaigns import Plans, campaigns, mix
from simulation.cast import chains
from simulation.floods import ages_sought, blend
from simulation.friends import Friends
from simulation.people import People
from simulation.profile import Profile
from simulation.rows import DAY, Array
from simulation.talk import GROOM

__all__ = ["ban_evaders", "rings"]


def _children(
    rng: np.random.Generator, people: People, friends: Friends, youngest: float, oldest: float, count: int
) -> Array:
    """Return children to reach for: some from one circle of friends, the rest from anywhere."""
    able = np.flatnonzero((people.age >= youngest) & (people.age <= oldest) & (people.label == 0))
    if not len(able):
        able = np.flatnonzero(people.label == 0)
    anchors = rng.choice(able, min(4, len(able)), replace=False)
    circle = np.concatenate([friends.pick(rng, np.repeat(anchors, 12)), anchors])
    circle = np.intersect1d(circle[circle >= 0], able)
    anywhere = rng.choice(able, min(count, len(able)), replace=False)
    share = rng.beta(0.8, 0.8)
    chosen = np.where(rng.random(count) < share, rng.choice(circle, count), np.resize(anywhere, count))
    order = np.unique(chosen, return_index=True)[1]
    listed: Array = chosen[np.sort(order)]
    return listed


def rings(
    rng: np.random.Generator,
    people: People,
    friends: Friends,
    plans: Plans,
    accounts: Array,
    profile: Profile,
    days: float,
) -> Array:
    """Work through one list with three to six accounts, none of which does much by itself."""
    table, n = campaigns(accounts), len(accounts)
    at = 0
    while at < n:
        size = int(rng.integers(3, 7))
        size = n - at if n - at - size < 3 else size
        members = slice(at, at + size)
        youngest, oldest = (float(part[0]) for part in ages_sought(rng, 1, profile))
        listed = _children(rng, people, friends, youngest, oldest, int(rng.integers(12, 60)))
        table["pool"][members] = plans.pool(listed)
        table["per_day"][members] = rng.lognormal(1.4, 0.5) * rng.uniform(0.7, 1.4, len(table["pool"][members]))
        table["duty"][members] = rng.uniform(0.15, 0.8)
        table["youngest"][members], table["oldest"][members] = youngest, oldest
        at += size
    table["limit"] = rng.integers(6, 25, n)
    table["end"] = (np.minimum(rng.lognormal(2.2, 0.5, n), days) * DAY).astype(np.int64)
    table["mix"] = blend(rng, mix(n, pool=0.9, near=0.1), mix(n, pool=0.6, near=0.15, aged=0.15, second=0.1))
    table["messages"] = rng.beta(0.8, 1.2, n)
    table["pursue"], table["sessions"] = rng.uniform(0.1, 0.6, n), 3.0
    table["script"], table["strength"] = GROOM, rng.uniform(0.02, 0.18, n)
    table["tempo"] = rng.lognormal(-0.4, 0.6, n)
    return table


def ban_evaders(
    rng: np.random.Generator,
    people: People,
    friends: Friends,
    plans: Plans,
    accounts: Array,
    profile: Profile,
    days: float,
) -> Array:
    """Come back with a new account, to the same children first."""
    table, n = campaigns(accounts), len(accounts)
    for person in np.unique(chains(accounts)).tolist():
        mine = chains(accounts) == person
        youngest, oldest = (float(part[0]) for part in ages_sought(rng, 1, profile))
        listed = _children(rng, people, friends, youngest, oldest, int(rng.integers(8, 30)))
        table["pool"][mine] = plans.pool(listed)
        table["youngest"][mine], table["oldest"][mine] = youngest, oldest
        table["per_day"][mine] = rng.lognormal(1.3, 0.5)
    table["limit"], table["duty"] = rng.integers(6, 30, n), rng.uniform(0.2, 0.9, n)
    table["end"] = np.int64(0.5 * days * DAY)  # of a person's last account; the others end when the next begins
    table["mix"] = blend(rng, mix(n, pool=0.9, aged=0.1), mix(n, pool=0.5, aged=0.4, near=0.1))
    table["messages"] = rng.beta(1.0, 1.2, n)
    table["pursue"], table["sessions"] = rng.uniform(0.3, 0.9, n), 4.0
    table["script"], table["strength"] = GROOM, rng.uniform(0.04, 0.25, n)
    table["tempo"] = rng.lognormal(-0.6, 0.6, n)
    table["leaves"] = rng.random(n) < 0.3
    return table
