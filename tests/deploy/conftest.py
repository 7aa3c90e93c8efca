"""Fixtures for what is deployed: the files, a worker at work, and a real Prometheus that has scraped it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka import KafkaProducer

from streams.broker import free_port
from streams.settings import KafkaSettings, TopicNames
from streams.topics import ensure_topics
from streams.vocabulary import EVENT_TYPES
from tests.brokers import Broker

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def deploy() -> Path:
    """The folder of everything that is deployed."""
    return ROOT / "deploy"


def platform(settings: KafkaSettings, stop: threading.Event) -> None:
    """Send, ten times a second: messages, bad records, second deliveries, and an account that asks many children."""
    producer = KafkaProducer(bootstrap_servers=settings.servers)
    names = settings.topics
    turn = 0
    while not stop.is_set():
        turn += 1
        now = int(time.time() * 1000)

        def send(topic: str, kind: str, number: int, now: int = now, turn: int = turn, **more: object) -> None:
            event = {"type": kind, "event_id": f"{turn}-{kind}-{number}", "occurred_at": now}
            producer.send(topic, json.dumps(event | more).encode())

        for number in range(20):
            send(names.messages, "message.sent", number, actor_id=f"a{number}", target_id=f"b{turn % 50}-{number}")
            send(names.messages, "message.sent", number, actor_id=f"a{number}", target_id=f"b{turn % 50}-{number}")
            stranger = {"target_id": f"c{turn}-{number}", "target_age_band": "13_15", "actor_age_band": "21_plus"}
            send(names.friend_requests, "friend_request.sent", number, actor_id=f"x{turn}", **stranger)
        for kind in EVENT_TYPES[1:]:
            if kind != "message.sent":
                whom = {} if kind in ("account.updated", "account.deleted") else {"target_id": f"e{turn}"}
                send(names.accounts, kind, 0, actor_id=f"d{turn}", **whom)
        for bad in (b"{", b"", b"[]", b"\xff", b'{"type":"x"}', b"x" * 70_000):
            producer.send(names.accounts, bad)
        producer.flush()
        stop.wait(0.1)
    producer.close()


@pytest.fixture(scope="session")
def metrics_endpoint(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The `host:port` of a worker at work, with a small platform that does all sorts of things."""
    mark = uuid.uuid4().hex[:6]
    names = TopicNames(**{field: f"deploy-{mark}-{field}" for field in TopicNames.__struct_fields__})
    settings = KafkaSettings(bootstrap=broker.bootstrap, shards=2, topics=names)
    ensure_topics(settings, input_partitions=2)
    chosen = {f"KITHWATCH_TOPIC_{field.upper()}": getattr(names, field) for field in TopicNames.__struct_fields__}
    address = f"127.0.0.1:{free_port()}"
    folder = tmp_path_factory.mktemp("worker")
    log = folder / "log"
    options = ("--snapshots", str(folder / "snapshots"), "--snapshot-every", "1s")
    command = [str(Path(sys.executable).with_name("kithwatch")), "worker", "--bootstrap", broker.bootstrap, *options]
    environ = os.environ | chosen | {"KITHWATCH_GROUP": f"deploy-{mark}"}
    stop = threading.Event()
    sender = threading.Thread(target=platform, args=(settings, stop))
    with log.open("wb") as out, (folder / "other").open("wb") as other:
        # a second one, of whose shard the first has a replica
        workers = [
            subprocess.Popen([*command, *more], stdout=to, stderr=to, env=environ)
            for more, to in ((("--standby", "--health-port", address.split(":")[1]), out), ((), other))
        ]
    try:
        deadline = time.monotonic() + 180
        while not _follows(address):
            assert all(worker.poll() is None for worker in workers), log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.25)
        sender.start()
        yield address
    finally:
        stop.set()
        if sender.is_alive():
            sender.join(20)
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(30)


def _follows(address: str) -> bool:
    """Whether a worker is ready, holds a shard and has a replica of another."""
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=2) as answer:
            text = answer.read().decode()
    except OSError:
        return False
    wanted = ("kithwatch_ready 1.0", "kithwatch_shard_bytes{", "kithwatch_replica_lag_records{")
    return all(f"\n{beginning}" in text for beginning in wanted)


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
            if problem.code == 503:  # it has not started yet
                raise ConnectionError from None
            raise AssertionError(f"{parameters}: {problem.read().decode()}") from None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an instant query; `AssertionError` when it does not parse."""
        result: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return result


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
        deadline = time.monotonic() + 180
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
        written = server.query('sum(rate(kithwatch_snapshots_total{outcome="written"}[1m])) > 0')
        return bool(scrapes and written and server.query("job:kithwatch_dead_letters:share5m"))
    except OSError:
        return False
