"""Fixtures for what is deployed: the files, a worker's `/metrics`, and a real Prometheus that has scraped it."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.health import HealthServer
from streams.metrics import EVENT_TYPES, Metrics, ShardSize

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def deploy() -> Path:
    """The folder of everything that is deployed."""
    return ROOT / "deploy"


def move(metrics: Metrics, turn: int) -> None:
    """Let every metric move as a worker would; `turn` counts up."""
    metrics.count_events(dict.fromkeys(EVENT_TYPES, 10), late=1, ahead=1, duplicates=1)
    metrics.count_dead_letters({"bad_field": 1})
    metrics.set_lag({("social.messages", partition): 100 + turn for partition in range(2)})
    for stage in ("decode", "probe", "resolve", "assess"):
        metrics.observe_batch(stage, 200 + turn, 0.002)
        metrics.count_exchange(stage, "sent", 3)
    metrics.count_exchange("resolve", "repeated", 1)
    metrics.count_flag("mass_add", "high", "flag.raised", seconds=0.08)
    metrics.count_flag("minor_targeting", "critical", "flag.updated", seconds=0.4)
    metrics.set_circuit("mass_add", turn % 2 == 1)
    metrics.set_shards({shard: ShardSize(50, 60, 70, 8192, clock=time.time() - 5) for shard in range(2)})


@pytest.fixture(scope="session")
def metrics_endpoint() -> Iterator[str]:
    """The `host:port` of a worker whose every metric moves: here, the metrics and the server without the stream."""
    started, stop = threading.Event(), threading.Event()
    metrics = Metrics("policy-of-the-test")
    server = HealthServer(metrics, last_poll=time.monotonic, not_ready=lambda: None)

    async def serve() -> None:
        await server.start()
        started.set()
        turn = 0
        while not stop.is_set():
            move(metrics, turn := turn + 1)
            await asyncio.sleep(0.1)
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(10), "the health server did not start"
        yield f"{server.host}:{server.port}"
    finally:
        stop.set()
        thread.join(10)


class Prometheus:
    """A running Prometheus, asked over its HTTP API."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get(self, path: str, **parameters: str) -> Any:
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as problem:
            raise AssertionError(f"{parameters}: {problem.read().decode()}") from None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an instant query; `AssertionError` when it does not parse."""
        result: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return result


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def prometheus(deploy: Path, metrics_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus with the deployed configuration, only quicker, after it has scraped the endpoint a few times."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.fail("this test needs Prometheus: apt-get install prometheus (.ci/run does)")
    home = tmp_path_factory.mktemp("prometheus")
    config = yaml.safe_load((deploy / "prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "500ms"}
    config["rule_files"] = [str(deploy / "prometheus" / name) for name in config["rule_files"]]
    (job,) = config["scrape_configs"]
    del job["dns_sd_configs"]
    job["static_configs"] = [{"targets": [metrics_endpoint]}]
    (home / "prometheus.yml").write_text(yaml.safe_dump(config))
    server = Prometheus(f"127.0.0.1:{free_port()}")
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={home / 'prometheus.yml'}",
                f"--storage.tsdb.path={home / 'data'}",
                f"--web.listen-address={server.address}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 60
        while not _has_recorded(server):
            assert process.poll() is None, (home / "log").read_text()
            assert time.monotonic() < deadline, (home / "log").read_text()
            time.sleep(0.25)
        yield server
    finally:
        process.terminate()
        process.wait(20)


def _has_recorded(server: Prometheus) -> bool:
    """Tell whether scrapes and rules have run often enough for rates and for what is recorded from them."""
    try:
        scrapes = server.query('count_over_time(up{job="kithwatch"}[5m]) >= 12')
        return bool(scrapes and server.query("job:kithwatch_dead_letters:share5m"))
    except OSError:
        return False
