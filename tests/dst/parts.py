"""What a simulated world is made of: shards, snapshots, records on their way, the group, and a worker process.

The shards are the worker's own (`streams.live.LiveShard`); all else is as small as it can be. `tests.dst.world` sets
them going.
"""

from __future__ import annotations

import copy
import io
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from detectors.policy import load_policy
from streams.acks import AckedRuns
from streams.live import LiveShard
from streams.metrics import Metrics
from streams.settings import TopicNames
from streams.snapshot_file import DamagedError, Header, pack_tree, read_tree, write_file
from streams.snapshots import LAYOUT

if TYPE_CHECKING:
    from tests.dst.world import World

__all__ = [
    "POLICY",
    "TOPICS",
    "Batch",
    "Choices",
    "DamagedCopyError",
    "Group",
    "Place",
    "Sending",
    "Snapshot",
    "Worker",
    "fresh_shard",
]

Place = tuple[str, int]
"""A topic's partition: of the platform's events ("in"), of decisions ("reviews"), of the exchange ("ex")."""

TOPICS = TopicNames()
POLICY = load_policy(
    """
severities: {low: 0.9, medium: 0.3, high: 0.05, critical: 0.001}
episodes: {update_score_step: 0.01, update_nats: 0.2}
evidence: {speak: 0.1}
detectors:
  mass_add: {limits: {1h: 2, 24h: 3, 7d: 4}}
"""
)
"""Everything is a finding: flags are what is looked for, not attackers."""
METRICS = Metrics("dst", version="0")
_MADE: dict[tuple[int, int], LiveShard] = {}


def fresh_shard(index: int, shards: int) -> LiveShard:
    """Return an empty shard. The first is built, the others are its copies: that takes a tenth of the time."""
    key = (index, shards)
    if key not in _MADE:
        _MADE[key] = LiveShard(index, shards, POLICY, 0, TOPICS, METRICS)
    return copy.deepcopy(_MADE[key], {id(METRICS): METRICS, id(TOPICS): TOPICS, id(POLICY): POLICY})


@dataclass
class Choices:
    """How likely what is, drawn once a seed, so that seeds differ in kind."""

    shards: int
    workers: int
    inputs: int
    batch: int
    faults: float
    snapshots: bool
    weights: dict[str, float]

    @classmethod
    def drawn(cls, chance: random.Random, steps: Mapping[str, float]) -> Choices:
        return cls(
            shards=chance.choice((1, 2, 2, 3, 4)),
            workers=chance.choice((1, 2, 2, 3)),
            inputs=chance.choice((1, 2, 3)),
            batch=chance.choice((1, 3, 8, 40)),
            faults=chance.choice((0.005, 0.02, 0.06)),
            snapshots=chance.random() < 0.85,
            weights={what: usual * chance.choice((0.3, 1.0, 3.0)) for what, usual in steps.items()},
        )


class DamagedCopyError(Exception):
    """A snapshot that cannot be read."""


@dataclass
class Snapshot:
    position: int
    anchor: bytes
    tree: Any
    file: bytes | None = None
    damaged: bool = False

    def as_file(self, shard: int, shards: int) -> None:
        """Write it out as a worker does, and read it from there."""
        out = io.BytesIO()
        head = Header(
            layout=LAYOUT,
            program="0",
            shard=shard,
            shards=shards,
            position=self.position,
            anchor=self.anchor,
            policy="",
            erased=0,
        )
        write_file(out, head, pack_tree(self.tree))
        self.file = out.getvalue()

    def read(self) -> Any:
        if self.file is not None:
            try:
                return read_tree(io.BytesIO(self.file))[1]
            except DamagedError as problem:
                raise DamagedCopyError from problem
        if self.damaged:
            raise DamagedCopyError
        return copy.deepcopy(self.tree)


@dataclass
class Group:
    """What the broker keeps for the group."""

    generation: int = 0
    owner: dict[Place, int] = field(default_factory=dict)
    committed: dict[Place, int] = field(default_factory=dict)


@dataclass
class Sending:
    """A record on its way, and the batch that waits for it."""

    value: bytes
    batch: Batch | None
    arrived: bool = False


@dataclass
class Batch:
    """Something acknowledged once all that followed from it has arrived."""

    note: Callable[[], object]
    open: int = 0
    complete: bool = False

    def settle(self) -> None:
        if self.complete and not self.open:
            self.note()
            self.complete = False


class Worker:
    """One worker process."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number = world, number
        self.generation = -1
        self.mine: set[Place] = set()
        self.reading: dict[Place, int] = {}
        self.runs: dict[Place, AckedRuns] = {}
        self.live: dict[int, LiveShard] = {}
        self.silent: dict[int, int] = {}
        self.outgoing: dict[Place, deque[Sending]] = {}
        self.frozen: list[tuple[LiveShard, Snapshot]] = []
        self.standing = False

    def send(self, topic: str, partition: int, value: bytes, batch: Batch) -> None:
        batch.open += 1
        self.outgoing.setdefault((topic, partition), deque()).append(Sending(value, batch))

    def join(self) -> None:
        """Learn the assignment: let go of what is no longer ours, take up what is new."""
        world = self.world
        self.generation = world.group.generation
        mine = {tp for tp, owner in world.group.owner.items() if owner == self.number}
        self.mine = mine
        self.reading = {tp: world.group.committed.get(tp, 0) for tp in mine if tp[0] != "ex"}
        self.runs = {tp: AckedRuns() for tp in self.reading}
        shards = {partition for topic, partition in mine if topic == "ex"}
        self.live = {i: shard for i, shard in self.live.items() if i in shards}
        for index in shards:
            committed = world.group.committed.get(("ex", index), 0)
            self.silent[index] = max(committed, self.silent.get(index, 0))
            if index not in self.live:
                self.live[index] = world.restore(index)

    def commit(self) -> None:
        """Commit what is done; refused to whoever is no member of this generation."""
        if self.generation != self.world.group.generation:
            return
        committed = self.world.group.committed
        for tp, runs in self.runs.items():
            if runs.committable is not None:
                committed[tp] = runs.committable
        for index, shard in self.live.items():
            sent = self.world.sent_until(shard)
            if sent > self.silent[index]:
                committed["ex", index] = sent
