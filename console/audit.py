"""The audit: an append-only record of who saw, searched, unmasked, decided and changed what.

Every record carries a keyed hash (HMAC-SHA-256) over itself and the hash of the one before, after Schneier and Kelsey,
"Secure Audit Logs to Support Computer Forensics" (1999): whoever changes, removes or inserts a record without the key
breaks the chain at that place. Cutting off the end is found by comparing with a head that was written down elsewhere
(`kithwatch console audit head`). Triggers in the database refuse changes; retention removes the beginning only, and
leaves a sealed anchor from which the rest still verifies.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, text

from console.tables import audit, audit_anchors

__all__ = ["Problem", "append", "detail_text", "head", "narrowed", "prune", "verify"]

START: Final = "0" * 64
_LOCK: Final = 7405106


class Problem(msgspec.Struct, frozen=True):
    """The first place at which the chain does not hold."""

    seq: int
    what: str


def _hash(key: bytes, row: tuple[object, ...]) -> str:
    return hmac.new(key, msgspec.json.encode(row), hashlib.sha256).hexdigest()


def append(
    connection: Connection,
    key: bytes,
    *,
    now: int,
    actor: str,
    action: str,
    object: str = "",  # the word of the record
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add a record, within the transaction of what it tells.

    Parameters
    ----------
    connection : Connection
        A writing transaction.
    key : bytes
        The audit key.
    now : int
        Epoch ms.
    actor : str
        A user's login, or `system`.
    action : str
        What was done, such as `case.view`.
    object : str
        What it was done to, such as `case:12`.
    detail : mapping
        More, without account ids.
    """
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    seq, previous = head(connection)
    said = detail_text(detail)
    row = (seq + 1, now, actor, action, object, said, previous)
    connection.execute(
        insert(audit).values(
            seq=seq + 1,
            at=now,
            actor=actor,
            action=action,
            object=object,
            detail=said,
            previous=previous,
            hash=_hash(key, row),
        )
    )


def detail_text(detail: Mapping[str, Any] | None) -> str:
    """Return a record's detail as it is kept."""
    return msgspec.json.encode(detail or {}).decode()


def narrowed(wanted: Mapping[str, str], found: bool) -> dict[str, Any]:
    """Return what a look at the audit was narrowed to, for its own record.

    What was typed and is not in the audit may be anything, an account's id for instance: then only the fields are told.
    """
    where = {name: value if found else "not found" for name, value in wanted.items() if value}
    return {"where": where} if where else {}


def head(connection: Connection) -> tuple[int, str]:
    """Return number and hash of the newest record."""
    newest = connection.execute(select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)).first()
    if newest is None:
        newest = connection.execute(
            select(audit_anchors.c.seq, audit_anchors.c.hash).order_by(audit_anchors.c.seq.desc()).limit(1)
        ).first()
    return (0, START) if newest is None else (newest.seq, newest.hash)


def verify(connection: Connection, key: bytes, *, expect: tuple[int, str] | None = None) -> tuple[int, Problem | None]:
    """Go through the whole chain.

    Parameters
    ----------
    connection : Connection
    key : bytes
        The audit key.
    expect : tuple of int and str
        A head that was written down before: the chain must still contain it.

    Returns
    -------
    count : int
        How many records hold.
    problem : Problem or None
        The first that does not.
    """
    anchor = connection.execute(select(audit_anchors).order_by(audit_anchors.c.seq.desc()).limit(1)).first()
    seq, previous = 0, START
    if anchor is not None:
        if not hmac.compare_digest(anchor.seal, _hash(key, ("anchor", anchor.seq, anchor.at, anchor.hash))):
            return 0, Problem(anchor.seq, "the anchor was not made by this console")
        seq, previous = anchor.seq, anchor.hash
    count = 0
    expected = None if expect is None or (anchor is not None and expect[0] < anchor.seq) else expect
    if expected is not None and expected[0] == seq and expected[1] != previous:
        return 0, Problem(seq, "it is not the record that was written down")
    query = select(audit).order_by(audit.c.seq).execution_options(yield_per=2000)
    with connection.execute(query) as rows:
        for row in rows:
            if row.seq != seq + 1:
                return count, Problem(seq + 1, "missing")
            told = (row.seq, row.at, row.actor, row.action, row.object, row.detail, row.previous)
            if row.previous != previous or not hmac.compare_digest(row.hash, _hash(key, told)):
                return count, Problem(row.seq, "changed")
            if expected is not None and expected[0] == row.seq and expected[1] != row.hash:
                return count, Problem(row.seq, "it is not the record that was written down")
            seq, previous = row.seq, row.hash
            count += 1
    if expected is not None and seq < expected[0]:
        return count, Problem(seq + 1, f"missing: the record {expected[0]} was written down")
    return count, None


def prune(connection: Connection, key: bytes, *, before: int, now: int) -> int:
    """Remove the records older than a time, from the beginning on; return how many."""
    last = connection.execute(select(func.max(audit.c.seq)).where(audit.c.at < before)).scalar()
    if last is None:
        return 0
    row = connection.execute(select(audit).where(audit.c.seq == last)).one()
    connection.execute(
        insert(audit_anchors).values(seq=last, at=now, hash=row.hash, seal=_hash(key, ("anchor", last, now, row.hash)))
    )
    return connection.execute(delete(audit).where(audit.c.seq <= last)).rowcount
