"""A shard among others: it reads one log of messages, and everything it does follows from that log alone.

Events, asks and answers for a shard stand in one log, so that their order is the log's, now and in every replay:
reading the log again from the start, or from a snapshot's offset, gives the same state and the same messages out.
What it sends is known by the log's partition and offset, so that a receiver drops what it has had before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from graph.assess import assess_rows
from graph.batch import EventKind
from graph.exchange import ANSWERS_FULL
from graph.local import POOL_FULL, TICK
from graph.message import ASK, Kind, Message, Reviews, owner_of, split_rows
from graph.probe import probe_events
from graph.resolve import resolve_rows
from graph.shard import SLICE, Rows, Settings, Shard, Tick

__all__ = ["Node"]

NO_TEXT: Final = np.empty(0, np.uint8)
NO_HASHES: Final = np.empty(0, np.uint64)


class Node:
    """One shard of several.

    Parameters
    ----------
    index : int
        Which shard this is: the partition of its log.
    shards : int
        How many there are.
    settings : Settings, optional

    Attributes
    ----------
    shard : Shard
    seen : dict of int to (int, int)
        The highest offset and part taken from each source.
    repeats : int
        Messages dropped because they had been taken before.
    """

    STATE: ClassVar = ("shard", "seen", "repeats")
    STATE_TYPES: ClassVar = {"seen": dict[int, tuple[int, int]]}

    def __init__(self, index: int, shards: int, settings: Settings | None = None) -> None:
        self.index = index
        self.shards = shards
        self.shard = Shard(settings)
        self.seen: dict[int, tuple[int, int]] = {}
        self.repeats = 0
        self._scratch = np.zeros((3, 512), np.uint32)
        self._asks = np.empty(SLICE, ASK)
        self._hashes = np.empty(64 * SLICE, np.uint64)
        self._parts: list[tuple[NDArray[np.void], NDArray[np.uint64]]] = []

    def handle(
        self, message: Message, offset: int, *, aloud: bool = True
    ) -> Iterator[Rows | Tick | Reviews | list[tuple[int, Message]]]:
        """Take one message of the log.

        Yields rows of features, ticks and reviews, in order, and last the messages to send, with their shards. The
        tables are valid until the next step.

        Parameters
        ----------
        message : Message
        offset : int
            Its offset in the log.
        aloud : bool
            Whether anything is to be sent; else it was, and the list of messages is empty.
        """
        if message.source >= 0:
            if (message.offset, message.part) <= self.seen.get(message.source, (-1, -1)):
                self.repeats += 1
                yield []
                return
            self.seen[message.source] = (message.offset, message.part)
        if message.kind == Kind.REVIEWS:
            yield Reviews(message.rows)
            yield []
            return
        if self.shards == 1:  # nobody to ask: one event after the other, so that batches change nothing
            yield from self.shard.process(message.batch)
            yield []
            return
        self._parts = []
        for start in range(0, len(message.rows), SLICE):
            rows = message.rows[start : start + SLICE]
            self.shard.reserve(rows)
            if message.kind == Kind.EVENTS:
                yield from self._probe(rows, message.text)
            elif message.kind == Kind.ASKS:
                yield from self._resolve(rows, message)
            else:
                yield from self._assess(rows, message)
        yield self._outgoing(message, offset) if aloud else []

    def _probe(self, rows: NDArray[np.void], text: NDArray[np.uint8]) -> Iterator[Rows | Tick]:
        at = n = h = 0
        out = self.shard.out
        while at < len(rows):
            at, found, n, h, code = probe_events(
                self.shard.state, rows, text, at, out, self._asks, n, self._hashes, h, self._scratch
            )
            if found:
                yield Rows(out[:found])
            if code == POOL_FULL:
                self.shard.grow_pool()
            elif code == ANSWERS_FULL:
                if n:
                    self._flush(n, h)
                    n = h = 0
                else:
                    self._asks = np.empty(2 * len(self._asks), ASK)
                    self._hashes = np.empty(2 * len(self._hashes), np.uint64)
            elif code == TICK:
                yield from self.shard.pass_ticks_before(rows[at], at)
        self._flush(n, h)

    def _resolve(self, rows: NDArray[np.void], message: Message) -> Iterator[Rows | Tick]:
        at = r = h = 0
        out = self.shard.out
        while at < len(rows):
            at, found, r, h, code = resolve_rows(
                *(self.shard.state, rows, message.text, message.hashes, at, out, self._asks, r),
                *(self._hashes, h, self._scratch),
            )
            if found:
                yield Rows(out[:found])
            if code == POOL_FULL:
                self.shard.grow_pool()
            elif code == ANSWERS_FULL:
                if r:
                    self._flush(r, h)
                    r = h = 0
                else:
                    self._asks = np.empty(2 * len(self._asks), ASK)
            elif code == TICK:
                yield from self.shard.pass_ticks(int(rows["time"][at]), at)
        self._flush(r, h)

    def _assess(self, rows: NDArray[np.void], message: Message) -> Iterator[Rows | Tick]:
        at = 0
        out = self.shard.out
        while at < len(rows):
            at, found, code = assess_rows(self.shard.state, rows, message.text, message.hashes, at, out)
            if found:
                yield Rows(out[:found])
            if code == TICK:
                yield from self.shard.pass_ticks(int(rows["time"][at]), at)

    def _flush(self, n: int, h: int) -> None:
        if n:
            self._parts.append((self._asks[:n].copy(), self._hashes[:h].copy()))

    def _outgoing(self, message: Message, offset: int) -> list[tuple[int, Message]]:
        if not self._parts:
            return []
        sizes = np.cumsum([0] + [len(hashes) for _, hashes in self._parts[:-1]])
        for (rows, _), size in zip(self._parts, sizes, strict=True):
            rows["hashes_at"] += np.uint32(size)
        rows = np.concatenate([rows for rows, _ in self._parts])
        hashes = np.concatenate([hashes for _, hashes in self._parts])
        self._parts = []
        kind = Kind.ANSWERS if message.kind == Kind.ASKS else Kind.ASKS
        if kind == Kind.ASKS:
            rows, to = self._address_asks(rows)
        else:
            to = owner_of(rows["actor"], self.shards)
        return [
            (shard, Message(kind, self.index, offset, part, some, text, their))
            for shard, part, some, text, their in split_rows(rows, to, message.text, hashes)
        ]

    def _address_asks(self, rows: NDArray[np.void]) -> tuple[NDArray[np.void], NDArray[np.int64]]:
        """Return asks with their destinations; the news of an erased account goes to every shard."""
        to = owner_of(rows["target"], self.shards)
        everyone = rows["kind"] == EventKind.ACCOUNT_DELETED
        if not everyone.any():
            return rows, to
        copies = np.where(everyone, self.shards, 1)
        index = np.repeat(np.arange(len(rows)), copies)
        first = np.cumsum(copies) - copies
        nth = np.arange(len(index)) - first[index]
        return rows[index], np.where(everyone[index], nth, to[index])

    def describe(self) -> dict[str, Any]:
        """Return what it holds, for logs: no account is named."""
        return {"shard": self.index, "accounts": self.shard.accounts, "contacts": self.shard.contacts}
