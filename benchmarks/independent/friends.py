"""A friends network: schools, families, workplaces and clubs in towns; requests mostly among acquaintances."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.independent.cast import Spec
from benchmarks.independent.choices import Climate
from benchmarks.independent.harms import attackers
from benchmarks.independent.people import AgePolicy, Person
from benchmarks.independent.rhythm import DAY, START
from benchmarks.independent.world import World

ADULT = (22.0, 70.0)
ANY = (9.0, 75.0)
TEEN = (12.5, 18.0)

HARD: tuple[Spec, ...] = (
    Spec(
        "teacher_with_role",
        False,
        0.004,
        ADULT,
        "known",
        (9, 19),
        (1, 8),
        (0, 6),
        ladder=("chat", "care"),
        hooks=("educator", "classes"),
    ),
    Spec(
        "teacher_without_role",
        False,
        0.006,
        ADULT,
        "known",
        (9, 19),
        (1, 8),
        (0, 10),
        ladder=("chat", "care"),
        hooks=("classes",),
    ),
    Spec(
        "coach",
        False,
        0.006,
        ADULT,
        "pupils",
        (9, 19),
        (0.8, 5),
        (0, 10),
        asks=0.5,
        ladder=("train",),
        focus=8,
        hooks=("clubs",),
    ),
    Spec(
        "youth_worker",
        False,
        0.005,
        (20, 60),
        "pupils",
        (11, 19),
        (0.6, 4),
        (0, 6),
        asks=0.6,
        ladder=("chat", "care", "care"),
        focus=6,
        care=0.7,
        hooks=("clubs",),
    ),
    Spec("recruiter", False, 0.004, ADULT, "cold", (17.5, 45), (2, 14), asks=0.6, ladder=("recruit",)),
    Spec("seller", False, 0.005, (17, 65), "cold", (15, 70), (1.5, 10), asks=0.2, ladder=("trade",)),
    Spec("creator", False, 0.003, (16, 40), "cold", (12, 40), (2, 12), asks=0.8, ladder=("fan",), hooks=("fame",)),
    Spec("newcomer", False, 0.006, ANY, "import", ANY, (8, 40), span=(2, 6), asks=0.97, fresh=True),
    Spec(
        "new_school_teen",
        False,
        0.004,
        TEEN,
        "import",
        (10, 19),
        (3, 14),
        span=(3, 10),
        asks=0.95,
        ladder=("banter",),
        thin=0.3,
        hooks=("new_class",),
    ),
    Spec("gregarious_teen", False, 0.007, TEEN, "mixed", (11, 20), (2, 12), asks=0.85, ladder=("banter", "flirt")),
    Spec("couple", False, 0.004, (16, 50), hooks=("couple",)),
    Spec("family_hub", False, 0.005, (35, 75), "known", (8, 75), (0.8, 4), ladder=("chat",), focus=10),
    Spec("near_age_friend", False, 0.005, (18, 21), "mixed", (14, 19), (0.8, 5), ladder=("banter", "flirt")),
    Spec("brigaded", False, 0.004, ANY, hooks=("brigade",)),
    Spec("event_organiser", False, 0.004, (18, 55), "mixed", (14, 50), (2, 12), asks=0.4, ladder=("train", "trade")),
    Spec("lonely_adult", False, 0.005, (24, 70), "cold", (11, 60), (0.8, 5), asks=0.7, ladder=("chat", "flirt")),
)


class Friends(World):
    """Towns of classes, workplaces, families and clubs."""

    climate = Climate(accept=-1.5, reply=-1.7, decline=0.22, block=0.03, report=0.25, alarm=2.0)
    ages = AgePolicy(unknown=0.13, birth_date=0.6, inline=0.0, child_lies=0.6, teen_lies=0.08, adult_lies=0.015)
    knows_mutual = 0.93
    mutual_on_message = 0.7
    specs = attackers() + HARD
    ways: ClassVar[dict[str, tuple[tuple[str, float], ...]]] = {
        "cold": (("search", 0.7), ("fof", 0.3)),
        "near": (("search", 0.4), ("fof", 0.3), ("known", 0.3)),
        "circle": (("circle", 0.75), ("search", 0.15), ("fof", 0.1)),
        "ring": (("shared", 0.5), ("search", 0.35), ("circle", 0.15)),
        "known": (("known", 0.85), ("fof", 0.15)),
        "pupils": (("known", 0.6), ("circle", 0.25), ("search", 0.15)),
        "import": (("known", 0.7), ("fof", 0.2), ("search", 0.1)),
        "mixed": (("known", 0.25), ("fof", 0.35), ("circle", 0.15), ("search", 0.25)),
    }

    def build(self) -> None:
        """Settle the towns."""
        towns = max(2, self.accounts // 900)
        weights = [self.rng.paretovariate(1.5) for _ in range(towns)]
        for _ in range(self.accounts):
            person = self.add_person(self._age())
            person.place = self.rng.choices(range(towns), weights)[0]
        for town in range(towns):
            self._settle([person for person in self.people if person.place == town])
        self._far_friends()

    def _age(self) -> float:
        pick = self.rng.random()
        if pick < 0.28:
            return self.rng.triangular(9, 18, 15.5)
        if pick < 0.42:
            return self.rng.uniform(18, 24)
        return min(85.0, 24 + self.rng.gammavariate(2.0, 10.0))

    def _settle(self, town: list[Person]) -> None:
        rng = self.rng
        for year in range(9, 18):
            pupils = [person.index for person in town if int(person.age) == year]
            rng.shuffle(pupils)
            for start in range(0, len(pupils), 26):
                self.add_group("class", pupils[start : start + 26], 0.4)
        students = [person.index for person in town if 18 <= person.age < 23]
        rng.shuffle(students)
        for start in range(0, len(students), 35):
            self.add_group("college", students[start : start + 35], 0.22)
        grown = [person for person in town if person.age >= 21]
        rng.shuffle(grown)
        start = 0
        while start < len(grown):
            size = int(min(60, 3 + 3 * rng.paretovariate(1.1)))
            self.add_group("work", [person.index for person in grown[start : start + size]], 0.22)
            start += size
        self._families(town)
        for _ in range(len(town) // 28):
            middle = rng.uniform(9, 60)
            near = [p.index for p in rng.sample(town, min(len(town), 160)) if abs(p.age - middle) < rng.uniform(3, 30)]
            self.add_group("club", near[: rng.randint(6, 30)], 0.14)

    def _families(self, town: list[Person]) -> None:
        rng = self.rng
        children = [person for person in town if person.age < 19]
        parents = [person for person in town if 30 <= person.age < 56]
        elders = [person for person in town if person.age >= 56]
        rng.shuffle(children)
        for parent in parents:
            if rng.random() < 0.7:
                family = [parent.index]
                family += [children.pop().index for _ in range(min(len(children), rng.randint(0, 3)))]
                if elders and rng.random() < 0.5:
                    family.append(rng.choice(elders).index)
                family += [rng.choice(parents).index for _ in range(rng.randint(0, 2))]
                self.add_group("family", list(dict.fromkeys(family)), 0.85)

    def _far_friends(self) -> None:
        rng = self.rng
        for person in self.people:
            for _ in range(int(rng.expovariate(0.5) * min(3.0, person.sociable))):
                other = self.people[rng.randrange(self.accounts)]
                if abs(other.age - person.age) < rng.expovariate(1 / 9.0):
                    self.tie(person.index, other.index)
            for _ in range(int(rng.expovariate(0.25) * min(3.0, person.sociable))):
                two = self.friend_of_friend(person, person.age - 8, person.age + 8)
                if two is not None:
                    self.tie(person.index, two)

    def visit(self, person: Person, when: int) -> None:
        """Talk to friends; now and then ask somebody to become one."""
        rng = self.rng
        pick = rng.random()
        if pick < 0.62:
            other = self.a_friend(person)
            if other is not None:
                self.talk(person.index, other)
        fresh = 3.0 if len(person.close) < 8 and person.joins > START and when - person.joins < 6 * DAY else 1.0
        if rng.random() < 0.11 * min(6.0, person.sociable) * fresh:
            self._ask(person, when)
        if rng.random() < 0.03 * min(5.0, person.sociable):
            near = 4 + person.age * 0.3
            found = self.anyone(person.age - near, person.age + near) if rng.random() < 0.9 else self.anyone(9, 80)
            if found is not None:
                self.approach(person.index, found, when, rng.choice(("chat", "chat", "trade", "fan", "flirt")))

    def _ask(self, person: Person, when: int) -> None:
        pick = self.rng.random()
        near = 3 + person.age * 0.35
        if pick < 0.5:
            found = self.friend_of_friend(person, person.age - near, person.age + near)
        elif pick < 0.8:
            found = self.member(person, 8, 90)
        elif pick < 0.97:
            found = self.anyone(person.age - near, person.age + near)
        else:
            found = self.anyone(9, 80)
        if found is not None:
            self.request(person.index, found, when)

    def find(self, person: Person, mode: str, low: float, high: float) -> int | None:
        """Find by group, through friends, or by search."""
        if mode == "known":
            return self.member(person, low, high)
        if mode == "fof":
            return self.friend_of_friend(person, low, high)
        return self.anyone(low, high)
