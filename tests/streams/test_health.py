"""Statements about a worker's health server, asked over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from streams.health import HealthServer
from streams.metrics import Metrics


class Worker:
    """A worker's state as a test sets it; time stands still unless moved."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.polled = 1000.0
        self.waits_for: str | None = None
        self.metrics = Metrics("p", version="0")
        self.server = HealthServer(
            self.metrics,
            last_poll=lambda: self.polled,
            not_ready=lambda: self.waits_for,
            stalled_after=30.0,
            clock=lambda: self.now,
        )


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Worker, aiohttp.ClientSession]]:
    worker = Worker()
    await worker.server.start()
    try:
        async with aiohttp.ClientSession(worker.server.url) as session:
            yield worker, session
    finally:
        await worker.server.stop()


def ask(question: Callable[[Worker, aiohttp.ClientSession], Awaitable[None]]) -> None:
    async def main() -> None:
        async with running() as (worker, session):
            await question(worker, session)

    asyncio.run(main())


def test_it_takes_a_free_port_of_the_loopback_and_gives_it_back() -> None:
    async def main() -> None:
        async with running() as (first, _), running() as (second, _):
            assert first.server.url.startswith("http://127.0.0.1:")
            assert 0 not in (first.server.port, second.server.port)
            assert first.server.port != second.server.port
            taken = HealthServer(Metrics("p"), last_poll=lambda: 0.0, not_ready=lambda: None, port=first.server.port)
            with pytest.raises(OSError, match="in use"):
                await taken.start()
        await first.server.stop()  # a second stop does nothing
        await first.server.start()
        await first.server.stop()

    asyncio.run(main())


def test_prometheus_gets_the_format_it_asks_for() -> None:
    async def question(worker: Worker, session: aiohttp.ClientSession) -> None:
        worker.metrics.count_events({"message.sent": 2})
        for accept, expected, parse in [
            ("", "text/plain; version=0.0.4; charset=utf-8", parse_text),
            ("text/plain", "text/plain; version=0.0.4; charset=utf-8", parse_text),
            ("application/openmetrics-text; version=new", "application/openmetrics-text", parse_openmetrics),
            (
                "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                parse_openmetrics,
            ),
        ]:
            async with session.get("/metrics", headers={"Accept": accept}) as answer:
                assert answer.status == 200
                assert answer.headers["Content-Type"].startswith(expected)
                families = {family.name: family for family in parse(await answer.text())}
            sent = [s for s in families["kithwatch_events"].samples if s.labels["type"] == "message.sent"]
            assert [sample.value for sample in sent] == [2]

    ask(question)


def test_an_accept_header_of_nonsense_is_no_error() -> None:
    async def question(_: Worker, session: aiohttp.ClientSession) -> None:
        for accept in ["application/openmetrics-text; version=..", "text/plain;version=1.x", ";;,=", "*/*"]:
            async with session.get("/metrics", headers={"Accept": accept}) as answer:
                assert answer.status == 200, accept

    ask(question)


def test_live_as_long_as_it_polls() -> None:
    async def question(worker: Worker, session: aiohttp.ClientSession) -> None:
        async with session.get("/livez") as answer:
            assert answer.status == 200
            assert await answer.json() == {"status": "ok"}
            assert answer.headers["Cache-Control"] == "no-store"
            assert "Server" not in answer.headers
        worker.now += 31
        async with session.get("/livez") as answer:
            assert answer.status == 503
            assert await answer.json() == {
                "status": "unavailable",
                "reason": "no poll for records since 31 s; the limit is 30 s",
            }

    ask(question)


def test_not_ready_says_what_it_waits_for_and_metrics_say_so_too() -> None:
    async def question(worker: Worker, session: aiohttp.ClientSession) -> None:
        worker.waits_for = "no partitions are assigned yet"
        async with session.get("/readyz") as answer:
            assert answer.status == 503
            assert (await answer.json())["reason"] == "no partitions are assigned yet"
        async with session.get("/metrics") as answer:
            assert "kithwatch_ready 0.0" in await answer.text()
        worker.waits_for = None
        async with session.get("/readyz") as answer:
            assert answer.status == 200
        async with session.get("/metrics") as answer:
            assert "kithwatch_ready 1.0" in await answer.text()

    ask(question)


def test_a_failing_probe_is_an_unwell_worker_and_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        def broken() -> float:
            raise RuntimeError("boom")

        def also_broken() -> str | None:
            raise RuntimeError("boom")

        server = HealthServer(Metrics("p"), last_poll=broken, not_ready=also_broken)
        await server.start()
        try:
            async with aiohttp.ClientSession(server.url) as session:
                for path in ("/livez", "/readyz"):
                    async with session.get(path) as answer:
                        assert answer.status == 503
                        assert "boom" not in await answer.text()
        finally:
            await server.stop()

    asyncio.run(main())
    assert "boom" in caplog.text


def test_head_works_and_nothing_else_is_served() -> None:
    async def question(_: Worker, session: aiohttp.ClientSession) -> None:
        for path in ("/metrics", "/livez", "/readyz"):
            async with session.head(path) as answer:
                assert answer.status == 200
                assert await answer.read() == b""
            async with session.post(path) as answer:
                assert answer.status == 405
                assert answer.headers["Allow"] == "GET,HEAD"
        for path in ("/", "/table", "/router", "/metrics/x"):
            async with session.get(path) as answer:
                assert answer.status == 404
                assert (await answer.json())["reason"] == "there are /metrics, /livez and /readyz here"

    ask(question)
