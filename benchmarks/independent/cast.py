"""The cast: who of the people is an attacker, who only looks like one, and what drives them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.independent import churn
from benchmarks.independent.drives import Drive
from benchmarks.independent.rhythm import DAY, START

if TYPE_CHECKING:
    from benchmarks.independent.people import Person
    from benchmarks.independent.world import World


@dataclass(frozen=True, slots=True)
class Spec:
    """A class of accounts: its share, its people and what they seek."""

    name: str
    harmful: bool
    share: float
    ages: tuple[float, float]
    way: str = ""
    seeks: tuple[float, float] = (13, 70)
    rate: tuple[float, float] = (1.0, 3.0)
    start: tuple[float, float] = (0.0, 13.0)
    span: tuple[float, float] = (8.0, 28.0)
    asks: float = 0.7
    ladder: tuple[str, ...] = ("chat",)
    pace: float = 0.25
    focus: int = 4
    care: float = 0.5
    life: tuple[float, float] = (0.4, 1.0)
    visits: tuple[float, float] = (0.8, 3.0)
    fresh: bool | None = None
    thin: float = 0.0
    hooks: tuple[str, ...] = ()
    settles: bool = False


def assign(world: World) -> None:
    """Give every class its people."""
    rng = world.rng
    free = list(range(len(world.people)))
    rng.shuffle(free)
    taken: set[int] = set()
    for spec in world.specs:
        want = max(1, round(spec.share * len(world.people)))
        chosen: list[Person] = []
        for index in free:
            person = world.people[index]
            if len(chosen) >= want:
                break
            fits = spec.ages[0] <= person.age < spec.ages[1]
            if fits and index not in taken and spec.fresh in (None, person.joins > START):
                taken.add(index)
                chosen.append(person)
        free = [index for index in free if index not in taken]
        pool: list[int] = []
        for count, person in enumerate(chosen):
            if count % 4 == 0:
                pool = []
            _cast(world, spec, person, pool)
            if "couple" in spec.hooks:
                _couple(world, spec, person, free, taken)


def _cast(world: World, spec: Spec, person: Person, pool: list[int]) -> None:
    rng = world.rng
    person.label, person.harmful = spec.name, spec.harmful
    person.life = rng.uniform(*spec.life)
    person.activity = max(person.activity, math.exp(rng.uniform(*(math.log(value) for value in spec.visits))))
    if rng.random() < spec.thin:
        for other in rng.sample(person.close, int(len(person.close) * rng.uniform(0.5, 1.0))):
            world.part(person.index, other, START, say=False)
    start = max(person.joins, START + int(rng.uniform(*spec.start) * DAY))
    if person.joins > START:
        start = person.joins + int(rng.expovariate(1 / 1.2) * DAY)
    if spec.way:
        drive = Drive(
            modes=world.ways[spec.way],
            ages=spec.seeks,
            rate=math.exp(rng.uniform(*(math.log(value) for value in spec.rate))),
            start=start,
            end=start + int(rng.uniform(*spec.span) * DAY),
            asks=min(1.0, max(0.0, rng.gauss(spec.asks, 0.15))),
            ladder=spec.ladder,
            pace=min(0.9, spec.pace * rng.lognormvariate(0.0, 0.4)),
            focus=max(1, round(spec.focus * rng.lognormvariate(0.0, 0.4))),
            care=min(0.95, spec.care * rng.lognormvariate(0.0, 0.3)),
            settles=spec.settles,
            pool=pool if spec.way == "ring" else None,
        )
        world.drives.setdefault(person.index, []).append(drive)
    for hook in spec.hooks:
        if hook in _HOOKS:
            _HOOKS[hook](world, person)


def _couple(world: World, spec: Spec, person: Person, free: list[int], taken: set[int]) -> None:
    """Find a partner of like age and make the two talk as lovers do."""
    for index in free:
        other = world.people[index]
        if index not in taken and abs(other.age - person.age) < 3 and other.joins == START == person.joins:
            taken.add(index)
            other.label = person.label
            person.partner, other.partner = index, person.index
            world.tie(index, person.index)
            for this, that in ((person, index), (other, person.index)):
                this.trust[that] = 1.2
                drive = Drive(modes=(("known", 1.0),), ages=(0, 0), rate=0.01, start=START, end=world.end)
                drive.ladder, drive.care, drive.ties = ("love",), world.rng.uniform(0.3, 0.9), {that: 0}
                world.drives.setdefault(this.index, []).append(drive)
            return


def _hide_age(world: World, person: Person) -> None:
    person.shown = None


def _fake_minor(world: World, person: Person) -> None:
    person.shown = world.rng.uniform(13.2, 17.6)
    person.looks = person.shown + world.rng.gauss(0.3, 1.0)
    person.source = "declared"
    person.shape = world.rng.choice((1, 2, 3))


def _fake_young(world: World, person: Person) -> None:
    if world.rng.random() < 0.5:
        person.shown = world.rng.uniform(16.5, 21.0)
        person.looks = person.shown


def _burn(world: World, person: Person) -> None:
    if world.rng.random() < 0.7:
        end = person.joins + int(world.rng.uniform(1.0, 6.0) * DAY)
        world.at(end, world.leave, person.index, end)


def _charm(world: World, person: Person) -> None:
    person.appeal += world.rng.uniform(0.2, 0.9)


def _purpose(world: World, person: Person) -> None:
    person.bold = min(3.0, person.bold * 1.6)
    person.appeal += world.rng.uniform(0.0, 0.5)


def _fame(world: World, person: Person) -> None:
    person.appeal += world.rng.uniform(0.8, 2.0)


def _educator(world: World, person: Person) -> None:
    person.roles = (world.rng.choice(("educator", "coach", "youth_worker")),)


def _classes(world: World, person: Person) -> None:
    world.enrol(person, "class", world.rng.randint(3, 7))


def _clubs(world: World, person: Person) -> None:
    world.enrol(person, "club", world.rng.randint(1, 4))


def _new_class(world: World, person: Person) -> None:
    numbers = [
        number
        for number in world.kinds.get("class", [])
        if world.groups[number] and abs(world.people[world.groups[number][0]].age - person.age) < 1.3
    ]
    if numbers:
        number = world.rng.choice(numbers)
        person.groups = {number}
        world.groups[number].append(person.index)


def _brigade(world: World, person: Person) -> None:
    when = START + int(world.rng.uniform(1, world.days - 1) * DAY)
    crowd = 3 + int(world.rng.lognormvariate(1.6, 0.8))
    churn.pile_on(world, person.index, when, crowd)


_HOOKS = {
    "hide_age": _hide_age,
    "fake_minor": _fake_minor,
    "fake_young": _fake_young,
    "burn": _burn,
    "charm": _charm,
    "fame": _fame,
    "purpose": _purpose,
    "educator": _educator,
    "classes": _classes,
    "clubs": _clubs,
    "new_class": _new_class,
    "brigade": _brigade,
}
