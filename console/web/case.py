"""The page of one case: seeing why, deciding, undoing, unmasking, and the data for its pictures."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from console import casefile, decisions, identities
from console.atrisk import reaching_for
from console.batches import in_hand
from console.network import GRAPHML, graph_of, graphml, outcome_of, picture
from console.timeline import SERIES, timeline
from console.users import who_decide
from console.web.visit import NotFoundError, Visit, page
from console.wellness import expose
from console.words import REASONS

__all__ = ["routes"]

DONE = ("confirm", "dismiss", "hold", "need_more", "hand_over")
"""After these a case is no longer in one's hand."""


def _load(visit: Visit, connection: Any) -> casefile.CaseFile:
    file = casefile.load(connection, visit.number("id"), visit.now)
    if file is None:
        raise NotFoundError
    return file


def _show(visit: Visit) -> Response:
    me, service = visit.person, visit.service
    with service.database.reading() as connection:
        file = _load(visit, connection)
        suspects = reaching_for(connection, file.case["account"]) if file.case["role"] == "target" else []
        named = [file.case["account"], *(contact["other"] for contact in file.contacts)]
        named += [suspect["account"] for suspect in suspects] + [one["other"] for one in file.group]
        ids = identities.shown(connection, me, named, visit.now)
        undoable = decisions.last_undoable(connection, file.case["id"], me.id, service.rules, visit.now)
        colleagues = [one for one in who_decide(connection) if one["login"] != me.login]
        hours = timeline(connection, file)
    with service.database.writing() as connection:
        expose(connection, me, file.case["id"], file.case["severity"], visit.now)
    visit.shows(f"case:{file.case['id']}")
    latest = max((decision["id"] for decision in file.decisions), default=0)
    return visit.render(
        "case.html",
        file=file,
        case=file.case,
        ids=ids,
        undoable=undoable,
        undo_until=undoable["at"] + int(service.rules.undo_minutes * 60_000) if undoable else 0,
        colleagues=colleagues,
        latest=latest,
        outcome_of=outcome_of,
        hours=hours,
        reaching_for=suspects,
        series=SERIES,
        rules=service.rules,
    )


def _decide(visit: Visit) -> Response:
    case_id = visit.number("id")
    reason = visit.field("reason")
    action, _, told = reason.partition(":") if ":" in reason else ("", "", reason)
    chosen = visit.field("action")
    if action and action != chosen:
        raise decisions.RefusedError("The reason belongs to another action. Choose one that fits.")
    try:
        choice = decisions.Choice(
            action=chosen,
            reason=told or None if chosen in REASONS else None,
            policy=visit.field("policy") or None,
            note=visit.field("note"),
            seen=int(visit.field("seen") or 0),
            basis=_basis(visit.field("basis")),
            to=visit.field("to") or None,
            hours=float(visit.field("hours") or 24),
        )
    except (ValueError, msgspec.ValidationError):
        raise decisions.RefusedError("The form is not complete.") from None
    with visit.service.database.writing() as connection:
        decisions.decide(connection, visit.service.keys, visit.person, case_id, choice, now=visit.now)
        done = chosen in DONE and not in_hand(connection, visit.person.id)
    said = {
        "take": "The case is yours.",
        "release": "The case is free again.",
        "hand_over": "Handed over.",
        "confirm": "Confirmed.",
        "dismiss": "Dismissed.",
        "note": "Noted.",
        "reopen": "Opened again.",
        "hold": "On hold.",
        "escalate": "Escalated.",
        "need_more": "Waiting for more.",
    }[chosen]
    if done:
        said += " That was the last of your cases: a good moment for a break."
    return visit.go(f"/cases/{case_id}", said)


def _basis(text: str) -> tuple[int, int, int] | None:
    """Return what of the evidence the page showed: severity, minors, number of flags."""
    return msgspec.convert(text.split("."), tuple[int, int, int], strict=False) if text else None


def _undo(visit: Visit) -> Response:
    with visit.service.database.writing() as connection:
        decisions.undo(
            connection, visit.service.keys, visit.person, visit.number("id"), visit.service.rules, now=visit.now
        )
    return visit.go(f"/cases/{visit.number('id')}", "Taken back.")


def _unmask(visit: Visit) -> Response:
    with visit.service.database.writing() as connection:
        identities.unmask(
            connection,
            visit.service.keys,
            visit.person,
            visit.field("account"),
            visit.field("reason"),
            visit.service.rules,
            now=visit.now,
        )
    back = visit.field("back")
    return visit.go(
        back if back.startswith(("/cases/", "/at-risk/")) else "/queue", "Unmasked for a while, and recorded."
    )


def _graph(visit: Visit) -> Response:
    with visit.service.database.reading() as connection:
        file = _load(visit, connection)
        visit.shows(f"case:{file.case['id']}")
        return JSONResponse(picture(graph_of(connection, file), file.case["account"]))


def _graphml(visit: Visit) -> Response:
    with visit.service.database.reading() as connection:
        file = _load(visit, connection)
        graph = graph_of(connection, file)
    visit.shows(f"case:{file.case['id']}", format="graphml")
    name = f"case-{file.case['id']}.graphml"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(graphml(graph), media_type=GRAPHML, headers=headers)


def _exported(visit: Visit) -> Response:
    """Note that the page's script is about to save its picture."""
    with visit.service.database.writing() as connection:
        file = _load(visit, connection)
        visit.service.note(connection, visit.person, "case.export", f"case:{file.case['id']}", format="png")
    return Response(status_code=204)


def _timeline(visit: Visit) -> Response:
    with visit.service.database.reading() as connection:
        file = _load(visit, connection)
        visit.shows(f"case:{file.case['id']}")
        return JSONResponse(timeline(connection, file) | {"names": SERIES})


routes = [
    Route("/cases/{id}", page("cases.see", _show, look="case.view")),
    Route("/cases/{id}/decide", page("cases.decide", _decide), methods=["POST"]),
    Route("/cases/{id}/undo", page("cases.decide", _undo), methods=["POST"]),
    Route("/unmask", page("identities.unmask", _unmask), methods=["POST"]),
    Route("/cases/{id}/graph.json", page("cases.see", _graph, look="case.graph", part_of="case.view", quiet=True)),
    Route("/cases/{id}/graph.png", page("cases.see", _exported), methods=["POST"]),
    Route("/cases/{id}/graph.graphml", page("cases.see", _graphml, look="case.export")),
    Route(
        "/cases/{id}/timeline.json",
        page("cases.see", _timeline, look="case.timeline", part_of="case.view", quiet=True),
    ),
]
