"""A batch of events as columns: what every stage after decoding works on.

The dtypes here are the border between the outside (`streams`, which reads JSON) and the core
(`graph` and `detectors`, which never see text except account and event ids). An id travels as a
seeded 64-bit hash, with its UTF-8 text in one byte array beside the rows, since flags must name it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "EVENT",
    "NOT_GIVEN",
    "NO_ROLES",
    "NO_TIME",
    "AgeBand",
    "AgeSource",
    "EventBatch",
    "EventKind",
    "Role",
    "Sign",
]


class EventKind(IntEnum):
    """The event types of the contract, as one byte."""

    REQUEST_SENT = 1
    REQUEST_ACCEPTED = 2
    REQUEST_DECLINED = 3
    REQUEST_CANCELLED = 4
    FRIENDSHIP_CREATED = 5
    FRIENDSHIP_REMOVED = 6
    MESSAGE_SENT = 7
    ACCOUNT_UPDATED = 8
    ACCOUNT_DELETED = 9
    ACCOUNT_BLOCKED = 10
    ACCOUNT_REPORTED = 11


class AgeBand(IntEnum):
    """Age bands in rising order; a minor is any of the first three after `UNKNOWN`."""

    UNKNOWN = 0
    UNDER_13 = 1
    AGE_13_15 = 2
    AGE_16_17 = 3
    AGE_18_20 = 4
    AGE_21_PLUS = 5


class AgeSource(IntEnum):
    """How the platform knows an age, in rising order of trust."""

    UNKNOWN = 0
    DECLARED = 1
    ESTIMATED = 2
    VERIFIED = 3


class Role(IntFlag):
    """Account roles that a policy can name; any role the platform has besides these is `OTHER`."""

    EDUCATOR = 1
    COACH = 2
    COUNSELLOR = 4
    BUSINESS = 8
    CREATOR = 16
    MODERATOR = 32
    OTHER = 64


class Sign(IntFlag):
    """What an upstream classifier or a report found in a message (never its content)."""

    SECRECY = 1
    PROBING = 2
    SEXUAL = 4
    PERSONAL_INFO = 8
    BLACKMAIL = 16
    MEET_UP = 32
    OFF_PLATFORM = 64
    IMAGE_REQUEST = 128
    AGE_CLAIM = 256


NOT_GIVEN: Final = 255
"""In an age column: the event did not carry the field."""
NO_ROLES: Final = 0xFFFF
"""In the `roles` column: the event did not carry the field (an empty list is 0)."""
NO_TIME: Final = -1
"""In a time column: the event did not carry the field."""

EVENT: Final = np.dtype(
    [
        ("time", "<i8"),  # occurred_at, epoch milliseconds
        ("ingested_at", "<i8"),  # when the platform's record reached Kafka, epoch milliseconds, or NO_TIME
        ("event", "<u8"),  # seeded hash of event_id
        ("actor", "<u8"),  # seeded hash of actor_id
        ("target", "<u8"),  # seeded hash of target_id; 0 where the type has none
        ("created_at", "<i8"),  # account.updated only, epoch milliseconds, or NO_TIME
        ("mutual", "<i4"),  # mutual_friends, or -1
        ("event_at", "<u4"),  # where the id's text starts in EventBatch.text, and its length, in bytes
        ("actor_at", "<u4"),
        ("target_at", "<u4"),
        ("event_len", "<u2"),
        ("actor_len", "<u2"),
        ("target_len", "<u2"),
        ("signs", "<u2"),  # Sign bits
        ("roles", "<u2"),  # Role bits, or NO_ROLES
        ("kind", "u1"),  # EventKind
        ("actor_age", "u1"),  # AgeBand, or NOT_GIVEN (actor_age_band; in account.updated the account's own)
        ("target_age", "u1"),  # AgeBand, or NOT_GIVEN
        ("age_source", "u1"),  # AgeSource
    ]
)
"""One event. A row is 78 bytes, with no padding."""


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events in the order in which they came.

    Attributes
    ----------
    rows : ndarray of EVENT, shape (n,)
    text : ndarray of uint8, shape (m,)
        The UTF-8 bytes of all ids, addressed by the `*_at` and `*_len` columns.
    """

    rows: NDArray[np.void]
    text: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def empty(cls) -> EventBatch:
        """Return a batch with no events."""
        return cls(np.empty(0, EVENT), np.empty(0, np.uint8))

    def select(self, index: NDArray[Any] | slice) -> EventBatch:
        """Return the rows that `index` picks, over the same text."""
        return EventBatch(self.rows[index], self.text)
