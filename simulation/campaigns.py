"""Campaigns: what makes an account reach for more people than its everyday life would.

A newcomer importing contacts, a coach adding the team and an attacker all run through the same code and differ
only in the numbers of their campaigns, so that nothing but behaviour tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from simulation.friends import Friends
from simulation.groups import CLASS, FAMILY, GUILD, HOBBY
from simulation.groups import SCHOOL as SCHOOL_TIER
from simulation.people import People
from simulation.rows import DAY, Array

__all__ = [
    "AGED",
    "CAMPAIGN",
    "CIRCLE",
    "CROWD",
    "GROUP",
    "MATES",
    "MIXES",
    "NEAR",
    "POOL",
    "POPULAR",
    "SCHOOL",
    "SECOND",
    "Plans",
    "Running",
    "Targets",
    "campaigns",
    "mix",
]

SECOND, CIRCLE, SCHOOL, NEAR, AGED, POPULAR, CROWD, GROUP, POOL, MATES = range(10)
MIXES: Final = 10
"""Ways of finding somebody: friends of friends; own class, workplace, club or family; own school; strangers about one's
own age; strangers of an age looked for; popular accounts; the friends of one chosen account; friends of a friend of the
age looked for; a list, in its order; members of the own guild."""
_WAYS: Final = {
    "second": SECOND,
    "circle": CIRCLE,
    "school": SCHOOL,
    "near": NEAR,
    "aged": AGED,
    "popular": POPULAR,
    "crowd": CROWD,
    "group": GROUP,
    "pool": POOL,
    "mates": MATES,
}

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
        ("pool", "<i4"),  # for POOL: which list; -1 none
        ("enough", "<i4"),  # contacts that are welcome, after which it looks for no more
        ("pursue", "<f4"),  # chance of a welcome contact to be followed up
        ("sessions", "<f4"),  # mean conversations of those
        ("pace", "<f4"),  # conversations until the last stage
        ("volume", "<f4"),  # factor on the length of conversations
        ("tempo", "<f4"),  # days between conversations
        ("script", "u1"),  # what is said then, see simulation.talk
        ("strength", "<f4"),  # share of messages with a sign at the last stage
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
    made["pool"], made["enough"] = -1, 100_000
    made["sessions"], made["pace"], made["volume"] = 2.0, 8.0, 1.0
    return made


def mix(count: int, **share: float) -> Array:
    """Return `count` rows of shares of the ways of finding somebody, by name; each row sums to 1.

    Examples
    --------
    >>> float(mix(1, near=3.0, aged=1.0)[0, NEAR])
    0.75
    """
    made = np.zeros((count, MIXES))
    for name, part in share.items():
        made[:, _WAYS[name]] = part
    rows: Array = made / made.sum(axis=1, keepdims=True)
    return rows


@dataclass(slots=True)
class Plans:
    """All campaigns of a stream, and the lists that some of them work through."""

    table: Array
    pools: list[Array] = field(default_factory=list)

    def pool(self, accounts: Array) -> int:
        """Note a list of accounts; return its number."""
        self.pools.append(np.asarray(accounts, np.int64))
        return len(self.pools) - 1


class Targets:
    """Finds somebody to contact, in each of the ways above, for whole arrays of accounts."""

    def __init__(self, rng: np.random.Generator, people: People, friends: Friends, plans: Plans) -> None:
        self._rng, self._people, self._friends, self._plans = rng, people, friends, plans
        self._by_age = np.argsort(people.age, kind="stable")
        self._ages = people.age[self._by_age]
        fame = np.exp(1.5 * people.appeal) * (1.0 + 6.0 * (people.open > 3.0))
        self._fame = np.cumsum(fame / fame.sum())
        self._anchors: dict[int, int] = {}
        self._read = np.zeros(len(plans.table), np.int64)

    def find(self, actor: Array, way: Array, campaign: Array) -> Array:
        """Return a target for each actor, -1 where there is none.

        Parameters
        ----------
        actor : accounts.
        way : how each of them looks.
        campaign : which campaign makes them look, or -1; AGED, CROWD, GROUP and POOL need one.
        """
        rng, people, friends = self._rng, self._people, self._friends
        found = np.full(len(actor), -1, np.int64)
        for number in range(MIXES):
            mask = way == number
            count = int(mask.sum())
            if not count:
                continue
            who, plan = actor[mask], self._plans.table[campaign[mask]]
            if number == SECOND:
                found[mask] = friends.pick_second(rng, who)
            elif number == CIRCLE:
                which = rng.choice(3, count, p=[0.6, 0.1, 0.3])
                for index, tier in enumerate((people.tiers[CLASS], people.tiers[FAMILY], people.tiers[HOBBY])):
                    chosen = np.flatnonzero(mask)[which == index]
                    found[chosen] = tier.pick(rng, tier.of[actor[chosen]])
            elif number in (SCHOOL, MATES):
                tier = people.tiers[SCHOOL_TIER if number == SCHOOL else GUILD]
                found[mask] = tier.pick(rng, tier.of[who])
            elif number == NEAR:
                wish = people.age[who] + rng.normal(0.0, people.spread[who])
                found[mask] = self.aged(wish - 0.5, wish + 0.5)
            elif number == AGED:
                found[mask] = self.aged(plan["youngest"], plan["oldest"])
            elif number == POPULAR:
                at = np.searchsorted(self._fame, rng.random(count))
                found[mask] = np.minimum(at, len(people) - 1)
            elif number == CROWD:
                found[mask] = self._crowd(who, plan["youngest"], plan["oldest"], plan["anchor"])
            elif number == GROUP:
                found[mask] = self._group(who, plan["youngest"], plan["oldest"])
            else:
                found[mask] = self._next_of(campaign[mask])
        return found

    def _group(self, who: Array, youngest: Array, oldest: Array) -> Array:
        """Return friends of the right age of an own friend of the right age, or, with none yet, a stranger."""
        rng, age = self._rng, self._people.age
        middle, found = np.full(len(who), -1), np.full(len(who), -1)
        for chosen, of in ((middle, who), (found, middle)):
            for _ in range(6):
                open_ = np.flatnonzero((chosen < 0) & (of >= 0))
                pick = self._friends.pick(rng, of[open_])
                fits = (pick >= 0) & (age[pick] >= youngest[open_]) & (age[pick] <= oldest[open_])
                chosen[open_[fits]] = pick[fits]
        alone = middle < 0
        found[alone] = self.aged(youngest[alone], oldest[alone])
        return found

    def _next_of(self, campaign: Array) -> Array:
        """Return the next account of each campaign's list, now and then one further on; -1 at its end."""
        found = np.full(len(campaign), -1, np.int64)
        skips = self._rng.geometric(0.8, len(campaign)).tolist()
        for index, (number, step) in enumerate(zip(campaign.tolist(), skips, strict=True)):
            listed = self._plans.pools[int(self._plans.table["pool"][number])]
            at = int(self._read[number]) + step - 1
            self._read[number] = at + 1
            if at < len(listed):
                found[index] = listed[at]
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

    def __init__(self, rng: np.random.Generator, plans: Plans) -> None:
        self._rng, self.table = rng, plans.table
        self._won = np.zeros(len(plans.table), np.int64)
        self._today = np.zeros(len(plans.table), np.int64)
        self._day = -1

    def welcomed(self, campaign: Array) -> None:
        """Note that contacts of campaigns were accepted or answered; -1 for those of none."""
        np.add.at(self._won, campaign[campaign >= 0], 1)

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
        runs &= self._won < table["enough"]
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
