"""Signing in with an OpenID Connect provider: authorisation code with PKCE, state and nonce (authlib).

<https://openid.net/specs/openid-connect-core-1_0.html>. A provider's `sub` is who somebody is; its groups may say
what role they have. Without a group that fits, a role given in the console stays, and a new person has none.
"""

from __future__ import annotations

import logging
from typing import Any

from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from httpx import HTTPError
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.people import SignInError, from_subject
from console.rights import ROLES
from console.service import OidcSettings, Service
from console.tables import users
from console.web.render import render
from console.web.signin import begin_session
from console.web.visit import local_path

__all__ = ["client_of", "entered", "role_of", "routes"]

STRONGEST = ("admin", "lead", "reviewer", "viewer")
log = logging.getLogger(__name__)


def client_of(settings: OidcSettings) -> Any:
    """Return authlib's client of a provider."""
    registry = OAuth()
    return registry.register(
        "oidc",
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        server_metadata_url=f"{settings.issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256"},
    )


def role_of(settings: OidcSettings, claims: dict[str, Any]) -> str | None:
    """Return the strongest role that somebody's groups give; None when the provider tells no groups.

    Examples
    --------
    >>> settings = OidcSettings(issuer="", client_id="", client_secret="", roles={"a": "viewer", "b": "lead"})
    >>> role_of(settings, {"groups": ["a", "b", "c"]}), role_of(settings, {"groups": ["c"]}), role_of(settings, {})
    ('lead', 'none', None)
    """
    groups = claims.get(settings.claim)
    if groups is None or not settings.roles:
        return None
    held = [groups] if isinstance(groups, str) else [str(group) for group in groups]
    given = {settings.roles[group] for group in held if group in settings.roles}
    return next((role for role in STRONGEST if role in given and role in ROLES), "none")


def entered(service: Service, subject: str, login: str, name: str, role: str | None) -> int | SignInError:
    """Return the user of a subject; record what the provider changed of their rights, or that they were refused."""
    with service.database.writing() as connection:
        query = select(users.c.role).where(users.c.subject == subject)
        before = connection.execute(query).scalar()
        found = from_subject(connection, subject, login, name, role, now=service.clock())
        if isinstance(found, SignInError):
            service.note(connection, "system", "session.refused", how="provider")
            return found
        held = connection.execute(query).scalar_one()
        if held != before:
            action = "user.add" if before is None else "user.change"
            service.note(connection, "system", action, f"user:{found}", role=held, before=before, how="provider")
        return found


def _refuse(request: Request, text: str, status: int = 401) -> Response:
    return render(request, "problem.html", status, title="Not signed in", text=text)


async def _begin(request: Request) -> Response:
    service: Service = request.app.state.service
    if service.oidc is None:
        return _refuse(request, "No provider is set up.", 404)
    request.session["next"] = local_path(request.query_params.get("next", "/queue"))
    base = service.public_url or str(request.base_url).rstrip("/")
    try:
        answer: Response = await request.app.state.oidc.authorize_redirect(request, f"{base}/sign-in/oidc/done")
    except (HTTPError, OAuthError, ValueError) as problem:
        log.warning("the identity provider does not answer (%s)", type(problem).__name__)
        return _refuse(request, "Your organisation's sign-in does not answer. Try again later.", 502)
    return answer


async def _done(request: Request) -> Response:
    service: Service = request.app.state.service
    settings = service.oidc
    if settings is None:
        return _refuse(request, "No provider is set up.", 404)
    client = request.app.state.oidc
    try:
        token = await client.authorize_access_token(request)
        claims = dict(token["userinfo"])
        if settings.claim not in claims or "name" not in claims:  # many providers tell these only when asked
            more = dict(await client.userinfo(token=token))
            if more.get("sub") == claims["sub"]:
                claims = more | claims
    except (OAuthError, HTTPError, KeyError, ValueError) as problem:
        log.warning("a sign-in by the identity provider failed (%s)", type(problem).__name__)
        return _refuse(request, "Your organisation did not sign you in. Try again.")
    target = local_path(str(request.session.pop("next", "/queue")))
    request.session.clear()

    def enter() -> Response:
        role = role_of(settings, claims)
        login = str(claims.get("preferred_username") or claims.get("email") or claims["sub"])[:120]
        name = str(claims.get("name") or login)[:120]
        found = entered(service, f"{settings.issuer} {claims['sub']}"[:400], login, name, role)
        if isinstance(found, SignInError):
            return _refuse(request, str(found), 403)
        return begin_session(service, RedirectResponse(target, 303), found, "oidc")

    return await run_in_threadpool(enter)


routes = [Route("/sign-in/oidc", _begin), Route("/sign-in/oidc/done", _done)]
