"""Cases: the queue, one case, decisions, pictures, packs, holds."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import Response

from console import casefile, decisions
from console.api.auth import Caller, may
from console.api.looking import Recorded, leaves
from console.api.models import MOST, CaseDetail, CasePage, CaseSummary, Decision, Hold, PackRequest, clean
from console.caselist import Filters, page
from console.network import GRAPHML, graph_of, graphml, picture
from console.packs_made import hold, pack_of
from console.priority import points_now
from console.timeline import timeline
from console.words import SEVERITIES

__all__ = ["router"]

router = APIRouter(tags=["cases"], route_class=Recorded)
Number = Annotated[int, Path(ge=1, le=MOST)]
See, Decide = may("cases.see"), may("cases.decide")


def summary(row: dict[str, Any], now: int) -> dict[str, Any]:
    """Return a case's row as the API gives it."""
    names = {*CaseSummary.model_fields} - {"severity", "detectors", "priority"}
    return {name: row[name] for name in names} | {
        "severity": SEVERITIES[row["severity"]],
        "detectors": [name for name in row["detectors"].split(",") if name],
        "priority": round(points_now(row["rank"], now), 2),
    }


def _file(call: Caller, connection: Any, number: int) -> casefile.CaseFile:
    file = casefile.load(connection, number, call.now)
    if file is None:
        raise HTTPException(404, "There is no such case.")
    return file


@router.get("/cases", response_model=CasePage, openapi_extra=leaves("queue.view"))
def list_cases(
    state: Annotated[str, Query(max_length=20)] = "active",
    severity: Annotated[int, Query(ge=0, le=3, description="At least: 0 low to 3 critical.")] = 0,
    detector: Annotated[str, Query(max_length=64)] = "",
    age: Annotated[str, Query(max_length=8)] = "",
    policy: Annotated[str, Query(max_length=40, description="That a decision named.")] = "",
    who: Annotated[str, Query(max_length=6)] = "",
    shadow: Annotated[str, Query(max_length=4)] = "no",
    role: Annotated[str, Query(max_length=6)] = "actor",
    overdue: bool = False,
    sort: Annotated[str, Query(max_length=8)] = "priority",
    q: Annotated[
        str, Query(max_length=200, description="Case number, pseudonym, account id, or words of a note.")
    ] = "",
    after: Annotated[str, Query(max_length=60)] = "",
    call: Caller = See,
) -> Any:
    """One page of the queue; filters as on its page."""
    given = {
        "state": state,
        "severity": str(severity),
        "detector": detector,
        "age": age,
        "policy": policy,
        "who": who,
        "shadow": shadow,
        "role": role,
        "overdue": "1" if overdue else "",
        "sort": sort,
        "q": q,
    }
    filters = Filters.read({name: clean(value) for name, value in given.items()})
    service = call.service
    with service.database.reading() as connection:
        found = page(
            connection,
            service.keys,
            filters,
            user=call.person.id,
            now=call.now,
            after=after,
            by_beginning=call.person.may("identities.unmask"),
        )
    call.shows("", **filters.told(after))
    if filters.q:
        sought = f"search:{service.keys.pseudonym_of(filters.q)}"
        call.shows(sought, action="cases.search", found=len(found.rows))
    return {"cases": [summary(row, call.now) for row in found.rows], "after": found.after}


@router.get("/cases/{number}", response_model=CaseDetail, openapi_extra=leaves("case.view"))
def read_case(number: Number, call: Caller = See) -> Any:
    """A case with flags, contacts, decisions, similar cases and its group. Recorded, as a look at its page is."""
    with call.service.database.reading() as connection:
        file = _file(call, connection, number)
    call.shows(f"case:{number}")
    return {
        **summary(file.case, call.now),
        "flags_shown": [
            {**flag, "severity": SEVERITIES[flag["peak_severity"]], "score": flag["peak_score"]} for flag in file.flags
        ],
        "contacts": file.contacts,
        "contacts_total": file.contacts_total,
        "decisions": file.decisions,
        "similar": file.similar,
        "group": file.group,
        "group_unnamed": file.group_unnamed,
    }


@router.post("/cases/{number}/decisions", response_model=CaseSummary, status_code=201)
def decide_case(number: Number, choice: Decision, call: Caller = Decide) -> Any:
    """Take a decision; the case as it is then."""
    given = choice.model_dump()
    if choice.basis is not None:
        given["basis"] = (SEVERITIES.index(choice.basis.severity), choice.basis.minors, choice.basis.flags)
    chosen = msgspec.convert(given, decisions.Choice)
    with call.service.database.writing() as connection:
        decisions.decide(connection, call.service.keys, call.person, number, chosen, now=call.now)
        return summary(decisions.locked(connection, number), call.now)


@router.post("/cases/{number}/undo", response_model=CaseSummary)
def undo_case(number: Number, call: Caller = Decide) -> Any:
    """Take back one's own newest decision."""
    service = call.service
    with service.database.writing() as connection:
        decisions.undo(connection, service.keys, call.person, number, service.rules, now=call.now)
        return summary(decisions.locked(connection, number), call.now)


@router.get("/cases/{number}/graph", response_model=dict[str, Any], openapi_extra=leaves("case.graph"))
def read_graph(number: Number, call: Caller = See) -> Any:
    """The ego network as nodes and edges, folded to what can be drawn."""
    with call.service.database.reading() as connection:
        file = _file(call, connection, number)
        call.shows(f"case:{number}")
        return picture(graph_of(connection, file), file.case["account"])


@router.get(
    "/cases/{number}/graph.graphml",
    response_class=Response,
    openapi_extra=leaves("case.export"),
    responses={200: {"description": "The whole network, nothing folded.", "content": {GRAPHML: {}}}},
)
def export_graph(number: Number, call: Caller = See) -> Response:
    """The ego network as GraphML. Recorded."""
    with call.service.database.reading() as connection:
        file = _file(call, connection, number)
        graph = graph_of(connection, file)
    call.shows(f"case:{number}", format="graphml")
    return Response(graphml(graph), media_type=GRAPHML)


@router.get("/cases/{number}/timeline", response_model=dict[str, Any], openapi_extra=leaves("case.timeline"))
def read_timeline(number: Number, call: Caller = See) -> Any:
    """Activity hour by hour."""
    with call.service.database.reading() as connection:
        file = _file(call, connection, number)
        call.shows(f"case:{number}")
        return timeline(connection, file)


@router.post(
    "/cases/{number}/pack",
    response_class=Response,
    responses={200: {"description": "The pack.", "content": {"application/json": {}, "application/pdf": {}}}},
)
def make_pack(number: Number, request: PackRequest, call: Caller = may("packs.make")) -> Response:
    """An evidence pack, always a draft, with account ids. Recorded with its reason."""
    data, seal = pack_of(call.service, call.person, number, request.reason, request.format, call.now)
    kind = "application/json" if request.format == "json" else "application/pdf"
    return Response(data, media_type=kind, headers={"x-kithwatch-seal": seal})


@router.put("/cases/{number}/legal-hold", response_model=CaseSummary)
def set_hold(number: Number, request: Hold, call: Caller = may("cases.hold")) -> Any:
    """Put a case under legal hold, or lift it."""
    hold(call.service, call.person, number, request.hold, request.reason)
    with call.service.database.reading() as connection:
        return summary(_file(call, connection, number).case, call.now)
