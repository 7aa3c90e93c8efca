"""The groups that friendship and recognition come from.

A school class (or a year at university, or a workplace), a school, a family, a hobby group, a guild. A hobby group may
bring children and grown-ups together, and a guild, where people only ever met online, often does.
"""

from __future__ import annotations

import numpy as np

from simulation.profile import Profile
from simulation.rows import Array

__all__ = ["CLASS", "FAMILY", "GUILD", "HOBBY", "SCHOOL", "Groups", "group_everybody", "members_who"]

CLASS, SCHOOL, FAMILY, HOBBY, GUILD = range(5)
"""The tiers of groups."""


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

    def members(self, group: int) -> Array:
        """Return all members of a group."""
        where = int(np.searchsorted(self._ids, group))
        if group < 0 or where == len(self._ids) or self._ids[where] != group:
            return np.empty(0, np.int64)
        found: Array = self._members[self._starts[where] : self._starts[where] + self._sizes[where]]
        return found


def members_who(group: Array, holds: Array) -> Array:
    """Return for each account how many members of its group something holds of; 0 for those in no group."""
    inside = group >= 0
    count = np.bincount(np.maximum(group, 0), weights=holds & inside)
    number: Array = np.where(inside, count[np.maximum(group, 0)], 0.0)
    return number


def group_everybody(rng: np.random.Generator, age: Array, profile: Profile) -> list[Array]:
    """Return the group of every account in each of the five tiers.

    Parameters
    ----------
    rng : the stream's randomness.
    age : years.
    profile : the kind of platform.
    """
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
    hobby = _gather(rng, age, np.ones(n, np.bool_), 60, narrow=0.7)
    guild = _gather(rng, age, rng.random(n) < profile.guilds, 25, narrow=0.4)
    if not profile.offline:
        classes[:], school[:], family[:] = -1, -1, -1
    return [classes, school, family, hobby, guild]


def _gather(rng: np.random.Generator, age: Array, joins: Array, size: int, *, narrow: float) -> Array:
    """Return a group for each account that joins one, of people of like age, or, in the rest of groups, of any."""
    n = len(age)
    clubs = max(4, int(joins.sum()) // size)
    centre = rng.choice(age, clubs)
    width = np.where(rng.random(clubs) < narrow, 3.0, 40.0)
    group, best = np.full(n, -1), np.full(n, np.inf)
    for _ in range(4):
        offer = (clubs * rng.random(n) ** 1.6).astype(np.int64)
        misfit = np.abs(age - centre[offer]) / width[offer]
        better = joins & (misfit < best) & (misfit < 1.5)
        group[better], best[better] = offer[better], misfit[better]
    return group
