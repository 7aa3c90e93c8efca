"""The events a platform sends, one type a class, as docs/schemas/event.schema.json describes them.

The types say what a field may hold; `streams.decode` turns records into columns and words the refusals.
Fields that are not named here are ignored and never stored. A field that may be absent may also be null.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from graph.batch import AgeBand, AgeSource, EventKind, Role, Sign

__all__ = [
    "AGE_BANDS",
    "AGE_LIMITS",
    "AGE_SOURCES",
    "EARLIEST",
    "EARLIEST_CREATED",
    "KINDS",
    "MAX_RECORD",
    "OLDEST_PERSON",
    "ROLES",
    "SIGNS",
    "AccountBlocked",
    "AccountDeleted",
    "AccountReported",
    "AccountUpdated",
    "Event",
    "FriendshipCreated",
    "FriendshipRemoved",
    "Head",
    "MessageSent",
    "RequestAccepted",
    "RequestCancelled",
    "RequestDeclined",
    "RequestSent",
    "Targeted",
    "age_band",
]

MAX_RECORD: Final = 65_536
"""Bytes. A longer record is refused unread."""
EARLIEST: Final = 946_684_800_000
"""2000-01-01, epoch milliseconds. What is older is most likely given in seconds."""
EARLIEST_CREATED: Final = 631_152_000_000
"""1990-01-01, epoch milliseconds: no account is older than the platforms are."""
OLDEST_PERSON: Final = 130
"""Years. A birth date further back is a mistake."""

AGE_LIMITS: Final = (
    (13, AgeBand.UNDER_13),
    (16, AgeBand.AGE_13_15),
    (18, AgeBand.AGE_16_17),
    (21, AgeBand.AGE_18_20),
)
"""Years below which somebody is of a band, youngest first; nobody is above the last band."""

# control characters would garble terminals and logs of those who read a flag; a lone surrogate is no UTF-8
Id = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        description="1 to 128 characters, none of them a control character.",
        extra_json_schema={"pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"},
    ),
]
# kept as it came: bulk parsing of the text is faster than a datetime object an event
TimeText = Annotated[
    str,
    Meta(
        description="RFC 3339 with an offset, such as 2026-11-22T04:21:42.123Z.",
        extra_json_schema={"format": "date-time"},
    ),
]
TimeNumber = Annotated[
    int, Meta(description="Epoch milliseconds, not before 2000-01-01.", extra_json_schema={"minimum": EARLIEST})
]
Created = Annotated[
    int, Meta(description="Epoch milliseconds, not before 1990-01-01.", extra_json_schema={"minimum": EARLIEST_CREATED})
]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
AgeBandName = Literal["under_13", "13_15", "16_17", "18_20", "21_plus", "unknown"]
AgeSourceName = Literal["declared", "estimated", "verified"]
SignName = Literal[
    "secrecy",
    "probing",
    "sexual",
    "personal_info",
    "blackmail",
    "meet_up",
    "off_platform",
    "image_request",
    "age_claim",
]


class Head(Struct, frozen=True, kw_only=True, tag_field="type", gc=False):
    """What every event carries: who did it, when, and the event's own id."""

    event_id: Annotated[Id, Meta(description="Unique per event: a second delivery of the same id is dropped.")]
    occurred_at: TimeText | TimeNumber
    actor_id: Annotated[Id, Meta(description="The account that acted.")]
    actor_age_band: AgeBandName | None = None
    target_age_band: AgeBandName | None = None


class Targeted(Head, frozen=True, kw_only=True, gc=False):
    """An event between two accounts."""

    target_id: Annotated[Id, Meta(description="The account acted upon; never the actor.")]


class RequestSent(Targeted, frozen=True, kw_only=True, tag="friend_request.sent", gc=False):
    """Requester asks recipient."""

    mutual_friends: Annotated[Count | None, Meta(description="When the platform knows it; believed.")] = None


class RequestAccepted(Targeted, frozen=True, kw_only=True, tag="friend_request.accepted", gc=False):
    """Recipient accepts requester."""


class RequestDeclined(Targeted, frozen=True, kw_only=True, tag="friend_request.declined", gc=False):
    """Recipient declines requester."""


class RequestCancelled(Targeted, frozen=True, kw_only=True, tag="friend_request.cancelled", gc=False):
    """Requester takes the request back."""


class FriendshipCreated(Targeted, frozen=True, kw_only=True, tag="friendship.created", gc=False):
    """A friendship that exists already or came about without a request: a friendship, never a contact."""


class FriendshipRemoved(Targeted, frozen=True, kw_only=True, tag="friendship.removed", gc=False):
    """Either side ends the friendship."""


class MessageSent(Targeted, frozen=True, kw_only=True, tag="message.sent", gc=False):
    """Sender writes to recipient. The content never comes here, only the signs a classifier found in it."""

    conversation_id: str | None = None
    signs: list[SignName] | None = None
    mutual_friends: Annotated[Count | None, Meta(description="When the platform knows it; believed.")] = None


class AccountUpdated(Head, frozen=True, kw_only=True, tag="account.updated", gc=False):
    """Facts about an account. `age_band` wins over `birth_date`, which is turned into a band at once."""

    age_band: AgeBandName | None = None
    birth_date: datetime.date | None = None
    age_source: AgeSourceName | None = None
    created_at: TimeText | Created | None = None
    roles: Annotated[list[str] | None, Meta(description="Such as educator; unknown roles are kept as one.")] = None


class AccountDeleted(Head, frozen=True, kw_only=True, tag="account.deleted", gc=False):
    """Everything about the account is forgotten."""


class AccountBlocked(Targeted, frozen=True, kw_only=True, tag="account.blocked", gc=False):
    """Blocker blocks the other account."""


class AccountReported(Targeted, frozen=True, kw_only=True, tag="account.reported", gc=False):
    """Reporter reports the other account."""

    reason: str | None = None


Event = (
    RequestSent
    | RequestAccepted
    | RequestDeclined
    | RequestCancelled
    | FriendshipCreated
    | FriendshipRemoved
    | MessageSent
    | AccountUpdated
    | AccountDeleted
    | AccountBlocked
    | AccountReported
)

KINDS: Final[dict[type[Head], EventKind]] = {
    RequestSent: EventKind.REQUEST_SENT,
    RequestAccepted: EventKind.REQUEST_ACCEPTED,
    RequestDeclined: EventKind.REQUEST_DECLINED,
    RequestCancelled: EventKind.REQUEST_CANCELLED,
    FriendshipCreated: EventKind.FRIENDSHIP_CREATED,
    FriendshipRemoved: EventKind.FRIENDSHIP_REMOVED,
    MessageSent: EventKind.MESSAGE_SENT,
    AccountUpdated: EventKind.ACCOUNT_UPDATED,
    AccountDeleted: EventKind.ACCOUNT_DELETED,
    AccountBlocked: EventKind.ACCOUNT_BLOCKED,
    AccountReported: EventKind.ACCOUNT_REPORTED,
}
AGE_BANDS: Final[dict[str, AgeBand]] = {
    "under_13": AgeBand.UNDER_13,
    "13_15": AgeBand.AGE_13_15,
    "16_17": AgeBand.AGE_16_17,
    "18_20": AgeBand.AGE_18_20,
    "21_plus": AgeBand.AGE_21_PLUS,
    "unknown": AgeBand.UNKNOWN,
}
AGE_SOURCES: Final[dict[str, AgeSource]] = {
    source.name.lower(): source for source in AgeSource if source is not AgeSource.UNKNOWN
}
SIGNS: Final[dict[str, Sign]] = {str(sign.name).lower(): sign for sign in Sign}
ROLES: Final[dict[str, Role]] = {str(role.name).lower(): role for role in Role if role is not Role.OTHER}
"""A role that is not among these counts as `Role.OTHER`."""


def age_band(birth: datetime.date, on: datetime.date) -> AgeBand | None:
    """Return the age band on a day, or None for a birth date that cannot be.

    Who was born on 29 February turns a year older on 1 March in other years.

    Examples
    --------
    >>> age_band(datetime.date(2010, 11, 23), datetime.date(2026, 11, 22)).name
    'AGE_13_15'
    """
    years = on.year - birth.year - ((on.month, on.day) < (birth.month, birth.day))
    if not 0 <= years <= OLDEST_PERSON:
        return None
    return next((band for limit, band in AGE_LIMITS if years < limit), AgeBand.AGE_21_PLUS)
