"""Conversations: who writes when, and the few messages in which an upstream classifier finds a sign."""

from __future__ import annotations

from typing import Final

import numpy as np

from simulation.people import People
from simulation.profile import Profile
from simulation.rows import DAY, MESSAGE, MINUTE, SIGNS, Array, rows

__all__ = ["EXTORT", "GROOM", "LOGISTICS", "NOTHING", "POSE", "ROMANCE", "SALES", "SEVERE", "Talk"]

_BIT: Final = {name: 1 << number for number, name in enumerate(SIGNS)}
SEVERE: Final = _BIT["sexual"] | _BIT["blackmail"] | _BIT["image_request"] | _BIT["secrecy"]
"""Signs that a recipient can hardly overlook."""

_NOISE: Final = np.array([1 << number for number in range(len(SIGNS))])
_ADULTS: Final = np.array([_BIT[name] for name in ("sexual", "meet_up", "off_platform", "image_request", "probing")])
_YOUNG: Final = np.array([_BIT[name] for name in ("off_platform", "meet_up", "personal_info", "age_claim", "secrecy")])
NOTHING, GROOM, EXTORT, POSE, LOGISTICS, SALES, ROMANCE = range(7)
"""What is said in a campaign: nothing of note; grooming; extortion with images; grooming by somebody who claims to be a
child; where and when to meet, and in which group chat; what it costs and where to send it; a romance."""


def _signs(*names: str) -> Array:
    return np.array([_BIT[name] for name in names])


_SCRIPTS: Final = (
    (_signs("probing"),),
    (
        _signs("probing", "personal_info", "age_claim", "personal_info"),
        _signs("secrecy", "off_platform", "probing", "image_request"),
        _signs("sexual", "meet_up", "image_request", "secrecy", "blackmail"),
    ),
    (
        _signs("sexual", "off_platform", "probing", "age_claim"),
        _signs("image_request", "image_request", "sexual"),
        _signs("blackmail", "blackmail", "secrecy", "image_request"),
    ),
    (
        _signs("age_claim", "age_claim", "personal_info", "probing"),
        _signs("age_claim", "secrecy", "off_platform", "image_request"),
        _signs("sexual", "meet_up", "image_request", "secrecy"),
    ),
    (_signs("meet_up", "off_platform", "personal_info", "meet_up", "probing"),),
    (_signs("off_platform", "personal_info", "off_platform", "meet_up"),),
    (
        _signs("personal_info", "age_claim", "off_platform"),
        _signs("off_platform", "sexual", "meet_up", "secrecy"),
        _signs("sexual", "image_request", "meet_up", "secrecy"),
    ),
)
"""The signs of each script, stage by stage."""


class Talk:
    """Makes conversations, for whole arrays of pairs."""

    def __init__(self, rng: np.random.Generator, people: People, profile: Profile) -> None:
        self._rng, self._people, self._profile = rng, people, profile

    def converse(
        self,
        time: Array,
        a: Array,
        b: Array,
        length: Array,
        lively: Array,
        campaign: Array | int = -1,
        stage: Array | float = 0.0,
        strength: Array | float = 0.0,
        script: Array | int = NOTHING,
    ) -> Array:
        """Return the messages of one conversation a pair.

        Parameters
        ----------
        time : start, epoch milliseconds.
        a, b : who begins, and with whom.
        length : number of messages.
        lively : chance that a message after the first is by `b`; 0 if there is no answer.
        campaign : what made `a` write, or -1.
        stage : how far things have come, 0 to 1.
        strength : share of `a`'s messages with a sign of the script at the last stage.
        script : what `a` has in mind.
        """
        rng = self._rng
        which = np.repeat(np.arange(len(a)), length)
        first = np.ones(len(which), np.bool_)
        first[1:] = which[1:] != which[:-1]
        gap = (rng.lognormal(0.0, 1.3, len(which)) * MINUTE).astype(np.int64) + 900
        gap[first] = 0
        passed = np.cumsum(gap)
        starts = passed[first]
        at = time[which] + passed - np.repeat(starts, length[length > 0]) if len(which) else passed
        answers = ~first & (rng.random(len(which)) < lively[which])
        speaker, listener = np.where(answers, b[which], a[which]), np.where(answers, a[which], b[which])
        spoken = self._everyday(speaker, listener)
        push = np.broadcast_to(np.asarray(strength), len(a))[which]
        if (push > 0).any():
            far = np.broadcast_to(np.asarray(stage), len(a))[which]
            told = np.broadcast_to(np.asarray(script), len(a))[which]
            slips = np.flatnonzero(~answers & (rng.random(len(which)) < push * (0.15 + far)))
            at_most = rng.random(len(slips)) ** 0.4 * far[slips]
            for number, stages in enumerate(_SCRIPTS):
                reached = np.minimum((at_most * len(stages)).astype(np.int64), len(stages) - 1)
                for step, choice in enumerate(stages):
                    said = slips[(told[slips] == number) & (reached == step)]
                    spoken[said] |= rng.choice(choice, len(said))
        origin = np.broadcast_to(np.asarray(campaign), len(a))[which]
        return rows(MESSAGE, at, speaker, listener, campaign=np.where(answers, -1, origin), signs=spoken)

    def _everyday(self, speaker: Array, listener: Array) -> Array:
        """Return the signs that a classifier finds in everyday messages: banter, flirting and plain mistakes."""
        rng, looks = self._rng, self._people.looks
        spoken = np.zeros(len(speaker), np.int64)
        young = (looks[speaker] < 18).astype(np.int64) + (looks[listener] < 18)
        chance = np.array([self._profile.flirt, 0.0025, 0.005])[young]
        found = np.flatnonzero(rng.random(len(speaker)) < chance)
        if len(found):
            noise = rng.choice(_NOISE, len(found))
            banter = np.where(young[found] == 2, rng.choice(_YOUNG, len(found)), rng.choice(_ADULTS, len(found)))
            spoken[found] = np.where(rng.random(len(found)) < 0.35, noise, banter)
        return spoken

    def pursue(self, time: Array, a: Array, b: Array, table: Array, number: Array) -> Array:
        """Return all later conversations of pairs after an accepted or answered contact made in a campaign.

        Whether `b` stays in touch is `b`'s choice, made from `b`'s temperament and the ages that both see.

        Parameters
        ----------
        time : when the contact came about.
        a, b : who made it, and with whom.
        table : all campaigns.
        number : each pair's campaign.
        """
        rng, people = self._rng, self._people
        plan = table[number]
        wanted = rng.random(len(a)) < plan["pursue"]
        time, a, b, number, plan = time[wanted], a[wanted], b[wanted], number[wanted], plan[wanted]
        friendly = 1.0 / (1.0 + np.exp(-(1.0 + people.open[b] * 0.5 + people.appeal[a] * 0.3)))
        # it goes on for as long as both want it to
        sessions = np.minimum(
            rng.geometric(1.0 / np.maximum(plan["sessions"], 1.0)), rng.geometric(1.0 / (1.0 + 30.0 * friendly**2))
        )
        which = np.repeat(np.arange(len(a)), sessions)
        index = np.arange(len(which)) - np.repeat(np.cumsum(sessions) - sessions, sessions)
        pause = rng.lognormal(np.log(np.maximum(plan["tempo"][which], 0.05)), 0.8) * DAY
        passed = np.cumsum(pause)
        before = np.repeat((passed - pause)[index == 0], sessions) if len(which) else passed
        since = passed - before - np.where(index == 0, pause * 0.9, 0.0)
        far = np.minimum(1.0, (index + 1) / plan["pace"][which])
        length = 1 + rng.geometric(1.0 / (2.0 + 6.0 * plan["volume"][which] * friendly[which] * (0.5 + far)))
        return self.converse(
            time[which] + since.astype(np.int64) + MINUTE,
            a[which],
            b[which],
            length,
            0.55 * friendly[which],
            number[which],
            far,
            plan["strength"][which],
            plan["script"][which],
        )
