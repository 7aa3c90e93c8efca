"""What shards send one another: rows of columns with the texts and hashes they point into.

Four kinds travel on one log a shard. **Events** come from decoding, to the shard that owns the actor. **Asks** go
from the actor's shard to the target's; **answers** go back, and to whoever else has something to learn. **Reviews** are
reviewers' decisions about flags.
An ask or answer names the partition and offset of the record that gave rise to it, so that a second sending of
the same thing is recognised and dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graph.batch import EventBatch
from graph.jit import copy, njit

__all__ = ["ASK", "REVIEW", "Kind", "Message", "Reviews", "owner_of", "split_events", "split_rows"]


class Kind(IntEnum):
    """What the rows of a message are."""

    EVENTS = 1
    ASKS = 2
    ANSWERS = 3
    REVIEWS = 4


ASK: Final = np.dtype(
    [
        ("time", "<i8"),  # of the event, after the guard of the actor's shard
        ("ingested_at", "<i8"),
        ("actor", "<u8"),
        ("target", "<u8"),
        ("event_at", "<u4"),
        ("actor_at", "<u4"),
        ("target_at", "<u4"),
        ("event_len", "<u2"),
        ("actor_len", "<u2"),
        ("target_len", "<u2"),
        ("drawn", "<u2"),  # hashes of the actor's friends; answer: lower halves of callers' that count as met ...
        ("recent", "<u2"),  # ... and then of its recent targets, from hashes_at on
        ("links", "<u2"),  # answer: how many of the recent targets are friends of the target
        ("links_of", "<u2"),  # ... and how many recent targets were asked about
        ("hashes_at", "<u4"),
        ("friends", "<u4"),  # how many friends the actor has
        ("mutual", "<i4"),  # ask: as the platform says, or -1; answer: mutual friends
        ("triangles", "<i4"),  # answer: change of the actor's triangles
        ("kind", "u1"),  # EventKind; 0 in an answer that only changes triangles
        ("actor_age", "u1"),  # as the actor's shard knows it
        ("target_age", "u1"),
        ("late", "u1"),
        ("friend", "u1"),  # they are friends, as far as the shard knows
        ("reverse", "u1"),  # answer: the target had reached out first
        ("answered", "u1"),  # answer: the target has answered already
        ("suspicion", "u1"),  # of the actor
        ("callers", "u1"),  # answer: others who called on the target ...
        ("suspects", "u1"),  # ... of whom were under suspicion
    ]
)
"""One row of an ask or an answer."""

REVIEW: Final = np.dtype(
    [
        ("time", "<i8"),  # when it was decided, epoch milliseconds
        ("account", "<u8"),  # hash of the flag's account
        ("decision", "<u8"),  # hash of the decision's id
        ("flag", "<u8", (2,)),  # the flag's id, 16 bytes
        ("severity", "u1"),  # that the reviewer saw, an index into the severities
        ("what", "u1"),  # a code of `detectors.reviews`
    ]
)
"""What a reviewer decided about one flag. The graph takes no notice of it; it stands in the log for its place there."""


@dataclass(frozen=True, slots=True)
class Reviews:
    """What reviewers decided, as it stands in a shard's log: an ndarray of REVIEW."""

    table: NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Message:
    """One message between shards.

    Attributes
    ----------
    kind : Kind
    source, offset : int
        Partition and offset of the record that gave rise to it; -1 for events, which are known by their ids.
    part : int
        What one record gives rise to for one shard may be cut into several messages, numbered from 0.
    rows : ndarray of EVENT, ASK or REVIEW
    text : ndarray of uint8
    hashes : ndarray of uint64
    """

    kind: Kind
    source: int
    offset: int
    part: int
    rows: NDArray[np.void]
    text: NDArray[np.uint8]
    hashes: NDArray[np.uint64]

    @property
    def batch(self) -> EventBatch:
        """The events of a message of kind EVENTS."""
        return EventBatch(self.rows, self.text)


PART: Final = 800_000
"""Bytes in one message, about. Kafka takes records of 1 MiB unless told otherwise; no row has more than 8 kB."""
NO_HASHES: Final = np.empty(0, np.uint64)


def owner_of(key: NDArray[np.uint64], shards: int) -> NDArray[np.int64]:
    """Return the shard that owns each account hash: the high bits, scaled (no account moves but with the count)."""
    high = (key >> np.uint64(32)).astype(np.int64)
    result: NDArray[np.int64] = (high * shards) >> 32
    return result


@njit
def pack_text(rows: Any, text: Any, out: Any) -> Any:
    """Copy the texts that `rows` point to into `out`, and point the rows there; return the bytes used."""
    top: Any = 0
    for i in range(len(rows)):
        r = rows[i]
        n = np.int64(r.event_len)
        copy(text, r.event_at, n, out, top)
        r.event_at = top
        top += n
        n = np.int64(r.actor_len)
        copy(text, r.actor_at, n, out, top)
        r.actor_at = top
        top += n
        n = np.int64(r.target_len)
        copy(text, r.target_at, n, out, top)
        r.target_at = top
        top += n
    return top


@njit
def pack_hashes(rows: Any, hashes: Any, out: Any) -> Any:
    """Copy the hashes that `rows` point to into `out`, and point the rows there; return how many."""
    top: Any = 0
    for i in range(len(rows)):
        r = rows[i]
        n = np.int64(r.drawn) + np.int64(r.recent)
        copy(hashes, r.hashes_at, n, out, top)
        r.hashes_at = top
        top += n
    return top


def _texts(rows: NDArray[np.void], text: NDArray[np.uint8]) -> NDArray[np.uint8]:
    size = sum(int(rows[name].sum(dtype=np.int64)) for name in ("event_len", "actor_len", "target_len"))
    out = np.empty(size, np.uint8)
    pack_text(rows, text, out)
    return out


def _sizes(rows: NDArray[np.void]) -> NDArray[np.int64]:
    """Return how many bytes each row takes, with its texts."""
    texts = sum(rows[name].astype(np.int64) for name in ("event_len", "actor_len", "target_len"))
    return np.asarray(rows.itemsize + texts)


def _shares(
    rows: NDArray[np.void], to: NDArray[np.int64], size: NDArray[np.int64]
) -> Iterator[tuple[int, int, NDArray[np.void]]]:
    """Cut rows by destination, and into parts of about `PART` bytes at most; yield shard, part and rows, in order."""
    counts = np.bincount(to)
    order = np.argsort(to.astype(np.uint16), kind="stable")  # shards are at most 4096
    end = 0
    for shard, count in enumerate(counts.tolist()):
        if not count:
            continue
        chosen = order[end : end + count]
        end += count
        mine = rows[chosen]
        cut = np.cumsum(size[chosen]) // PART
        if cut[-1] == 0:
            yield shard, 0, mine
            continue
        edges = [0, *(np.flatnonzero(np.diff(cut)) + 1).tolist(), count]
        for part, (start, stop) in enumerate(pairwise(edges)):
            yield shard, part, mine[start:stop]


def split_events(batch: EventBatch, shards: int) -> Iterator[tuple[int, Message]]:
    """Split events by the shard of their actor, in order, each message with its own texts."""
    rows = batch.rows
    for shard, _, some in _shares(rows, owner_of(rows["actor"], shards), _sizes(rows)):
        yield shard, Message(Kind.EVENTS, -1, -1, 0, some, _texts(some, batch.text), NO_HASHES)


def split_rows(
    rows: NDArray[np.void], to: NDArray[np.int64], text: NDArray[np.uint8], hashes: NDArray[np.uint64]
) -> Iterator[tuple[int, int, NDArray[np.void], NDArray[np.uint8], NDArray[np.uint64]]]:
    """Split asks or answers by destination `to` and into parts of about `PART` bytes at most, in order.

    Yields
    ------
    shard, part : int
    rows, text, hashes : ndarray
    """
    count = rows["drawn"].astype(np.int64) + rows["recent"]
    for shard, part, some in _shares(rows, to, _sizes(rows) + 8 * count):
        out = np.empty(int(some["drawn"].sum(dtype=np.int64) + some["recent"].sum(dtype=np.int64)), np.uint64)
        pack_hashes(some, hashes, out)
        yield shard, part, some, _texts(some, text), out
