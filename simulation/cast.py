"""Who plays which part: which accounts are of which class, and what follows for their ages, arrival and looks.

Whatever is set here can be seen on the platform, or by whoever looks at a profile; how people answer follows from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from simulation.classes import ATTACKS, CLASSES, is_harmful, number_of
from simulation.groups import CLASS, FAMILY, GUILD, HOBBY, SCHOOL, members_who
from simulation.profile import Profile
from simulation.rows import DAY, HOUR, MINUTE, Array

__all__ = [
    "BANDS",
    "BUSINESS",
    "COUNSELLOR",
    "CREATOR",
    "EDGES",
    "EDUCATOR",
    "Ages",
    "arrivals",
    "cast",
    "chains",
    "harmful_mask",
    "looks_and_openness",
    "roles",
    "seen_ages",
    "true_ages",
]

BANDS: Final = ("unknown", "under_13", "13_15", "16_17", "18_20", "21_plus")
EDGES: Final = np.array([13.0, 16.0, 18.0, 21.0])
EDUCATOR, COACH, COUNSELLOR, BUSINESS, CREATOR = 1, 2, 4, 8, 16
_MIDDLE: Final = np.array([0.0, 11.5, 14.5, 17.0, 19.5, 30.0])
_CHAIN: Final = 3
"""Accounts of one ban evader, one after another."""
_NEW: Final = {"burner": 1.0, "ban_evader": 1.0, "sleeper": 0.0, "hijacked": 0.0}
"""Chance that an account of a class joins during the stream, where it is not that of other attackers."""
_FALSE_YOUNG: Final = {"hidden_age": 0.4, "age_impostor": 1.0, "sextortionist": 0.5, "hijacked": 0.0}
"""Chance that a grown-up attacker gives a younger age, where it is not that of other attackers."""
_APPEAL: Final = {
    "celebrity": 1.6,
    "streamer": 1.0,
    "sextortionist": 0.8,
    "pair_groomer": 0.6,
    "recruiter": 0.5,
    "guild_leader": 0.5,
    "camouflaged": 0.4,
    "ring": -0.2,
    "minor_targeter": -0.2,
    "seller": -0.3,
    "mass_adder": -0.8,
    "lonely_adult": -0.9,
}
"""What a profile looks like is there for all to see: a famous face, a firm's logo, an empty page with a stock photo."""


def true_ages(rng: np.random.Generator, n: int, profile: Profile) -> Array:
    """Return the ages, in years, of `n` accounts."""
    band = rng.choice(5, n, p=np.array(profile.ages))
    low, high = np.array([9.0, 13, 16, 18, 21]), np.array([13.0, 16, 18, 21, 21])
    age: Array = low[band] + rng.random(n) * (high[band] - low[band])
    adult = band == 4
    age[adult] += np.minimum(rng.gamma(1.7, 8.5, int(adult.sum())), 60.0)
    return age


def harmful_mask(label: Array) -> Array:
    """Return which labels are attacks."""
    harmful: Array = (label > 0) & (label <= len(ATTACKS))
    return harmful


def chains(accounts: Array) -> Array:
    """Return for each account of ban evaders which person it belongs to."""
    return np.arange(len(accounts)) // _CHAIN


def _able(age: Array, tiers: list[Array]) -> dict[str, Array]:
    """Return which accounts can be of a class, where not everybody (innocent) or every grown-up (attacks) can."""
    minor, hobby, guild = age < 18, tiers[HOBBY], tiers[GUILD]
    children_in_guild, children_in_family = members_who(guild, minor), members_who(tiers[FAMILY], minor)
    return {
        "hijacked": age >= 12,
        "teacher": (age >= 23) & (age < 66),
        "teacher_no_role": (age >= 23) & (age < 66),
        "coach": (age >= 19) & (members_who(hobby, minor) >= 8),
        "youth_worker": (age >= 20) & (age < 62),
        "teen_new_school": (age >= 11) & minor,
        "teen_explorer": (age >= 12) & minor,
        "teen_couple": (age >= 13) & minor,
        "recruiter": age >= 22,
        "seller": age >= 18,
        "streamer": (age >= 15) & (age < 40),
        "celebrity": (age >= 16) & (age < 55),
        "party_host": age >= 14,
        "guild_leader": (age >= 17) & (guild >= 0),
        "guild_mate": (age >= 19) & (children_in_guild >= 4),
        "teen_gamer": minor & (members_who(guild, ~minor) >= 3),
        "family_hub": (age >= 19) & (children_in_family >= 1),
        "near_peer": (age >= 18) & (age < 21),
        "lonely_adult": age >= 24,
        "fan_club": (age >= 11) & (age < 35),
    }


def cast(rng: np.random.Generator, age: Array, tiers: list[Array], profile: Profile, share: float) -> Array:
    """Return the class of each account, chosen among those who can be of it.

    Parameters
    ----------
    rng : the stream's randomness.
    age : years.
    tiers : the group of each account in each tier; teachers and youth workers are put into a school.
    profile : the kind of platform.
    share : factor on the shares of attacks; 0 for none.
    """
    n = len(age)
    label = np.zeros(n, np.int64)
    able = _able(age, tiers)
    least = {"ring": 3, "ban_evader": 2, "fan_club": 5, "brigader": 5}
    for name, part in profile.shares.items():
        harmful = is_harmful(name)
        part *= share if harmful else 1.0
        if part <= 0:
            continue
        fits = np.flatnonzero((label == 0) & able.get(name, age >= 18.5 if harmful else np.ones(n, np.bool_)))
        wanted = min(len(fits), max(least.get(name, 1), round(n * part)))
        label[rng.choice(fits, wanted, replace=False)] = number_of(name)
    pupils = np.flatnonzero((age < 18) & (tiers[SCHOOL] >= 0))
    for name in ("teacher", "teacher_no_role", "youth_worker"):
        staff = np.flatnonzero(label == number_of(name))
        if len(pupils):
            tiers[SCHOOL][staff] = tiers[SCHOOL][rng.choice(pupils, len(staff))]
            tiers[CLASS][staff] = -1
    return label


@dataclass(frozen=True, slots=True)
class Ages:
    """Ages as the platform and other people know them.

    Attributes
    ----------
    band : what the platform knows, index into BANDS; may be unknown or false.
    source : declared, estimated or verified.
    looks : the age that others see, in years: the profile's, or the person's where it says none.
    """

    band: Array
    source: Array
    looks: Array


def seen_ages(rng: np.random.Generator, age: Array, label: Array, profile: Profile) -> Ages:
    """Return ages as they are seen, and label those innocent accounts on which they are false (in place)."""
    n, harmful = len(age), harmful_mask(label)
    true_band = np.searchsorted(EDGES, age, side="right") + 1
    band = true_band.copy()
    lies = rng.random(n)
    older = (age < 18) & (lies < profile.false_age)
    band[older] = np.where(rng.random(int(older.sum())) < 0.6, 5, np.minimum(true_band[older] + 1, 4))
    chance = np.where(harmful, 0.10, 0.012)
    for name, part in _FALSE_YOUNG.items():
        chance[label == number_of(name)] = part
    younger = (age >= 18) & (lies < chance)
    band[younger] = rng.choice([2, 3, 3, 4], int(younger.sum()))
    posing = younger & np.isin(label, [number_of("age_impostor"), number_of("sextortionist")])
    band[posing] = rng.choice([1, 2, 2, 3, 3], int(posing.sum()))
    source = np.where(band != true_band, 0, rng.choice(3, n, p=[0.7, 0.2, 0.1]))
    hides = np.where(harmful, 1.4, 1.0) * profile.unknown_age
    hides[label == number_of("hijacked")] = profile.unknown_age
    hides[label == number_of("age_impostor")] = 0.0
    hides[label == number_of("hidden_age")] = np.where(younger[label == number_of("hidden_age")], 0.0, 9.0)
    unknown = (rng.random(n) < hides) & ((source == 0) | (hides > 1.0))
    band[unknown], source[unknown] = 0, 0
    looks = np.where((band == true_band) | (band == 0), age, _MIDDLE[band])
    label[(label == 0) & (age < 18) & (band >= 4)] = number_of("wrong_age")
    label[(label == 0) & (age >= 18) & (band >= 1) & (band <= 3)] = number_of("false_young")
    return Ages(band, source, looks)


def arrivals(
    rng: np.random.Generator, label: Array, profile: Profile, *, start: int, days: float
) -> tuple[Array, Array]:
    """Return when each account was created and when it first appears in the stream, epoch milliseconds."""
    n, harmful = len(label), harmful_mask(label)
    end = start + int(days * DAY)
    chance = np.where(harmful, 0.35, np.where(label == 0, profile.joiners, 0.0))
    for name, part in {**_NEW, "newcomer": 1.0, "newcomer_import": 1.0, "recruiter": 0.2, "seller": 0.3}.items():
        chance[label == number_of(name)] = part
    joins = rng.random(n) < chance
    # harm must have time to happen in a short stream
    latest = np.where(harmful, 0.45, 0.8)
    latest[label == number_of("burner")] = 0.9
    joined = start + (rng.random(n) * latest * (end - start)).astype(np.int64)
    evaders = np.flatnonzero(label == number_of("ban_evader"))
    if len(evaders):
        person = chains(evaders)
        first = joined[evaders][np.unique(person, return_index=True)[1]]
        life = (rng.lognormal(1.0, 0.5, len(evaders)) * min(1.0, days / 14.0) * DAY).astype(np.int64)
        order = np.arange(len(evaders)) % _CHAIN
        before = np.cumsum(life) - life
        since = before - before[np.unique(person, return_index=True)[1]][person]
        joined[evaders] = np.minimum(first[person] + since + order, end - HOUR)
    joined = np.where(joins, joined, start - 2 * HOUR + rng.integers(0, 60 * MINUTE, n))
    age = rng.exponential(700.0, n)
    old = np.isin(label, [number_of("sleeper"), number_of("celebrity")])
    age[old] += 120.0
    created = np.where(joins, joined, start - DAY - (age * DAY).astype(np.int64))
    # many people return to an account they made long ago, attackers buy such accounts
    returns = joins & (rng.random(n) < np.where(label == number_of("burner"), 0.1, 0.2))
    created = np.where(returns, created - (rng.exponential(200.0, n) * DAY).astype(np.int64), created)
    return created, joined


def roles(rng: np.random.Generator, age: Array, label: Array) -> Array:
    """Return the bits of the roles that the platform knows of, as in `graph.batch.Role`."""
    n = len(age)
    of = {name: label == number for number, name in enumerate(CLASSES)}
    bits = np.zeros(n, np.int64)
    bits[of["teacher"]] |= EDUCATOR
    bits[of["youth_worker"] & (rng.random(n) < 0.4)] |= COUNSELLOR
    bits[(of["streamer"] | of["celebrity"]) & (rng.random(n) < 0.6)] |= CREATOR
    bits[(of["recruiter"] | of["seller"]) & (rng.random(n) < 0.3)] |= BUSINESS
    other = rng.random(n)
    bits[(age >= 18) & (other < 0.006) & ~of["teacher_no_role"] & ~of["coach"]] |= EDUCATOR
    bits[(other > 0.985)] |= CREATOR
    bits[(age >= 18) & (other > 0.97) & (other < 0.985)] |= BUSINESS
    return bits


def looks_and_openness(rng: np.random.Generator, label: Array) -> tuple[Array, Array]:
    """Return how a profile appeals to others, and how open its owner is to others; both log-odds."""
    n = len(label)
    openness = rng.normal(0.0, 1.3, n)
    for name, lift in (("streamer", 3.0), ("celebrity", 3.0), ("teacher", 1.5), ("teacher_no_role", 1.5)):
        openness[label == number_of(name)] += lift
    appeal = rng.normal(0.0, 0.8, n)
    for name, lift in _APPEAL.items():
        appeal[label == number_of(name)] += lift
    return appeal, openness
