"""What a platform of a given size takes: `python -m benchmarks.capacity`. The model is explained in docs/scaling.md.

The constants are measured here, on one core: what it costs to decode an event, to take a first contact and a further
message of a known pair through several shards (packed, sent and read again, as on Kafka), what a contact, a friendship
and an account hold in memory, in the log and in a snapshot. Then follow the sizes for some platforms, and a run with
hot keys: one account that everybody writes to, one that writes to everybody, beside a stream without them.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded

import math
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import click
import numpy as np

from benchmarks.memory import batches, hashes
from detectors.engine import Engine
from detectors.policy import default_policy
from graph.batch import EventBatch, EventKind
from graph.kept import tree_of
from graph.message import Message, split_events
from graph.node import Node
from streams.decode import EventDecoder
from streams.snapshot_file import pack_tree
from streams.wire import pack, unpack

BATCH = 2_048
GIB = 2**30


class Shards:
    """Shards in one process, with the processor time that each took and the bytes that went over their logs."""

    def __init__(self, count: int) -> None:
        self.nodes = [Node(i, count) for i in range(count)]
        self.engines = [Engine(node.shard, default_policy()) for node in self.nodes]
        self.logs: list[deque[bytes]] = [deque() for _ in self.nodes]
        self.seconds = [0.0] * count
        self.rows = [0] * count
        self.bytes = self.events = 0
        self._offset = 0

    def put(self, batch: EventBatch) -> None:
        """Append events to the logs, and let the shards work until nothing is left."""
        self.events += len(batch)
        for start in range(0, len(batch), BATCH):
            self._send(split_events(batch.select(slice(start, start + BATCH)), len(self.nodes)))
            while any(self.logs):
                for index, log in enumerate(self.logs):
                    while log:
                        self._take(index, log.popleft())

    def _send(self, messages: Any) -> None:
        for to, message in messages:
            value = pack(message)
            self.bytes += len(value)
            self.logs[to].append(value)

    def _take(self, index: int, value: bytes) -> None:
        begun = time.process_time()
        outgoing: list[tuple[int, Message]] = []
        self._offset += 1
        message = unpack(value)
        self.rows[index] += len(message.rows)
        for step in self.nodes[index].handle(message, self._offset):
            if isinstance(step, list):
                outgoing = step
            else:
                for _ in self.engines[index].take(step):
                    pass
        self._send(outgoing)
        self.seconds[index] += time.process_time() - begun


@dataclass
class Constants:
    """What was measured: microseconds an event, bytes."""

    decode: float
    first: float
    known: float
    account: float
    contact: float
    friendship: float
    event_id: float
    log: float
    snapshot: float


def decoding(count: int) -> float:
    """Return the microseconds that decoding an event takes."""
    lines = [
        f'{{"type":"friend_request.sent","event_id":"{i:032x}","occurred_at":{1_791_158_400_000 + i},'
        f'"actor_id":"{i * 7 % 9973:032x}","target_id":"{i * 13 % 9967:032x}","target_age_band":"13_15"}}'.encode()
        for i in range(count)
    ]
    decoder = EventDecoder()
    decoder.decode(lines[:1000], not_after=2**62, ingested_at=None)
    begun = time.process_time()
    for at in range(0, count, 10_000):
        decoder.decode(lines[at : at + 10_000], not_after=2**62, ingested_at=None)
    return (time.process_time() - begun) / count * 1e6


def per_event(shards: Shards, batches_: Any) -> float:
    """Return the microseconds that an event of these batches takes in all shards."""
    before, events = sum(shards.seconds), shards.events
    for batch in batches_:
        shards.put(batch)
    return (sum(shards.seconds) - before) / (shards.events - events) * 1e6


def again(batch: EventBatch, salt: int) -> EventBatch:
    """Return the contacts of a batch as further messages of the same pairs."""
    rows = batch.rows[batch.rows["kind"] == EventKind.REQUEST_SENT].copy()
    rows["kind"] = EventKind.MESSAGE_SENT
    rows["event"] = hashes(np.arange(len(rows)), salt)
    return EventBatch(rows, batch.text)


def measure(count: int) -> Constants:
    """Measure the constants with so many events."""
    accounts = max(count // 8, 1000)
    shards = Shards(4)
    contacts = list(batches(accounts, count, 0, 36, 1))
    shards.put(contacts[0])
    first = per_event(shards, contacts[1:])
    log = shards.bytes / shards.events
    known = per_event(shards, [again(contacts[-1], 1 << 50)])
    held = [node.shard for node in shards.nodes]
    total = {name: sum(shard.nbytes[name] for shard in held) for name in held[0].nbytes}
    pairs = sum(shard.contacts for shard in held)
    packed = sum(len(frame) for node in shards.nodes for frame in pack_tree(tree_of(node)))
    friends = Shards(4)
    for batch in batches(accounts, 0, count, 36, 2):
        friends.put(batch)
    entries = sum(node.shard.friendships for node in friends.nodes)
    return Constants(
        decode=decoding(min(count, 100_000)),
        first=first,
        known=known,
        account=total["accounts"] / sum(shard.accounts for shard in held),
        contact=total["contacts"] / pairs,
        friendship=sum(node.shard.nbytes["friendships"] for node in friends.nodes) / max(entries, 1),
        event_id=total["deduplication"] / shards.events,
        log=log,
        snapshot=packed / sum(total.values()),
    )


def hot(count: int, shards: int, kind: str) -> list[float]:
    """Return each shard's share of the rows taken, when a tenth of all events name one account."""
    made = Shards(shards)
    for batch in batches(max(count // 8, 1000), count, 0, 36, 4):
        if kind != "none":
            chosen = np.arange(0, len(batch.rows), 10)
            batch.rows["target" if kind == "celebrity" else "actor"][chosen] = np.uint64(0x1234_5678_9ABC_DEF1)
        made.put(batch)
    return [rows / sum(made.rows) for rows in made.rows]


@click.command()
@click.argument("count", type=int, default=400_000)
@click.option(
    "--client", default=5.0, show_default=True, help="µs an event in the Kafka client (benchmarks/worker.py)."
)
@click.option("--events", default=20.0, show_default=True, help="Events an active account and day.")
@click.option("--active", default=0.3, show_default=True, help="Share of accounts active on a day.")
@click.option("--new", default=0.15, show_default=True, help="Share of events that are first contacts or outcomes.")
@click.option("--contacts", default=20.0, show_default=True, help="Contacts held an account, 30 days.")
@click.option("--friends", default=100.0, show_default=True, help="Friends an account.")
@click.option("--peak", default=3.0, show_default=True, help="The busiest hour, beside the mean.")
@click.option("--retention", default=14.0, show_default=True, help="Days that the exchange topic keeps, three copies.")
@click.option("--core-hour", default=0.04, show_default=True, help="Price of a core for an hour.")
@click.option("--gib-hour", default=0.005, show_default=True, help="Price of a GiB of memory for an hour.")
def main(
    count: int,
    client: float,
    events: float,
    active: float,
    new: float,
    contacts: float,
    friends: float,
    peak: float,
    retention: float,
    core_hour: float,
    gib_hour: float,
) -> None:
    """Measure with COUNT events, and print what platforms take."""
    c = measure(count)
    click.echo("measured, one core:")
    click.echo(f"  decode {c.decode:.2f} µs, first contact {c.first:.2f} µs, known pair {c.known:.2f} µs an event")
    click.echo(
        f"  {c.account:.0f} bytes an account, {c.contact:.0f} a contact, {c.friendship:.0f} a friendship and end, "
        f"{c.event_id:.0f} an event id"
    )
    click.echo(f"  exchange log {c.log:.0f} bytes a first contact, snapshot {c.snapshot:.2f} of the memory")
    click.echo("accounts        events/s (peak)   cores   memory GiB   shards   log TiB   snapshots GiB   a month")
    for accounts in (1e6, 1e8, 3e9):
        mean = accounts * active * events / 86_400
        seconds = (client + c.decode + new * c.first + (1 - new) * c.known) * 1e-6
        cores = 2 * mean * peak * seconds  # half of each core is left for catching up
        ids = 1.5 * mean * 86_400 * c.event_id  # ids of one to two days
        memory = accounts * (c.account + contacts * c.contact + friends * c.friendship) + ids
        shards = max(math.ceil(cores), math.ceil(memory / (4 * GIB)), 1)
        log = 3 * mean * 86_400 * retention * c.log
        price = 730 * (cores * core_hour + 1.3 * memory / GIB * gib_hour)
        click.echo(
            f"{accounts:13,.0f} {mean * peak:15,.0f} {cores:10,.1f} {memory / GIB:11,.1f} {shards:9,} "
            f"{log / 2**40:9,.2f} {2 * c.snapshot * memory / GIB:14,.1f} {price:11,.0f}"
        )
    for kind in ("none", "celebrity", "attacker"):
        shares = hot(count // 2, 4, kind)
        click.echo(f"hot key, {kind}: the busiest of 4 shards takes {max(shares):.0%} of the rows (even: 25 %)")


if __name__ == "__main__":
    main()
