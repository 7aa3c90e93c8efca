"""The console as an operator runs it: a process of its own, on a broker and a database."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kafka import KafkaProducer

from console.people import add_user
from console.service import Service, wall_clock
from streams.flags import Flag, encode_flag
from streams.settings import KafkaSettings
from streams.topics import ensure_topics
from tests.console.build import PASSWORD, SECRET, service_of

PROGRAM = Path(sys.executable).with_name("kithwatch")
PATIENCE = 120.0
ADDRESS = re.compile(r"The console is at (http://\S+)")
PEOPLE = {"rita": "reviewer", "olga": "reviewer", "leo": "lead", "ada": "admin", "vic": "viewer"}


class Running:
    """A running console.

    Attributes
    ----------
    url
        Its address.
    service
        Its database, seen from the test.
    """

    def __init__(self, url: str, service: Service, bootstrap: str, topics: KafkaSettings) -> None:
        self.url, self.service = url, service
        self._topics = topics.topics
        self._producer = KafkaProducer(bootstrap_servers=bootstrap)

    def send(self, *flags: Flag) -> None:
        """Send flags, as a worker does."""
        for one in flags:
            self._producer.send(self._topics.flags, key=one.account_id.encode(), value=encode_flag(one))
        self._producer.flush()

    def send_raw(self, topic: str, *values: bytes) -> None:
        for value in values:
            self._producer.send(getattr(self._topics, topic), value=value)
        self._producer.flush()

    def close(self) -> None:
        self._producer.close()
        self.service.database.close()


@contextmanager
def running(
    database: str,
    folder: Path,
    bootstrap: str,
    names: Mapping[str, str],
    more: Mapping[str, str] | None = None,
    port: int = 0,
) -> Iterator[Running]:
    """Run a console; `names` are its topics, by field."""
    settings = {f"KITHWATCH_TOPIC_{field.upper()}": name for field, name in names.items()}
    kafka = KafkaSettings.from_env(bootstrap=bootstrap, shards=1, environ=settings)
    ensure_topics(kafka, input_partitions=1)
    service = service_of(database, wall_clock)  # type: ignore[arg-type]
    with service.database.writing() as connection:
        for login, role in PEOPLE.items():
            add_user(connection, login, login.capitalize(), role, PASSWORD, now=wall_clock())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KITHWATCH_CONSOLE")}
    environment |= settings | {"KITHWATCH_CONSOLE_SECRET": SECRET} | dict(more or {})
    command = [str(PROGRAM), "console", "--database", database, "--folder", str(folder), "--bootstrap", bootstrap]
    log = folder / "console.log"
    with log.open("wb") as out:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=out, stderr=out, env=environment)
    made = Running("", service, bootstrap, kafka)
    try:
        deadline = time.monotonic() + PATIENCE
        while not (found := ADDRESS.search(log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        made.url = found[1]
        while not _answers(made.url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield made
        assert process.poll() is None, f"it stopped with status {process.returncode}: {log.read_text()}"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        made.close()
        assert "Traceback" not in log.read_text(), log.read_text()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
