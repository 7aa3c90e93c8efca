"""Campaigns of attackers who reach for many: fast, steadily, or a few a day."""

from __future__ import annotations

import numpy as np

from simulation.campaigns import campaigns, mix
from simulation.profile import Profile
from simulation.rows import DAY, Array
from simulation.talk import GROOM

__all__ = [
    "ages_sought",
    "blend",
    "burners",
    "cold_messengers",
    "mass_adders",
    "minor_targeters",
    "slow_groomers",
    "steady_flooders",
]


def blend(rng: np.random.Generator, one: Array, other: Array) -> Array:
    """Return mixes somewhere between two, so that no two accounts go about it alike."""
    weight = rng.beta(0.8, 0.8, len(one))[:, None]
    blended: Array = one * weight + other * (1.0 - weight)
    return blended


def ages_sought(rng: np.random.Generator, n: int, profile: Profile) -> tuple[Array, Array]:
    """Return the youngest and oldest age, in years, that each of `n` attackers looks for."""
    if profile.ages[0] == 0.0:
        return np.full(n, 13.0), rng.choice([17.9, 18.5, 20.0], n)
    youngest = rng.choice([9.0, 11.0, 13.0], n, p=[0.2, 0.4, 0.4])
    return youngest, youngest + rng.choice([4.0, 5.0, 7.0], n)


def mass_adders(rng: np.random.Generator, accounts: Array, profile: Profile, days: float) -> Array:
    """Ask strangers in bursts, scores or hundreds in a few days."""
    table, n = campaigns(accounts), len(accounts)
    table["per_day"], table["limit"] = rng.lognormal(4.0, 0.7, n), 400
    table["duty"] = rng.uniform(0.08, 0.4, n)
    table["end"] = (np.minimum(rng.lognormal(0.5, 0.6, n), days) * DAY).astype(np.int64)
    table["mix"] = blend(rng, mix(n, near=0.9, popular=0.1), mix(n, aged=0.4, crowd=0.4, second=0.2))
    table["youngest"] = rng.choice([10.0, 13.0, 18.0], n)
    table["oldest"] = rng.choice([30.0, 45.0, 99.0], n)
    table["messages"] = rng.beta(0.6, 4.0, n)
    table["pursue"], table["script"], table["strength"], table["tempo"] = 0.10, GROOM, 0.03, 0.3
    table["withdraw"] = rng.beta(0.5, 2.0, n)
    table["leaves"] = rng.random(n) < 0.2
    return table


def steady_flooders(rng: np.random.Generator, accounts: Array, profile: Profile, days: float) -> Array:
    """Ask strangers every day, always just below a round limit, the young among them more often than not."""
    table, n = campaigns(accounts), len(accounts)
    table["limit"] = rng.choice([9, 14, 18, 19, 24, 38, 48], n)
    table["per_day"] = table["limit"] * rng.uniform(0.5, 1.2, n)
    table["duty"] = rng.uniform(0.3, 1.0, n)
    table["end"] = (rng.uniform(0.3, 1.0, n) * days * DAY).astype(np.int64)
    table["mix"] = blend(rng, mix(n, near=0.7, popular=0.1, aged=0.2), mix(n, aged=0.6, crowd=0.3, second=0.1))
    table["youngest"] = rng.choice([10.0, 13.0, 15.0], n)
    table["oldest"] = rng.choice([18.0, 22.0, 30.0, 45.0], n)
    table["messages"] = rng.beta(0.6, 2.0, n)
    table["pursue"], table["script"], table["strength"], table["tempo"] = 0.15, GROOM, 0.04, 0.5
    table["withdraw"] = rng.beta(0.5, 2.0, n)
    return table


def burners(rng: np.random.Generator, accounts: Array, profile: Profile, days: float) -> Array:
    """Make one burst of some hours at children; then the account is left or deleted."""
    table, n = campaigns(accounts), len(accounts)
    length = np.clip(rng.lognormal(1.2, 0.7, n), 0.5, 24.0) / 24.0
    table["per_day"] = rng.lognormal(2.8, 0.6, n) / length
    table["end"] = (length * DAY).astype(np.int64)
    table["mix"] = blend(rng, mix(n, aged=0.9, near=0.1), mix(n, aged=0.5, crowd=0.4, popular=0.1))
    table["youngest"], table["oldest"] = ages_sought(rng, n, profile)
    table["messages"] = rng.beta(0.7, 0.9, n)
    table["pursue"], table["sessions"] = rng.uniform(0.2, 0.8, n), 1.5
    table["pace"], table["tempo"] = 3.0, 0.1
    table["script"], table["strength"] = GROOM, rng.uniform(0.03, 0.25, n)
    table["leaves"] = rng.random(n) < 0.5
    return table


def cold_messengers(rng: np.random.Generator, accounts: Array, profile: Profile, days: float) -> Array:
    """Write to children, and to some others, with no request before."""
    table, n = campaigns(accounts), len(accounts)
    table["per_day"], table["limit"] = rng.lognormal(1.4, 0.8, n), rng.integers(5, 50, n)
    table["duty"] = rng.uniform(0.1, 0.9, n)
    table["end"] = (np.minimum(rng.lognormal(2.1, 0.7, n), days) * DAY).astype(np.int64)
    table["mix"] = blend(rng, mix(n, aged=0.7, near=0.3), mix(n, aged=0.4, crowd=0.3, popular=0.1, second=0.2))
    table["youngest"], table["oldest"] = ages_sought(rng, n, profile)
    table["messages"] = rng.uniform(0.9, 1.0, n)
    table["pursue"], table["sessions"] = rng.uniform(0.3, 0.9, n), 4.0
    table["script"], table["strength"] = GROOM, rng.uniform(0.02, 0.22, n)
    table["tempo"] = rng.lognormal(-0.5, 0.6, n)
    return table


def minor_targeters(rng: np.random.Generator, accounts: Array, profile: Profile, days: float) -> Array:
    """Reach for many children in days or a few weeks, one after another or through each other's friend lists."""
    table, n = campaigns(accounts), len(accounts)
    table["per_day"], table["limit"] = rng.lognormal(1.5, 0.7, n), rng.integers(6, 40, n)
    table["duty"] = rng.uniform(0.1, 0.8, n)
    table["end"] = (np.minimum(rng.lognormal(1.8, 0.7, n), days) * DAY).astype(np.int64)
    table["mix"] = blend(
        rng, mix(n, aged=0.85, near=0.1, popular=0.05), mix(n, aged=0.2, crowd=0.45, second=0.3, near=0.05)
    )
    table["youngest"], table["oldest"] = ages_sought(rng, n, profile)
    table["messages"] = rng.beta(0.7, 1.5, n)
    table["pursue"], table["sessions"] = rng.uniform(0.1, 0.7, n), 5.0
    table["script"], table["strength"] = GROOM, rng.uniform(0.02, 0.20, n)
    table["tempo"] = rng.lognormal(-0.5, 0.6, n)
    table["withdraw"] = rng.beta(0.5, 3.0, n)
    table["leaves"] = rng.random(n) < 0.12
    return table


def slow_groomers(rng: np.random.Generator, accounts: Array, profile: Profile, days: float) -> Array:
    """Seek a few children a week, each followed up for long; never many in one window."""
    table, n = campaigns(accounts), len(accounts)
    table["per_day"], table["limit"] = rng.lognormal(-0.1, 0.6, n), rng.integers(2, 7, n)
    table["duty"] = rng.uniform(0.2, 1.0, n)
    table["end"] = np.int64(days * DAY)
    table["mix"] = blend(rng, mix(n, aged=0.9, near=0.1), mix(n, aged=0.25, crowd=0.45, second=0.15, circle=0.15))
    table["youngest"], table["oldest"] = ages_sought(rng, n, profile)
    table["messages"] = rng.beta(1.0, 1.2, n)
    table["pursue"], table["sessions"] = rng.uniform(0.4, 1.0, n), 8.0
    table["script"], table["strength"] = GROOM, rng.uniform(0.03, 0.25, n)
    table["tempo"] = rng.lognormal(0.2, 0.6, n)
    table["withdraw"] = rng.beta(0.5, 5.0, n)
    return table
