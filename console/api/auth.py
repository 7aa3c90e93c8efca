"""Who calls the API: a bearer token, its scopes, and a limit on how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import update

from console.looks import Look
from console.people import Person
from console.rights import RIGHTS, SCOPES
from console.service import Service
from console.tables import tokens
from console.tokens import USED_MS, who

__all__ = ["Caller", "caller", "may"]

_BEARER = HTTPBearer(auto_error=False, description="A token made under Administration, such as `kwt_…`.")


class Caller:
    """A caller and the console they call."""

    def __init__(self, service: Service, person: Person, request: Request) -> None:
        self.service = service
        self.person = person
        self.now = service.clock()
        self._state = request.state
        self._state.person = person

    def shows(self, object: str, *, action: str = "", **detail: Any) -> None:
        """Say what is shown, for the audit: no account ids."""
        look: Look = self._state.look
        told = look.detail | detail
        self._state.look = msgspec.structs.replace(look, action=action or look.action, object=object, detail=told)

    @property
    def rights(self) -> list[str]:
        """What they may do."""
        return sorted(right for right in RIGHTS[self.person.role] if self.person.may(right))


def caller(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)] = None) -> Caller:
    """Return who calls.

    Raises
    ------
    HTTPException
        401 without a token that is worth something, 429 when it is used too often.
    """
    service: Service = request.app.state.service
    wrong = HTTPException(401, "A bearer token is needed.", headers={"www-authenticate": "Bearer"})
    if given is None or not given.credentials.isascii():
        raise wrong
    now = service.clock()
    with service.database.reading() as connection:
        found = who(connection, given.credentials, now)
    if found is None:
        raise wrong
    person, used_at = found
    if not request.app.state.limiter.allow(person.session):
        raise HTTPException(429, "Too many calls: wait a moment.", headers={"retry-after": "1"})
    if used_at is None or now - used_at > USED_MS:
        number = int(person.session.removeprefix("token:"))
        with service.database.writing() as connection:
            connection.execute(update(tokens).where(tokens.c.id == number).values(used_at=now))
    return Caller(service, person, request)


def may(right: str) -> Any:
    """Return a dependency: the caller, who must have a right."""
    scope = next((name for name, held in SCOPES.items() if held == right), right)

    def check(found: Annotated[Caller, Depends(caller)]) -> Caller:
        if not found.person.may(right):
            raise HTTPException(403, f"The token lacks the scope {scope}, or its owner the right.")
        return found

    check.__name__ = f"may_{right.replace('.', '_')}"
    made: Callable[..., Caller] = check
    return Depends(made)
