"""Drives: what makes an account seek out others over a time, for good or ill."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.independent.rhythm import DAY, MINUTE

if TYPE_CHECKING:
    from benchmarks.independent.people import Person
    from benchmarks.independent.world import World


@dataclass(slots=True)
class Drive:
    """Whom an account seeks, how often, and how its talks go on."""

    modes: tuple[tuple[str, float], ...]
    ages: tuple[float, float]
    rate: float
    start: int
    end: int
    asks: float = 0.7
    ladder: tuple[str, ...] = ("chat",)
    pace: float = 0.25
    focus: int = 4
    care: float = 0.6
    settles: bool = False
    budget: int = 0
    day: int = -1
    pool: list[int] | None = None
    reached: list[int] = field(default_factory=list)
    known: set[int] = field(default_factory=set)
    ties: dict[int, int] = field(default_factory=dict)

    def session(self, world: World, person: Person, when: int) -> None:
        """Spend one visit on the drive."""
        if not self.start <= when < self.end:
            return
        rng = world.rng
        day = when // DAY
        if day != self.day:
            self.day = day
            level = self.rate * rng.gammavariate(1.3, 1 / 1.3)
            self.budget = int(level) + (rng.random() < level % 1)
            if self.settles and len(self.ties) >= self.focus and rng.random() < 0.85:
                self.budget = 0
        moment = when
        if self.budget > 0:
            take = min(self.budget, 1 + int(rng.expovariate(0.6) * max(1.0, self.rate / max(1.0, person.activity))))
            for _ in range(take):
                self.budget -= 1
                moment += int(rng.expovariate(1 / 2.0) * MINUTE) + 4000
                self._reach(world, person, moment)
        self._tend(world, person)

    def _reach(self, world: World, person: Person, when: int) -> None:
        rng = world.rng
        mode = rng.choices([name for name, _ in self.modes], [weight for _, weight in self.modes])[0]
        if mode == "shared":
            other = rng.choice(self.pool) if self.pool else None
        elif mode == "circle":
            other = self._circle(world)
        else:
            other = world.find(person, mode, *self.ages)
        if other is None or other in self.known:
            return
        self.known.add(other)
        self.reached.append(other)
        if self.pool is not None and mode != "shared" and len(self.pool) < 60:
            self.pool.append(other)
        if other in person.friends:
            return
        if rng.random() < self.asks:
            world.request(person.index, other, when)
            if rng.random() < 0.12:
                world.approach(person.index, other, when + rng.randrange(3_000, 400_000), self.ladder[0])
        else:
            world.approach(person.index, other, when, self.ladder[0])

    def _circle(self, world: World) -> int | None:
        """Pick a friend of somebody already won, of the wanted age."""
        won = list(self.ties) or self.reached[-6:]
        if not won:
            return None
        for _ in range(6):
            friends = world.people[world.rng.choice(won)].close
            if friends:
                other = world.rng.choice(friends)
                if self.ages[0] <= world.people[other].guess < self.ages[1] and other not in self.known:
                    return other
        return None

    def _tend(self, world: World, person: Person) -> None:
        rng = world.rng
        for _ in range(self.focus - len(self.ties)):
            fresh = [
                other
                for other in self.reached[-150:]
                if other not in self.ties and (other in person.friends or other in person.answered)
            ]
            if not fresh:
                break
            self.ties[rng.choice(fresh)] = 0
        for other, step in tuple(self.ties.items()):
            if person.index in world.people[other].muted or not world.can_reach(person.index, other):
                if rng.random() < 0.3:
                    del self.ties[other]
                continue
            if rng.random() > self.care:
                continue
            if world.talk(person.index, other, self.ladder[step]) and rng.random() < self.pace:
                self.ties[other] = min(step + 1, len(self.ladder) - 1)
            if step == len(self.ladder) - 1 and rng.random() < 0.05:
                del self.ties[other]
