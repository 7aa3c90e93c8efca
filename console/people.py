"""People who use the console: local passwords (Argon2id, RFC 9106), lock-out, sessions.

A session is a row in the database and a random number in a cookie; the row holds only the number's hash. Signing in
always begins a new session, so that one planted before is worth nothing.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Any, Final

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, delete, insert, select, update

from console.rights import ROLES, may
from console.rules import Rules
from console.tables import sessions, users

__all__ = ["Person", "SignInError", "add_user", "end_session", "from_subject", "resume", "sign_in", "start_session"]

SHORTEST_PASSWORD: Final = 12
LOGIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{1,119}")
_HASHER: Final = PasswordHasher()  # the library's defaults: RFC 9106's second recommendation, 64 MiB
_NOBODY: Final = _HASHER.hash("nobody has this password")


class SignInError(ValueError):
    """Why somebody was not let in, in words that tell an attacker nothing."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in, and by which session or token."""

    id: int
    login: str
    name: str
    role: str
    csrf: str
    session: str
    max_severity: int = 3
    batch: int = 20
    break_until: int | None = None
    scopes: frozenset[str] | None = None
    """Rights a token is limited to; None for a person at the pages."""

    def may(self, right: str) -> bool:
        """Tell whether they have a right."""
        return may(self.role, right) and (self.scopes is None or right in self.scopes)


def add_user(
    connection: Connection,
    login: str,
    name: str,
    role: str,
    password: str | None,
    *,
    now: int,
    subject: str | None = None,
) -> int:
    """Add somebody; return their number.

    Raises
    ------
    ValueError
        If login, role or password will not do.
    """
    if not LOGIN.fullmatch(login):
        raise ValueError("a login has 2 to 120 letters, digits or . _ @ + -, and begins with a letter or digit")
    if role not in ROLES:
        raise ValueError(f"the role must be one of {', '.join(ROLES)}")
    if connection.execute(select(users.c.id).where(users.c.login == login)).first():
        raise ValueError(f"there is a user {login} already")
    row = {"login": login, "name": name.strip() or login, "role": role, "created_at": now, "subject": subject}
    row |= {"password": None if password is None else hash_password(password), "disabled": False, "failed": 0}
    made = connection.execute(insert(users).values(**row))
    return int(made.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted


def hash_password(password: str) -> str:
    """Return a password's hash.

    Raises
    ------
    ValueError
        If it is too short.
    """
    if len(password) < SHORTEST_PASSWORD:
        raise ValueError(f"a password must have at least {SHORTEST_PASSWORD} characters")
    return _HASHER.hash(password)


def sign_in(connection: Connection, login: str, password: str, rules: Rules, now: int) -> int | SignInError:
    """Check a password; return the user's number, or the refusal, which must not undo the count of failures.

    An unknown login takes as long as a wrong password, and is answered in the same words.
    """
    wrong = SignInError("Login or password is wrong.")
    row = connection.execute(select(users).where(users.c.login == login).with_for_update()).mappings().first()
    try:
        _HASHER.verify(row["password"] if row and row["password"] else _NOBODY, password[:1024])
    except (VerificationError, InvalidHashError):
        if row:
            failed = row["failed"] + 1
            locked = failed >= rules.sign_in_failures
            connection.execute(
                update(users)
                .where(users.c.id == row["id"])
                .values(
                    failed=0 if locked else failed,
                    locked_until=now + int(rules.lock_minutes * 60_000) if locked else row["locked_until"],
                )
            )
        return wrong
    if row is None or row["disabled"] or not row["password"]:
        return wrong
    if row["locked_until"] and row["locked_until"] > now:
        return SignInError("Too many wrong passwords: wait a while, or ask an administrator.")
    fresh: dict[str, Any] = {"failed": 0, "locked_until": None, "seen_at": now}
    if _HASHER.check_needs_rehash(row["password"]):
        fresh["password"] = _HASHER.hash(password)
    connection.execute(update(users).where(users.c.id == row["id"]).values(**fresh))
    return int(row["id"])


def from_subject(
    connection: Connection, subject: str, login: str, name: str, role: str | None, *, now: int
) -> int | SignInError:
    """Return the user of an identity provider's subject, added at the first sign-in.

    A role the provider tells replaces the one held here; without one, an administrator gives it.
    """
    row = connection.execute(select(users).where(users.c.subject == subject)).mappings().first()
    if row is None:
        taken = connection.execute(select(users.c.id).where(users.c.login == login)).first()
        if taken or not LOGIN.fullmatch(login):  # a login alone never gives somebody else's account
            login = f"oidc-{hashlib.sha256(subject.encode()).hexdigest()[:12]}"
        return add_user(connection, login, name, role or "none", None, now=now, subject=subject)
    if row["disabled"]:
        return SignInError("This account is disabled.")
    connection.execute(
        update(users)
        .where(users.c.id == row["id"])
        .values(role=role or row["role"], name=name or row["name"], seen_at=now)
    )
    return int(row["id"])


def digest(value: str) -> str:
    """Return what the database keeps of a session or token."""
    return hashlib.sha256(value.encode()).hexdigest()


def start_session(connection: Connection, user_id: int, now: int) -> str:
    """Begin a session and return what goes into the cookie."""
    value = secrets.token_urlsafe(32)
    connection.execute(
        insert(sessions).values(
            id=digest(value), user_id=user_id, csrf=secrets.token_urlsafe(32), created_at=now, seen_at=now
        )
    )
    return value


def end_session(connection: Connection, session: str) -> None:
    """End one session."""
    connection.execute(delete(sessions).where(sessions.c.id == session))


def resume(connection: Connection, value: str, rules: Rules, now: int) -> tuple[Person, int] | None:
    """Return who a cookie stands for and when they were last seen, or None if the session is over."""
    query = (
        select(sessions, *(users.c[name] for name in ("login", "name", "role", "disabled", "max_severity", "batch")))
        .join(users, users.c.id == sessions.c.user_id)
        .where(sessions.c.id == digest(value))
    )
    row: Any = connection.execute(query).first()
    if row is None or row.disabled:
        return None
    if now - row.seen_at > rules.idle_minutes * 60_000 or now - row.created_at > rules.session_hours * 3_600_000:
        return None
    person = Person(
        id=row.user_id,
        login=row.login,
        name=row.name,
        role=row.role,
        csrf=row.csrf,
        session=row.id,
        max_severity=row.max_severity,
        batch=row.batch,
        break_until=row.break_until,
    )
    return person, row.seen_at
