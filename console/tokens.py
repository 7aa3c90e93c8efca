"""API tokens: a random text shown once, of which the database keeps the hash; scopes, an owner, an end."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from console.decisions import RefusedError
from console.people import Person, digest
from console.rights import SCOPES, may
from console.tables import tokens, users

__all__ = ["PREFIX", "listed", "make_token", "revoke", "who"]

PREFIX: Final = "kwt_"
DAY: Final = 86_400_000
LONGEST_DAYS: Final = 400
USED_MS: Final = 60_000


def make_token(
    connection: Connection, owner: int, role: str, name: str, scopes: Iterable[str], days: int, *, now: int
) -> str:
    """Make a token for somebody and return its text, which is not kept.

    Raises
    ------
    RefusedError
        If a scope is unknown, or more than its owner may do.
    """
    wanted = sorted(set(scopes))
    if not name.strip():
        raise RefusedError("Give the token a name.")
    if not wanted or any(scope not in SCOPES for scope in wanted):
        raise RefusedError("Choose at least one scope.")
    if beyond := [scope for scope in wanted if not may(role, SCOPES[scope])]:
        raise RefusedError(f"More than its owner may do: {', '.join(beyond)}.")
    if not 1 <= days <= LONGEST_DAYS:
        raise RefusedError(f"A token lasts 1 to {LONGEST_DAYS} days.")
    text = PREFIX + secrets.token_urlsafe(32)
    connection.execute(
        insert(tokens).values(
            name=name.strip()[:60],
            hash=digest(text),
            scopes=",".join(wanted),
            owner=owner,
            created_at=now,
            expires_at=now + days * DAY,
        )
    )
    return text


def revoke(connection: Connection, number: int, now: int) -> bool:
    """End a token; return whether there was one to end."""
    ended = connection.execute(
        update(tokens).where(tokens.c.id == number, tokens.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return ended.rowcount == 1


def listed(connection: Connection, limit: int = 200) -> list[dict[str, Any]]:
    """Return the newest tokens with their owners, without what would let somebody in."""
    query = (
        select(*(column for column in tokens.c if column.name != "hash"), users.c.name.label("owner_name"))
        .join(users, users.c.id == tokens.c.owner)
        .order_by(tokens.c.id.desc())
        .limit(limit)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def who(connection: Connection, text: str, now: int) -> tuple[Person, int | None] | None:
    """Return whom a token stands for, limited to its scopes, and when it was last used; None if it is worth nothing."""
    query = (
        select(
            tokens,
            users.c.login,
            users.c.name.label("person"),
            users.c.role,
            users.c.disabled,
            users.c.max_severity,
            users.c.batch,
        )
        .join(users, users.c.id == tokens.c.owner)
        .where(tokens.c.hash == digest(text), tokens.c.revoked_at.is_(None), tokens.c.expires_at > now)
    )
    row = connection.execute(query).first()
    if row is None or row.disabled:
        return None
    person = Person(
        id=row.owner,
        login=row.login,
        name=row.person,
        role=row.role,
        csrf="",
        session=f"token:{row.id}",
        max_severity=row.max_severity,
        batch=row.batch,
        scopes=frozenset(SCOPES[scope] for scope in row.scopes.split(",")),
    )
    return person, row.used_at
