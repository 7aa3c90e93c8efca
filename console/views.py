"""Saved views of the queue: filters under a name, one's own or, from leads, everybody's."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, delete, select

from console.caselist import Filters
from console.decisions import RefusedError
from console.ingest import upsert
from console.people import Person
from console.tables import views

__all__ = ["drop_view", "save_view", "views_of"]

SHOWN: Final = 30
LONGEST: Final = 60


def views_of(connection: Connection, user: int) -> list[dict[str, Any]]:
    """Return somebody's own views and those for everybody."""
    mine = (views.c.owner == user) | views.c.shared
    rows = connection.execute(select(views).where(mine).order_by(views.c.name, views.c.id).limit(SHOWN))
    return [dict(row) for row in rows.mappings()]


def save_view(connection: Connection, person: Person, name: str, filters: Filters, *, shared: bool) -> str:
    """Save filters under a name, in the place of what it named before; return the name as it was kept.

    Raises
    ------
    RefusedError
        Without a name.
    """
    name = name.strip()[:LONGEST]
    if not name:
        raise RefusedError("Give the view a name.")
    changes = {"query": filters.address(), "shared": shared and person.may("views.share")}
    statement = upsert(connection, views).values(owner=person.id, name=name, **changes)
    connection.execute(statement.on_conflict_do_update(index_elements=["owner", "name"], set_=changes))
    return name


def drop_view(connection: Connection, person: Person, number: int) -> bool:
    """Delete a view of one's own; return whether there was one."""
    gone = connection.execute(delete(views).where(views.c.id == number, views.c.owner == person.id))
    return gone.rowcount == 1
