"""The overview page, the audit page."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from console import overview
from console.audit import narrowed
from console.tables import audit
from console.web.visit import Visit, page
from console.workers import ask_workers

__all__ = ["routes"]

ROWS = 100


def _show(visit: Visit) -> Response:
    service = visit.service
    with service.database.reading() as connection:
        values: dict[str, Any] = {
            "health": overview.queue_health(connection, visit.now),
            "precision": overview.precision(connection),
            "shadow": overview.shadow_against_live(connection),
            "lag": overview.lag(connection),
            "people": overview.load(connection, visit.now, service.rules.wellness.points)
            if visit.person.may("load.see")
            else None,
            "hours": overview.flags_by_hour(connection),
        }
    return visit.render("overview.html", workers=ask_workers(service.workers), threads=service.health(), **values)


def _hours(visit: Visit) -> Response:
    with visit.service.database.reading() as connection:
        return JSONResponse(overview.flags_by_hour(connection))


def _audit(visit: Visit) -> Response:
    wanted = {name: visit.query(name).strip()[:120] for name in ("actor", "action", "object")}
    before = visit.query("before")
    query = select(audit).order_by(audit.c.seq.desc()).limit(ROWS + 1)
    for name, value in wanted.items():
        if value:
            query = query.where(audit.c[name] == value)
    if before.isascii() and before.isdecimal() and len(before) < 16:
        query = query.where(audit.c.seq < int(before))
    with visit.service.database.reading() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    visit.shows("", **narrowed(wanted, rows != []))
    more = len(rows) > ROWS
    return visit.render("audit.html", rows=rows[:ROWS], wanted=wanted, more=more)


routes = [
    Route("/overview", page("overview.see", _show, look="overview.view")),
    Route(
        "/overview/hours.json",
        page("overview.see", _hours, look="overview.hours", part_of="overview.view", quiet=True),
    ),
    Route("/audit", page("audit.see", _audit, look="audit.view")),
]
