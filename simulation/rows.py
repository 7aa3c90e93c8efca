"""Events as rows of arrays while they are being made, and the agenda that holds those still to come."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ACCEPTED",
    "BLOCKED",
    "CANCELLED",
    "CREATED",
    "DAY",
    "DECLINED",
    "DELETED",
    "HOUR",
    "MESSAGE",
    "MINUTE",
    "REMOVED",
    "REPORTED",
    "REQUEST",
    "ROW",
    "SIGNS",
    "TYPES",
    "UPDATED",
    "Agenda",
    "Array",
    "Asked",
    "pair_keys",
    "rows",
]

Array = NDArray[Any]

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

TYPES: Final = (
    "friend_request.sent",
    "friend_request.accepted",
    "friend_request.declined",
    "friend_request.cancelled",
    "friendship.created",
    "friendship.removed",
    "message.sent",
    "account.updated",
    "account.deleted",
    "account.blocked",
    "account.reported",
)
REQUEST, ACCEPTED, DECLINED, CANCELLED, CREATED, REMOVED, MESSAGE, UPDATED, DELETED, BLOCKED, REPORTED = range(11)

SIGNS: Final = (
    "secrecy",
    "probing",
    "sexual",
    "personal_info",
    "blackmail",
    "meet_up",
    "off_platform",
    "image_request",
    "age_claim",
)

ROW: Final = np.dtype(
    [
        ("time", "<i8"),  # epoch milliseconds
        ("actor", "<i4"),  # index of an account
        ("target", "<i4"),  # index of an account, or -1
        ("campaign", "<i4"),  # what made the account do it, or -1; never leaves the simulation
        ("extra", "<i2"),  # mutual friends the platform tells, reason of a report, new age band; or -1
        ("signs", "<u2"),  # bit i is SIGNS[i]
        ("kind", "u1"),  # index into TYPES
    ]
)


def rows(
    kind: int | Array,
    time: Array,
    actor: Array,
    target: Array | int = -1,
    *,
    campaign: Array | int = -1,
    extra: Array | int = -1,
    signs: Array | int = 0,
) -> Array:
    """Return events as an array of ROW."""
    made = np.empty(len(time), ROW)
    made["time"], made["actor"], made["target"] = time, actor, target
    made["campaign"], made["extra"], made["signs"], made["kind"] = campaign, extra, signs, kind
    return made


def pair_keys(a: Array, b: Array) -> Array:
    """Return one integer a pair of accounts, the same for both directions."""
    low, high = np.minimum(a, b).astype(np.int64), np.maximum(a, b).astype(np.int64)
    keys: Array = (low << 32) | high
    return keys


class Agenda:
    """Events that are settled but not yet due; holds what is outstanding, not what has been."""

    def __init__(self) -> None:
        self._later: list[Array] = []

    def add(self, *made: Array) -> None:
        """Note events for later."""
        self._later.extend(part for part in made if len(part))

    def pop(self, until: int) -> Array:
        """Take out the events before `until`, in no particular order."""
        if not self._later:
            return np.empty(0, ROW)
        everything = np.concatenate(self._later)
        due = everything["time"] < until
        self._later = [everything[~due]]
        taken: Array = everything[due]
        return taken

    def forget_pairs(self, keys: Array) -> None:
        """Drop what pairs of accounts still had to say to each other (one has blocked the other)."""
        if len(keys) and self._later:
            held = np.concatenate(self._later)
            gone = np.isin(pair_keys(held["actor"], held["target"]), keys) & (held["kind"] != REPORTED)
            self._later = [held[~gone]]


class Asked:
    """Which pairs had a request lately: two generations of hashed bits, so of constant size.

    A rare collision means a request that is not made, which nobody will miss.
    """

    def __init__(self, accounts: int) -> None:
        self._bits = max(16, int(accounts * 48).bit_length())
        self._now = np.zeros(1 << self._bits, np.bool_)
        self._before = np.zeros_like(self._now)
        self._count = 0

    def fresh(self, actor: Array, target: Array) -> Array:
        """Return a mask of the pairs that are new, the first of each, and note them."""
        keys = pair_keys(actor, target)
        slots = (keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - self._bits)
        new: Array = ~(self._now[slots] | self._before[slots])
        first = np.zeros(len(keys), np.bool_)
        first[np.unique(keys, return_index=True)[1]] = True
        new = np.logical_and(new, first)
        self._now[slots[new]] = True
        self._count += int(new.sum())
        if self._count > len(self._now) // 8:
            self._before, self._now, self._count = self._now, np.zeros_like(self._now), 0
        return new
