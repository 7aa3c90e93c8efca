"""Headers that hold browsers to the rules, and a limit on how often somebody may try.

The content security policy allows the console's own files and nothing else: no inline script or style, no frame, no
other host. <https://www.w3.org/TR/CSP3/>
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CONTENT_SECURITY_POLICY", "Limiter", "SecurityHeaders"]

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), interest-cohort=()",
}


class SecurityHeaders:
    """Middleware that adds the headers to every answer, and keeps pages out of caches."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self.app = app
        self.headers = dict(HEADERS)
        if secure:
            self.headers["strict-transport-security"] = "max-age=63072000; includeSubDomains"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and add to its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        static = scope["path"].startswith("/static/")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "public, max-age=86400" if static else "no-store")
            await send(message)

        await self.app(scope, receive, with_headers)


class Limiter:
    """A token bucket for each key: so many at once, and so many a minute after that.

    Parameters
    ----------
    burst : int
    a_minute : float
    clock : callable
        Seconds.
    """

    MOST: Final = 10_000

    def __init__(self, burst: int, a_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.burst = float(burst)
        self.rate = a_minute / 60
        self.clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def allow(self, key: str) -> bool:
        """Tell whether this one may go on, and count it."""
        with self._lock:
            now = self.clock()
            left, at = self._left.pop(key, (self.burst, now))
            left = min(self.burst, left + (now - at) * self.rate)
            self._left[key] = (left - 1 if left >= 1 else left, now)
            if len(self._left) > self.MOST:
                self._left.popitem(last=False)
            return left >= 1
