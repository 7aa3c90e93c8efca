"""What is one's own: whom the token stands for, settings, saved views, the next cases."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path
from sqlalchemy import select, update

from console import batches, views
from console.api.auth import Caller, caller, may
from console.api.cases import summary
from console.api.looking import Recorded, leaves
from console.api.models import MOST, CaseSummary, clean
from console.api.models_people import Colleague, Counts, Me, NewView, Next, Settings, View
from console.caselist import Filters, counts, version_of
from console.tables import cases, users
from console.users import who_decide
from console.words import SEVERITIES

__all__ = ["router"]

router = APIRouter(route_class=Recorded)
Number = Annotated[int, Path(ge=1, le=MOST)]
See, Decide = may("cases.see"), may("cases.decide")


@router.get("/me", response_model=Me, tags=["people"], openapi_extra=leaves("settings.view"))
def read_me(call: Annotated[Caller, Depends(caller)]) -> Any:
    """Whom the token stands for, and what it may do."""
    me = call.person
    return {
        "login": me.login,
        "name": me.name,
        "role": me.role,
        "rights": call.rights,
        "max_severity": SEVERITIES[me.max_severity],
        "batch": me.batch,
    }


@router.put("/me/settings", status_code=204, response_model=None, tags=["people"])
def change_settings(request: Settings, call: Caller = Decide) -> None:
    """How many cases at once, and how severe."""
    values = {"max_severity": SEVERITIES.index(request.max_severity), "batch": request.batch}
    with call.service.database.writing() as connection:
        connection.execute(update(users).where(users.c.id == call.person.id).values(**values))
        call.service.note(connection, call.person, "user.settings", f"user:{call.person.id}", **values, by="api")


@router.get("/colleagues", response_model=list[Colleague], tags=["people"], openapi_extra=leaves("colleagues.view"))
def list_colleagues(call: Caller = Decide) -> Any:
    """Whom a case can be handed to."""
    with call.service.database.reading() as connection:
        return who_decide(connection)


@router.get(
    "/queue/counts",
    response_model=Counts,
    tags=["cases"],
    openapi_extra=leaves("queue.counts", part_of="queue.counts"),
)
def read_counts(call: Caller = See) -> Any:
    """How many cases are open, and a number that changes with any case: ask for the queue again when it does."""
    with call.service.database.reading() as connection:
        found = counts(connection, user=call.person.id, now=call.now)
        return {
            "severity": {name: found.get(f"severity_{level}", 0) for level, name in enumerate(SEVERITIES)},
            **{name: found[name] for name in ("active", "mine", "overdue", "escalated", "at_risk")},
            "in_hand": batches.in_hand(connection, call.person.id),
            "version": version_of(connection),
        }


@router.post("/queue/next", response_model=list[CaseSummary], status_code=201, tags=["cases"])
def take_next(request: Next, call: Caller = Decide) -> Any:
    """Take the most urgent cases that nobody has, within one's settings; none when nothing is waiting."""
    with call.service.database.writing() as connection:
        taken = batches.take_next(connection, call.service.keys, call.person, request.count, now=call.now)
        rows = connection.execute(select(cases).where(cases.c.id.in_(taken)).order_by(cases.c.rank.desc(), cases.c.id))
        return [summary(dict(row), call.now) for row in rows.mappings()]


@router.get("/views", response_model=list[View], tags=["cases"], openapi_extra=leaves("views.view"))
def list_views(call: Caller = See) -> Any:
    """Saved views: one's own, and those for everybody."""
    with call.service.database.reading() as connection:
        found = views.views_of(connection, call.person.id)
    return [{**view, "own": view["owner"] == call.person.id} for view in found]


@router.post("/views", response_model=list[View], status_code=201, tags=["cases"])
def save_view(request: NewView, call: Caller = See) -> Any:
    """Save filters under a name, in the place of what it named before; all views, as they are then."""
    given = {name: clean(value) for name, value in request.filters.items()}
    with call.service.database.writing() as connection:
        views.save_view(connection, call.person, clean(request.name), Filters.read(given), shared=request.shared)
    return list_views(call)


@router.delete("/views/{number}", status_code=204, response_model=None, tags=["cases"])
def delete_view(number: Number, call: Caller = See) -> None:
    """Delete a view of one's own."""
    with call.service.database.writing() as connection:
        if not views.drop_view(connection, call.person, number):
            raise HTTPException(404, "There is no such view of yours.")
