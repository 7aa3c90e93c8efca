"""An open video app: creators and followers, many messages to strangers, most of them in vain."""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from typing import ClassVar

from benchmarks.independent.cast import Spec
from benchmarks.independent.choices import Climate
from benchmarks.independent.harms import attackers
from benchmarks.independent.people import AgePolicy, Person
from benchmarks.independent.rhythm import MINUTE
from benchmarks.independent.world import World

TEEN = (12.5, 18.0)
ANY = (12.0, 70.0)

HARD: tuple[Spec, ...] = (
    Spec("creator", False, 0.006, (16, 45), "fans", ANY, (2, 14), asks=0.5, ladder=("fan",), focus=8, hooks=("fame",)),
    Spec("casting_scout", False, 0.004, (22, 55), "cold", (16, 30), (1, 8), asks=0.3, ladder=("recruit",)),
    Spec("seller", False, 0.006, (18, 60), "cold", (14, 60), (2, 14), asks=0.3, ladder=("trade",)),
    Spec("dater", False, 0.012, (18, 55), "cold", (17.5, 45), (1, 8), asks=0.4, ladder=("flirt", "flirt", "love")),
    Spec("couple", False, 0.004, (17, 45), hooks=("couple",)),
    Spec("superfan", False, 0.006, (12, 40), "cold", (13, 35), (1.5, 8), asks=0.6, ladder=("fan",)),
    Spec(
        "youth_worker",
        False,
        0.002,
        (21, 55),
        "near",
        (12, 20),
        (0.6, 3),
        asks=0.4,
        ladder=("chat", "care"),
        care=0.7,
        hooks=("educator",),
    ),
    Spec(
        "dance_teacher",
        False,
        0.004,
        (20, 50),
        "near",
        (11, 24),
        (0.8, 5),
        asks=0.6,
        ladder=("train",),
        focus=7,
        hooks=("clubs",),
    ),
    Spec("newcomer", False, 0.006, ANY, "cold", ANY, (5, 30), span=(2, 7), asks=0.95, fresh=True),
    Spec("gregarious_teen", False, 0.010, TEEN, "cold", (11, 20), (1.5, 10), asks=0.8, ladder=("banter", "flirt")),
    Spec("near_age_friend", False, 0.006, (18, 21), "near", (14.5, 20), (0.8, 5), ladder=("banter", "flirt")),
    Spec("brigaded", False, 0.005, (14, 60), hooks=("brigade",)),
    Spec("follow_trader", False, 0.005, (15, 50), "cold", ANY, (5, 30), asks=0.98),
    Spec("relative", False, 0.003, (40, 75), "known", (10, 60), (0.5, 2), ladder=("chat",), focus=8),
)


class Video(World):
    """Creators of very unequal fame, in themes, watched by everybody."""

    climate = Climate(accept=-1.2, reply=-2.0, decline=0.05, block=0.03, report=0.2, alarm=1.6)
    ages = AgePolicy(unknown=0.25, birth_date=0.3, inline=0.1, child_lies=0.95, teen_lies=0.3, adult_lies=0.03)
    knows_mutual = 0.1
    greets = 0.1
    late_share = 0.07
    churn_rate = 0.04
    specs = (
        attackers(
            minor_targeter_fast={"rate": (6.0, 20.0), "asks": 0.4},
            minor_targeter_slow={"asks": 0.35},
            sextortion={"share": 0.0014, "asks": 0.35},
            trafficker={"share": 0.0012, "asks": 0.3},
            pair_groomer={"rate": (1.5, 4.0), "asks": 0.3},
            camouflaged={"asks": 0.7},
            mass_adder={"rate": (16.0, 60.0)},
            burner={"asks": 0.4},
        )
        + HARD
    )
    ways: ClassVar[dict[str, tuple[tuple[str, float], ...]]] = {
        "cold": (("theme", 0.6), ("feed", 0.4)),
        "near": (("theme", 0.6), ("fans", 0.3), ("known", 0.1)),
        "circle": (("circle", 0.7), ("theme", 0.3)),
        "ring": (("shared", 0.5), ("theme", 0.5)),
        "known": (("known", 1.0),),
        "fans": (("fans", 0.7), ("theme", 0.3)),
    }

    def build(self) -> None:
        """Draw themes, fame and small circles of people who know each other."""
        rng = self.rng
        themes = 24
        popular = [1 / (1 + rank) ** 0.7 for rank in range(themes)]
        self.fans: dict[int, list[int]] = {}
        self.tastes: list[tuple[int, ...]] = []
        self.fame: list[float] = []
        for _ in range(self.accounts):
            person = self.add_person(self._age())
            person.place = rng.choices(range(themes), popular)[0]
            self.tastes.append((person.place, rng.choices(range(themes), popular)[0], rng.randrange(themes)))
            fame = rng.paretovariate(1.1) - 0.9
            self.fame.append(min(fame, 150.0) * (1.4 if person.age < 25 else 1.0))
        self.stage = [
            [index for index in range(self.accounts) if theme in self.tastes[index]] for theme in range(themes)
        ]
        self.weights = [list(accumulate(self.fame[index] for index in crowd)) for crowd in self.stage]
        self._circles()
        for person in self.people:
            for _ in range(int(rng.expovariate(0.22) * min(4.0, person.sociable))):
                two = self._watched(person)
                if two != person.index and rng.random() < 0.5:
                    self.tie(person.index, two)

    def _age(self) -> float:
        pick = self.rng.random()
        if pick < 0.19:
            return self.rng.triangular(11, 18, 16.5)
        return min(75.0, 18 + self.rng.gammavariate(1.7, 7.5))

    def _circles(self) -> None:
        """Found circles of people of like age who know each other, and dance groups with pupils."""
        rng = self.rng
        ordered = sorted(self.people, key=lambda person: person.age + rng.gauss(0, 0.5))
        start = 0
        while start < len(ordered):
            size = rng.choice((1, 1, 1, 2, 3, 5, 9, 14))
            if size > 1:
                self.add_group("class", [person.index for person in ordered[start : start + size]], 0.5)
            start += size
        for _ in range(self.accounts // 220):
            pupils = [person.index for person in rng.sample(self.people, 60) if person.age < 24]
            self.add_group("club", pupils, 0.1)

    def _watched(self, person: Person) -> int:
        """Pick whose video comes up: a known face of a theme one likes, the famous far more often."""
        theme = self.rng.choice(self.tastes[person.index])
        table = self.weights[theme]
        return self.stage[theme][bisect(table, self.rng.random() * table[-1] * 0.999999)]

    def warmth(self, person: Person, other: Person) -> float:
        """Return the warmth of knowing each other offline, or of a common theme."""
        if person.groups & other.groups:
            return 2.5
        return 0.5 if person.place == other.place else 0.0

    def visit(self, person: Person, when: int) -> None:
        """Watch, follow, write to those on stage, talk to friends, now and then go live."""
        rng = self.rng
        if rng.random() < 0.38:
            other = self.a_friend(person)
            if other is not None:
                self.talk(person.index, other)
        for _ in range(1 + int(rng.expovariate(0.8))):
            two = self._watched(person)
            pick = rng.random()
            if two == person.index:
                continue
            if pick < 0.08 * min(4.0, person.sociable):
                self.request(person.index, two, when + rng.randrange(600_000))
                self._admire(two, person.index)
            elif pick > 1 - 0.07 * min(4.0, person.chatty):
                self.approach(person.index, two, when, self._opening(person))
                self._admire(two, person.index)
        if self.fame[person.index] > 8 and rng.random() < 0.15:
            self._live(person, when)

    def _admire(self, star: int, fan: int) -> None:
        crowd = self.fans.setdefault(star, [])
        crowd.append(fan)
        del crowd[:-60]

    def _opening(self, person: Person) -> str:
        if person.age >= 17 and self.rng.random() < 0.35:
            return "flirt"
        return self.rng.choice(("fan", "fan", "chat", "banter"))

    def _live(self, person: Person, when: int) -> None:
        """Go live: answer some of the crowd, and befriend one or another on the spot."""
        room = f"l{person.index}.{when // MINUTE}"
        for other in self.fans.get(person.index, [])[-8:]:
            if self.can_reach(person.index, other) and self.rng.random() < 0.5:
                when += self.rng.randrange(5_000, 90_000)
                self.write(other, person.index, when, "fan", room)
                if self.rng.random() < 0.4:
                    self.write(person.index, other, when + self.rng.randrange(2_000, 40_000), "chat", room)
                if self.rng.random() < 0.06:
                    self.befriend(person.index, other, when + self.rng.randrange(1_000, 60_000))

    def find(self, person: Person, mode: str, low: float, high: float) -> int | None:
        """Find on the stage of a theme, among one's fans, among acquaintances, or in the feed of all."""
        rng = self.rng
        if mode == "known":
            return self.member(person, low, high)
        for _ in range(25):
            if mode == "fans":
                crowd = self.fans.get(person.index, [])
                other = rng.choice(crowd) if crowd else person.index
            elif mode == "theme":
                other = self._watched(person) if rng.random() < 0.4 else rng.choice(self.stage[person.place])
            else:
                found = self.anyone(low, high)
                other = person.index if found is None else found
            if low <= self.people[other].guess < high and other not in person.friends and other != person.index:
                return other
        return None
