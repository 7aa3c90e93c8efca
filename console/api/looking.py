"""Every GET of the API leaves a record in the audit, as a page does: one place for all routes.

A route says by `leaves` what its record is called; one without is refused when the API is built, so that none is
forgotten. The name is in the OpenAPI document too, as `x-audit`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from console.looks import Look, record

__all__ = ["Recorded", "leaves"]

AUDIT = "x-audit"
PART_OF = "x-audit-part-of"


def leaves(action: str, *, part_of: str = "") -> dict[str, str]:
    """Return what a route says of its record, as `openapi_extra`.

    Parameters
    ----------
    action : str
        The name of the record.
    part_of : str
        For what programs ask every few seconds: one record of this name, or of the action, holds for a while.
    """
    return {AUDIT: action} | ({PART_OF: part_of} if part_of else {})


class Recorded(APIRoute):
    """A route of which a look, once it was answered, is recorded."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        super().__init__(path, endpoint, **more)
        if "GET" in (self.methods or ()) and AUDIT not in (self.openapi_extra or {}):
            raise TypeError(f"GET {path} does not say what record it leaves")

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer = super().get_route_handler()
        told = self.openapi_extra or {}
        if AUDIT not in told:
            return answer

        async def look(request: Request) -> Response:
            request.state.look = Look(action=told[AUDIT], part_of=told.get(PART_OF, ""), detail={"by": "api"})
            response = await answer(request)  # a problem is raised, and shows nothing
            await run_in_threadpool(record, request.app.state.service, request.state.person, request.state.look)
            return response

        return look
