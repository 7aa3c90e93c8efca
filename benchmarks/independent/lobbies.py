"""Online games: lobbies of strangers every hour, guilds, parties; ages often unknown or false."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.independent.cast import Spec
from benchmarks.independent.choices import Climate
from benchmarks.independent.harms import attackers
from benchmarks.independent.people import AgePolicy, Person
from benchmarks.independent.rhythm import MINUTE, START
from benchmarks.independent.world import World

ANY = (9.0, 60.0)
TEEN = (12.0, 18.0)

HARD: tuple[Spec, ...] = (
    Spec("gamer_off_platform", False, 0.010, (13, 40), "near", (12, 40), (0.8, 5), ladder=("game", "game"), focus=8),
    Spec(
        "guild_leader",
        False,
        0.006,
        (17, 45),
        "mixed",
        (9, 45),
        (1.5, 9),
        asks=0.6,
        ladder=("game", "train"),
        focus=9,
        hooks=("clubs",),
    ),
    Spec("streamer", False, 0.004, (16, 38), "near", (9, 40), (2, 12), asks=0.7, ladder=("fan",), hooks=("fame",)),
    Spec("newcomer", False, 0.006, ANY, "cold", ANY, (3, 15), span=(2, 8), asks=0.9, ladder=("game",), fresh=True),
    Spec(
        "coach",
        False,
        0.004,
        (18, 45),
        "pupils",
        (9, 25),
        (0.8, 4),
        asks=0.5,
        ladder=("game", "train"),
        focus=6,
        hooks=("clubs",),
    ),
    Spec(
        "coach_with_role",
        False,
        0.002,
        (20, 50),
        "pupils",
        (9, 22),
        (0.8, 5),
        asks=0.5,
        ladder=("train", "care"),
        focus=6,
        hooks=("clubs", "educator"),
    ),
    Spec("item_seller", False, 0.006, (14, 40), "cold", (9, 45), (1.5, 10), asks=0.25, ladder=("trade",)),
    Spec("gregarious_teen", False, 0.010, TEEN, "cold", (9, 20), (1.5, 10), asks=0.85, ladder=("banter", "flirt")),
    Spec("couple", False, 0.003, (16, 40), hooks=("couple",)),
    Spec("near_age_friend", False, 0.007, (18, 21), "near", (13, 20), (0.8, 5), ladder=("game", "banter", "flirt")),
    Spec("brigaded", False, 0.005, ANY, hooks=("brigade",)),
    Spec(
        "tournament_organiser",
        False,
        0.004,
        (18, 45),
        "cold",
        (11, 40),
        (2, 12),
        asks=0.35,
        ladder=("train", "recruit"),
    ),
    Spec("big_sibling", False, 0.004, (19, 45), "near", (8, 17), (0.4, 2), ladder=("game", "care"), focus=3, care=0.7),
    Spec("party_builder", False, 0.005, (18, 50), "cold", (9, 50), (2, 14), asks=0.95, ladder=("game",)),
)


class Lobbies(World):
    """Players matched by region and skill, hour by hour."""

    climate = Climate(accept=-0.5, reply=-0.4, decline=0.3, block=0.045, report=0.35, alarm=1.8)
    ages = AgePolicy(unknown=0.42, birth_date=0.25, inline=0.35, child_lies=0.7, teen_lies=0.2, adult_lies=0.04)
    knows_mutual = 0.25
    greets = 0.2
    late_share = 0.09
    churn_rate = 0.05
    specs = (
        attackers(
            sleeper={"rate": (2.0, 6.0)},
            camouflaged={"asks": 0.8},
            minor_targeter_slow={"asks": 0.5},
            trafficker={"share": 0.0006},
            sextortion={"share": 0.0012},
        )
        + HARD
    )
    ways: ClassVar[dict[str, tuple[tuple[str, float], ...]]] = {
        "cold": (("met", 0.75), ("search", 0.25)),
        "near": (("met", 0.8), ("known", 0.2)),
        "circle": (("circle", 0.7), ("met", 0.3)),
        "ring": (("shared", 0.5), ("met", 0.5)),
        "known": (("known", 1.0),),
        "pupils": (("known", 0.6), ("met", 0.4)),
        "mixed": (("known", 0.4), ("met", 0.6)),
    }

    def build(self) -> None:
        """Draw players with a region and a skill; found guilds and groups of offline friends."""
        rng = self.rng
        self.skill: list[float] = []
        for _ in range(self.accounts):
            person = self.add_person(self._age())
            person.place = rng.choices(range(4), (4, 3, 2, 1))[0]
            person.activity = min(9.0, person.activity * 1.15)
            self.skill.append(rng.gauss(0.0, 1.0) + min(1.0, (person.age - 12) * 0.05))
        for region in range(4):
            players = [person for person in self.people if person.place == region]
            self._offline(players)
            joiners = [person for person in players if rng.random() < 0.45]
            joiners.sort(key=lambda person: person.age + rng.gauss(0, 7))
            start = 0
            while start < len(joiners):
                size = int(min(70, 8 + 6 * rng.paretovariate(1.2)))
                self.add_group("club", [person.index for person in joiners[start : start + size]], 0.12)
                start += size
        for person in self.people:
            for _ in range(int(rng.expovariate(0.3) * min(4.0, person.sociable))):
                self.tie(person.index, rng.randrange(self.accounts))

    def _age(self) -> float:
        pick = self.rng.random()
        if pick < 0.4:
            return self.rng.triangular(8, 18, 14)
        return min(65.0, 18 + self.rng.gammavariate(1.6, 6.0))

    def _offline(self, players: list[Person]) -> None:
        """Found small circles of people of like age who know each other from school or work."""
        ordered = sorted(players, key=lambda person: person.age + self.rng.gauss(0, 0.7))
        start = 0
        while start < len(ordered):
            size = self.rng.randint(1, 8)
            members = [person.index for person in ordered[start : start + size]]
            if size > 1:
                self.add_group("offline", members, 0.7)
            start += size

    def warmth(self, person: Person, other: Person) -> float:
        """Return the warmth of a guild, or of a match played together."""
        value = 1.6 if person.groups & other.groups else 0.0
        return value + (0.9 if other.index in person.met else 0.0)

    def tone(self, one: int, two: int) -> str:
        """Return the tone: mostly about the game."""
        if self.people[one].partner == two:
            return "love"
        return "game" if self.rng.random() < 0.65 else super().tone(one, two)

    def gather(self, visits: list[tuple[int, int]]) -> None:
        """Fill the lobbies of the hour by region and skill."""
        rng = self.rng
        queue = [(self.people[i].place, self.skill[i] + rng.gauss(0, 0.5), i, when) for i, when in visits]
        queue.sort()
        start = 0
        while start < len(queue):
            size = rng.choice((4, 5, 6, 8, 10))
            lobby = queue[start : start + size]
            start += size
            members = list(dict.fromkeys(entry[2] for entry in lobby))
            if len(members) > 1 and len({entry[0] for entry in lobby}) == 1:
                self.at(max(entry[3] for entry in lobby), self._match, members)

    def _match(self, members: list[int]) -> None:
        rng = self.rng
        for one in members:
            self.people[one].met.extend(two for two in members if two != one)
        if rng.random() < 0.35:
            return
        room = f"m{self.now // MINUTE % 1_000_000}.{rng.randrange(10_000)}"
        when = self.now
        weights = [self.people[one].chatty for one in members]
        for _ in range(1 + int(rng.expovariate(0.45))):
            one = rng.choices(members, weights)[0]
            two = rng.choice(members)
            when += int(rng.expovariate(1 / 2) * MINUTE)
            if one != two and self.can_reach(one, two) and one not in self.people[two].muted:
                true = self.write(one, two, when, self.tone(one, two), room)
                if true:
                    self._upset(two, one, true, when)
                if rng.random() < 0.12:
                    self.people[two].trust[one] = self.people[two].trust.get(one, 0.0) + 0.1
        for one in members:
            if rng.random() < 0.05 * min(5.0, self.people[one].sociable):
                two = rng.choice(members)
                if two != one:
                    self.request(one, two, when + rng.randrange(5, 400) * 1000)

    def visit(self, person: Person, when: int) -> None:
        """Play with friends, talk in the guild, seldom write to somebody met before."""
        rng = self.rng
        pick = rng.random()
        if pick < 0.4:
            other = self.a_friend(person)
            if other is not None:
                self.talk(person.index, other)
        elif pick < 0.52:
            mate = self.member(person, 8, 90)
            if mate is not None:
                self.approach(person.index, mate, when, "game")
        if person.met and rng.random() < 0.05 * min(5.0, person.sociable):
            other = rng.choice(person.met)
            if rng.random() < 0.5:
                self.request(person.index, other, when)
            else:
                self.approach(person.index, other, when, rng.choice(("game", "game", "trade", "flirt", "banter")))
        if person.joins > START and len(person.close) < 5 and person.met and rng.random() < 0.15:
            self.request(person.index, rng.choice(person.met), when)

    def find(self, person: Person, mode: str, low: float, high: float) -> int | None:
        """Find among those played with, in the guild, or by search."""
        if mode == "known":
            return self.member(person, low, high)
        if mode == "met":
            fits = [two for two in person.met if low <= self.people[two].guess < high and two not in person.friends]
            return self.rng.choice(fits) if fits else None
        return self.anyone(low, high)
