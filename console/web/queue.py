"""The queue page: filters, saved views, live updates, and taking the next case."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from console.batches import in_hand, take_next
from console.caselist import Filters, counts, version_of
from console.caselist import page as page_of
from console.tables import flag_hours, users
from console.views import drop_view, save_view, views_of
from console.web.visit import SCRIPT, Visit, page

__all__ = ["names_of_users", "routes"]


def names_of_users(connection: Any) -> dict[int, str]:
    """Return everybody's name by number."""
    return {row.id: row.name for row in connection.execute(select(users.c.id, users.c.name))}


def _show(visit: Visit) -> Response:
    filters = Filters.read(visit.request.query_params)
    me = visit.person
    with visit.service.database.reading() as connection:
        found = page_of(
            connection,
            visit.service.keys,
            filters,
            user=me.id,
            now=visit.now,
            after=visit.query("after"),
            by_beginning=me.may("identities.unmask"),
        )
        values: dict[str, Any] = {
            "filters": filters,
            "page": found,
            "counts": counts(connection, user=me.id, now=visit.now),
            "names": names_of_users(connection),
            "detectors": sorted(connection.execute(select(flag_hours.c.detector).distinct()).scalars()),
            "saved": views_of(connection, me.id),
            "in_hand": in_hand(connection, me.id),
            "version": version_of(connection),
        }
    told = filters.told(visit.query("after"))
    visit.shows("", **told)
    if filters.q:
        # what was searched for may be an account's id: the audit keeps its pseudonym
        sought = f"search:{visit.service.keys.pseudonym_of(filters.q)}"
        visit.shows(sought, action="cases.search", found=len(found.rows), **told)
        if len(found.rows) == 1 and filters.q.lstrip("#") == str(found.rows[0]["id"]):
            return RedirectResponse(f"/cases/{found.rows[0]['id']}", 303)
    return visit.render("queue_rows.html" if SCRIPT in visit.request.headers else "queue.html", **values)


def _version(visit: Visit) -> Response:
    with visit.service.database.reading() as connection:
        return JSONResponse({"version": version_of(connection)})


def _next(visit: Visit) -> Response:
    """Take the next case, or as many as somebody wants at once."""
    me, service = visit.person, visit.service
    whole = visit.field("batch") == "1"
    with service.database.writing() as connection:
        taken = take_next(connection, service.keys, me, me.batch if whole else 1, now=visit.now)
    if not taken:
        return visit.go("/queue", "Nothing is waiting for you.")
    if whole:
        return visit.go("/queue?who=me", f"{len(taken)} case{'s are' if len(taken) != 1 else ' is'} yours.")
    return visit.go(f"/cases/{taken[0]}")


def _save_view(visit: Visit) -> Response:
    filters = Filters.read({key: str(value) for key, value in visit.form.items() if isinstance(value, str)})
    with visit.service.database.writing() as connection:
        name = save_view(connection, visit.person, visit.field("name"), filters, shared=visit.field("shared") == "1")
    return visit.go(f"/queue?{filters.address()}", f"Saved as “{name}”.")


def _drop_view(visit: Visit) -> Response:
    with visit.service.database.writing() as connection:
        drop_view(connection, visit.person, visit.number("id"))
    return visit.go("/queue", "The view is gone.")


async def _home(_request: Request) -> Response:
    return RedirectResponse("/queue", 303)


routes = [
    Route("/", _home),
    Route("/queue", page("cases.see", _show, look="queue.view")),
    Route("/queue/version", page("cases.see", _version, quiet=True)),
    Route("/queue/next", page("cases.decide", _next), methods=["POST"]),
    Route("/views", page("cases.see", _save_view), methods=["POST"]),
    Route("/views/{id}/delete", page("cases.see", _drop_view), methods=["POST"]),
]
