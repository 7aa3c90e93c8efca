"""What a world adds to the engine: its people, its places, its ways of meeting."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from benchmarks.independent import churn, rhythm
from benchmarks.independent.cast import Spec, assign
from benchmarks.independent.drives import Drive
from benchmarks.independent.engine import Engine
from benchmarks.independent.people import Person
from benchmarks.independent.rhythm import DAY, HOUR, START


class World(Engine):
    """A social platform with its own structure."""

    late_share = 0.05
    churn_rate = 0.02
    specs: tuple[Spec, ...] = ()
    ways: ClassVar[dict[str, tuple[tuple[str, float], ...]]] = {}

    def __init__(self, key: str, accounts: int, days: int) -> None:
        super().__init__(key, accounts, days)
        self.drives: dict[int, list[Drive]] = {}
        self._by_age: dict[int, list[int]] = {}
        self.groups: list[list[int]] = []
        self.kinds: dict[str, list[int]] = {}

    def add_person(self, age: float) -> Person:
        """Draw one more account; some join only during the stream."""
        person = super().add_person(age)
        if self.rng.random() < self.late_share:
            person.joins = person.created = START + int(self.rng.random() * self.days * DAY)
        return person

    def add_group(self, kind: str, members: list[int], density: float) -> None:
        """Found a group whose members know each other from elsewhere, some of them already friends here."""
        number = len(self.groups)
        self.groups.append(members)
        self.kinds.setdefault(kind, []).append(number)
        for place, one in enumerate(members):
            person = self.people[one]
            person.groups.add(number)
            for two in members[:place]:
                other = self.people[two]
                if self.rng.random() < density * min(1.6, (person.sociable * other.sociable) ** 0.3):
                    self.tie(one, two)

    def tie(self, one: int, two: int) -> None:
        """Make two accounts friends from before the stream, unless one of them joins only during it."""
        if self.people[one].joins == START == self.people[two].joins:
            self.link(one, two)

    def enrol(self, person: Person, kind: str, count: int) -> None:
        """Put a person into some more groups, as a teacher or a coach would be."""
        numbers = self.kinds.get(kind, [])
        near = [n for n in numbers if self.groups[n] and self.people[self.groups[n][0]].place == person.place]
        for number in self.rng.sample(near or numbers, min(count, len(near or numbers))):
            if number not in person.groups:
                person.groups.add(number)
                self.groups[number].append(person.index)

    def member(self, person: Person, low: float, high: float) -> int | None:
        """Pick somebody of an age whom a person knows from a group."""
        numbers = sorted(person.groups)
        for _ in range(8 if numbers else 0):
            other = self.rng.choice(self.groups[self.rng.choice(numbers)])
            if low <= self.people[other].guess < high and other not in person.friends and other != person.index:
                return other
        return None

    def friend_of_friend(self, person: Person, low: float, high: float) -> int | None:
        """Pick a friend of a friend of an age."""
        for _ in range(8 if person.close else 0):
            friends = self.people[self.rng.choice(person.close)].close
            other = self.rng.choice(friends) if friends else person.index
            if low <= self.people[other].guess < high and other not in person.friends and other != person.index:
                return other
        return None

    def a_friend(self, person: Person) -> int | None:
        """Pick a friend to talk to: mostly one of the closest."""
        if person.partner >= 0 and person.partner in person.friends and self.rng.random() < 0.4:
            return person.partner
        return person.close[int(len(person.close) * self.rng.random() ** 2.2)] if person.close else None

    @abstractmethod
    def build(self) -> None:
        """Draw the people and their places, and link those who know each other."""

    @abstractmethod
    def visit(self, person: Person, when: int) -> None:
        """Let a person spend one ordinary visit."""

    @abstractmethod
    def find(self, person: Person, mode: str, low: float, high: float) -> int | None:
        """Find somebody who looks to be of an age, in one of the ways the platform offers."""

    def gather(self, visits: list[tuple[int, int]]) -> None:
        """Bring together those who are online in the same hour, where the platform does so."""

    def run(self) -> None:
        """Play the whole stream."""
        self.build()
        assign(self)
        self._index_ages()
        self._load()
        churn.plan(self)
        self._play()

    def _index_ages(self) -> None:
        for person in self.people:
            self._by_age.setdefault(int(person.guess), []).append(person.index)

    def anyone(self, low: float, high: float) -> int | None:
        """Pick any account that looks to be of an age."""
        ages = [age for age in range(int(low), int(high) + 1) if self._by_age.get(age)]
        if not ages:
            return None
        age = self.rng.choices(ages, [len(self._by_age[age]) for age in ages])[0]
        return self.rng.choice(self._by_age[age])

    def _load(self) -> None:
        order = list(range(len(self.people)))
        self.rng.shuffle(order)
        for index in order:
            person = self.people[index]
            self.facts(person, person.joins)
        pairs = [(one.index, two) for one in self.people for two in one.close if one.index < two]
        self.rng.shuffle(pairs)
        for one, two in pairs:
            start = max(START, self.people[one].joins, self.people[two].joins) + 1
            self.emit(start, "friendship.created", one, two)

    def _play(self) -> None:
        count = len(self.people)
        activity = np.array([person.activity for person in self.people])
        shapes = rhythm.SHAPES[[person.shape for person in self.people]]
        joins = np.array([person.joins for person in self.people])
        spells = rhythm.spells(self.numbers, count, self.days)
        for day in range(self.days):
            for hour in range(24):
                start = START + day * DAY + hour * HOUR
                level = activity * spells[day] * shapes[:, hour] * rhythm.WEEKDAY[rhythm.weekday_of(start)]
                fresh = (joins > start - 3 * DAY) * 1.0 + 1.0
                visits = self.numbers.poisson(level * fresh * (joins <= start + HOUR - 1))
                who = np.repeat(np.arange(count), visits)
                times = start + (self.numbers.random(len(who)) * HOUR).astype(np.int64)
                meeting: list[tuple[int, int]] = []
                for index, when in zip(who.tolist(), times.tolist(), strict=True):
                    if when > self.people[index].joins:
                        self.at(when, self._visit, index)
                        meeting.append((index, when))
                self.gather(meeting)
                self.run_until(start + HOUR)

    def _visit(self, index: int) -> None:
        person = self.people[index]
        if not person.alive:
            return
        if self.rng.random() < person.life:
            self.visit(person, self.now)
        for drive in self.drives.get(index, ()):
            drive.session(self, person, self.now)
