"""What comes and goes: deleted accounts, ended friendships, corrected ages, pile-ons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.independent.rhythm import DAY, HOUR, MINUTE, START

if TYPE_CHECKING:
    from benchmarks.independent.world import World


def plan(world: World) -> None:
    """Put the comings and goings of the whole stream on the calendar."""
    rng = world.rng
    for person in world.people:
        if rng.random() < (0.2 if person.joins > START else world.churn_rate):
            stay = rng.expovariate(1 / 4.0) if person.joins > START else rng.uniform(0.5, world.days)
            end = person.joins + int(stay * DAY)
            world.at(end, world.leave, person.index, end)
        if person.shown is not None and abs(person.shown - person.age) > 1.5:
            if rng.random() < 0.12:
                world.at(person.joins + int(rng.uniform(1, world.days) * DAY), _correct, world, person.index)
        elif person.shown is None and rng.random() < 0.06:
            world.at(person.joins + int(rng.uniform(0, world.days) * DAY), _correct, world, person.index)
    for _ in range(int(len(world.people) * world.days * 0.001)):
        index = rng.randrange(len(world.people))
        world.at(START + int(rng.random() * world.days * DAY), _drop, world, index)


def _drop(world: World, index: int) -> None:
    person = world.people[index]
    for _ in range(1 + int(world.rng.expovariate(0.7))):
        if person.close and person.alive:
            world.part(index, world.rng.choice(person.close), world.now)


def _correct(world: World, index: int) -> None:
    """Let the platform learn an age later, by estimate or check, mostly rightly."""
    person = world.people[index]
    if person.alive:
        person.shown = person.age if world.rng.random() < 0.9 else person.looks
        person.fact = "age_band"
        person.source = world.rng.choices(("estimated", "verified", "declared"), (60, 20, 20))[0]
        world.facts(person, world.now, first=False)


def pile_on(world: World, index: int, when: int, crowd: int) -> None:
    """Let a crowd block and report one account over some hours."""
    rng = world.rng
    person = world.people[index]
    near = [two for one in rng.sample(person.close, min(6, len(person.close))) for two in world.people[one].close]
    for _ in range(crowd):
        other = rng.choice(near) if near and rng.random() < 0.6 else rng.randrange(len(world.people))
        moment = when + int(rng.expovariate(1 / 9) * HOUR) + rng.randrange(MINUTE)
        world.at(moment, _turn_on, world, other, index)


def _turn_on(world: World, other: int, index: int) -> None:
    if world.can_reach(index, other):
        pick = world.rng.random()
        world.block(other, index, world.now, report=pick < 0.5, block=pick > 0.3)
