"""Reads a flagged account's context from its shard, for `streams.contexts`."""

from __future__ import annotations

from typing import Final

import msgspec

from graph.batch import AgeBand
from graph.shard import Shard
from graph.views import clustering, contacts_of, recent_contacts
from streams.contexts import NEWEST, Context, ContextContact
from streams.hashing import hash_id
from streams.timestamps import rfc3339

__all__ = ["context_bytes"]

OUTCOMES: Final = frozenset({"stranger", "accepted", "declined", "ignored", "blocked", "reported", "replied"})
_ENCODER: Final = msgspec.json.Encoder()


def context_bytes(shard: Shard, account_id: str) -> bytes | None:
    """Return an account's context as JSON, or None if the shard does not hold the account."""
    row = shard.find(hash_id(account_id))
    if row is None:
        return None
    account = shard.state.accounts[row]
    newest = next(contacts_of(shard, row), None)
    found = [] if newest is None else recent_contacts(shard, newest, strangers_only=False, limit=NEWEST)
    created = int(account["created"])
    return _ENCODER.encode(
        Context(
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
        )
    )
