"""Evidence packs, and legal holds."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from console.packs_made import hold, pack_of
from console.web.visit import NotFoundError, Visit, page

__all__ = ["routes"]


def _pack(visit: Visit) -> Response:
    number, form = visit.number("id"), visit.field("format")
    if form not in ("json", "pdf"):
        raise NotFoundError
    data, seal = pack_of(visit.service, visit.person, number, visit.field("reason"), form, visit.now)
    headers = {
        "content-disposition": f'attachment; filename="case-{number}-draft.{form}"',
        "x-kithwatch-seal": seal,
    }
    return Response(data, media_type="application/json" if form == "json" else "application/pdf", headers=headers)


def _hold(visit: Visit) -> Response:
    on = visit.field("hold") == "on"
    hold(visit.service, visit.person, visit.number("id"), on, visit.field("reason"))
    return visit.go(f"/cases/{visit.number('id')}", "Under legal hold." if on else "The legal hold is lifted.")


routes = [
    Route("/cases/{id}/pack", page("packs.make", _pack), methods=["POST"]),
    Route("/cases/{id}/hold", page("cases.hold", _hold), methods=["POST"]),
]
