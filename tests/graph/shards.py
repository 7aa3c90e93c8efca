"""Several shards in one process: their logs are lists of bytes, packed as on Kafka."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from detectors.engine import Engine
from detectors.policy import default_policy
from graph.message import split_events
from graph.node import Node
from graph.shard import Rows, Settings, Shard
from graph.state import FEATURES
from graph.views import callers_of, ties_of
from streams.wire import pack, unpack
from tests.graph.build import Event, batch_of

__all__ = ["NAMES", "Cluster", "content", "local_rows", "rows_of"]

NAMES = [name for name in FEATURES.names or () if name not in ("source", "account", "pair", "ingested_at")]


def rows_of(table: Any) -> list[tuple[Any, ...]]:
    """Return rows of features as tuples; rows of the account table and batch positions are left out."""
    return [tuple(row[name].tolist() for name in NAMES) for row in table]


def local_rows(shard: Shard, events: Iterable[Event]) -> list[tuple[Any, ...]]:
    """Return the features that one shard finds by function calls."""
    return [row for step in shard.process(batch_of(events)) if isinstance(step, Rows) for row in rows_of(step.table)]


def content(shards: Iterable[Shard]) -> dict[str, Any]:
    """Return what shards hold of each account that is theirs, by name: facts, counts, contacts, friends."""
    shards = list(shards)
    found: dict[str, Any] = {}
    for index, shard in enumerate(shards):
        s = shard.state
        for row in np.flatnonzero(s.accounts["state"] == 1).tolist():
            account = s.accounts[row]
            if (int(account["hash"]) >> 32) * len(shards) >> 32 != index:
                continue
            at = int(account["friends_at"])
            friends = sorted(shard.name(f) for f in s.pool[at : at + int(account["friends"])].tolist())
            contacts = {}
            nil = np.iinfo(np.uint32).max
            p = nil if account["activity"] == nil else int(s.newest[account["activity"]])
            while p != nil:
                pair = s.pairs[p]
                contacts[shard.name(int(pair["target"]))] = (int(pair["first"]), int(pair["last"]), int(pair["flags"]))
                p = int(pair["earlier"])
            facts = {name: int(account[name]) for name in ("age", "roles", "created", "triangles")}
            counts = shard.counts(row)
            if friends or contacts or any(facts.values()):
                met = {"callers": callers_of(shard, row), "ties": ties_of(shard, row)}
                found[shard.name(row)] = {**facts, "friends": friends, "counts": counts, "contacts": contacts, **met}
    return found


class Cluster:
    """Nodes and their logs.

    `rows` are the features in the order in which they came, of all nodes; `sent[i]` what node `i` has sent, as
    (to, bytes), in order.
    """

    def __init__(self, shards: int, settings: Settings | None = None, *, detect: bool = False) -> None:
        self.settings = settings
        self.nodes = [Node(i, shards, settings) for i in range(shards)]
        self.engines = [Engine(node.shard, default_policy()) for node in self.nodes] if detect else []
        self.logs: list[list[bytes]] = [[] for _ in range(shards)]
        self.at = [0] * shards
        self.sent: list[list[tuple[int, bytes]]] = [[] for _ in range(shards)]
        self.rows: list[tuple[Any, ...]] = []
        self.flags: list[Any] = []

    def put(self, events: Iterable[Event]) -> None:
        """Append events to the logs, as the decoders do."""
        for to, message in split_events(batch_of(events), len(self.nodes)):
            self.logs[to].append(pack(message))

    def step(self, index: int, send: Callable[[int, bytes], None] | None = None) -> None:
        """Let one node take the next message of its log."""
        node = self.nodes[index]
        offset = self.at[index]
        for step in node.handle(unpack(self.logs[index][offset]), offset):
            if isinstance(step, list):
                for to, message in step:
                    data = pack(message)
                    self.sent[index].append((to, data))
                    if send is None:
                        self.logs[to].append(data)
                    else:
                        send(to, data)
                continue
            if isinstance(step, Rows):
                self.rows += rows_of(step.table)
            if self.engines:
                self.flags += self.engines[index].take(step)
        self.at[index] = offset + 1

    def waiting(self) -> list[int]:
        """Return the nodes whose logs hold more."""
        return [i for i, log in enumerate(self.logs) if self.at[i] < len(log)]

    def settle(self, chance: random.Random | None = None) -> None:
        """Run all nodes until nothing is left; in random order, if a source of chance is given."""
        while waiting := self.waiting():
            self.step(chance.choice(waiting) if chance else waiting[0])

    def lockstep(self, events: Iterable[Event]) -> None:
        """Let one event after the other take its whole course."""
        for event in events:
            self.put([event])
            self.settle()

    def again(self, index: int, start: int = 0) -> Cluster:
        """Return a cluster whose node `index` is made anew from its log; nothing is sent anywhere."""
        fresh = Cluster(len(self.nodes), self.settings)
        fresh.logs[index] = list(self.logs[index])
        while fresh.at[index] < self.at[index]:
            fresh.step(index, send=lambda _to, _data: None)
        return fresh

    def content(self) -> dict[str, Any]:
        """Return what all shards hold."""
        return content(node.shard for node in self.nodes)
