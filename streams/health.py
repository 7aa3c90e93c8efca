"""The small web server beside a worker: `/metrics` for Prometheus, `/livez` and `/readyz` for who starts workers.

The two probes follow https://kubernetes.io/docs/reference/using-api/health-checks/: a worker that is not *live*
should be started anew, one that is not *ready* should be waited for. It takes the place of Faust's own web server,
which binds every interface and serves tables.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client.exposition import choose_encoder

from streams.metrics import Metrics

__all__ = ["HealthServer"]

log = logging.getLogger(__name__)

_STALLED_AFTER: Final = 60.0  # seconds; a poll returns within one even on an idle topic, a rebalance takes tens
_OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0"  # choose_encoder fails on versions it cannot read
_REQUEST_LIMIT: Final = 1024  # bytes; nothing here reads a body


class HealthServer:
    """Serves one worker's metrics and state of health.

    Parameters
    ----------
    metrics : Metrics
        What `/metrics` shows.
    last_poll : callable
        Returns when the worker last polled for records, in seconds of `clock`.
    not_ready : callable
        Returns `None` when the worker is ready (its partitions are assigned, rebuilt and caught up), else one plain
        sentence that says what it waits for. It must not name accounts.
    host : str
        Address to bind.
    port : int
        Port to bind; 0 lets the system choose a free one, which `port` then holds.
    stalled_after : float
        Seconds without a poll after which the worker no longer counts as live.
    clock : callable
        The clock of `last_poll`, in seconds.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        last_poll: Callable[[], float],
        not_ready: Callable[[], str | None],
        host: str = "127.0.0.1",
        port: int = 0,
        stalled_after: float = _STALLED_AFTER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.host = host
        self.port = port
        self._wanted_port = port
        self._metrics = metrics
        self._last_poll = last_poll
        self._not_ready = not_ready
        self._stalled_after = stalled_after
        self._clock = clock
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where the server listens, without a trailing slash."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Bind and serve, on the running event loop.

        Raises
        ------
        OSError
            When the address is taken or not ours.
        """
        app = web.Application(client_max_size=_REQUEST_LIMIT, middlewares=[_plain_errors])
        app.add_routes(
            [
                web.get("/metrics", self._serve_metrics),
                web.get("/livez", self._serve_livez),
                web.get("/readyz", self._serve_readyz),
            ]
        )
        app.on_response_prepare.append(_say_nothing_of_the_server)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, self.host, self._wanted_port)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = runner.addresses[0][1]
        log.info("Metrics and health are at %s/metrics, /livez and /readyz", self.url)

    async def stop(self) -> None:
        """Close the server; does nothing when it is not running."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _serve_metrics(self, request: web.Request) -> web.Response:
        self._metrics.set_ready(self._reason_not_ready() is None)
        wants_openmetrics = "application/openmetrics-text" in request.headers.get("Accept", "")
        encode, content_type = choose_encoder(_OPENMETRICS if wants_openmetrics else "")
        response = web.Response(body=encode(self._metrics.exposed), headers={"Content-Type": content_type})
        response.enable_compression()
        return response

    async def _serve_livez(self, _: web.Request) -> web.Response:
        try:
            idle = self._clock() - self._last_poll()
        except Exception:
            log.exception("Could not tell when the worker last polled")
            return _answer(503, "the worker cannot tell when it last polled for records; see its log")
        if idle > self._stalled_after:
            return _answer(503, f"no poll for records since {idle:.0f} s; the limit is {self._stalled_after:.0f} s")
        return _answer(200)

    async def _serve_readyz(self, _: web.Request) -> web.Response:
        reason = self._reason_not_ready()
        return _answer(200) if reason is None else _answer(503, reason)

    def _reason_not_ready(self) -> str | None:
        try:
            return self._not_ready()
        except Exception:
            log.exception("Could not tell whether the worker is ready")
            return "the worker cannot tell whether it is ready; see its log"


def _answer(status: int, reason: str | None = None) -> web.Response:
    """Return a small JSON answer that no cache keeps."""
    body = {"status": "ok"} if reason is None else {"status": "unavailable", "reason": reason}
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


@web.middleware
async def _plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what is not served in JSON, as all else."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return _error(404, "there are /metrics, /livez and /readyz here")
    except web.HTTPMethodNotAllowed as problem:
        refusal = _error(405, "only GET and HEAD are served here")
        refusal.headers["Allow"] = problem.headers["Allow"]
        return refusal


def _error(status: int, reason: str) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode({"status": "error", "reason": reason}),
        content_type="application/json",
    )


async def _say_nothing_of_the_server(_: web.Request, response: web.StreamResponse) -> None:
    """Drop the header that names the server's versions."""
    response.headers.pop("Server", None)
