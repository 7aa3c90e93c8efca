"""One's own settings: how much at once, how hard, a break, a new password."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import delete, select, update
from starlette.responses import Response
from starlette.routing import Route

from console.batches import LARGEST_BATCH
from console.decisions import RefusedError
from console.people import hash_password
from console.tables import sessions, users
from console.web.visit import Visit, page
from console.wellness import start_break
from console.words import SEVERITIES

__all__ = ["routes"]


def _show(visit: Visit) -> Response:
    with visit.service.database.reading() as connection:
        mine = connection.execute(select(users).where(users.c.id == visit.person.id)).mappings().one()
    return visit.render("me.html", mine=mine, largest=LARGEST_BATCH, rules=visit.service.rules)


def _settings(visit: Visit) -> Response:
    severity, batch = visit.field("max_severity"), visit.field("batch")
    if severity not in SEVERITIES or not batch.isdecimal() or not 1 <= int(batch[:4]) <= LARGEST_BATCH:
        raise RefusedError(f"Choose a severity, and 1 to {LARGEST_BATCH} cases.")
    with visit.service.database.writing() as connection:
        values = {"max_severity": SEVERITIES.index(severity), "batch": int(batch)}
        connection.execute(update(users).where(users.c.id == visit.person.id).values(**values))
        visit.service.note(connection, visit.person, "user.settings", f"user:{visit.person.id}", **values)
    return visit.go("/me", "Saved.")


def _break(visit: Visit) -> Response:
    start_break(visit.service, visit.person, visit.now)
    return visit.go("/me", "Enjoy the break. Cases you hold stay yours.")


def _password(visit: Visit) -> Response:
    me = visit.person
    with visit.service.database.reading() as connection:
        known = connection.execute(select(users.c.password).where(users.c.id == me.id)).scalar()
    try:
        if not known:
            raise RefusedError("You sign in with your organisation: there is no password here.")
        PasswordHasher().verify(known, visit.field("old"))
        fresh = hash_password(visit.field("new"))
    except VerificationError:
        raise RefusedError("The old password is wrong.") from None
    except ValueError as problem:
        raise RefusedError(str(problem).capitalize() + ".") from None
    with visit.service.database.writing() as connection:
        connection.execute(update(users).where(users.c.id == me.id).values(password=fresh))
        connection.execute(delete(sessions).where(sessions.c.user_id == me.id, sessions.c.id != me.session))
        visit.service.note(connection, me, "user.password", f"user:{me.id}")
    return visit.go("/me", "The password is changed; other sessions of yours have ended.")


routes = [
    Route("/me", page("any", _show, look="settings.view")),
    Route("/me", page("any", _settings), methods=["POST"]),
    Route("/me/break", page("any", _break), methods=["POST"]),
    Route("/me/password", page("any", _password), methods=["POST"]),
]
