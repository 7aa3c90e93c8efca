"""Contexts: the surroundings of a flagged account, for the people who look at it.

A worker sends one to the topic `kithwatch.contexts` with every flag: the account's age and friends, and its newest
contacts with ages and outcomes, as its shard holds them at that moment. Unlike a flag, a context is no result that a
replay gives again: what a batch brought in is already in it. It is for the picture beside the flag, never for judging.

Its `group` names the others whom the account met at its targets, which is what `lockstep` weighs. It is a lead: a count
never says too much, and of another shard's account the name is not known.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from graph.callers import MOST, SHARED
from streams.flags import Time

__all__ = ["GROUP", "NEWEST", "Context", "ContextContact", "GroupMember"]

NEWEST: Final = 120
"""Contacts in a context: about as many as a picture can show."""
GROUP: Final = 20
"""Others who are named, at most."""


class ContextContact(Struct, frozen=True, kw_only=True):
    """A contact: whom the account reached for, when, and what came of it."""

    target: str
    age_band: str
    first: Time
    last: Time
    outcomes: Annotated[
        list[Literal["stranger", "accepted", "declined", "ignored", "blocked", "reported", "replied"]],
        Meta(description="`stranger`: no friend and no mutual friend at the first contact."),
    ]


class GroupMember(Struct, frozen=True, kw_only=True):
    """Another account that reaches for the same targets."""

    account: str
    shared: Annotated[int, Meta(ge=1, le=MOST, description="Targets that both reached for, at least.")]


class Context(Struct, frozen=True, kw_only=True):
    """The surroundings of a flagged account, as its shard held them when the flag was sent."""

    type: Literal["account.context"] = "account.context"
    schema_version: Literal[1] = 1
    account_id: str
    at: Annotated[Time, Meta(description="The shard's clock, event time.")]
    age_band: str
    created_at: Annotated[Time | None, Meta(description="When the account was made, if the platform told.")] = None
    friends: int
    clustering: Annotated[float, Meta(description="Share of pairs of friends who are friends.")]
    contacts: Annotated[list[ContextContact], Meta(description=f"The newest, at most {NEWEST}.")]
    group: Annotated[
        list[GroupMember],
        Meta(
            description=f"Accounts that reached for at least {SHARED} of its targets before it, the closest first,"
            f" at most {GROUP}: those whose ids the shard knows. A lead, never a verdict."
        ),
    ] = []
    group_size: Annotated[
        int,
        Meta(
            ge=0, le=MOST, description="How many such accounts there are, with those whose ids the shard does not know."
        ),
    ] = 0
