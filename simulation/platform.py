"""The platform: everybody's day merged into one stream in time order, a stretch of two hours at a time.

Memory follows the accounts, the friendships and what is outstanding (answers to come, conversations under way); it does
not grow with the events made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from simulation.attacks import harmful_campaigns
from simulation.brigades import brigades
from simulation.campaigns import CAMPAIGN, CIRCLE, MATES, NEAR, POPULAR, SCHOOL, SECOND, Plans, Running, Targets
from simulation.cast import EDGES, harmful_mask
from simulation.groups import GUILD
from simulation.negatives import innocent_campaigns
from simulation.outcomes import Outcomes
from simulation.people import People, populate
from simulation.profile import Burst, Profile
from simulation.rows import (
    ACCEPTED,
    BLOCKED,
    CANCELLED,
    CREATED,
    DAY,
    DECLINED,
    DELETED,
    HOUR,
    MESSAGE,
    MINUTE,
    REMOVED,
    REPORTED,
    REQUEST,
    UPDATED,
    Agenda,
    Array,
    Asked,
    pair_keys,
    rows,
)
from simulation.talk import Talk
from simulation.ties import befriend

__all__ = ["Platform"]

STRETCH: Final = 2 * HOUR
_NIGHT, _DAY, _EVENING = [0.35, 0.2, 0.12, 0.08, 0.08, 0.15], [0.4, 0.8, 0.9, 0.8, 0.8, 0.9], [1.6, 0.9]
_AFTERNOON: Final = [1.1, 1.1, 1.0, 1.1, 1.4, 1.7, 1.9, 2.1, 2.2, 2.1]
_DAYLIGHT: Final = np.array([*_NIGHT, *_DAY, *_AFTERNOON, *_EVENING])
"""Activity by the hour of the day where people live."""
_ENDED_BY_BLOCK: Final = (REQUEST, ACCEPTED, DECLINED, CANCELLED, MESSAGE, BLOCKED)


class Platform:
    """One run of a platform; iterate `rows()` once.

    Parameters
    ----------
    profile : the kind of platform.
    seed : of all randomness.
    accounts, days : size.
    start : epoch milliseconds; accounts and friendships are loaded in the two hours before.
    attackers : factor on the share of harmful accounts; 0 for none.
    harm_from : epoch milliseconds at which harmful accounts begin all at once, for a demonstration; else None.
    intensity : factor on how many contacts a day attackers make.
    burst : a time in which everybody reaches out more than usual, if there is one.
    """

    def __init__(
        self,
        profile: Profile,
        seed: int,
        accounts: int,
        days: float,
        *,
        start: int,
        attackers: float = 1.0,
        harm_from: int | None = None,
        intensity: float = 1.0,
        burst: Burst | None = None,
    ) -> None:
        self._rng = rng = np.random.Generator(np.random.PCG64(seed))
        self.profile, self.start, self.end = profile, start, start + int(days * DAY)
        self.people: People = populate(rng, accounts, profile, start=start, days=days, attackers=attackers)
        self._days, self._harm_from, self._intensity, self._burst = days, harm_from, intensity, burst
        if harm_from is not None:
            late = harmful_mask(self.people.label) & (self.people.joined > harm_from)
            self.people.joined[late] = self.people.created[late] = harm_from + 1

    def rows(self) -> Iterator[Array]:
        """Yield the events, in time order, as arrays of ROW."""
        rng, people, profile = self._rng, self.people, self.profile
        self._friends, one, other = befriend(rng, people, profile, start=self.start)
        plans = Plans(np.empty(0, CAMPAIGN))
        harm = harmful_campaigns(
            rng,
            people,
            self._friends,
            profile,
            plans,
            start=self._harm_from or self.start,
            days=self._days,
            prompt=self._harm_from is not None,
        )
        harm["per_day"] *= self._intensity * profile.reach
        meant_well = innocent_campaigns(rng, people, profile, plans, start=self.start, days=self._days)
        plans.table = table = np.concatenate([harm, meant_well])
        self._running, self._targets = Running(rng, plans), Targets(rng, people, self._friends, plans)
        self._outcomes, self._talk = Outcomes(rng, people, profile), Talk(rng, people, profile)
        self._asked, self._agenda = Asked(len(people)), Agenda()
        self._alive = people.joined < self.start
        self._blocked = np.empty(0, np.int64)
        yield from self._load(one, other)
        self._foresee(table)
        mood, today = np.ones(len(people)), -1
        for begin in range(self.start, self.end, STRETCH):
            if begin // DAY != today:
                today, mood = begin // DAY, rng.gamma(0.8, 1 / 0.8, len(people))
            end = min(begin + STRETCH, self.end)
            hour = (begin // HOUR + people.zone) % 24
            light = (_DAYLIGHT[hour] + _DAYLIGHT[(hour + 1) % 24]) / 2.0
            self._alive |= (people.joined >= begin) & (people.joined < end)
            self._everyday(begin, end, light * mood)
            self._campaign(begin, end, light)
            due: list[Array] = []
            while len(part := self._agenda.pop(end)):
                due.append(self._apply(part))
            if due:
                made = np.concatenate(due)
                yield _silenced(made[np.argsort(made["time"], kind="stable")])

    def _load(self, one: Array, other: Array) -> Iterator[Array]:
        """Yield the accounts that exist and their friendships."""
        here = np.flatnonzero(self._alive)
        order = here[np.argsort(self.people.joined[here], kind="stable")]
        yield rows(UPDATED, self.people.joined[order], order)
        at = np.sort(self._rng.integers(self.start - HOUR, self.start, len(one)))
        for begin in range(0, len(one), 65536):
            piece = slice(begin, begin + 65536)
            yield rows(CREATED, at[piece], one[piece], other[piece])

    def _foresee(self, table: Array) -> None:
        """Put on the agenda what is settled from the start: arrivals, corrected ages, farewells."""
        rng, people = self._rng, self.people
        arrivals = np.flatnonzero(~self._alive)
        self._agenda.add(rows(UPDATED, people.joined[arrivals], arrivals))
        n, length = len(people), self.end - self.start
        true_band = np.searchsorted(EDGES, people.age, side="right") + 1
        found_out = np.flatnonzero((people.band != true_band) & (rng.random(n) < 0.006 * self._days))
        since = np.maximum(people.joined[found_out], self.start)
        at = since + (rng.random(len(found_out)) * (self.end - since)).astype(np.int64)
        self._agenda.add(rows(UPDATED, at, found_out, extra=true_band[found_out]))
        leaving = np.flatnonzero((rng.random(n) < 0.0004 * self._days) & (people.label == 0))
        at = np.maximum(
            people.joined[leaving] + HOUR, self.start + (rng.random(len(leaving)) * length).astype(np.int64)
        )
        self._agenda.add(rows(DELETED, at, leaving))
        self._agenda.add(brigades(rng, people, start=self.start, end=self.end))
        gone = table[table["leaves"]]
        self._agenda.add(rows(DELETED, gone["end"] + rng.integers(HOUR, DAY, len(gone)), gone["account"]))

    def _draw(self, rate: Array, begin: int, end: int) -> Array:
        """Return the accounts that do something that they do at `rate` a day; one may come twice."""
        weight = np.cumsum(rate * self._alive)
        count = self._rng.poisson(weight[-1] * (end - begin) / DAY)
        drawn = np.searchsorted(weight, self._rng.random(count) * weight[-1])
        return np.sort(np.minimum(drawn, len(rate) - 1))

    def _sitting(self, actor: Array, begin: int, end: int) -> Array:
        """Return times within a stretch; what one account does in it, it does mostly in one sitting."""
        rng = self._rng
        _, which = np.unique(actor, return_inverse=True)
        sat = rng.random(int(which.max()) + 1 if len(which) else 0)[which] * (end - begin) * 0.7
        at = np.where(
            rng.random(len(actor)) < 0.8,
            sat + rng.exponential(5.0 * MINUTE, len(actor)),
            rng.random(len(actor)) * (end - begin),
        )
        times: Array = begin + np.minimum(at, end - begin - 1).astype(np.int64)
        late: Array = np.maximum(times, self.people.joined[actor] + 1)
        return late

    def _everyday(self, begin: int, end: int, active: Array) -> None:
        """Everyday requests, conversations and quarrels of everybody."""
        rng, people = self._rng, self.people
        lift = self._lift(begin)
        actor = self._draw(people.requests * active * (1.0 + lift), begin, end)
        strange, extra = self._strange(people.strange_requests[actor], lift)
        known = rng.choice([SECOND, CIRCLE, SCHOOL], len(actor), p=[0.45, 0.35, 0.2])
        known[extra & (rng.random(len(actor)) < 0.8)] = SCHOOL
        known[(people.tiers[GUILD].of[actor] >= 0) & (rng.random(len(actor)) < 0.3)] = MATES
        way = np.where(strange, np.where(rng.random(len(actor)) < 0.85, NEAR, POPULAR), known)
        blank = np.full(len(actor), -1)
        target = self._targets.find(actor, way, blank)
        self._request(self._sitting(actor, begin, end), actor, target, blank)

        actor = self._draw(people.sessions * active * (1.0 + 0.5 * lift), begin, end)
        strange, extra = self._strange(people.strange_sessions[actor], 0.5 * lift)
        way = np.where(rng.random(len(actor)) < 0.9, NEAR, POPULAR)
        mates = ~strange & (people.tiers[GUILD].of[actor] >= 0) & (rng.random(len(actor)) < 0.25)
        way[mates], strange = MATES, strange | mates
        blank = np.full(len(actor), -1)
        target = self._friends.pick_close(rng, actor)
        target[strange] = self._targets.find(actor[strange], way[strange], blank[strange])
        self._write(self._sitting(actor, begin, end), actor, target, blank)

        actor = self._draw(np.full(len(people), 0.004), begin, end)
        target = self._friends.pick(rng, actor)
        at, actor, target = self._sound(self._sitting(actor, begin, end), actor, target)
        what = rng.choice([REMOVED, BLOCKED, REPORTED], len(actor), p=[0.7, 0.2, 0.1])
        self._agenda.add(rows(what, at, actor, target, extra=np.where(what == REPORTED, 3, -1)))

    def _lift(self, begin: int) -> float:
        """Return by how much more than usual everybody reaches out, as a share of the usual."""
        burst = self._burst
        day = (begin - self.start) / DAY
        inside = burst is not None and burst.begin <= day < burst.begin + burst.length
        return burst.factor - 1.0 if burst is not None and inside else 0.0

    def _strange(self, usual: Array, lift: float) -> tuple[Array, Array]:
        """Return which contacts go to strangers, and which are only made because of a burst."""
        extra = self._rng.random(len(usual)) < lift / (1.0 + lift)
        share = np.where(extra, self._burst.strangers if self._burst else 0.0, usual)
        return self._rng.random(len(usual)) < share, extra

    def _campaign(self, begin: int, end: int, light: Array) -> None:
        """Contacts made in campaigns."""
        which, way = self._running.draw(begin, end, light, self._alive)
        plan = self._running.table[which]
        actor = plan["account"].astype(np.int64)
        target = self._targets.find(actor, way, which)
        at = np.maximum(self._sitting(actor, begin, end), plan["begin"])
        writes = self._rng.random(len(actor)) < plan["messages"]
        self._request(at[~writes], actor[~writes], target[~writes], which[~writes])
        self._write(at[writes], actor[writes], target[writes], which[writes])

    def _sound(self, at: Array, actor: Array, target: Array, *more: Array) -> list[Array]:
        """Return the pairs of which both exist, differ, and have not blocked each other."""
        good = (target >= 0) & (actor != target)
        good &= self._alive[actor] & self._alive[np.maximum(target, 0)]
        good &= self.people.joined[np.maximum(target, 0)] < at
        good &= ~np.isin(pair_keys(actor, target), self._blocked)
        return [column[good] for column in (at, actor, target, *more)]

    def _request(self, at: Array, actor: Array, target: Array, campaign: Array) -> None:
        at, actor, target, campaign = self._sound(at, actor, target, campaign)
        new = ~self._friends.are(actor, target)
        new[new] = self._asked.fresh(actor[new], target[new])
        actor, target, at, campaign = actor[new], target[new], at[new], campaign[new]
        mutual = self._friends.mutual(actor, target)
        table, rng = self._running.table, self._rng
        within = campaign >= 0
        tells = rng.random(len(actor)) < self.profile.mutual_known
        told = np.where(tells, mutual, -1)
        withdraw = np.where(within, table["withdraw"][campaign], 0.03)
        # an address book knows friends whom the graph does not know yet
        imports = within & (rng.random(len(actor)) < table["told"][campaign])
        imports &= self.people.acquainted(actor, target)
        told[imports] = mutual[imports] + rng.poisson(3.0, int(imports.sum()))
        asked = rows(REQUEST, at, actor, target, campaign=campaign, extra=told)
        self._agenda.add(asked, self._outcomes.to_requests(asked, np.maximum(mutual, told), withdraw))

    def _write(self, at: Array, actor: Array, target: Array, campaign: Array) -> None:
        """Begin conversations, with friends or strangers."""
        at, actor, target, campaign = self._sound(at, actor, target, campaign)
        rng = self._rng
        friend = self._friends.are(actor, target)
        mutual = np.zeros(len(actor), np.int64)
        mutual[~friend] = self._friends.mutual(actor[~friend], target[~friend])
        answered = friend & (rng.random(len(actor)) < 0.85)
        answered[~friend] = self._outcomes.answers(actor[~friend], target[~friend], mutual[~friend], at[~friend])
        length = np.where(answered, rng.geometric(1 / 6.0, len(at)) + 1, rng.geometric(0.7, len(at)))
        lively = np.where(answered, rng.uniform(0.35, 0.6, len(at)), 0.0)
        # a first word in a campaign is rarely a sign already
        self._agenda.add(self._talk.converse(at, actor, target, length, lively, campaign))
        cold = ~answered & ~friend
        self._agenda.add(
            self._outcomes.to_pestering(at[cold] + HOUR, actor[cold], target[cold], mutual[cold], length[cold])
        )
        warm = answered & ~friend
        self._running.welcomed(campaign[warm])
        goes_on = warm & (campaign >= 0)
        self._agenda.add(
            self._talk.pursue(
                at[goes_on] + HOUR, actor[goes_on], target[goes_on], self._running.table, campaign[goes_on]
            )
        )
        befriends = warm & (rng.random(len(at)) < 0.15)
        later = at[befriends] + rng.integers(HOUR, 2 * DAY, int(befriends.sum()))
        self._request(later, actor[befriends], target[befriends], campaign[befriends])

    def _apply(self, due: Array) -> Array:
        """Let due events take effect; return those that do take place."""
        rng = self._rng
        due = due[np.argsort(due["time"], kind="stable")]
        leaving = due[due["kind"] == DELETED]
        when = np.full(len(self._alive), np.iinfo(np.int64).max)
        np.minimum.at(when, leaving["actor"], leaving["time"])
        target = np.maximum(due["target"], 0)
        takes = self._alive[due["actor"]] & ((due["target"] < 0) | self._alive[target])
        takes &= due["time"] <= when[due["actor"]]
        takes &= (due["target"] < 0) | (due["time"] < when[target])
        keys = pair_keys(due["actor"], due["target"])
        takes &= ~(np.isin(keys, self._blocked) & np.isin(due["kind"], _ENDED_BY_BLOCK))
        shut = np.unique(keys[takes & (due["kind"] == BLOCKED)])
        if len(shut):
            self._blocked = np.union1d(self._blocked, shut)
            self._agenda.forget_pairs(shut)
        due = due[takes]
        self._alive[leaving["actor"]] = False
        accepted = due[due["kind"] == ACCEPTED]
        requester, recipient = accepted["target"].astype(np.int64), accepted["actor"].astype(np.int64)
        new = ~self._friends.are(requester, recipient)
        _, first_of = np.unique(pair_keys(requester, recipient), return_index=True)
        only = np.zeros(len(new), np.bool_)
        only[first_of] = True
        self._friends.add(rng, requester[new & only], recipient[new & only])
        over = due[(due["kind"] == REMOVED) | (due["kind"] == BLOCKED)]
        self._friends.remove(over["actor"], over["target"])
        self._follow_up(accepted, requester, recipient)
        self._agenda.add(self._outcomes.to_signs(due[due["kind"] == MESSAGE]))
        return due

    def _follow_up(self, accepted: Array, requester: Array, recipient: Array) -> None:
        """Let new friends talk, if they do."""
        rng = self._rng
        within = accepted["campaign"] >= 0
        self._running.welcomed(accepted["campaign"])
        self._agenda.add(
            self._talk.pursue(
                accepted["time"][within],
                requester[within],
                recipient[within],
                self._running.table,
                accepted["campaign"][within],
            )
        )
        talks = ~within & (rng.random(len(accepted)) < 0.3)
        swap = rng.random(int(talks.sum())) < 0.4
        a = np.where(swap, recipient[talks], requester[talks])
        b = np.where(swap, requester[talks], recipient[talks])
        at = accepted["time"][talks] + (rng.exponential(2.0, len(a)) * HOUR).astype(np.int64) + MINUTE
        self._agenda.add(self._talk.converse(at, a, b, rng.geometric(1 / 6.0, len(a)) + 1, np.full(len(a), 0.45)))


def _silenced(made: Array) -> Array:
    """Return a stretch's rows, in time order, without what passed between a pair after one blocked the other."""
    shut = np.flatnonzero(made["kind"] == BLOCKED)
    if not len(shut):
        return made
    keys = pair_keys(made["actor"], made["target"])
    unique, first = np.unique(keys[shut], return_index=True)
    place = np.minimum(np.searchsorted(unique, keys), len(unique) - 1)
    after = (unique[place] == keys) & (np.arange(len(made)) > shut[first][place])
    kept: Array = made[~(after & np.isin(made["kind"], _ENDED_BY_BLOCK))]
    return kept
