"""The web application: pages, static files, health."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from console.api.app import make_api
from console.service import Service
from console.web import admin, approvals, atrisk, case, me, oidc, overview, packs, queue, signin
from console.web.render import STATIC, render
from console.web.security import Limiter, SecurityHeaders

__all__ = ["make_app"]


async def _livez(_request: Request) -> Response:
    return JSONResponse({"alive": True})


async def _readyz(request: Request) -> Response:
    service: Service = request.app.state.service

    def look() -> dict[str, str | None]:
        with service.database.reading():
            return service.health()

    problems = {name: problem for name, problem in (await run_in_threadpool(look)).items() if problem}
    return JSONResponse({"ready": not problems, "problems": problems}, 503 if problems else 200)


async def _not_found(request: Request, _problem: Exception) -> Response:
    return render(request, "problem.html", 404, title="Not found", text="There is no such page.")


async def _failed(request: Request, _problem: Exception) -> Response:
    return render(request, "problem.html", 500, title="That went wrong", text="The failure was logged. Try again.")


def make_app(service: Service) -> Starlette:
    """Return the application around a service."""
    routes = [
        *signin.routes,
        *queue.routes,
        *case.routes,
        *approvals.routes,
        *atrisk.routes,
        *admin.routes,
        *oidc.routes,
        *overview.routes,
        *packs.routes,
        *me.routes,
        Route("/livez", _livez),
        Route("/readyz", _readyz),
        Mount("/api/v1", make_api(service)),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(SecurityHeaders, secure=service.secure),
            # holds state and nonce of a sign-in at the provider, for ten minutes, and nothing else
            Middleware(
                SessionMiddleware,
                secret_key=service.keys.session.hex(),
                session_cookie="kithwatch-sign-in",
                path="/sign-in",
                max_age=600,
                same_site="lax",
                https_only=service.secure,
            ),
        ],
        exception_handlers={404: _not_found, 405: _not_found, 500: _failed},
    )
    app.state.service = service
    app.state.oidc = None if service.oidc is None else oidc.client_of(service.oidc)
    # by address; a login of its own is locked by `Rules.sign_in_failures`
    app.state.tries = Limiter(burst=20, a_minute=10)
    return app
