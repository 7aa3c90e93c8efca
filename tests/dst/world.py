"""Several workers over logs in memory, in one process, under a scheduler whose every choice comes from a seed.

The shards are the worker's own (`streams.live.LiveShard`: decoding, steps, detectors, positions, what was sent), the
snapshots are made by `graph.kept` and, now and then, written and read as files. What is made anew here is what
surrounds them: a broker with logs that only grow, producers that send each log in order and may die half way, the group
with its offsets, and time. After the simulations of FoundationDB (Zhou et al., SIGMOD 2021) and TigerBeetle.

What can happen at any moment: a batch is decoded, a reviewer decides about a flag, a message arrives at its log, an
acknowledgement arrives, a batch of a shard's log is taken, offsets are committed, a snapshot is frozen, shown, damaged
or refused by a full disk, records that every snapshot has are deleted, a worker is killed, stopped, added, or left
standing while its shards go to others, after which it goes on with what it holds (a zombie) and finds that it is no
member any more.
"""

from __future__ import annotations

import copy
import random
import zlib
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from graph.kept import tree_of
from graph.message import Message, split_events
from streams.live import LiveShard, anchor_of
from streams.reviews import read_dispositions, split_reviews
from streams.wire import pack
from tests.dst.parts import (
    TOPICS,
    Batch,
    Choices,
    DamagedCopyError,
    Group,
    Place,
    Snapshot,
    Worker,
    fresh_shard,
)
from tests.dst.reviewer import decide
from tests.graph.build import Event, batch_of, hash_of

__all__ = ["World"]


class World:
    """The broker, the workers, the platform's events and a reviewer's decisions.

    Parameters
    ----------
    seed : int
    events : sequence of Event
    keyed : bool
        Whether what two accounts do is on one input partition, in order; else each event is on any.
    """

    STEPS: ClassVar = {
        "decode": 1.0,
        "review": 0.2,
        "arrive": 3.0,
        "acknowledge": 3.0,
        "take": 2.0,
        "commit": 0.5,
        "freeze": 0.5,
        "show": 0.7,
    }
    FAULTS = ("kill", "stop", "add", "stand", "wake", "rebalance", "damage", "delete")
    STARTS = ("restored", "rebuilt", "fell back")

    def __init__(self, seed: int, events: Sequence[Event], *, keyed: bool = False) -> None:
        self.chance = random.Random(seed)
        self.how = Choices.drawn(self.chance, self.STEPS)
        self.inputs: list[list[Event]] = [[] for _ in range(self.how.inputs)]
        for event in events:
            by_pair = zlib.crc32(" ".join(sorted((event.actor, event.target))).encode())
            self.inputs[(by_pair if keyed else self.chance.getrandbits(32)) % self.how.inputs].append(event)
        self.decisions: list[bytes] = []
        self.logs: list[list[bytes]] = [[] for _ in range(self.how.shards)]
        self.begins = [0] * self.how.shards
        self.flags: list[bytes] = []
        self.snapshots: list[list[Snapshot]] = [[] for _ in range(self.how.shards)]
        self.group = Group()
        self.workers: dict[int, Worker] = {}
        self.numbers = 0
        self.happened: dict[str, int] = dict.fromkeys(
            (*self.STEPS, *self.FAULTS, "restored", "rebuilt", "fell back"), 0
        )
        for _ in range(self.how.workers):
            self.add()

    # what a planted bug replaces

    def sent_until(self, shard: LiveShard) -> int:
        """Return the offset before which all that follows from a shard's log has arrived."""
        return shard.sent_until()

    def frozen_at(self, shard: LiveShard) -> int:
        """Return the offset that a snapshot of a shard is of."""
        return shard.position

    # the group

    def rebalance(self) -> None:
        self.group.generation += 1
        members = [number for number, worker in self.workers.items() if not worker.standing]
        if not members:
            return
        for number in members:  # who is told in time commits first
            worker = self.workers[number]
            if self.chance.random() < 0.7 and worker.generation == self.group.generation - 1:
                worker.generation = self.group.generation
                worker.commit()
        owners = members[:]
        self.chance.shuffle(owners)
        partitions = [*self.sources(), *(("ex", i) for i in range(self.how.shards))]
        keep = self.chance.random() < 0.5
        for n, tp in enumerate(partitions):
            if not (keep and self.group.owner.get(tp) in members):
                self.group.owner[tp] = owners[n % len(owners)]
        for number in members:
            self.workers[number].join()

    def add(self) -> None:
        self.workers[self.numbers] = Worker(self, self.numbers)
        self.numbers += 1
        self.rebalance()

    def kill(self, number: int) -> None:
        """kill -9: of what was under way, a beginning of each log's share arrives, or nothing."""
        worker = self.workers.pop(number)
        for (topic, partition), queue in worker.outgoing.items():
            waiting = [sending for sending in queue if not sending.arrived]
            for sending in waiting[: self.chance.randrange(len(waiting) + 1)]:
                self.append(topic, partition, sending.value)
        if not self.workers or all(other.standing for other in self.workers.values()):
            self.add()
        else:
            self.rebalance()

    def stop(self, number: int) -> None:
        """SIGTERM: everything under way arrives, snapshots are taken, then it leaves."""
        worker = self.workers[number]
        self.flush(worker)
        worker.commit()
        for index in list(worker.live):
            self.freeze(worker, index)
        while self.show(worker):
            pass
        self.kill(number)

    def flush(self, worker: Worker) -> None:
        for tp in list(worker.outgoing):
            while self.arrive(worker, tp):
                pass
            while self.acknowledge(worker, tp):
                pass

    # the broker

    def append(self, topic: str, partition: int, value: bytes) -> None:
        if topic == TOPICS.flags:
            self.flags.append(value)
        else:
            self.logs[partition].append(value)

    def arrive(self, worker: Worker, tp: Place) -> bool:
        for sending in worker.outgoing.get(tp, ()):
            if not sending.arrived:
                self.append(*tp, sending.value)
                sending.arrived = True
                return True
        return False

    def acknowledge(self, worker: Worker, tp: Place) -> bool:
        queue = worker.outgoing.get(tp)
        if not queue or not queue[0].arrived:
            return False
        batch = queue.popleft().batch
        if batch is not None:
            batch.open -= 1
            batch.settle()
        return True

    def sources(self) -> list[Place]:
        """Return the partitions from which the logs are fed."""
        return [*(("in", p) for p in range(self.how.inputs)), ("reviews", 0)]

    def records(self, tp: Place) -> Sequence[Any]:
        """Return what stands in one of them."""
        return self.decisions if tp[0] == "reviews" else self.inputs[tp[1]]

    # the worker's own work

    def decode(self, worker: Worker, tp: Place) -> bool:
        """Put some records of the platform's or of a reviewer's into the shards' logs."""
        at = worker.reading[tp]
        records = self.records(tp)[at : at + self.chance.randint(1, self.how.batch)]
        if not records:
            return False
        runs = worker.runs[tp]
        ticket = runs.deliver(0, at + len(records))
        worker.reading[tp] = at + len(records)
        batch = Batch(lambda: runs.ack(ticket))
        for shard, message in self.messages(tp, records):
            worker.send("ex", shard, pack(message), batch)
        batch.complete = True
        batch.settle()
        return True

    def messages(self, tp: Place, records: Sequence[Any]) -> list[tuple[int, Message]]:
        """Return what the shards are told of some records."""
        if tp[0] == "in":
            return list(split_events(batch_of(records), self.how.shards))
        rows, refused = read_dispositions(records)
        assert not refused, refused
        for row, record in zip(rows, records, strict=True):  # one flag each; hashes are those of these tests
            row["account"] = hash_of(msgspec.json.decode(record)["account_id"])
        return split_reviews(rows, self.how.shards)

    def take(self, worker: Worker, index: int) -> bool:
        shard = worker.live[index]
        log = self.logs[index]
        end = min(len(log), shard.position + self.chance.randint(1, self.how.batch))
        if shard.position >= end:
            return False
        ticket = shard.sent.deliver(0, end)
        batch = Batch(lambda: shard.sent.ack(ticket))
        for offset in range(shard.position, end):
            assert offset >= self.begins[index], "records are read that were deleted"
            for topic, value, where in shard.take(log[offset], offset, aloud=offset >= worker.silent[index]):
                to = ("ex", where["partition"]) if topic == TOPICS.exchange else (topic, 0)
                worker.send(*to, value, batch)
            if self.chance.random() < 0.02 and self.how.snapshots:
                self.freeze(worker, index)  # in the middle of a batch
        batch.complete = True
        batch.settle()
        return True

    def freeze(self, worker: Worker, index: int) -> bool:
        shard = worker.live[index]
        if not self.how.snapshots or not shard.position:
            return False
        snapshot = Snapshot(self.frozen_at(shard), shard.anchor, copy.deepcopy(tree_of(shard)))
        if self.chance.random() < 0.02:
            snapshot.as_file(index, self.how.shards)
        worker.frozen.append((shard, snapshot))
        return True

    def show(self, worker: Worker) -> bool:
        """Show a frozen snapshot, if everything before it was sent; keep two."""
        for shard, snapshot in worker.frozen:
            if self.sent_until(shard) >= snapshot.position:
                worker.frozen.remove((shard, snapshot))
                kept = self.snapshots[shard.node.index]
                if self.chance.random() < 0.1:
                    return True  # the disk is full
                kept[:] = [other for other in kept if other.position != snapshot.position] + [snapshot]
                kept.sort(key=lambda other: -other.position)
                mine = kept.index(snapshot)
                del kept[mine + 2 :]
                return True
        return False

    def restore(self, index: int) -> LiveShard:
        shard = fresh_shard(index, self.how.shards)
        for n, snapshot in enumerate(list(self.snapshots[index])):
            try:
                tree = snapshot.read()
            except DamagedCopyError:
                self.snapshots[index].remove(snapshot)
                continue
            assert snapshot.position <= len(self.logs[index]), "a snapshot from the future"
            assert snapshot.anchor == anchor_of(self.logs[index][snapshot.position - 1])
            shard.go_on_from(tree, snapshot.position, snapshot.anchor)
            self.happened["fell back" if n else "restored"] += 1
            return shard
        assert not self.begins[index], "nothing to rebuild from"
        self.happened["rebuilt"] += 1
        return shard

    # what else can happen

    def damage(self) -> bool:
        """Damage the newest snapshot of a shard that has one to fall back on, or its whole log."""
        index = self.chance.randrange(self.how.shards)
        kept = self.snapshots[index]
        whole = [snapshot for snapshot in kept if not snapshot.damaged]
        if not kept or kept[0].damaged or (len(whole) < 2 and self.begins[index]):
            return False
        kept[0].damaged = True
        if kept[0].file is not None:
            data = bytearray(kept[0].file)
            data[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
            kept[0].file = (
                bytes(data) if self.chance.random() < 0.5 else bytes(data[: self.chance.randrange(len(data))])
            )
        return True

    def delete(self) -> bool:
        """Delete records that every kept snapshot has, as retention does."""
        index = self.chance.randrange(self.how.shards)
        kept = [snapshot for snapshot in self.snapshots[index] if not snapshot.damaged]
        # readers that are behind the oldest snapshot would lose records: retention is set so that there are none
        behind = [w.live[index].position for w in self.workers.values() if index in w.live]
        if len(kept) < 2:
            return False
        self.begins[index] = max(self.begins[index], min(kept[-1].position, *behind, len(self.logs[index])))
        return True

    # the scheduler

    def step(self) -> None:
        """Let one thing happen."""
        chance = self.chance
        what = (
            chance.choice(self.FAULTS)
            if chance.random() < self.how.faults
            else chance.choices(list(self.STEPS), list(self.how.weights.values()))[0]
        )
        if self._do(what):
            self.happened[what] += 1

    def _do(self, what: str) -> bool:
        chance = self.chance
        up = [worker for worker in self.workers.values() if not worker.standing]
        if what == "wake":
            standing = [worker for worker in self.workers.values() if worker.standing]
            if standing:
                self.wake(chance.choice(standing))
            return bool(standing)
        worker = chance.choice(up)
        if what == "decode" and worker.reading:
            return self.decode(worker, chance.choice(sorted(worker.reading)))
        if what in ("arrive", "acknowledge") and worker.outgoing:
            tp = chance.choice(sorted(worker.outgoing))
            go = self.arrive if what == "arrive" else self.acknowledge
            return sum(go(worker, tp) for _ in range(chance.choice((1, 1, 4, 20)))) > 0
        if what in ("take", "freeze") and worker.live:
            index = chance.choice(sorted(worker.live))
            return self.take(worker, index) if what == "take" else self.freeze(worker, index)
        if what == "review":
            decided = decide(self.chance, self.flags, self.decisions)
            self.decisions += [] if decided is None else [decided]
            return decided is not None
        if what == "commit":
            worker.commit()
            return True
        if what == "show":
            return self.show(worker)
        if what in ("damage", "delete"):
            return self.damage() if what == "damage" else self.delete()
        if what == "kill":
            self.kill(worker.number)
        elif what == "stop" and len(up) > 1:
            self.stop(worker.number)
        elif what == "add" and len(up) < 4:
            self.add()
        elif what == "rebalance":
            self.rebalance()
        elif what == "stand" and len(up) > 1:
            worker.standing = True
            self.rebalance()
        else:
            return False
        return True

    def wake(self, worker: Worker) -> None:
        """Let a worker go on that stood still: for a while it knows nothing of what became of its shards."""
        worker.standing = False
        for _ in range(self.chance.randrange(12)):
            what = self.chance.choice(("take", "arrive", "acknowledge", "commit", "decode", "freeze", "show"))
            if what in ("arrive", "acknowledge") and worker.outgoing:
                tp = self.chance.choice(sorted(worker.outgoing))
                self.arrive(worker, tp) if what == "arrive" else self.acknowledge(worker, tp)
            elif what in ("take", "freeze") and worker.live:
                index = self.chance.choice(sorted(worker.live))
                if worker.live[index].position >= self.begins[index]:
                    self.take(worker, index) if what == "take" else self.freeze(worker, index)
            elif what == "decode" and worker.reading:
                self.decode(worker, self.chance.choice(sorted(worker.reading)))
            elif what == "commit":
                worker.commit()
            elif what == "show":
                self.show(worker)
        for index in list(worker.live):  # what it would read next was deleted meanwhile: it starts from a snapshot
            if worker.live[index].position < self.begins[index]:
                del worker.live[index]
        self.rebalance()

    def settle(self) -> None:
        """Let everything come to its end, without further faults."""
        for worker in [worker for worker in self.workers.values() if worker.standing]:
            worker.standing = False
        self.rebalance()
        while self.unfinished():
            for worker in self.workers.values():
                for tp in worker.reading:
                    while self.decode(worker, tp):
                        pass
                self.flush(worker)
                for index in worker.live:
                    while self.take(worker, index):
                        self.flush(worker)
                worker.commit()

    def unfinished(self) -> bool:
        return any(
            any(queue for queue in worker.outgoing.values())
            or any(at < len(self.records(tp)) for tp, at in worker.reading.items())
            or any(shard.position < len(self.logs[i]) for i, shard in worker.live.items())
            for worker in self.workers.values()
        )

    def shards(self) -> list[LiveShard]:
        """Return the shards, each from its owner."""
        return [self.workers[self.group.owner["ex", i]].live[i] for i in range(self.how.shards)]
