"""How recipients decide, from nothing but what they can see."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from benchmarks.independent.people import Person
from benchmarks.independent.rhythm import DAY, HOUR, MINUTE, hour_of
from benchmarks.independent.signs import HEARD


@dataclass(frozen=True, slots=True)
class Climate:
    """How open people of a platform are to those they do not know."""

    accept: float
    reply: float
    decline: float
    block: float
    report: float
    alarm: float


def sigmoid(value: float) -> float:
    """Return the logistic function."""
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, value))))


def busy(person: Person, when: int, add: float = 1.0) -> float:
    """Count an approach and return how many the person had of late."""
    person.load = person.load * math.exp(-max(0, when - person.load_at) / DAY) + add
    person.load_at = max(when, person.load_at)
    return person.load


def strange(person: Person, other: Person) -> float:
    """Return how odd the other's age looks to a person: 0 none, 1 clearly odd."""
    mine, theirs = person.age, other.seems
    gap = abs(theirs - mine)
    if mine < 18:
        return 0.0 if theirs < 18 else min(1.0, max(0.0, (gap - 3.0) / 9.0))
    return 0.5 if theirs < 16 else min(0.4, gap / 80)


def openness(person: Person, other: Person, mutual: int, warmth: float, when: int) -> float:
    """Return how inclined a person is towards another's approach."""
    value = 0.55 * math.log2(1 + min(mutual, 15)) + warmth + other.appeal - 0.75 * person.caution
    value -= strange(person, other) * (1.0 + 0.5 * max(0.0, person.caution))
    value += min(1.6, 1.2 * person.trust.get(other.index, 0.0)) - 1.2 * person.alarm.get(other.index, 0.0)
    value -= 0.12 * min(12.0, busy(person, when) - 1.0)
    if len(other.friends) < 5:
        value -= 0.3
    return value


def on_request(rng: random.Random, climate: Climate, person: Person, other: Person, value: float) -> str:
    """Decide on a friend request: accept, decline, ignore, block or report."""
    if rng.random() < sigmoid(value + climate.accept):
        return "accept"
    pick = rng.random()
    fear = climate.block * math.exp(0.5 * person.caution) * (1 + 1.5 * strange(person, other))
    if pick < fear * climate.report:
        return "report"
    if pick < fear:
        return "block"
    return "decline" if pick < fear + climate.decline else "ignore"


def on_message(rng: random.Random, climate: Climate, person: Person, other: Person, value: float) -> str:
    """Decide on a first message: reply, ignore, block or report."""
    if rng.random() < sigmoid(value + climate.reply):
        return "reply"
    fear = climate.block * math.exp(0.5 * person.caution) * (1 + 1.5 * strange(person, other))
    pick = rng.random()
    if pick < fear * climate.report:
        return "report"
    return "block" if pick < fear else "ignore"


def worry(person: Person, other: Person, sign: str, near: float) -> float:
    """Return how much a sign in a message worries the reader, given how near the two are (0 to 1)."""
    weight = HEARD[sign] * (1.0 - near) * math.exp(0.45 * person.caution)
    return weight * (1.0 + 0.8 * strange(person, other))


def on_alarm(rng: random.Random, climate: Climate, person: Person) -> str:
    """Decide what to do about a talk that went too far: mute, leave, block or report."""
    pick = rng.random() * math.exp(-0.2 * person.caution)
    if pick < 0.16 * climate.report * 3:
        return "report"
    if pick < 0.36:
        return "block"
    return "leave" if pick < 0.55 else "mute"


def delay(rng: random.Random, person: Person, when: int) -> int:
    """Return the moment of an answer: minutes to days later, seldom in the night."""
    later = when + int(MINUTE + rng.lognormvariate(math.log(person.speed), 1.35) * HOUR)
    if 1 <= hour_of(later) < 7 and person.shape != 3 and rng.random() < 0.85:
        later += int(rng.uniform(5, 9) * HOUR)
    return later
