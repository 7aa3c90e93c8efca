"""Locks on cases, so that flags, decisions and upkeep never fail over one another on PostgreSQL.

Three rules. Whoever changes several cases locks them all before it changes any, in the order of their numbers. Only
then does it write into the audit, which one transaction at a time may. And the lock is FOR NO KEY UPDATE: a new flag or
contact holds a share of its case's key until its transaction ends, for which FOR UPDATE would wait, in whatever order
flags came.

SQLite has one writer at a time, and needs none of it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from console.bulkwrite import among
from console.tables import cases

__all__ = ["lock_cases", "locking"]


def locking(query: Any, *, skip_locked: bool = False) -> Any:
    """Return a query of cases that locks what it finds."""
    return query.with_for_update(key_share=True, skip_locked=skip_locked)


def lock_cases(connection: Connection, wanted: Collection[Any], by: ColumnElement[Any] = cases.c.id) -> None:
    """Lock cases for this transaction: those whose column `by` holds one of the values, by default their numbers."""
    if wanted and connection.dialect.name != "sqlite":
        query = select(cases.c.id).where(among(connection, by, wanted)).order_by(cases.c.id)
        connection.execute(locking(query)).all()
