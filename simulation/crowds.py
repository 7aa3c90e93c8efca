"""Campaigns of innocent people in private life: newcomers, parties, guilds, fans, families, romances."""

from __future__ import annotations

import numpy as np

from simulation.campaigns import Plans, campaigns
from simulation.groups import CLASS, FAMILY
from simulation.people import People
from simulation.plans import plan, spread_out, varied
from simulation.profile import Profile
from simulation.rows import DAY, Array
from simulation.talk import LOGISTICS, ROMANCE

__all__ = ["crowd_campaigns"]


def crowd_campaigns(
    rng: np.random.Generator, people: People, profile: Profile, plans: Plans, *, start: int, days: float
) -> Array:
    """Return the campaigns of innocent people in private life; parameters as in `innocent_campaigns`."""
    made = [
        _newcomers(rng, people),
        _teens(rng, people, start, days),
        _explorers(rng, people, start, days),
        _couples(rng, people, start, days),
        _parties(rng, people, start, days),
        _guilds(rng, people, start, days),
        _families(rng, people, start, days),
        _near_peers(rng, people, start, days),
        _lonely(rng, people, start, days),
        _fans(rng, people, plans, start, days),
        _eager(rng, people, profile, start, days),
    ]
    return np.concatenate(made)


def _somewhen(rng: np.random.Generator, people: People, table: Array, start: int, days: float) -> Array:
    return np.asarray(np.maximum(people.joined[table["account"]], start) + rng.random(len(table)) * 0.8 * days * DAY)


def _newcomers(rng: np.random.Generator, people: People) -> Array:
    """Join and ask everybody they know at once; only the platform's import may know that they know them."""
    made = []
    for name in ("newcomer", "newcomer_import"):
        table = plan(rng, people, (name,), circle=0.35, crowd=0.4, school=0.15, second=0.1)
        n = len(table)
        table["per_day"], table["limit"] = rng.lognormal(3.3, 0.7, n), 200
        table["duty"] = rng.uniform(0.15, 0.7, n)
        table["told"] = rng.uniform(0.5, 1.0, n) if name == "newcomer_import" else 0.0
        anchors = people.tiers[CLASS].pick(rng, people.tiers[CLASS].of[table["account"]])
        table["anchor"] = np.where(anchors == table["account"], -1, anchors)
        age = people.age[table["account"]]
        table["youngest"], table["oldest"] = age - 2.0, age + 2.0
        table["pursue"], table["tempo"] = 0.3, 2.0
        begin = people.joined[table["account"]] + rng.exponential(0.05 * DAY, n)
        made.append(spread_out(table, begin, rng.lognormal(0.5, 0.6, n)))
    return np.concatenate(made)


def _teens(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Ask the new class and the new school, where they have no mutual friend yet."""
    table = plan(rng, people, ("teen_new_school",), circle=0.4, school=0.4, crowd=0.15, near=0.05)
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(2.4, 0.6, n), 80
    table["duty"], table["messages"] = rng.uniform(0.2, 0.8, n), rng.beta(0.5, 2.0, n)
    age = people.age[table["account"]]
    table["youngest"], table["oldest"] = age - 1.0, age + 1.0
    table["pursue"], table["tempo"] = 0.6, 0.7
    return spread_out(table, start + rng.random(n) * 0.8 * days * DAY, rng.lognormal(1.3, 0.5, n))


def _explorers(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Add teenagers from everywhere, for weeks."""
    table = plan(rng, people, ("teen_explorer",), aged=0.6, crowd=0.2, popular=0.1, near=0.1)
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(1.3, 0.7, n), rng.integers(8, 50, n)
    table["duty"], table["messages"] = rng.uniform(0.15, 0.8, n), rng.beta(0.8, 1.5, n)
    age = people.age[table["account"]]
    table["youngest"], table["oldest"] = age - rng.uniform(1.0, 3.0, n), age + rng.uniform(1.0, 3.0, n)
    table["pursue"], table["sessions"], table["tempo"] = 0.5, 4.0, 0.6
    table["script"], table["strength"] = ROMANCE, rng.uniform(0.0, 0.04, n)
    return spread_out(table, _somewhen(rng, people, table, start, days), rng.lognormal(2.0, 0.6, n))


def _couples(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Find one another, and write day and night."""
    table = plan(rng, people, ("teen_couple",), school=0.5, circle=0.2, near=0.2, second=0.1)
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(-0.3, 0.5, n), 3
    table["enough"], table["messages"] = 1, rng.beta(1.0, 1.0, n)
    table["pursue"], table["sessions"] = 1.0, rng.uniform(20.0, 50.0, n)
    table["pace"], table["volume"] = rng.uniform(5.0, 15.0, n), rng.uniform(1.5, 3.0, n)
    table["tempo"] = rng.lognormal(-1.0, 0.4, n)
    table["script"], table["strength"] = ROMANCE, rng.uniform(0.02, 0.10, n)
    return spread_out(table, start + rng.random(n) * 0.5 * days * DAY, np.full(n, days))


def _parties(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Invite whom they know, and whom those know, within a day or two."""
    table = plan(rng, people, ("party_host",), circle=0.3, second=0.4, crowd=0.2, near=0.1)
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(3.4, 0.5, n), 150
    table["duty"], table["messages"] = rng.uniform(0.2, 0.8, n), rng.beta(2.0, 1.0, n)
    age = people.age[table["account"]]
    table["youngest"], table["oldest"] = age - 3.0, age + 3.0
    table["pursue"], table["tempo"] = 0.3, 0.5
    table["script"], table["strength"] = LOGISTICS, rng.uniform(0.05, 0.2, n)
    return spread_out(table, _somewhen(rng, people, table, start, days), rng.lognormal(0.2, 0.4, n))


def _guilds(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Recruit for a guild, or play in one of all ages."""
    leaders = plan(rng, people, ("guild_leader",), near=0.3, aged=0.4, mates=0.2, second=0.1)
    n = len(leaders)
    leaders["per_day"], leaders["limit"] = rng.lognormal(1.8, 0.8, n), rng.choice([15, 30, 60], n)
    leaders["duty"], leaders["messages"] = rng.uniform(0.1, 0.7, n), rng.beta(1.0, 1.0, n)
    leaders["youngest"], leaders["oldest"] = rng.choice([10.0, 12.0, 14.0], n), rng.choice([20.0, 30.0, 40.0], n)
    leaders["pursue"], leaders["tempo"] = 0.5, 1.0
    leaders["script"], leaders["strength"] = LOGISTICS, rng.uniform(0.02, 0.12, n)
    made = [spread_out(leaders, start + rng.random(n) * 0.5 * days * DAY, rng.uniform(0.2, 1.0, n) * days)]
    for name in ("guild_mate", "teen_gamer"):
        table = plan(rng, people, (name,), mates=0.7, near=0.15, second=0.15)
        n = len(table)
        table["per_day"], table["limit"] = rng.lognormal(0.8, 0.7, n), 30
        table["duty"], table["messages"] = rng.uniform(0.1, 0.6, n), rng.beta(1.5, 1.0, n)
        table["pursue"], table["sessions"], table["tempo"] = 0.7, 6.0, 1.0
        table["volume"] = rng.uniform(1.0, 2.5, n)
        table["script"], table["strength"] = LOGISTICS, rng.uniform(0.0, 0.06, n)
        made.append(spread_out(table, start + rng.random(n) * 0.5 * days * DAY, rng.uniform(0.2, 1.0, n) * days))
    return np.concatenate(made)


def _families(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Get to know the friends of their own children, nephews, little sisters."""
    table = plan(rng, people, ("family_hub",), crowd=0.6, circle=0.4)
    n = len(table)
    family = people.tiers[FAMILY]
    child = np.full(n, -1)
    for place, account in enumerate(table["account"].tolist()):
        young = family.members(int(family.of[account]))
        young = young[people.age[young] < 18]
        child[place] = rng.choice(young) if len(young) else -1
    table["anchor"] = child
    age = np.where(child >= 0, people.age[child], 12.0)
    table["youngest"], table["oldest"] = age - 1.0, age + 1.0
    table["per_day"], table["limit"] = rng.lognormal(0.5, 0.6, n), 25
    table["duty"], table["messages"] = rng.uniform(0.05, 0.4, n), rng.beta(1.5, 1.0, n)
    table["pursue"], table["sessions"], table["tempo"] = 0.5, 4.0, 2.0
    table["script"], table["strength"] = LOGISTICS, rng.uniform(0.02, 0.12, n)
    return spread_out(table, _somewhen(rng, people, table, start, days), rng.lognormal(1.8, 0.6, n))


def _near_peers(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Just left school, and befriend those who are still there; some fall in love."""
    table = plan(rng, people, ("near_peer",), aged=0.5, group=0.3, second=0.2)
    n = len(table)
    table["per_day"], table["limit"] = rng.lognormal(0.9, 0.7, n), 30
    table["duty"], table["messages"] = rng.uniform(0.1, 0.7, n), rng.beta(1.0, 1.0, n)
    table["youngest"], table["oldest"] = rng.choice([15.0, 16.0], n), rng.choice([18.0, 20.0], n)
    table["pursue"], table["sessions"], table["tempo"] = 0.5, 6.0, 0.8
    table["script"], table["strength"] = ROMANCE, rng.uniform(0.0, 0.06, n)
    return spread_out(table, start + rng.random(n) * 0.6 * days * DAY, rng.lognormal(1.9, 0.6, n))


def _lonely(rng: np.random.Generator, people: People, start: int, days: float) -> Array:
    """Ask people of about their own age; hardly anybody answers."""
    table = plan(rng, people, ("lonely_adult",), near=0.5, aged=0.4, popular=0.1)
    n = len(table)
    age = people.age[table["account"]]
    table["youngest"], table["oldest"] = np.maximum(18.0, age - rng.choice([5.0, 12.0], n)), age + 8.0
    table["per_day"], table["limit"] = rng.lognormal(1.3, 0.7, n), 40
    table["duty"], table["messages"] = rng.uniform(0.2, 0.9, n), rng.beta(1.0, 1.0, n)
    table["pursue"], table["sessions"], table["tempo"] = 0.8, 5.0, 0.6
    table["script"], table["strength"] = ROMANCE, rng.uniform(0.0, 0.06, n)
    return spread_out(table, start + rng.random(n) * 0.3 * days * DAY, rng.uniform(0.3, 1.0, n) * days)


def _fans(rng: np.random.Generator, people: People, plans: Plans, start: int, days: float) -> Array:
    """Reach for the same stars, and for one another, within days."""
    table = plan(rng, people, ("fan_club",), pool=0.8, near=0.1, second=0.1)
    n = len(table)
    at = 0
    while at < n:
        size = int(rng.integers(10, 40))
        size = n - at if n - at - size < 10 else size
        members = table["account"][at : at + size].astype(np.int64)
        stars = rng.choice(len(people), int(rng.integers(5, 20)), replace=False)
        others = rng.choice(members, min(len(members), 12), replace=False)
        table["pool"][at : at + size] = plans.pool(rng.permutation(np.concatenate([stars, others])))
        begin = start + rng.uniform(0.05, 0.8) * days * DAY
        table["begin"][at : at + size] = begin + rng.exponential(1.5 * DAY, size)
        at += size
    table["end"] = table["begin"] + (rng.lognormal(1.2, 0.5, n) * DAY).astype(np.int64)
    table["begin"] = np.maximum(table["begin"], people.joined[table["account"]])
    table["per_day"], table["limit"] = rng.lognormal(1.2, 0.6, n), 30
    table["duty"], table["messages"] = rng.uniform(0.2, 0.9, n), rng.beta(0.7, 1.5, n)
    table["pursue"], table["tempo"] = 0.3, 1.0
    return table


def _eager(rng: np.random.Generator, people: People, profile: Profile, start: int, days: float) -> Array:
    """Ordinary people have such weeks too: a new game, a lonely winter, a summer camp."""
    ordinary = np.flatnonzero(people.label == 0)
    chosen = rng.choice(ordinary, round(0.03 * len(ordinary)), replace=False)
    stranger = profile.stranger_requests**0.7
    known = (1.0 - stranger) / 3.0
    table = varied(rng, campaigns(chosen), circle=known, second=known, crowd=known, near=stranger)
    n = len(table)
    age = people.age[chosen]
    # some look for younger company, and mean no harm
    wide = rng.choice([2.0, 4.0, 8.0], n, p=[0.6, 0.3, 0.1])
    table["youngest"], table["oldest"] = age - wide, age + wide
    table["per_day"], table["limit"] = rng.lognormal(2.0, 0.8, n), 80
    table["duty"], table["messages"] = rng.uniform(0.1, 0.6, n), rng.beta(0.7, 1.5, n)
    table["pursue"], table["tempo"] = 0.5, 1.0
    return spread_out(table, _somewhen(rng, people, table, start, days), rng.lognormal(1.0, 0.6, n))
