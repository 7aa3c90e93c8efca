"""Administration: people, API tokens, webhooks, and what is kept for how long."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, select, update
from starlette.responses import Response
from starlette.routing import Route

from console.announce import EVENTS
from console.decisions import RefusedError
from console.people import add_user
from console.rights import SCOPES
from console.tables import deliveries, erasures, users, webhooks
from console.tokens import listed, make_token, revoke
from console.users import change_user
from console.web.visit import NotFoundError, Visit, page
from console.webhooks import add_webhook

__all__ = ["routes"]


def _show(visit: Visit, secret: str = "", about: str = "") -> Response:
    with visit.service.database.reading() as connection:
        values: dict[str, Any] = {
            "people": connection.execute(select(users).order_by(users.c.name, users.c.id)).mappings().all(),
            "tokens": listed(connection),
            "webhooks": connection.execute(select(webhooks).order_by(webhooks.c.id)).mappings().all(),
            "deliveries": connection.execute(select(deliveries).order_by(deliveries.c.id.desc()).limit(20))
            .mappings()
            .all(),
            "erasures": connection.execute(
                select(func.count()).select_from(erasures).where(erasures.c.done_at.is_(None))
            ).scalar_one(),
        }
    return visit.render(
        "admin.html", **values, scopes=SCOPES, events=EVENTS, rules=visit.service.rules, secret=secret, about=about
    )


def _add_user(visit: Visit) -> Response:
    role = visit.field("role")
    try:
        with visit.service.database.writing() as connection:
            number = add_user(
                connection, visit.field("login"), visit.field("name"), role, visit.field("password"), now=visit.now
            )
            visit.service.note(connection, visit.person, "user.add", f"user:{number}", role=role)
    except ValueError as problem:
        raise RefusedError(str(problem).capitalize() + ".") from None
    return visit.go("/admin", "Added.")


def _change_user(visit: Visit) -> Response:
    number, role, disabled = visit.number("id"), visit.field("role"), visit.field("disabled") == "1"
    with visit.service.database.writing() as connection:
        change_user(connection, visit.person.id, number, role=role, disabled=disabled)
        visit.service.note(connection, visit.person, "user.change", f"user:{number}", role=role, disabled=disabled)
    return visit.go("/admin", "Changed.")


def _make_token(visit: Visit) -> Response:
    owner, days = visit.field("owner"), visit.field("days")
    scopes = [str(value) for value in visit.form.getlist("scope")]
    with visit.service.database.writing() as connection:
        row = connection.execute(select(users).where(users.c.login == owner)).mappings().first()
        if row is None or not days.isdecimal():
            raise RefusedError("Choose an owner and a number of days.")
        text = make_token(connection, row["id"], row["role"], visit.field("name"), scopes, int(days[:5]), now=visit.now)
        visit.service.note(connection, visit.person, "token.make", f"user:{row['id']}", scopes=scopes)
    return _show(visit, secret=text, about="The token, shown this once")


def _revoke_token(visit: Visit) -> Response:
    with visit.service.database.writing() as connection:
        revoke(connection, visit.number("id"), visit.now)
        visit.service.note(connection, visit.person, "token.revoke", f"token:{visit.number('id')}")
    return visit.go("/admin", "The token is worth nothing any longer.")


def _add_webhook(visit: Visit) -> Response:
    events = [str(value) for value in visit.form.getlist("event")]
    with visit.service.database.writing() as connection:
        number, secret = add_webhook(
            connection, visit.field("url").strip(), events, private=visit.service.private_webhooks, now=visit.now
        )
        visit.service.note(connection, visit.person, "webhook.add", f"webhook:{number}", events=events)
    return _show(visit, secret=secret, about="The secret for checking signatures, shown this once")


def _change_webhook(visit: Visit) -> Response:
    number, action = visit.number("id"), visit.field("action")
    with visit.service.database.writing() as connection:
        here = webhooks.c.id == number
        if action == "delete":
            connection.execute(delete(webhooks).where(here))
        elif action in ("on", "off"):
            connection.execute(update(webhooks).where(here).values(active=action == "on"))
        else:
            raise NotFoundError
        visit.service.note(connection, visit.person, f"webhook.{action}", f"webhook:{number}")
    return visit.go("/admin", "Changed.")


routes = [
    Route("/admin", page("people.manage", lambda visit: _show(visit), look="administration.view")),
    Route("/admin/users", page("people.manage", _add_user), methods=["POST"]),
    Route("/admin/users/{id}", page("people.manage", _change_user), methods=["POST"]),
    Route("/admin/tokens", page("tokens.manage", _make_token), methods=["POST"]),
    Route("/admin/tokens/{id}/revoke", page("tokens.manage", _revoke_token), methods=["POST"]),
    Route("/admin/webhooks", page("webhooks.manage", _add_webhook), methods=["POST"]),
    Route("/admin/webhooks/{id}", page("webhooks.manage", _change_webhook), methods=["POST"]),
]
