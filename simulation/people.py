"""The people of a platform: ages, groups and temperaments, one entry an account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from simulation.cast import (
    BANDS,
    arrivals,
    cast,
    looks_and_openness,
    roles,
    seen_ages,
    true_ages,
)
from simulation.classes import number_of
from simulation.groups import Groups, group_everybody
from simulation.profile import Profile
from simulation.rows import Array

__all__ = ["BANDS", "SOURCES", "People", "populate"]

SOURCES: Final = ("declared", "estimated", "verified")
_ZONES: Final = np.array([-5, 0, 1, 1, 2])


@dataclass(slots=True)
class People:
    """Columns, one entry an account.

    Attributes
    ----------
    age : years.
    band : what the platform knows, index into BANDS; may be unknown or false.
    source : index into SOURCES.
    looks : the age that others see, in years: the profile's, or the person's where it says none.
    created, joined : epoch milliseconds; `joined` is when the account first appears in the stream.
    zone : hours ahead of UTC.
    roles : bits as in `graph.batch.Role`.
    label : index into simulation.classes.CLASSES.
    tiers : class or workplace, school, family, hobby group, guild.
    sociable, open, wary, appeal : temperament. `open` and `appeal` are log-odds, `wary` a factor.
    requests, sessions : of one day.
    strange_requests, strange_sessions : share aimed at strangers.
    spread : years, how far from one's own age one looks for strangers.
    names : account ids; shuffled, so that an id says nothing.
    """

    age: Array
    band: Array
    source: Array
    looks: Array
    created: Array
    joined: Array
    zone: Array
    roles: Array
    label: Array
    tiers: list[Groups]
    sociable: Array
    open: Array
    wary: Array
    appeal: Array
    requests: Array
    sessions: Array
    strange_requests: Array
    strange_sessions: Array
    spread: Array
    names: list[str]

    def __len__(self) -> int:
        return len(self.age)

    def acquainted(self, a: Array, b: Array) -> Array:
        """Return whether each pair share a class, workplace, family or hobby group."""
        known = np.zeros(len(a), np.bool_)
        for tier in self.tiers:
            known |= (tier.of[a] == tier.of[b]) & (tier.of[a] >= 0)
        return known


def populate(
    rng: np.random.Generator, n: int, profile: Profile, *, start: int, days: float, attackers: float
) -> People:
    """Return `n` people of a platform.

    Parameters
    ----------
    rng : the stream's randomness.
    n : number of accounts.
    profile : the platform's kind.
    start : epoch milliseconds.
    days : length of the stream.
    attackers : factor on the share of harmful accounts; 0 for none.
    """
    age = true_ages(rng, n, profile)
    tiers = group_everybody(rng, age, profile)
    label = cast(rng, age, tiers, profile, attackers)
    ages = seen_ages(rng, age, label, profile)
    created, joined = arrivals(rng, label, profile, start=start, days=days)
    appeal, openness = looks_and_openness(rng, label)
    sociable = rng.gamma(1.3, 1 / 1.3, n) + 0.05
    # who makes an account for a day has no life on it
    sociable[label == number_of("burner")] *= 0.1
    sociable[label == number_of("ban_evader")] *= 0.4
    taste = rng.beta(1.0, 1.0 / max(profile.stranger_requests, 0.02) - 1.0, n)
    chatty = rng.beta(0.7, 0.7 * (1.0 / max(profile.stranger_sessions, 0.02) - 1.0), n)
    return People(
        age=age,
        band=ages.band,
        source=ages.source,
        looks=ages.looks,
        created=created,
        joined=joined,
        zone=_ZONES[rng.integers(0, len(_ZONES), n)],
        roles=roles(rng, age, label),
        label=label,
        tiers=[Groups(tier) for tier in tiers],
        sociable=sociable,
        open=openness,
        wary=rng.lognormal(-0.3, 0.8, n),
        appeal=appeal,
        requests=profile.requests * sociable**0.5 * rng.lognormal(-0.5, 1.0, n),
        sessions=profile.sessions * sociable**0.5 * rng.lognormal(-0.5, 1.0, n),
        strange_requests=taste,
        strange_sessions=chatty,
        spread=profile.age_spread * rng.lognormal(-0.2, 0.6, n),
        names=[f"u{number}" for number in rng.permutation(n).tolist()],
    )
