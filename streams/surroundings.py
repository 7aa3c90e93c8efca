"""Reads flagged accounts' contexts from their shard, for `streams.contexts`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from graph.batch import AgeBand
from graph.callers import SHARED
from graph.shard import Shard
from graph.views import clustering, contacts_of, in_common, recent_contacts, rows_of, ties_of
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
    others = rows_of(shard, {half for ties in close.values() for half in ties})
    return {
        account_id: _ENCODER.encode(_context(shard, account_id, row, close[row], others))
        for account_id, row in rows.items()
    }


def _group(shard: Shard, row: int, ties: dict[int, int], others: dict[int, int]) -> list[GroupMember]:
    """Return those of the ties who can be named: accounts of this shard whose own contacts bear it out.

    Another shard's account may stand as the same half of a hash as one of this shard, who must not be named for it.
    """
    known = ((others[half], shared) for half, shared in ties.items() if half in others)
    return [
        GroupMember(account=shard.name(other), shared=shared)
        for other, shared in known
        if in_common(shard, row, other, SHARED) == SHARED
    ][:GROUP]


def _context(shard: Shard, account_id: str, row: int, ties: dict[int, int], others: dict[int, int]) -> Context:
    """Return one context; `ties` and the rows of `others` are by lower halves of hashes, `ties` the closest first."""
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
        group=_group(shard, row, ties, others),
        group_size=len(ties),
    )
