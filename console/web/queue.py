"""The queue page: filters, saved views, live updates, and taking the next case."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import delete, select
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from console.caselist import Filters, counts, version_of
from console.caselist import page as page_of
from console.decisions import Choice, RefusedError, decide
from console.ingest import upsert
from console.tables import cases, flag_hours, users, views
from console.web.visit import Visit, page

__all__ = ["names_of_users", "routes"]

VIEWS: Final = 30


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
            "saved": _saved(connection, me.id),
            "version": version_of(connection),
        }
    if filters.q:
        with visit.service.database.writing() as connection:
            # what was searched for may be an account's id: the audit keeps its pseudonym
            visit.service.note(
                connection,
                me,
                "cases.search",
                f"search:{visit.service.keys.pseudonym_of(filters.q)}",
                found=len(found.rows),
            )
        if len(found.rows) == 1 and filters.q.lstrip("#") == str(found.rows[0]["id"]):
            return RedirectResponse(f"/cases/{found.rows[0]['id']}", 303)
    fragment = visit.request.headers.get("x-fragment") == "rows"
    return visit.render("queue_rows.html" if fragment else "queue.html", **values)


def _saved(connection: Any, user: int) -> list[dict[str, Any]]:
    query = (
        select(views).where((views.c.owner == user) | views.c.shared).order_by(views.c.name, views.c.id).limit(VIEWS)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def _version(visit: Visit) -> Response:
    with visit.service.database.reading() as connection:
        return JSONResponse({"version": version_of(connection)})


def _next(visit: Visit) -> Response:
    """Take the first case nobody has, no harder than this person wants to see."""
    me, service = visit.person, visit.service
    with service.database.writing() as connection:
        row = connection.execute(
            select(cases.c.id)
            .where(
                cases.c.state.in_(("open", "escalated") if me.may("bulk.approve") else ("open",)),
                cases.c.role == "actor",
                cases.c.shadow.is_(False),
                cases.c.assignee.is_(None),
                cases.c.severity <= me.max_severity,
            )
            .order_by(cases.c.rank.desc(), cases.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).first()
        if row is None:
            return visit.go("/queue", "Nothing is waiting for you.")
        decide(connection, service.keys, me, row.id, Choice(action="take"), now=visit.now)
    return visit.go(f"/cases/{row.id}")


def _save_view(visit: Visit) -> Response:
    name = visit.field("name").strip()[:60]
    filters = Filters.read({key: str(value) for key, value in visit.form.items() if isinstance(value, str)})
    if not name:
        raise RefusedError("Give the view a name.")
    shared = visit.field("shared") == "1" and visit.person.may("views.share")
    with visit.service.database.writing() as connection:
        statement = upsert(connection, views).values(
            owner=visit.person.id, name=name, query=filters.address(), shared=shared
        )
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["owner", "name"], set_={"query": filters.address(), "shared": shared}
            )
        )
    return visit.go(f"/queue?{filters.address()}", f"Saved as “{name}”.")


def _drop_view(visit: Visit) -> Response:
    with visit.service.database.writing() as connection:
        connection.execute(delete(views).where(views.c.id == visit.number("id"), views.c.owner == visit.person.id))
    return visit.go("/queue", "The view is gone.")


async def _home(_request: Request) -> Response:
    return RedirectResponse("/queue", 303)


routes = [
    Route("/", _home),
    Route("/queue", page("cases.see", _show)),
    Route("/queue/version", page("cases.see", _version, quiet=True)),
    Route("/queue/next", page("cases.decide", _next), methods=["POST"]),
    Route("/views", page("cases.see", _save_view), methods=["POST"]),
    Route("/views/{id}/delete", page("cases.see", _drop_view), methods=["POST"]),
]
