"""Kafka brokers for tests and benchmarks: Apache Kafka itself from the jars that deploy/kafka/fetch.sh brings.

`with broker_for_tests() as broker:` gives the embedded broker, or with KITHWATCH_TEST_BROKER=apache the real one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Protocol

from streams.broker import EmbeddedBroker, free_port, speaks_kafka

ROOT = Path(__file__).resolve().parent.parent
JARS = ROOT / "var" / "kafka" / "libs"
READY_SECONDS = 60.0

SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={directory}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""


class Broker(Protocol):
    """What tests need of a broker."""

    @property
    def bootstrap(self) -> str: ...

    def __enter__(self) -> Broker: ...

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def have_apache_kafka() -> bool:
    """Whether the jars and a Java to run them with are there."""
    return JARS.is_dir() and any(JARS.glob("kafka_*.jar")) and shutil.which("java") is not None


class ApacheKafka:
    """One Apache Kafka node (KRaft, broker and controller in one) on free ports of 127.0.0.1.

    `extra` are further lines of server.properties, for instance {"log.cleaner.backoff.ms": "200"}; in the values,
    `@port@` and `@controller@` stand for the ports. `format_options` are for the formatting of the storage. With
    `beside`, it is a second broker of that one's cluster. `host` is the address it listens on and is found at.
    """

    def __init__(
        self,
        heap: str = "1g",
        extra: dict[str, str] | None = None,
        format_options: tuple[str, ...] = (),
        beside: ApacheKafka | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.heap = heap
        self.extra = extra or {}
        self.format_options = format_options
        self.beside = beside
        self.host = host
        self.controller_port = 0
        self.cluster = ""
        self.port = 0
        self._dir: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def log(self) -> Path:
        assert self._dir is not None, "not started"
        return self._dir / "kafka.log"

    def start(self) -> ApacheKafka:
        """Format the storage at the first call, start, and wait until the broker answers; data survive a restart."""
        assert self._process is None, "already running"
        if not have_apache_kafka():
            raise RuntimeError("Apache Kafka's jars are missing: run deploy/kafka/fetch.sh (needs Java 17 and mvn)")
        if self._dir is None:
            self._dir = Path(tempfile.mkdtemp(prefix="kithwatch-kafka-"))
            self.port = free_port()
            self.controller_port = self.beside.controller_port if self.beside else free_port()
            (self._dir / "server.properties").write_text(self._properties())
            random = () if self.beside else ("kafka.tools.StorageTool", "random-uuid")
            self.cluster = self.beside.cluster if self.beside else self._java(*random).strip().splitlines()[-1]
            format_it = ("format", *(() if self.beside else ("--standalone",)), *self.format_options)
            self._java("kafka.tools.StorageTool", *format_it, "-t", self.cluster, "-c", self._settings)
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                [*self._command(), f"-Xmx{self.heap}", "kafka.Kafka", self._settings],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait()
        return self

    def _properties(self) -> str:
        text = SETTINGS.format(port=self.port, controller_port=self.controller_port, directory=self._dir)
        if self.beside:
            text += "process.roles=broker\nnode.id=2\nlisteners=PLAINTEXT://127.0.0.1:@port@\n"
        text = text.replace(f"PLAINTEXT://127.0.0.1:{self.port}", f"PLAINTEXT://{self.host}:{self.port}")
        text += "".join(f"{name}={value}\n" for name, value in self.extra.items())
        text = text.replace("PLAINTEXT://127.0.0.1:@port@", f"PLAINTEXT://{self.host}:{self.port}")
        return text.replace("@port@", str(self.port)).replace("@controller@", str(self.controller_port))

    @property
    def _settings(self) -> str:
        return f"{self._dir}/server.properties"

    def _command(self) -> list[str]:
        return ["java", "-cp", f"{JARS}/*"]

    def _java(self, *arguments: str) -> str:
        done = subprocess.run([*self._command(), *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{arguments} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                self._process = None
                break
            if speaks_kafka(self.port, self.host):
                return
            time.sleep(0.1)
        lines = self.log.read_text(errors="replace").splitlines()
        said = [line for line in lines if " ERROR " in line or "Exception" in line]
        last = "\n".join([*said[:20], *lines[-10:]])
        self.stop()
        raise RuntimeError(f"Apache Kafka did not come up:\n{last}")

    def end(self, sign: int = signal.SIGTERM) -> None:
        """End the process and keep its data, so that `start` goes on where it stopped."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(sign)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """kill -9."""
        self.end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start on the same port with the same data."""
        self.end()
        self.start()

    def stop(self) -> None:
        """End the process and remove its data."""
        self.end()
        if self._dir is not None:
            shutil.rmtree(self._dir, ignore_errors=True)
            self._dir = None

    def __enter__(self) -> ApacheKafka:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def wants_apache_kafka() -> bool:
    """Whether the tests are to run on Apache Kafka."""
    return os.environ.get("KITHWATCH_TEST_BROKER", "embedded") == "apache"


def broker_for_tests() -> Broker:
    """Return the broker the environment asks for, not yet started."""
    return ApacheKafka() if wants_apache_kafka() else EmbeddedBroker()
