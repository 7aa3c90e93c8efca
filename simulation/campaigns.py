"""Campaigns: what makes an account reach for more people than its everyday life would.

A newcomer importing contacts, a coach adding the team and an attacker all run through the same code and differ
only in the numbers of their campaigns, so that nothing but behaviour tells them apart.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from simulation.friends import Friends
from simulation.people import People
from simulation.rows import DAY, Array

__all__ = [
    "AGED",
    "CAMPAIGN",
    "CIRCLE",
    "CROWD",
    "MIXES",
    "NEAR",
    "POPULAR",
    "SCHOOL",
    "SECOND",
    "Targets",
    "campaigns",
]

SECOND, CIRCLE, SCHOOL, NEAR, AGED, POPULAR, CROWD = range(7)
MIXES: Final = 7
"""Ways of finding somebody: friends of friends; own class, workplace, club or family; own school; strangers about one's
own age; strangers of an age looked for; popular accounts; the friends of one chosen account."""

CAMPAIGN: Final = np.dtype(
    [
        ("account", "<i4"),
        ("begin", "<i8"),  # epoch milliseconds
        ("end", "<i8"),
        ("per_day", "<f4"),  # mean contacts a day
        ("limit", "<i4"),  # most contacts a day
        ("duty", "<f4"),  # share of the time it is at work at all: small is bursty
        ("mix", "<f4", (MIXES,)),  # how targets are found; sums to 1
        ("youngest", "<f4"),  # years, for AGED
        ("oldest", "<f4"),
        ("anchor", "<i4"),  # for CROWD; -1 draws a new one now and then
        ("messages", "<f4"),  # share of contacts that are messages and not requests
        ("told", "<f4"),  # share of requests with the platform's count of mutual friends
        ("pursue", "<f4"),  # chance of an accepted contact to be followed up
        ("strength", "<f4"),  # of what is said then: share of messages with a sign at the last stage
        ("tempo", "<f4"),  # days between conversations
        ("withdraw", "<f4"),  # share of unanswered requests taken back
        ("leaves", "?"),  # deletes the account at the end
    ]
)


def campaigns(accounts: Array) -> Array:
    """Return one campaign an account, with nothing in it yet but defaults."""
    made = np.zeros(len(accounts), CAMPAIGN)
    made["account"] = accounts
    made["duty"], made["limit"], made["anchor"] = 1.0, 100_000, -1
    made["oldest"], made["tempo"], made["withdraw"] = 99.0, 1.0, 0.03
    return made


class Targets:
    """Finds somebody to contact, in each of the ways above, for whole arrays of accounts."""

    def __init__(self, rng: np.random.Generator, people: People, friends: Friends) -> None:
        self._rng, self._people, self._friends = rng, people, friends
        self._by_age = np.argsort(people.age, kind="stable")
        self._ages = people.age[self._by_age]
        fame = np.exp(1.5 * people.appeal) * (1.0 + 6.0 * (people.open > 3.0))
        self._fame = np.cumsum(fame / fame.sum())
        self._anchors: dict[int, int] = {}

    def find(self, actor: Array, way: Array, youngest: Array, oldest: Array, anchor: Array) -> Array:
        """Return a target for each actor, -1 where there is none."""
        rng, people, friends = self._rng, self._people, self._friends
        found = np.full(len(actor), -1, np.int64)
        for number in range(MIXES):
            mask = way == number
            count = int(mask.sum())
            if not count:
                continue
            who = actor[mask]
            if number == SECOND:
                found[mask] = friends.pick_second(rng, who)
            elif number == CIRCLE:
                which = rng.choice(3, count, p=[0.6, 0.1, 0.3])
                for index, tier in enumerate((people.tiers[0], people.tiers[2], people.tiers[3])):
                    chosen = np.flatnonzero(mask)[which == index]
                    found[chosen] = tier.pick(rng, tier.of[actor[chosen]])
            elif number == SCHOOL:
                found[mask] = people.tiers[1].pick(rng, people.tiers[1].of[who])
            elif number == NEAR:
                wish = people.age[who] + rng.normal(0.0, people.spread[who])
                found[mask] = self.aged(wish - 0.5, wish + 0.5)
            elif number == AGED:
                found[mask] = self.aged(youngest[mask], oldest[mask])
            elif number == POPULAR:
                at = np.searchsorted(self._fame, rng.random(count))
                found[mask] = np.minimum(at, len(people) - 1)
            else:
                found[mask] = self._crowd(who, youngest[mask], oldest[mask], anchor[mask])
        return found

    def aged(self, youngest: Array, oldest: Array) -> Array:
        """Return a random account in each range of ages, the nearest where it is empty."""
        low = np.searchsorted(self._ages, youngest)
        high = np.maximum(np.searchsorted(self._ages, oldest), low + 1)
        place = low + (self._rng.random(len(low)) * (high - low)).astype(np.int64)
        found: Array = self._by_age[np.clip(place, 0, len(self._ages) - 1)]
        return found

    def _crowd(self, who: Array, youngest: Array, oldest: Array, anchor: Array) -> Array:
        """Return a friend of each actor's anchor; an anchor is dropped now and then for another."""
        fresh = self.aged(youngest, oldest).tolist()
        stays = (self._rng.random(len(who)) < 0.85).tolist()
        at = np.empty(len(who), np.int64)
        for index, (actor, fixed) in enumerate(zip(who.tolist(), anchor.tolist(), strict=True)):
            if fixed >= 0:
                at[index] = fixed
                continue
            if actor not in self._anchors or not stays[index]:
                self._anchors[actor] = fresh[index]
            at[index] = self._anchors[actor]
        return self._friends.pick(self._rng, at)


class Running:
    """The campaigns of a stream: who makes how many contacts in a stretch of time."""

    def __init__(self, rng: np.random.Generator, table: Array, people: People) -> None:
        self._rng, self.table, self._people = rng, table, people
        self._today = np.zeros(len(table), np.int64)
        self._day = -1

    def draw(self, begin: int, end: int, light: Array, alive: Array) -> tuple[Array, Array]:
        """Return the campaign and the way of finding a target of each contact between two times.

        Parameters
        ----------
        begin, end : epoch milliseconds.
        light : how active an account is at this hour where it lives; 1 on average over a day.
        alive : which accounts exist.
        """
        table, rng = self.table, self._rng
        if begin // DAY != self._day:
            self._day = begin // DAY
            self._today[:] = 0
        runs = (table["begin"] < end) & (table["end"] > begin) & alive[table["account"]]
        active = np.flatnonzero(runs)
        if not len(active):
            return active, active
        now = table[active]
        works = rng.random(len(now)) < now["duty"]
        mean = now["per_day"] * light[now["account"]] * (end - begin) / DAY / now["duty"] * works
        count = np.minimum(rng.poisson(mean), np.maximum(now["limit"] - self._today[active], 0))
        self._today[active] += count
        which = np.repeat(active, count)
        steps = np.cumsum(table["mix"][which], axis=1)
        way = (rng.random(len(which))[:, None] > steps).sum(axis=1)
        return which, np.minimum(way, MIXES - 1)
