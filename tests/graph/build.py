"""Events made directly as columns, for tests of the graph alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from graph.batch import EVENT, NO_ROLES, NO_TIME, NOT_GIVEN, EventBatch, EventKind

__all__ = ["START", "Event", "batch_of", "hash_of"]

START = 1_791_158_400_000
"""A Monday, 00:00 UTC, in epoch milliseconds."""


class Event(NamedTuple):
    """One event of the contract, in plain Python."""

    kind: EventKind
    time: int
    id: str
    actor: str
    target: str = ""
    mutual: int = -1
    actor_age: int = NOT_GIVEN
    target_age: int = NOT_GIVEN
    age_source: int = 0
    roles: int = NO_ROLES
    created_at: int = NO_TIME
    signs: int = 0


def hash_of(text: str) -> int:
    """Return an id's hash, as decoding would; never 0."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") or 1


def batch_of(events: Iterable[Event]) -> EventBatch:
    """Return the columns of events."""
    events = list(events)
    rows: Any = np.zeros(len(events), EVENT)
    text = bytearray()
    for row, event in zip(rows, events, strict=True):
        row["time"], row["kind"], row["ingested_at"] = event.time, event.kind, event.time + 5
        row["mutual"], row["actor_age"], row["target_age"] = event.mutual, event.actor_age, event.target_age
        row["age_source"], row["roles"], row["created_at"] = event.age_source, event.roles, event.created_at
        row["signs"] = event.signs
        for name, value in (("event", event.id), ("actor", event.actor), ("target", event.target)):
            if value:
                row[name], row[name + "_at"], row[name + "_len"] = hash_of(value), len(text), len(value.encode())
                text += value.encode()
    return EventBatch(rows, np.frombuffer(bytes(text), np.uint8))
