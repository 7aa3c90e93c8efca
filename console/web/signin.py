"""Signing in with a password, and signing out."""

from __future__ import annotations

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.people import SignInError, end_session, sign_in, start_session
from console.service import Service
from console.tables import users
from console.web.render import render
from console.web.visit import Visit, cookie_name, local_path, page, seen_elsewhere

__all__ = ["begin_session", "routes"]


def begin_session(service: Service, answer: Response, user_id: int, how: str) -> Response:
    """Begin a session for somebody and put it into the answer's cookie."""
    now = service.clock()
    with service.database.writing() as connection:
        value = start_session(connection, user_id, now)
        login = connection.execute(select(users.c.login).where(users.c.id == user_id)).scalar_one()
        service.note(connection, login, "session.start", f"user:{user_id}", how=how)
    answer.set_cookie(cookie_name(service), value, httponly=True, samesite="lax", secure=service.secure, path="/")
    return answer


def _form(request: Request, service: Service, status: int = 200, problem: str = "", login: str = "") -> Response:
    target = local_path(request.query_params.get("next", "/queue"))
    return render(
        request,
        "sign_in.html",
        status,
        problem=problem,
        login=login,
        next=target,
        oidc=service.oidc is not None,
        banner=service.banner,
    )


async def _show(request: Request) -> Response:
    return _form(request, request.app.state.service)


async def _take(request: Request) -> Response:
    service: Service = request.app.state.service
    form = await request.form(max_files=0, max_fields=10)
    login, password = str(form.get("login", "")).replace("\0", ""), str(form.get("password", ""))
    if seen_elsewhere(request, service):
        return _form(request, service, 403, "This form came from another site.")
    if not request.app.state.tries.allow(request.client.host if request.client else ""):
        return _form(request, service, 429, "Too many tries from this address: wait a minute.", login)

    def check() -> int | SignInError:
        with service.database.writing() as connection:
            found = sign_in(connection, login, password, service.rules, service.clock())
            if isinstance(found, SignInError):
                service.note(connection, "system", "session.refused", detail_login=login[:120])
            return found

    found = await run_in_threadpool(check)
    if isinstance(found, SignInError):
        return _form(request, service, 401, str(found), login)
    answer = RedirectResponse(local_path(str(form.get("next", "/queue"))), 303)
    return await run_in_threadpool(begin_session, service, answer, found, "password")


def _leave(visit: Visit) -> Response:
    with visit.service.database.writing() as connection:
        end_session(connection, visit.person.session)
        visit.service.note(connection, visit.person, "session.end")
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(cookie_name(visit.service), path="/", secure=visit.service.secure, httponly=True)
    return answer


routes = [
    Route("/sign-in", _show, methods=["GET"]),
    Route("/sign-in", _take, methods=["POST"]),
    Route("/sign-out", page("any", _leave), methods=["POST"]),
]
