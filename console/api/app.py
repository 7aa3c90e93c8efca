"""The API as an application of its own, with its OpenAPI document at /api/v1/openapi.json."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from console.api import admin, cases, mine, rest
from console.api.models import Problem
from console.decisions import RefusedError
from console.service import Service
from console.web.security import Limiter

__all__ = ["make_api"]

BURST, A_MINUTE = 200, 1200.0
PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": text}
    for code, text in {
        400: "The request is not well-formed",
        401: "No token, or one that is worth nothing",
        403: "The token lacks a scope, or its owner a right",
        404: "There is no such thing",
        405: "There is no such method",
        409: "Not taken, and why",
        422: "Not what is asked for",
        429: "Too many calls",
    }.items()
}


def _problem(status: int, text: str, headers: Any = None) -> JSONResponse:
    return JSONResponse({"problem": text}, status, headers=headers)


async def _refused(_request: Request, problem: Exception) -> JSONResponse:
    return _problem(409, str(problem))


async def _http(_request: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, StarletteHTTPException)
    return _problem(problem.status_code, str(problem.detail), problem.headers)


async def _invalid(_request: Request, problem: Exception) -> JSONResponse:
    # what was sent is not given back: it may be anything
    assert isinstance(problem, RequestValidationError)
    told = [f"{'.'.join(str(part) for part in one['loc'])[:100]}: {one['msg'][:200]}" for one in problem.errors()[:5]]
    return _problem(422, "; ".join(told).encode("utf-8", "replace").decode())


def make_api(service: Service) -> FastAPI:
    """Return the API around a service."""
    app = FastAPI(
        title="kithwatch console",
        version="1",
        description="Cases, decisions and what belongs to them. A flag is a lead for a person, never a verdict.",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        responses=PROBLEMS,
        servers=[{"url": "/api/v1"}],
        root_path_in_servers=False,
    )
    app.state.service = service
    app.state.limiter = Limiter(BURST, A_MINUTE)
    app.include_router(cases.router)
    for part in (mine, rest, admin):
        app.include_router(part.router)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    return app
