"""People as colleagues: who decides on cases, and changing somebody's rights."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, select, update

from console.decisions import RefusedError
from console.rights import ROLES
from console.tables import sessions, users

__all__ = ["change_user", "who_decide"]


def who_decide(connection: Connection) -> list[dict[str, Any]]:
    """Return login and name of everybody a case can be handed to."""
    deciding = (users.c.role.in_(("reviewer", "lead")), users.c.disabled.is_(False))
    rows = connection.execute(select(users.c.login, users.c.name).where(*deciding).order_by(users.c.name, users.c.id))
    return [dict(row) for row in rows.mappings()]


def change_user(connection: Connection, by: int, number: int, *, role: str, disabled: bool) -> None:
    """Change somebody's role, or shut them out; their sessions end.

    Raises
    ------
    RefusedError
        If there is no such user or role, or it is oneself.
    """
    if role not in ROLES:
        raise RefusedError("There is no such role.")
    if number == by:
        raise RefusedError("Nobody changes their own rights.")
    changed = connection.execute(
        update(users).where(users.c.id == number).values(role=role, disabled=disabled, locked_until=None, failed=0)
    )
    if changed.rowcount != 1:
        raise RefusedError("There is no such user.")
    connection.execute(delete(sessions).where(sessions.c.user_id == number))
