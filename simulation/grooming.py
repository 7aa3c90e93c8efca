"""Campaigns of attackers who hide: behind one child's friends, another age, an old account, or in one conversation."""

from __future__ import annotations

import numpy as np

from simulation.campaigns import campaigns, mix
from simulation.floods import ages_sought, blend
from simulation.profile import Profile
from simulation.rows import DAY, Array
from simulation.talk import EXTORT, GROOM, POSE

__all__ = ["camouflaged", "hijacked", "impostors", "pair_groomers", "sextortionists", "sleepers"]


def pair_groomers(rng: np.random.Generator, accounts: Array, profile: Profile, days: float) -> Array:
    """Look for one or two children who answer, then go step by step with them alone."""
    table, n = campaigns(accounts), len(accounts)
    table["per_day"], table["limit"] = rng.lognormal(-0.3, 0.6, n), 4
    table["duty"] = rng.uniform(0.3, 1.0, n)
    table["end"] = np.int64(days * DAY)
    table["mix"] = blend(rng, mix(n, aged=0.8, circle=0.2), mix(n, group=0.4, aged=0.3, mates=0.2, school=0.1))
    table["youngest"], table["oldest"] = ages_sought(rng, n, profile)
    table["messages"] = rng.beta(1.0, 1.0, n)
    table["enough"] = rng.choice([1, 2, 3], n, p=[0.6, 0.3, 0.1])
    table["pursue"], table["sessions"] = 1.0, rng.uniform(15.0, 40.0, n)
    table["pace"], table["volume"] = rng.uniform(6.0, 20.0, n), rng.uniform(1.0, 2.5, n)
    table["tempo"] = rng.lognormal(-0.6, 0.5, n)
    table["script"], table["strength"] = GROOM, rng.lognormal(-2.3, 0.5, n)
    return table


def camouflaged(rng: np.random.Generator, accounts: Array, profile: Profile, days: float) -> Array:
    """Befriend one child of a group, then the others, with whom there are mutual friends by then."""
    table, n = campaigns(accounts), len(accounts)
    table["per_day"], table["limit"] = rng.lognormal(0.9, 0.6, n), rng.integers(4, 20, n)
    table["duty"] = rng.uniform(0.2, 0.9, n)
    table["end"] = np.int64(days * DAY)
    table["mix"] = blend(rng, mix(n, group=1.0), mix(n, group=0.75, near=0.1, second=0.15))
    table["youngest"], table["oldest"] = ages_sought(rng, n, profile)
    table["messages"] = rng.beta(0.5, 2.0, n)
    table["pursue"], table["sessions"] = rng.uniform(0.3, 0.9, n), 5.0
    table["script"], table["strength"] = GROOM, rng.uniform(0.02, 0.20, n)
    table["tempo"] = rng.lognormal(0.0, 0.6, n)
    table["withdraw"] = rng.beta(0.5, 2.0, n)
    return table


def impostors(rng: np.random.Generator, accounts: Array, profile: Profile, days: float) -> Array:
    """Befriend children as one of them would."""
    table, n = campaigns(accounts), len(accounts)
    table["per_day"], table["limit"] = rng.lognormal(1.1, 0.7, n), rng.integers(5, 30, n)
    table["duty"] = rng.uniform(0.15, 0.9, n)
    table["end"] = (np.minimum(rng.lognormal(2.3, 0.6, n), days) * DAY).astype(np.int64)
    table["mix"] = blend(rng, mix(n, aged=0.9, popular=0.1), mix(n, aged=0.4, group=0.4, crowd=0.2))
    table["youngest"], table["oldest"] = ages_sought(rng, n, profile)
    table["messages"] = rng.beta(0.8, 1.2, n)
    table["pursue"], table["sessions"] = rng.uniform(0.3, 1.0, n), 6.0
    table["script"], table["strength"] = POSE, rng.uniform(0.03, 0.22, n)
    table["tempo"] = rng.lognormal(-0.4, 0.6, n)
    return table


def sextortionists(rng: np.random.Generator, accounts: Array, profile: Profile, days: float) -> Array:
    """Ask teenagers for images within hours of the first word, then blackmail them."""
    table, n = campaigns(accounts), len(accounts)
    table["per_day"], table["limit"] = rng.lognormal(1.5, 0.8, n), rng.integers(6, 60, n)
    table["duty"] = rng.uniform(0.1, 0.6, n)
    table["end"] = (np.minimum(rng.lognormal(1.7, 0.8, n), days) * DAY).astype(np.int64)
    table["mix"] = blend(rng, mix(n, aged=0.95, popular=0.05), mix(n, aged=0.4, crowd=0.3, group=0.3))
    table["youngest"], table["oldest"] = rng.choice([12.0, 13.0, 14.0], n), rng.choice([17.0, 18.0, 20.0], n)
    table["messages"] = rng.beta(1.0, 1.5, n)
    table["pursue"], table["sessions"] = rng.uniform(0.5, 1.0, n), rng.uniform(2.0, 6.0, n)
    table["pace"], table["volume"] = 3.0, rng.uniform(0.7, 2.0, n)
    table["tempo"] = rng.lognormal(-2.5, 0.8, n)
    table["script"], table["strength"] = EXTORT, rng.uniform(0.04, 0.25, n)
    table["leaves"] = rng.random(n) < 0.25
    return table


def sleepers(rng: np.random.Generator, accounts: Array, profile: Profile, days: float) -> Array:
    """Reach for many children after weeks of ordinary life."""
    table, n = campaigns(accounts), len(accounts)
    table["per_day"], table["limit"] = rng.lognormal(1.7, 0.6, n), rng.integers(6, 40, n)
    table["duty"] = rng.uniform(0.1, 0.8, n)
    table["end"] = (np.minimum(rng.lognormal(1.7, 0.6, n), 0.5 * days) * DAY).astype(np.int64)
    table["mix"] = blend(rng, mix(n, aged=0.8, crowd=0.2), mix(n, crowd=0.4, group=0.3, aged=0.3))
    table["youngest"], table["oldest"] = ages_sought(rng, n, profile)
    table["messages"] = rng.beta(0.7, 1.2, n)
    table["pursue"], table["sessions"] = rng.uniform(0.2, 0.8, n), 4.0
    table["script"], table["strength"] = GROOM, rng.uniform(0.03, 0.22, n)
    table["tempo"] = rng.lognormal(-0.6, 0.6, n)
    return table


def hijacked(rng: np.random.Generator, accounts: Array, profile: Profile, days: float) -> Array:
    """Use what an account has: its friends' friends, and the trust in it; for days, until it is noticed."""
    table, n = campaigns(accounts), len(accounts)
    table["per_day"], table["limit"] = rng.lognormal(2.3, 0.6, n), rng.integers(10, 100, n)
    table["duty"] = rng.uniform(0.2, 0.9, n)
    table["end"] = (np.minimum(rng.lognormal(1.2, 0.5, n), days) * DAY).astype(np.int64)
    table["mix"] = blend(rng, mix(n, aged=0.7, second=0.3), mix(n, second=0.4, group=0.3, aged=0.3))
    table["youngest"], table["oldest"] = rng.choice([11.0, 13.0], n), rng.choice([17.0, 18.0, 20.0], n)
    table["messages"] = rng.beta(2.0, 1.0, n)
    table["pursue"], table["sessions"] = rng.uniform(0.4, 1.0, n), 3.0
    table["pace"], table["tempo"] = 4.0, rng.lognormal(-1.5, 0.6, n)
    table["script"], table["strength"] = EXTORT, rng.uniform(0.04, 0.22, n)
    return table
