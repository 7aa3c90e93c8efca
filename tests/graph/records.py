"""What the model keeps: accounts, contacts, callers and ties, and the rows it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["WEEK", "Account", "Caller", "Contact", "Row", "Ties"]

WEEK = 7 * 86_400


class Caller(NamedTuple):
    """A first contact with a stranger, as its target's shard keeps it."""

    actor: str
    at: int  # epoch seconds
    suspicion: int


@dataclass
class Ties:
    """Others met at the same targets, by Misra and Gries, halved once a week."""

    since: int  # epoch seconds
    counts: dict[str, int] = field(default_factory=dict)

    def faded(self, clock: int) -> dict[str, int]:
        """Return the counts as they stand."""
        times = max(clock // 1000 - self.since, 0) // WEEK
        return {name: count >> times for name, count in self.counts.items() if count >> times}

    def meet(self, names: list[str], clock: int) -> None:
        """Note callers."""
        self.counts = self.faded(clock)
        self.since += max(clock // 1000 - self.since, 0) // WEEK * WEEK
        for name in names:
            if name in self.counts or len(self.counts) < 8:
                self.counts[name] = self.counts.get(name, 0) + 1
            else:
                self.counts = {other: count - 1 for other, count in self.counts.items() if count > 1}


@dataclass
class Account:
    """What is known of an account itself."""

    id: str
    age: int = 0
    age_source: int = 0
    roles: int = 0
    created: int = 0
    seen: int = 0
    alive: bool = True
    suspicion: int = 0
    callers: list[Caller] = field(default_factory=list)  # who called as a stranger, the newest arrival first
    ties: Ties | None = None


@dataclass(eq=False)
class Contact:
    """What one actor did towards one target, and what came of it."""

    actor: Account
    target: Account
    first: int
    last: int
    number: int  # in order of arrival
    event: str = ""
    marks: set[str] = field(default_factory=set)  # all of FLAGS but "ignored", and contact, lone
    cancelled_at: int | None = None
    signs: int = 0
    messages: int = 0


@dataclass
class Row:
    """What `graph.state.FEATURES` should say."""

    source: int
    account: str
    kind: int
    time: int
    what: int
    counts: dict[str, int]
    friends: int
    triangles: int
    created: int
    mutual: int
    waited: int
    roles: int
    flags: int
    age: int
    target_age: int
    signs: int
    new_signs: int
    messages: int
    callers: int
    suspects: int
    strong: int
    shared: int
    sharers: int
    evidence: dict[int, tuple[list[str], list[str]]]  # by mask of flags
