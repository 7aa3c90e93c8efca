"""The people of a platform: ages, groups, temperaments, and the friendships they bring along.

Groups are what friendship and recognition come from: a school class (or a year at university, or a
workplace), a school, a family, a hobby group. A hobby group may bring children and adults together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from simulation.friends import Friends
from simulation.profile import ATTACKS, NEGATIVES, Profile
from simulation.rows import DAY, HOUR, MINUTE, Array, pair_keys

__all__ = ["BANDS", "CLASSES", "CREATOR", "EDUCATOR", "Groups", "People", "befriend", "populate"]

BANDS: Final = ("unknown", "under_13", "13_15", "16_17", "18_20", "21_plus")
CLASSES: Final = ("benign", *ATTACKS, *NEGATIVES)
SOURCES: Final = ("declared", "estimated", "verified")
EDUCATOR, COACH, BUSINESS, CREATOR = 1, 2, 8, 16
_EDGES: Final = np.array([13.0, 16.0, 18.0, 21.0])
_MIDDLE: Final = np.array([0.0, 11.5, 14.5, 17.0, 19.5, 30.0])
_ZONES: Final = np.array([-5, 0, 1, 1, 2])


class Groups:
    """Who is with whom in one tier of groups; -1 is nobody's group."""

    def __init__(self, member_of: Array) -> None:
        self.of = member_of
        self._members = np.argsort(member_of, kind="stable")
        self._ids, self._starts, self._sizes = np.unique(
            member_of[self._members], return_index=True, return_counts=True
        )

    def pick(self, rng: np.random.Generator, group: Array) -> Array:
        """Return a random member of each group, -1 for no group."""
        where = np.minimum(np.searchsorted(self._ids, group), len(self._ids) - 1)
        place = self._starts[where] + (rng.random(len(group)) * self._sizes[where]).astype(np.int64)
        known = (group >= 0) & (self._ids[where] == group)
        picked: Array = np.where(known, self._members[place], -1)
        return picked


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
    label : index into CLASSES.
    tiers : class or workplace, school, family, hobby group.
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


def _true_ages(rng: np.random.Generator, n: int, profile: Profile) -> Array:
    band = rng.choice(5, n, p=np.array(profile.ages))
    low, high = np.array([9.0, 13, 16, 18, 21]), np.array([13.0, 16, 18, 21, 21])
    age: Array = low[band] + rng.random(n) * (high[band] - low[band])
    adult = band == 4
    age[adult] += np.minimum(rng.gamma(1.7, 8.5, int(adult.sum())), 60.0)
    return age


def _groups(rng: np.random.Generator, age: Array, kind: str) -> list[Array]:
    """Return the group of every account in each of the four tiers."""
    n = len(age)
    town = rng.integers(0, max(1, n // 1500), n)
    minors = int((age < 18).sum())
    schools = max(1, round(minors / (town.max() + 1) / 300))
    pupil = age < 18
    student = (age >= 18) & (age < 22) & (rng.random(n) < 0.6)
    school = np.where(pupil, town * schools + rng.integers(0, schools, n), -1)
    campus = (town.max() + 1) * schools
    school[student] = campus + town[student] // 4
    year = np.clip(age.astype(int) - 10, 0, 7)
    classes = np.where(pupil, school * 8 + year, -1)
    top = (campus + town.max() + 2) * 8
    courses = max(1, int(student.sum()) // 30)
    classes[student] = top + rng.integers(0, courses, int(student.sum()))
    works = ~pupil & ~student & (rng.random(n) < 0.8)
    places = max(1, int(works.sum()) // 25)
    classes[works] = top + courses + (places * rng.random(int(works.sum())) ** 1.7).astype(np.int64)
    family = np.where(rng.random(n) < 0.8, rng.integers(0, max(1, round(n / 3.0)), n), -1)
    clubs = max(4, n // 60)
    centre, narrow = rng.choice(age, clubs), np.where(rng.random(clubs) < 0.3, 40.0, 3.0)
    hobby, best = np.full(n, -1), np.full(n, np.inf)
    for _ in range(4):
        offer = (clubs * rng.random(n) ** 1.6).astype(np.int64)
        misfit = np.abs(age - centre[offer]) / narrow[offer]
        better = (misfit < best) & (misfit < 1.5)
        hobby[better], best[better] = offer[better], misfit[better]
    if kind == "dating":  # people do not bring their office along
        classes[:], school[:], family[:] = -1, -1, -1
    return [classes, school, family, hobby]


def _cast(rng: np.random.Generator, age: Array, hobby: Array, profile: Profile, share: float) -> Array:
    """Choose the accounts of each class among those who can be of it."""
    n = len(age)
    label = np.zeros(n, np.int64)
    minor = age < 18
    club = np.maximum(hobby, 0)
    young = np.bincount(club, weights=minor & (hobby >= 0)) >= 8
    able = {
        "teacher": (age >= 23) & (age < 66),
        "coach": (age >= 19) & young[club] & (hobby >= 0),
        "newcomer": np.ones(n, np.bool_),
        "teen_new_school": (age >= 11) & minor,
        "recruiter": age >= 22,
        "streamer": (age >= 15) & (age < 40),
    }
    for name, part in profile.shares.items():
        harmful = name in ATTACKS
        part *= share if harmful else 1.0
        if part <= 0:
            continue
        fits = np.flatnonzero((label == 0) & able.get(name, age >= 18.5))
        wanted = min(len(fits), max(3 if harmful else 2, round(n * part)))
        label[rng.choice(fits, wanted, replace=False)] = CLASSES.index(name)
    return label


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
    age = _true_ages(rng, n, profile)
    tiers = _groups(rng, age, profile.kind)
    label = _cast(rng, age, tiers[3], profile, attackers)
    of = {name: label == number for number, name in enumerate(CLASSES)}
    harmful = (label > 0) & (label <= len(ATTACKS))

    # a teacher is at a school, a recruiter anywhere
    pupils = np.flatnonzero((age < 18) & (tiers[1] >= 0))
    if of["teacher"].any() and len(pupils):
        tiers[1][of["teacher"]] = tiers[1][rng.choice(pupils, int(of["teacher"].sum()))]

    true_band = np.searchsorted(_EDGES, age, side="right") + 1
    band = true_band.copy()
    lies = rng.random(n)
    older = (age < 18) & (lies < profile.false_age)
    band[older] = np.where(rng.random(int(older.sum())) < 0.6, 5, np.minimum(true_band[older] + 1, 4))
    younger = (age >= 18) & (lies < np.where(harmful, 0.16, 0.012))
    band[younger] = rng.choice([2, 3, 3, 4], int(younger.sum()))
    source = np.where(band != true_band, 0, rng.choice(3, n, p=[0.7, 0.2, 0.1]))
    unknown = (rng.random(n) < profile.unknown_age * np.where(harmful, 1.6, 1.0)) & (source == 0)
    band[unknown] = 0
    looks = np.where((band == true_band) | (band == 0), age, _MIDDLE[band])

    end = start + int(days * DAY)
    joins = (label == 0) & (rng.random(n) < profile.joiners)
    joins |= of["newcomer"] | (harmful & (rng.random(n) < 0.4)) | (of["recruiter"] & (rng.random(n) < 0.2))
    # harm must have time to happen in a short stream
    latest = np.where(harmful, 0.45, 0.8)
    joined = np.where(joins, start + (rng.random(n) * latest * (end - start)).astype(np.int64), start - 2 * HOUR)
    joined = np.where(joins, joined, joined + rng.integers(0, 60 * MINUTE, n))
    created = np.where(joins, joined, start - DAY - (rng.exponential(700.0, n) * DAY).astype(np.int64))

    bits = np.zeros(n, np.int64)
    bits[of["teacher"] & (rng.random(n) < 0.85)] |= EDUCATOR
    bits[of["streamer"] & (rng.random(n) < 0.6)] |= CREATOR
    bits[of["recruiter"] & (rng.random(n) < 0.3)] |= BUSINESS
    other = rng.random(n)
    bits[(age >= 18) & (other < 0.006)] |= EDUCATOR
    bits[(other > 0.985)] |= CREATOR
    bits[(age >= 18) & (other > 0.97) & (other < 0.985)] |= BUSINESS

    sociable = rng.gamma(1.3, 1 / 1.3, n) + 0.05
    openness = rng.normal(0.0, 1.3, n)
    openness[of["streamer"]] += 3.0
    openness[of["teacher"]] += 1.5
    # what a profile looks like is there for all to see: a famous face, a firm's logo, an empty page with a stock photo
    appeal = rng.normal(0.0, 0.8, n)
    for name, lift in (("streamer", 1.0), ("recruiter", 0.5), ("mass_adder", -0.8), ("minor_targeter", -0.2)):
        appeal[of[name]] += lift
    taste = rng.beta(1.0, 1.0 / max(profile.stranger_requests, 0.02) - 1.0, n)
    chatty = rng.beta(0.7, 0.7 * (1.0 / max(profile.stranger_sessions, 0.02) - 1.0), n)
    return People(
        age=age,
        band=band,
        source=source,
        looks=looks,
        created=created,
        joined=joined,
        zone=_ZONES[rng.integers(0, len(_ZONES), n)],
        roles=bits,
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


def befriend(rng: np.random.Generator, people: People, profile: Profile, *, start: int) -> tuple[Friends, Array, Array]:
    """Return the graph of friendships at the start, and its pairs in random order."""
    n = len(people)
    friends = Friends(n)
    here = people.joined < start
    tenure = np.minimum(1.0, (start - people.created) / (365.0 * DAY))
    begun = people.sociable * np.where(here, 0.25 + 0.75 * tenure, 0.0) * profile.degree / 2.0
    mix = (0.42, 0.10, 0.08, 0.16) if profile.kind != "dating" else (0.0, 0.0, 0.0, 0.4)
    first, second = [], []

    def settle(a: Array, b: Array) -> None:
        good = (b >= 0) & (a != b)
        good[good] = here[b[good]] & here[a[good]]
        a, b = a[good], b[good]
        _, unique = np.unique(pair_keys(a, b), return_index=True)
        a, b = a[unique], b[unique]
        new = ~friends.are(a, b)
        friends.add(rng, a[new], b[new])
        first.append(a[new])
        second.append(b[new])

    for tier, share in zip(people.tiers, mix, strict=True):
        a = np.repeat(np.arange(n), rng.poisson(begun * share))
        settle(a, tier.pick(rng, tier.of[a]))
    by_age = np.argsort(people.age)
    place = np.empty(n, np.int64)
    place[by_age] = np.arange(n)
    a = np.repeat(np.arange(n), rng.poisson(begun * 0.10))
    near = place[a] + rng.normal(0.0, 0.04 * n, len(a)).astype(np.int64)
    settle(a, by_age[np.clip(near, 0, n - 1)])
    a = np.repeat(np.arange(n), rng.poisson(begun * 0.10))
    settle(a, friends.pick_second(rng, a))
    a = np.repeat(np.arange(n), rng.poisson(begun * 0.10))
    settle(a, friends.pick_second(rng, a))
    one, other = np.concatenate(first), np.concatenate(second)
    order = rng.permutation(len(one))
    flip = rng.random(len(one)) < 0.5
    one, other = one[order], other[order]
    return friends, np.where(flip, one, other), np.where(flip, other, one)
