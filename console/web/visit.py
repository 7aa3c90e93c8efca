"""One request to a page: who it is, what they sent, and how to answer.

`page` turns a plain function of a `Visit` into an endpoint. It sees to what must never be forgotten: a session, the
right, for everything that changes something the origin and the session's token (OWASP's synchroniser token), and for
everything that is shown the record of it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec
from sqlalchemy import func, select, update
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from console.decisions import RefusedError
from console.looks import Look, record
from console.people import Person, resume
from console.service import Service
from console.tables import bulks, sessions
from console.web.render import render
from console.wellness import due_break

__all__ = ["SCRIPT", "NotFoundError", "Visit", "cookie_name", "local_path", "page", "seen_elsewhere"]

LARGEST_FORM: Final = 64 * 1024
FIELDS: Final = 400
STALE_MS: Final = 60_000
NOTICE: Final = "kithwatch-notice"
SCRIPT: Final = "x-fragment"
"""The header by which a page's script asks for a part of its own page."""


class NotFoundError(Exception):
    """There is no such thing, or this person may not know of it."""


class Visit(msgspec.Struct, kw_only=True):
    """A request by somebody who is signed in."""

    request: Request
    service: Service
    person: Person
    form: FormData
    now: int
    look: Look | None = None
    """What the audit will say was seen; None where nothing of the kind is shown."""

    def field(self, name: str) -> str:
        """Return a field of the form as text, empty if it is missing."""
        value = self.form.get(name, "")
        return value.replace("\0", "") if isinstance(value, str) else ""

    def number(self, name: str) -> int:
        """Return a number from the address."""
        text = str(self.request.path_params[name])
        if not text.isascii() or not text.isdecimal() or len(text) > 15:
            raise NotFoundError
        return int(text)

    def query(self, name: str) -> str:
        """Return a parameter of the address."""
        return self.request.query_params.get(name, "").replace("\0", "")

    def shows(self, object: str, *, action: str = "", **detail: Any) -> None:
        """Say what is shown, for the audit: no account ids."""
        if self.look is not None:
            self.look = msgspec.structs.replace(
                self.look, action=action or self.look.action, object=object, detail=detail
            )

    def render(self, template: str, status: int = 200, **values: Any) -> Response:
        """Return a page."""
        values |= {"me": self.person, "now": self.now, "banner": self.service.banner}
        values["path"] = self.request.url.path
        values.setdefault("approvals", self._approvals())
        values.setdefault("pause", due_break(self.service, self.person, self.now))
        notice = self.request.cookies.get(NOTICE)
        values["notice"] = notice and msgspec.json.decode(bytes.fromhex(notice)) if _is_hex(notice) else None
        answer = render(self.request, template, status, **values)
        if notice:
            answer.delete_cookie(NOTICE)
        return answer

    def go(self, path: str, notice: str = "", kind: str = "done") -> Response:
        """Return a redirect, and say something on the page that follows."""
        answer = RedirectResponse(path, 303)
        if notice:
            told = msgspec.json.encode({"text": notice[:400], "kind": kind}).hex()
            answer.set_cookie(NOTICE, told, max_age=60, httponly=True, samesite="lax", secure=self.service.secure)
        return answer

    def _approvals(self) -> int:
        if not self.person.may("bulk.approve"):
            return 0
        query = select(func.count()).select_from(bulks).where(bulks.c.state == "proposed")
        with self.service.database.reading() as connection:
            return int(connection.execute(query.where(bulks.c.proposer != self.person.id)).scalar_one())


def _is_hex(text: str | None) -> bool:
    try:
        return bool(text) and bool(msgspec.json.decode(bytes.fromhex(text or ""), type=dict[str, str]))
    except (ValueError, msgspec.MsgspecError):
        return False


def cookie_name(service: Service) -> str:
    """Return the session cookie's name; the prefix makes browsers hold it to this host and to HTTPS."""
    return "__Host-kithwatch" if service.secure else "kithwatch"


def local_path(text: str) -> str:
    """Return where to go after signing in: a path of the console's own, or its first page."""
    parts = urlsplit(text)
    if parts.scheme or parts.netloc or not text.startswith("/") or text.startswith(("//", "/\\")) or "\n" in text:
        return "/queue"
    return text


def seen_elsewhere(request: Request, service: Service) -> bool:
    """Tell whether a request that changes something comes from another site's page."""
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return True
    origin = request.headers.get("origin")
    if origin is None:
        return False
    own = service.public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
    return origin != own.rstrip("/")


def page(
    right: str, handler: Callable[[Visit], Response], *, look: str = "", part_of: str = "", quiet: bool = False
) -> Callable[[Request], Any]:
    """Return an endpoint for people with a right.

    Parameters
    ----------
    right : str
        What `Person.may` is asked; `any` is enough for everybody who is signed in.
    handler : callable
        Runs in a thread and may block.
    look : str
        The record that a look leaves; every GET but those that show nothing of anybody has one.
    part_of : str
        For what a page's script fetches: the record that the page itself leaves.
    quiet : bool
        A look-up by the page's script: it neither keeps a session alive nor leads to the sign-in page.
    """

    async def endpoint(request: Request) -> Response:
        service: Service = request.app.state.service
        changing = request.method not in ("GET", "HEAD")
        form = FormData()
        if changing:
            if int(request.headers.get("content-length", "0") or 0) > LARGEST_FORM:
                return render(request, "problem.html", 413, title="Too large", text="What was sent is too large.")
            form = await request.form(max_files=0, max_fields=FIELDS, max_part_size=LARGEST_FORM)
        return await run_in_threadpool(answer, request, service, form, changing)

    def answer(request: Request, service: Service, form: FormData, changing: bool) -> Response:
        now = service.clock()
        found = None
        if value := request.cookies.get(cookie_name(service)):
            with service.database.reading() as connection:
                found = resume(connection, value, service.rules, now)
        by_script = quiet or SCRIPT in request.headers
        if found is None:
            if by_script or changing:
                if by_script:
                    return JSONResponse({"problem": "not signed in"}, 401)
                return RedirectResponse("/sign-in", 303)
            target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/sign-in?next={quote(target, safe='')}", 303)
        person, seen_at = found
        if changing:
            given = str(form.get("csrf", "")) or request.headers.get("x-csrf-token", "")
            if seen_elsewhere(request, service) or not hmac.compare_digest(given.encode(), person.csrf.encode()):
                text = "This form is not from this session. Go back, reload the page and try again."
                return render(request, "problem.html", 403, title="Not taken", text=text, me=person)
        if right != "any" and not person.may(right):
            text = "Your role does not allow this."
            return render(request, "problem.html", 403, title="Not allowed", text=text, me=person)
        if not by_script and now - seen_at > STALE_MS:
            with service.database.writing() as connection:
                connection.execute(update(sessions).where(sessions.c.id == person.session).values(seen_at=now))
        visit = Visit(request=request, service=service, person=person, form=form, now=now)
        if look and not changing:
            visit.look = Look(action=look, part_of=part_of)
        try:
            shown = handler(visit)
        except NotFoundError:
            text = "There is nothing here, or not any longer."
            return visit.render("problem.html", 404, title="Not found", text=text)
        except RefusedError as problem:
            return visit.render("problem.html", 409, title="Not taken", text=str(problem))
        if visit.look is not None:
            if SCRIPT in request.headers:  # the rows of a page that is open
                visit.look.part_of = visit.look.action
            record(service, person, visit.look)
        return shown

    return endpoint
