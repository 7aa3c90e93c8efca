"""How people answer, from what they can see: mutual friends, acquaintance, ages, looks, and what is said to them.

Nothing here knows who is an attacker. A recipient sees whether the other is from the same class or club, how many
friends they share, the age on the profile, whether the profile is new, and, in messages, what is written and how much.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from simulation.people import People
from simulation.profile import Profile
from simulation.rows import ACCEPTED, BLOCKED, CANCELLED, DAY, DECLINED, HOUR, MINUTE, REPORTED, ROW, Array, rows
from simulation.talk import SEVERE

__all__ = ["REASONS", "Outcomes"]

REASONS: Final = ("spam", "unknown_person", "inappropriate_message", "harassment")
"""Reasons of a report; a row's `extra` is an index into it."""


class Outcomes:
    """Answers to requests and messages, for whole arrays of pairs."""

    def __init__(self, rng: np.random.Generator, people: People, profile: Profile) -> None:
        self._rng, self._people, self._profile = rng, people, profile

    def _liking(self, actor: Array, target: Array, mutual: Array, time: Array) -> Array:
        """Return the log-odds that a recipient takes to a sender, from what is to be seen."""
        people = self._people
        known = people.acquainted(actor, target)
        gap = np.minimum(np.abs(people.looks[actor] - people.age[target]), 30.0) / 10.0
        new = (time - people.created[actor] < 10 * DAY) & (mutual == 0) & ~known
        taste: Array = (
            people.open[target]
            + 0.6 * people.appeal[actor]
            + 0.75 * np.log2(1.0 + mutual)
            + 2.0 * known
            - 0.55 * gap * np.where(known, 0.2, 1.0)
            - 0.4 * new
        )
        return taste

    def _unease(self, actor: Array, target: Array, mutual: Array) -> Array:
        """Return how uneasy a contact makes its recipient; 1 is an ordinary stranger."""
        people = self._people
        gap = np.clip(people.looks[actor] - people.age[target], 0.0, 25.0) / 10.0
        child = people.age[target] < 18
        known = people.acquainted(actor, target)
        unease: Array = (
            people.wary[target]
            * np.exp(np.where(child, 0.55, 0.1) * gap - 0.35 * people.appeal[actor])
            * np.where(known | (mutual > 2), 0.15, 1.0)
        )
        return unease

    def _delay(self, target: Array, time: Array, median_hours: float) -> Array:
        """Return when people answer: most soon, some after days, few in the middle of their night."""
        rng = self._rng
        at = time + (rng.lognormal(np.log(median_hours), 1.6, len(time)) * HOUR).astype(np.int64) + MINUTE // 4
        hour = (at / HOUR + self._people.zone[target]) % 24
        asleep = (hour < 7) & (rng.random(len(at)) < 0.85)
        at[asleep] += ((7 - hour[asleep] + rng.exponential(1.0, int(asleep.sum()))) * HOUR).astype(np.int64)
        return at

    def to_requests(self, requests: Array, mutual: Array, withdraw: Array) -> Array:
        """Return what comes of friend requests: rows, all later than the request.

        Parameters
        ----------
        requests : rows of requests.
        mutual : mutual friends the recipient sees.
        withdraw : chance that an unanswered request is taken back.
        """
        rng = self._rng
        actor, target, time = requests["actor"], requests["target"], requests["time"]
        odds = self._profile.accept + self._liking(actor, target, mutual, time)
        accepts = rng.random(len(time)) < 1.0 / (1.0 + np.exp(-odds))
        declines = ~accepts & (rng.random(len(time)) < 0.33)
        ignores = ~accepts & ~declines
        cancels = ignores & (rng.random(len(time)) < withdraw)
        at = self._delay(target, time, 3.0)
        made = [
            rows(kind, at[mask], target[mask], actor[mask], campaign=requests["campaign"][mask])
            for kind, mask in ((ACCEPTED, accepts), (DECLINED, declines))
        ]
        late = time[cancels] + ((0.5 + rng.exponential(3.0, int(cancels.sum()))) * DAY).astype(np.int64)
        made.append(rows(CANCELLED, late, actor[cancels], target[cancels]))
        upset = np.flatnonzero(~accepts & ~cancels)
        strain = 0.02 * self._unease(actor[upset], target[upset], mutual[upset])
        made.append(self.to_strain(at[upset] + 2000, target[upset], actor[upset], strain, np.zeros(len(upset), int)))
        return np.concatenate(made)

    def answers(self, actor: Array, target: Array, mutual: Array, time: Array) -> Array:
        """Return whether the recipients answer a first message."""
        odds = self._profile.reply + self._liking(actor, target, mutual, time)
        yes: Array = self._rng.random(len(actor)) < 1.0 / (1.0 + np.exp(-odds))
        return yes

    def to_pestering(self, end: Array, actor: Array, target: Array, mutual: Array, written: Array) -> Array:
        """Return what comes of unanswered messages: the more of them, the more blocks and reports."""
        strain = 0.02 * np.sqrt(written) * self._unease(actor, target, mutual)
        at = self._delay(target, end, 1.0)
        return self.to_strain(at, target, actor, strain, np.zeros(len(end), int))

    def to_signs(self, messages: Array) -> Array:
        """Return what comes of messages with something wrong in them, whoever wrote them."""
        heard = messages[messages["signs"] > 0]
        if not len(heard):
            return np.empty(0, ROW)
        target = heard["target"]
        severe = (heard["signs"] & SEVERE) > 0
        gap = np.clip(self._people.looks[heard["actor"]] - self._people.age[target], 0.0, 20.0) / 20.0
        strain = np.where(severe, 0.07, 0.02) * (0.4 + gap) * self._people.wary[target]
        at = self._delay(target, heard["time"], 0.5)
        return self.to_strain(at, target, heard["actor"], strain, np.full(len(at), 2))

    def to_strain(self, at: Array, actor: Array, target: Array, strain: Array, reason: Array) -> Array:
        """Return blocks and reports by those whom a contact strained too much."""
        rng = self._rng
        blocks = rng.random(len(at)) < np.minimum(strain, 0.5)
        reports = rng.random(len(at)) < np.minimum(np.where(blocks, 0.25, 0.3 * strain), 0.4)
        stranger = np.where((reason == 0) & (rng.random(len(at)) < 0.5), 1, reason)
        return np.concatenate(
            [
                rows(BLOCKED, at[blocks], actor[blocks], target[blocks]),
                rows(
                    REPORTED,
                    at[reports] + rng.integers(2000, 5 * MINUTE, int(reports.sum())),
                    actor[reports],
                    target[reports],
                    extra=stranger[reports],
                ),
            ]
        )
