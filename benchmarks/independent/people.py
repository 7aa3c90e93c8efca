"""People: who they are, what their profile says, and how they behave."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from benchmarks.independent.rhythm import DAY, START


@dataclass(slots=True)
class Person:
    """An account and the person behind it."""

    index: int
    ident: str
    age: float
    shown: float | None
    looks: float
    fact: str
    source: str
    created: int
    joins: int
    activity: float
    sociable: float
    caution: float
    chatty: float
    appeal: float
    speed: float
    noise: float
    bold: float
    shape: int
    roles: tuple[str, ...] = ()
    label: str = "benign"
    harmful: bool = False
    life: float = 1.0
    alive: bool = True
    place: int = 0
    partner: int = -1
    load: float = 0.0
    load_at: int = START
    groups: set[int] = field(default_factory=set)
    friends: set[int] = field(default_factory=set)
    close: list[int] = field(default_factory=list)
    asked: dict[int, int] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)
    muted: set[int] = field(default_factory=set)
    blocked: set[int] = field(default_factory=set)
    trust: dict[int, float] = field(default_factory=dict)
    alarm: dict[int, float] = field(default_factory=dict)
    met: deque[int] = field(default_factory=lambda: deque(maxlen=40))

    @property
    def seems(self) -> float:
        """Return the age others take the person for: what the profile says, otherwise how they look."""
        return self.looks if self.shown is None else self.shown

    @property
    def guess(self) -> float:
        """Return the age a searching eye takes the person for: how they look counts more than the profile."""
        return self.looks


@dataclass(frozen=True, slots=True)
class AgePolicy:
    """How a platform learns ages and how often they are false."""

    unknown: float
    birth_date: float
    inline: float
    child_lies: float
    teen_lies: float
    adult_lies: float


def band(age: float) -> str:
    """Return the age band of an age in years."""
    if age < 13:
        return "under_13"
    if age < 16:
        return "13_15"
    if age < 18:
        return "16_17"
    return "18_20" if age < 21 else "21_plus"


def birth_date(age: float) -> str:
    """Return the date of birth of somebody of this age on the first day of the stream."""
    day = datetime.fromtimestamp(START / 1000, tz=UTC).date()
    born: date = day - timedelta(days=int(age * 365.2425) + 1)
    return born.isoformat()


def declared_age(rng: random.Random, age: float, policy: AgePolicy) -> float | None:
    """Draw the age a profile states, or None where it states none."""
    if rng.random() < policy.unknown:
        return None
    if age < 13:
        if rng.random() < policy.child_lies:
            return rng.choice((13.2, 13.6, 14.5, 16.3, 18.4, 21.5, 30.1))
    elif age < 18:
        if rng.random() < policy.teen_lies:
            return rng.choice((16.5, 18.1, 18.3, 18.6, 19.2, 21.2, 24.0))
    elif rng.random() < policy.adult_lies:
        return rng.choice((13.5, 15.2, 16.4, 17.5, 18.5, 19.4, 22.0, 25.0, 60.0, 80.0))
    return age


def draw_person(rng: random.Random, index: int, ident: str, age: float, policy: AgePolicy) -> Person:
    """Draw a person of a given age with a heavy-tailed temperament."""
    shown = declared_age(rng, age, policy)
    pick = rng.random()
    fact = "age_band"
    if pick < policy.birth_date:
        fact = "birth_date"
    elif pick < policy.birth_date + policy.inline:
        fact = "inline"
    minor = age < 18
    young = rng.random() < 0.14
    old_days = rng.uniform(2, 70) if young else rng.uniform(70, 2200)
    shape = rng.choice((1, 1, 1, 3)) if minor else rng.choice((0, 2, 2, 3))
    return Person(
        index=index,
        ident=ident,
        age=age,
        shown=shown,
        looks=max(7.0, age + rng.gauss(0.0, 1.3 if age < 22 else 3.5)),
        fact=fact,
        source=rng.choices(("declared", "estimated", "verified"), (80, 13, 7))[0],
        created=START - int(old_days * DAY),
        joins=START,
        activity=min(9.0, rng.lognormvariate(-0.35, 0.95)),
        sociable=min(14.0, rng.lognormvariate(-0.4, 1.0)),
        caution=rng.gauss(0.0 if not minor else -0.1, 1.0),
        chatty=min(6.0, rng.lognormvariate(-0.1, 0.6)),
        appeal=rng.gauss(0.0, 0.6),
        speed=rng.lognormvariate(0.7, 0.9),
        noise=min(30.0, rng.lognormvariate(-0.6, 1.25)),
        bold=min(3.0, rng.lognormvariate(-0.25, 0.7)),
        shape=shape,
    )
