"""What is neither a case nor administration: accounts, bulk decisions, figures, the audit."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query, Response
from sqlalchemy import select

from console import audit, bulk, identities, overview
from console.api.auth import Caller, may
from console.api.looking import Recorded, leaves
from console.api.models import (
    MOST,
    Account,
    AccountAtRisk,
    Answer,
    AuditPage,
    Bulk,
    BulkProposal,
    Identity,
    Overview,
    Protection,
    Pseudonym,
    Unmask,
    clean,
)
from console.atrisk import account_at_risk, most_at_risk, protect
from console.decisions import Choice
from console.reached import as_of
from console.tables import audit as records
from console.words import SEVERITIES
from console.workers import ask_workers

__all__ = ["router"]

router = APIRouter(route_class=Recorded)
Number = Annotated[int, Path(ge=1, le=MOST)]
Name = Annotated[Pseudonym, Path(description="An account's pseudonym.")]
PAGE = 100


@router.get(
    "/accounts-at-risk", response_model=list[AccountAtRisk], tags=["accounts"], openapi_extra=leaves("at_risk.view")
)
def list_at_risk(response: Response, call: Caller = may("cases.see")) -> Any:
    """Minors whom accounts under review reach for, as of the time that the header `x-as-of` tells (epoch ms)."""
    with call.service.database.reading() as connection:
        rows, known = most_at_risk(connection), as_of(connection)
    if known is not None:
        response.headers["x-as-of"] = str(known.changes)
    return [{**row, "severity": SEVERITIES[row["severity"]]} for row in rows]


@router.get("/accounts/{account}", response_model=Account, tags=["accounts"], openapi_extra=leaves("account.view"))
def read_account(account: Name, call: Caller = may("cases.see")) -> Any:
    """Who reaches for an account, and what was done for it."""
    with call.service.database.reading() as connection:
        found = account_at_risk(connection, account)
    if found is None:
        raise HTTPException(404, "Nobody under review reaches for this account.")
    call.shows(f"account:{account}")
    return found


@router.post("/accounts/{account}/unmask", response_model=Identity, tags=["accounts"])
def unmask_account(account: Name, request: Unmask, call: Caller = may("identities.unmask")) -> Any:
    """The account's id. Recorded with its reason."""
    service = call.service
    with service.database.writing() as connection:
        found = identities.unmask(
            connection, service.keys, call.person, account, request.reason, service.rules, now=call.now
        )
    return {"account": account, "account_id": found}


@router.post("/accounts/{account}/protections", status_code=204, response_model=None, tags=["accounts"])
def protect_account(account: Name, request: Protection, call: Caller = may("protect")) -> None:
    """Write down a protective step."""
    with call.service.database.writing() as connection:
        protect(connection, call.service.keys, call.person, account, request.step, request.note, now=call.now)


@router.get("/bulks", response_model=list[Bulk], tags=["bulk decisions"], openapi_extra=leaves("approvals.view"))
def list_bulks(call: Caller = may("bulk.propose")) -> Any:
    """Proposals, those that wait first."""
    with call.service.database.reading() as connection:
        return bulk.listed(connection)


@router.post("/bulks", response_model=dict[str, int], status_code=201, tags=["bulk decisions"])
def propose_bulk(request: BulkProposal, call: Caller = may("bulk.propose")) -> Any:
    """Propose one decision for several cases; somebody else has to approve."""
    choice = Choice(action=request.action, reason=request.reason, policy=request.policy, note=request.note)
    service = call.service
    with service.database.writing() as connection:
        number = bulk.propose(connection, service.keys, call.person, request.cases, choice, service.rules, now=call.now)
    return {"id": number}


@router.post("/bulks/{number}/answer", response_model=dict[str, int], tags=["bulk decisions"])
def answer_bulk(number: Number, request: Answer, call: Caller = may("bulk.propose")) -> Any:
    """Approve or refuse a proposal; who proposed it can only withdraw it."""
    with call.service.database.writing() as connection:
        done, left = bulk.answer(
            connection, call.service.keys, call.person, number, approve=request.approve, now=call.now
        )
    return {"decided": done, "left_out": left}


@router.get("/overview", response_model=Overview, tags=["overview"], openapi_extra=leaves("overview.view"))
def read_overview(call: Caller = may("overview.see")) -> Any:
    """The figures of the overview."""
    with call.service.database.reading() as connection:
        return {
            "queue": overview.queue_health(connection, call.now),
            "precision": [
                msgspec.structs.asdict(one) | {"share": one.share, "interval": one.interval}
                for one in overview.precision(connection)
            ],
            "shadow": overview.shadow_against_live(connection),
            "lag": overview.lag(connection),
            "hours": overview.flags_by_hour(connection),
            "load": overview.load(connection, call.now, call.service.rules.wellness.points)
            if call.person.may("load.see")
            else None,
            "workers": ask_workers(call.service.workers),
            "threads": call.service.health(),
        }


@router.get("/audit", response_model=AuditPage, tags=["audit"], openapi_extra=leaves("audit.view"))
def read_audit(
    actor: Annotated[str, Query(max_length=120)] = "",
    action: Annotated[str, Query(max_length=40)] = "",
    object: Annotated[str, Query(max_length=120)] = "",
    before: Annotated[int, Query(ge=0, le=MOST)] = 0,
    call: Caller = may("audit.see"),
) -> Any:
    """A hundred records, the newest first."""
    query = select(records).order_by(records.c.seq.desc()).limit(PAGE)
    for column, value in ((records.c.actor, actor), (records.c.action, action), (records.c.object, object)):
        if value:
            query = query.where(column == clean(value))
    if before:
        query = query.where(records.c.seq < before)
    with call.service.database.reading() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    call.shows("", **audit.narrowed({"actor": actor, "action": action, "object": object}, rows != []))
    return {"records": rows}
