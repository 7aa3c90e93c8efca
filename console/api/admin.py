"""People, tokens, webhooks and retention, as on the page of administration."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, HTTPException, Path
from sqlalchemy import delete, func, select, update

from console.api.auth import Caller, may
from console.api.looking import Recorded, leaves
from console.api.models import MOST, clean
from console.api.models_people import (
    Delivery,
    NewToken,
    NewUser,
    NewWebhook,
    Number,
    Retained,
    Token,
    TokenMade,
    User,
    UserChange,
    Webhook,
    WebhookChange,
    WebhookMade,
)
from console.decisions import RefusedError
from console.people import add_user
from console.tables import deliveries, erasures, users, webhooks
from console.tokens import listed, make_token, revoke
from console.users import change_user
from console.webhooks import add_webhook

__all__ = ["router"]

router = APIRouter(route_class=Recorded)
Place = Annotated[int, Path(ge=1, le=MOST)]
People, Tokens, Hooks = may("people.manage"), may("tokens.manage"), may("webhooks.manage")
SHOWN = 100


@router.get("/users", response_model=list[User], tags=["people"], openapi_extra=leaves("people.view"))
def list_users(call: Caller = People) -> Any:
    """Everybody who uses the console."""
    names = ("id", "login", "name", "role", "disabled")
    with call.service.database.reading() as connection:
        rows = connection.execute(select(*(users.c[name] for name in names)).order_by(users.c.id))
        return [dict(row) for row in rows.mappings()]


@router.post("/users", response_model=Number, status_code=201, tags=["people"])
def make_user(request: NewUser, call: Caller = People) -> Any:
    """Add somebody."""
    password = None if request.password is None else clean(request.password)
    try:
        with call.service.database.writing() as connection:
            number = add_user(
                connection, clean(request.login), clean(request.name), request.role, password, now=call.now
            )
            call.service.note(connection, call.person, "user.add", f"user:{number}", role=request.role, by="api")
    except ValueError as problem:
        raise RefusedError(str(problem).capitalize() + ".") from None
    return {"id": number}


@router.patch("/users/{number}", status_code=204, response_model=None, tags=["people"])
def change_rights(number: Place, request: UserChange, call: Caller = People) -> None:
    """Change somebody's role, or shut them out."""
    with call.service.database.writing() as connection:
        change_user(connection, call.person.id, number, role=request.role, disabled=request.disabled)
        told = {"role": request.role, "disabled": request.disabled, "by": "api"}
        call.service.note(connection, call.person, "user.change", f"user:{number}", **told)


@router.get("/tokens", response_model=list[Token], tags=["tokens"], openapi_extra=leaves("tokens.view"))
def list_tokens(call: Caller = Tokens) -> Any:
    """The newest tokens, without their texts."""
    with call.service.database.reading() as connection:
        return [{**row, "scopes": row["scopes"].split(",")} for row in listed(connection)]


@router.post("/tokens", response_model=TokenMade, status_code=201, tags=["tokens"])
def add_token(request: NewToken, call: Caller = Tokens) -> Any:
    """Make a token; its text is in the answer and nowhere else."""
    with call.service.database.writing() as connection:
        owner = connection.execute(select(users).where(users.c.login == clean(request.owner))).mappings().first()
        if owner is None:
            raise RefusedError("There is no such user.")
        text = make_token(
            connection, owner["id"], owner["role"], clean(request.name), request.scopes, request.days, now=call.now
        )
        told = {"scopes": request.scopes, "by": "api"}
        call.service.note(connection, call.person, "token.make", f"user:{owner['id']}", **told)
    return {"token": text}


@router.delete("/tokens/{number}", status_code=204, response_model=None, tags=["tokens"])
def end_token(number: Place, call: Caller = Tokens) -> None:
    """End a token."""
    with call.service.database.writing() as connection:
        if not revoke(connection, number, call.now):
            raise HTTPException(404, "There is no such token.")
        call.service.note(connection, call.person, "token.revoke", f"token:{number}", by="api")


@router.get("/webhooks", response_model=list[Webhook], tags=["webhooks"], openapi_extra=leaves("webhooks.view"))
def list_webhooks(call: Caller = Hooks) -> Any:
    """All receivers."""
    with call.service.database.reading() as connection:
        rows = connection.execute(select(webhooks).order_by(webhooks.c.id)).mappings().all()
    return [{**row, "events": row["events"].split(",")} for row in rows]


@router.post("/webhooks", response_model=WebhookMade, status_code=201, tags=["webhooks"])
def make_webhook(request: NewWebhook, call: Caller = Hooks) -> Any:
    """Add a receiver; its secret is in the answer and nowhere else."""
    service, events = call.service, list(request.events)
    with service.database.writing() as connection:
        number, secret = add_webhook(connection, request.url, events, private=service.private_webhooks, now=call.now)
        service.note(connection, call.person, "webhook.add", f"webhook:{number}", events=events, by="api")
    return {"id": number, "url": request.url, "events": events, "active": True, "secret": secret}


@router.get(
    "/webhooks/deliveries", response_model=list[Delivery], tags=["webhooks"], openapi_extra=leaves("deliveries.view")
)
def list_deliveries(call: Caller = Hooks) -> Any:
    """What was sent to receivers, or is to be, the newest first."""
    names = Delivery.model_fields
    with call.service.database.reading() as connection:
        query = select(*(deliveries.c[name] for name in names)).order_by(deliveries.c.id.desc()).limit(SHOWN)
        return [dict(row) for row in connection.execute(query).mappings()]


@router.patch("/webhooks/{number}", status_code=204, response_model=None, tags=["webhooks"])
def switch_webhook(number: Place, request: WebhookChange, call: Caller = Hooks) -> None:
    """Switch a receiver on or off."""
    with call.service.database.writing() as connection:
        here = webhooks.c.id == number
        if connection.execute(update(webhooks).where(here).values(active=request.active)).rowcount != 1:
            raise HTTPException(404, "There is no such receiver.")
        action = f"webhook.{'on' if request.active else 'off'}"
        call.service.note(connection, call.person, action, f"webhook:{number}", by="api")


@router.delete("/webhooks/{number}", status_code=204, response_model=None, tags=["webhooks"])
def delete_webhook(number: Place, call: Caller = Hooks) -> None:
    """Remove a receiver."""
    with call.service.database.writing() as connection:
        connection.execute(delete(webhooks).where(webhooks.c.id == number))
        call.service.note(connection, call.person, "webhook.delete", f"webhook:{number}", by="api")


@router.get("/retention", response_model=Retained, tags=["retention"], openapi_extra=leaves("retention.view"))
def read_retention(call: Caller = may("retention.manage")) -> Any:
    """How long what is kept. The rules file sets it."""
    rules = call.service.rules
    waiting = select(func.count()).select_from(erasures).where(erasures.c.done_at.is_(None))
    with call.service.database.reading() as connection:
        return {
            "days": msgspec.structs.asdict(rules.retention),
            "deadlines": msgspec.structs.asdict(rules.deadlines),
            "erasures_waiting": connection.execute(waiting).scalar_one(),
        }
