"""Reads flagged accounts' contexts from their shard, for `streams.contexts`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from graph.batch import AgeBand
from graph.callers import SHARED
from graph.shard import Shard
from graph.state import CONTACT
from graph.views import clustering, contacts_of, named, recent_contacts, ties_of
from streams.contexts import GROUP, NEWEST, Context, ContextContact, GroupMember
from streams.hashing import hash_id
from streams.timestamps import rfc3339

__all__ = ["context_bytes"]

OUTCOMES: Final = frozenset({"stranger", "accepted", "declined", "ignored", "blocked", "reported", "replied"})
_ENCODER: Final = msgspec.json.Encoder()


def context_bytes(shard: Shard, account_ids: Iterable[str]) -> dict[str, bytes]:
    """Return the contexts of accounts as JSON, by their ids; one that the shard does not hold has none.

    Goes through all accounts of the shard once if any of these shares targets with others, however many do.
    """
    found = ((account_id, shard.find(hash_id(account_id))) for account_id in account_ids)
    rows = {account_id: row for account_id, row in found if row is not None}
    close = {
        row: {half: count for half, count in ties_of(shard, row).items() if count >= SHARED} for row in rows.values()
    }
    names = named(shard, {half for ties in close.values() for half in ties})
    return {
        account_id: _ENCODER.encode(_context(shard, account_id, row, _group(shard, row, close[row], names), close[row]))
        for account_id, row in rows.items()
    }


def _group(shard: Shard, row: int, ties: dict[int, int], names: dict[int, str]) -> list[GroupMember]:
    """Return those of the ties whose names are known, and whose own contacts bear out that it is them.

    Another shard's account may stand as the same half of a hash as one of this shard, who must not be named for it.
    """
    own = _targets(shard, row) if ties else set()
    found = []
    for half, count in ties.items():
        other = shard.find(hash_id(names[half])) if half in names else None
        if other is not None and len(own & _targets(shard, other)) >= SHARED:
            found.append(GroupMember(account=names[half], shared=count))
    return found[:GROUP]


def _targets(shard: Shard, row: int) -> set[int]:
    """Return the rows of accounts to which an account reached out."""
    pairs = shard.state.pairs
    return {int(pairs["target"][p]) for p in contacts_of(shard, row) if pairs["flags"][p] & CONTACT}


def _context(shard: Shard, account_id: str, row: int, group: list[GroupMember], ties: dict[int, int]) -> Context:
    """Return one context; `ties` is by lower halves of hashes."""
    account = shard.state.accounts[row]
    newest = next(contacts_of(shard, row), None)
    found = [] if newest is None else recent_contacts(shard, newest, strangers_only=False, limit=NEWEST)
    created = int(account["created"])
    return Context(
        account_id=account_id,
        at=rfc3339(shard.clock),
        age_band=AgeBand(int(account["age"])).name.lower().removeprefix("age_"),
        created_at=rfc3339(created * 1000) if created > 0 else None,
        friends=int(account["friends"]),
        clustering=round(clustering(shard, row), 4),
        contacts=[
            ContextContact(
                target=contact["target"],
                age_band=contact["target_age"],
                first=rfc3339(contact["first"]),
                last=rfc3339(contact["last"]),
                outcomes=[name for name in contact["flags"] if name in OUTCOMES],
            )
            for contact in found
            if contact["target"]
        ],
        group=group,
        group_size=len(ties),
    )
