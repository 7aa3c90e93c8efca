"""The friendships that people bring along when the stream begins."""

from __future__ import annotations

import numpy as np

from simulation.classes import number_of
from simulation.friends import Friends
from simulation.groups import FAMILY
from simulation.people import People
from simulation.profile import Profile
from simulation.rows import DAY, Array, pair_keys

__all__ = ["befriend"]


def befriend(rng: np.random.Generator, people: People, profile: Profile, *, start: int) -> tuple[Friends, Array, Array]:
    """Return the graph of friendships at the start, and its pairs in random order."""
    n = len(people)
    friends = Friends(n)
    here = people.joined < start
    tenure = np.minimum(1.0, (start - people.created) / (365.0 * DAY))
    begun = people.sociable * np.where(here, 0.25 + 0.75 * tenure, 0.0) * profile.degree / 2.0
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

    for tier, share in zip(people.tiers, profile.circles, strict=True):
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
    # those who know their children's friends know their children
    parents = np.flatnonzero(people.label == number_of("family_hub"))
    a = np.repeat(parents, 4)
    settle(a, people.tiers[FAMILY].pick(rng, people.tiers[FAMILY].of[a]))
    one, other = np.concatenate(first), np.concatenate(second)
    order = rng.permutation(len(one))
    flip = rng.random(len(one)) < 0.5
    one, other = one[order], other[order]
    return friends, np.where(flip, one, other), np.where(flip, other, one)
