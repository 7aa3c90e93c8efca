"""The campaigns of those who do harm; intensity varies from account to account by an order of magnitude.

How each class goes about it stands in `floods`, `grooming` and `conspiracies`; here is when they begin.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from simulation.campaigns import Plans
from simulation.cast import chains
from simulation.classes import ATTACKS, number_of
from simulation.conspiracies import ban_evaders, rings
from simulation.floods import (
    burners,
    cold_messengers,
    mass_adders,
    minor_targeters,
    slow_groomers,
    steady_flooders,
)
from simulation.friends import Friends
from simulation.grooming import camouflaged, hijacked, impostors, pair_groomers, sextortionists, sleepers
from simulation.people import People
from simulation.profile import Profile
from simulation.rows import DAY, HOUR, MINUTE, Array

__all__ = ["harmful_campaigns"]

_BEGINS: Final = {
    "mass_adder": (0.02, 0.6),
    "steady_flooder": (0.0, 0.3),
    "sleeper": (0.45, 0.7),
    "hijacked": (0.2, 0.8),
    "minor_targeter": (0.02, 0.5),
    "hidden_age": (0.02, 0.5),
    "slow_groomer": (0.0, 0.25),
    "pair_groomer": (0.0, 0.3),
    "camouflaged": (0.0, 0.35),
    "ring": (0.05, 0.7),
    "age_impostor": (0.02, 0.5),
    "cold_messenger": (0.02, 0.5),
    "sextortionist": (0.02, 0.7),
}
"""In which part of the stream a class begins, as shares of its length."""


def harmful_campaigns(
    rng: np.random.Generator,
    people: People,
    friends: Friends,
    profile: Profile,
    plans: Plans,
    *,
    start: int,
    days: float,
    prompt: bool,
) -> Array:
    """Return the campaigns of all harmful accounts.

    Parameters
    ----------
    rng : the stream's randomness.
    people : who there is.
    friends : who is whose friend at the start.
    profile : the kind of platform.
    plans : takes the lists that some of them work through.
    start : epoch milliseconds.
    days : length of the stream.
    prompt : begin within minutes, for a demonstration.
    """
    builders = {
        "mass_adder": mass_adders,
        "steady_flooder": steady_flooders,
        "burner": burners,
        "sleeper": sleepers,
        "hijacked": hijacked,
        "minor_targeter": minor_targeters,
        "hidden_age": minor_targeters,
        "slow_groomer": slow_groomers,
        "pair_groomer": pair_groomers,
        "camouflaged": camouflaged,
        "age_impostor": impostors,
        "cold_messenger": cold_messengers,
        "sextortionist": sextortionists,
    }
    made = []
    for name in ATTACKS:
        accounts = np.flatnonzero(people.label == number_of(name))
        if name == "ring":
            table = rings(rng, people, friends, plans, accounts, profile, days)
        elif name == "ban_evader":
            table = ban_evaders(rng, people, friends, plans, accounts, profile, days)
        else:
            table = builders[name](rng, accounts, profile, days)
        # on a platform where people write and do not ask, so do they
        table["messages"] = _odds(table["messages"], profile.messages)
        _begin(rng, people, table, name, start=start, days=days)
        if prompt and len(table):
            table["begin"] = start + (rng.exponential(15.0 * MINUTE, len(table))).astype(np.int64)
            table["duty"] = np.maximum(table["duty"], 0.5)
            table["per_day"] *= 2.0
            if name in ("mass_adder", "minor_targeter"):  # at least one of them is at it from the first minutes
                table["begin"][0], table["per_day"][0] = start + MINUTE, table["per_day"][0] * 6.0
        table["end"] += table["begin"]
        made.append(table)
    return np.concatenate(made)


def _odds(share: Array, factor: float) -> Array:
    """Return shares with their odds multiplied."""
    changed: Array = share * factor / (1.0 - share + share * factor)
    return changed


def _begin(rng: np.random.Generator, people: People, table: Array, name: str, *, start: int, days: float) -> None:
    """Set when campaigns begin; those who join for it begin soon after they joined."""
    joined = people.joined[table["account"]]
    fresh = joined > start
    if name == "burner":
        table["begin"] = joined + (rng.exponential(0.3 * DAY, len(table))).astype(np.int64)
    elif name == "ban_evader":
        table["begin"] = joined + rng.integers(5 * MINUTE, 3 * HOUR, len(table))
        # one account goes on until the next begins, and does not come back
        person = chains(table["account"])
        following = np.append(joined[1:], 0)
        last = np.append(person[1:] != person[:-1], True)
        life = np.where(last, table["end"], following - table["begin"])
        table["end"] = np.maximum(life, HOUR)
    elif name == "ring":
        # members of a ring begin within a day or two of one another
        groups, member = np.unique(table["pool"], return_inverse=True)
        low, high = _BEGINS[name]
        at = start + rng.uniform(low, high, len(groups)) * days * DAY
        lag = rng.exponential(rng.choice([3 * HOUR, 12 * HOUR, DAY], len(groups))[member])
        table["begin"] = np.maximum((at[member] + lag).astype(np.int64), joined + HOUR)
    else:
        low, high = _BEGINS[name]
        wait = rng.uniform(low, high, len(table)) * days * DAY
        soon = fresh & (rng.random(len(table)) < 0.7)
        wait[soon] = np.minimum(wait[soon], rng.exponential(1.0 * DAY, int(soon.sum())))
        table["begin"] = np.maximum(joined, start) + wait.astype(np.int64)
