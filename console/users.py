"""Changing people's rights."""

from __future__ import annotations

from sqlalchemy import Connection, delete, update

from console.decisions import RefusedError
from console.rights import ROLES
from console.tables import sessions, users

__all__ = ["change_user"]


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
