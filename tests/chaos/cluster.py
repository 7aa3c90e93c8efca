"""Two brokers of Apache Kafka and some workers, and what can be done to them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from streams.broker import free_port
from streams.settings import KafkaSettings, TopicNames
from tests.brokers import ApacheKafka

__all__ = ["Cluster", "Member", "privileged"]

PROGRAM = Path(sys.executable).with_name("kithwatch")
RUN = os.getpid()
"""Two runs on one machine keep out of each other's networks."""
NET = f"10.{64 + RUN % 128}"
HOST = f"{NET}.255.1"
SPACE = f"kithwatch-chaos-{RUN}"
LINK = f"kw{RUN % 1_000_000}-"


def privileged() -> bool:
    """Whether network namespaces and file systems of one's own can be had here."""
    if os.geteuid() or not shutil.which("ip"):
        return False
    made = subprocess.run(["ip", "netns", "add", f"{SPACE}-probe"], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "delete", f"{SPACE}-probe"], capture_output=True, check=False)
    return made.returncode == 0


def do(*command: str, must: bool = True) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if must and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")


class Member:
    """One worker, started anew by `Cluster.tend` whenever it is gone, as a supervisor would."""

    def __init__(self, number: int, settings: KafkaSettings, home: Path, apart: bool, extra: tuple[str, ...]) -> None:
        self.number, self.settings, self.apart, self.extra = number, settings, apart, extra
        self.log = home / f"worker{number}.log"
        self.snapshots = home / "snapshots"
        self.host = f"{NET}.{number}.2" if apart else "127.0.0.1"
        self.starts = 0
        self.down_until = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def space(self) -> str:
        return f"{SPACE}-{self.number}"

    def start(self) -> None:
        names = {f"KITHWATCH_TOPIC_{f.upper()}": getattr(self.settings.topics, f) for f in TopicNames.__struct_fields__}
        inside = ("ip", "netns", "exec", self.space) if self.apart else ()
        options = ("--health-host", self.host, "--health-port", str(self.port), "--snapshots", str(self.snapshots))
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [*inside, str(PROGRAM), "worker", "--bootstrap", self.settings.bootstrap, *options, *self.extra],
                stdout=out,
                stderr=out,
                env=os.environ | names | {"KITHWATCH_GROUP": self.settings.group},
            )
        self.starts += 1

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: int) -> None:
        if self.running():
            assert self.process is not None
            self.process.send_signal(number)

    def end(self, number: int, patience: float = 60.0) -> None:
        """Send a signal that ends it, and wait."""
        self.send(number)
        if self.process is not None:
            self.process.wait(patience)

    def metrics(self) -> dict[str, float]:
        """Return its metrics, each line's value by its text; empty when it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.port}/metrics", timeout=2) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return {}
        return {key: float(value) for key, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


class Cluster:
    """Brokers and workers.

    Parameters
    ----------
    home : Path
        For logs and snapshots.
    workers, shards : int
    apart : bool
        Whether each worker has a network of its own, and snapshots a file system of theirs (root only).
    """

    def __init__(self, home: Path, workers: int, shards: int, *, apart: bool) -> None:
        self.home, self.shards, self.apart = home, shards, apart
        self.snapshots = home / "snapshots"
        self.snapshots.mkdir(parents=True)
        if apart:
            self._make_networks(workers)
            do("mount", "-t", "tmpfs", "-o", "size=256m,mode=700", "tmpfs", str(self.snapshots))
        host = HOST if apart else "127.0.0.1"
        common = {"offsets.topic.replication.factor": "2", "default.replication.factor": "2"}
        self.one = ApacheKafka("700m", common, host=host).start()
        self.two = ApacheKafka("700m", common, host=host, beside=self.one).start()
        names = TopicNames(**{field: f"chaos.{field.replace('_', '-')}" for field in TopicNames.__struct_fields__})
        both = f"{self.one.bootstrap},{self.two.bootstrap}"
        self.settings = KafkaSettings(bootstrap=both, group="chaos", shards=shards, replication=2, topics=names)
        self.members = [
            Member(number, self.settings, home, apart, ("--snapshot-every", "5s")) for number in range(workers)
        ]

    def _make_networks(self, workers: int) -> None:
        do("ip", "link", "set", "lo", "up", must=False)
        do("ip", "address", "add", f"{HOST}/32", "dev", "lo", must=False)
        for n in range(workers):
            do("ip", "netns", "delete", f"{SPACE}-{n}", must=False)
            do("ip", "link", "delete", f"{LINK}{n}", must=False)
            do("ip", "netns", "add", f"{SPACE}-{n}")
            do("ip", "link", "add", f"{LINK}{n}", "type", "veth", "peer", "name", "eth0", "netns", f"{SPACE}-{n}")
            do("ip", "address", "add", f"{NET}.{n}.1/24", "dev", f"{LINK}{n}")
            do("ip", "link", "set", f"{LINK}{n}", "up")
            inside = ("ip", "-n", f"{SPACE}-{n}")
            do(*inside, "address", "add", f"{NET}.{n}.2/24", "dev", "eth0")
            do(*inside, "link", "set", "eth0", "up")
            do(*inside, "link", "set", "lo", "up")
            do(*inside, "route", "add", "default", "via", f"{NET}.{n}.1")

    def cut(self, member: Member) -> None:
        """Cut a worker off."""
        do("ip", "-n", member.space, "link", "set", "eth0", "down")

    def mend(self, member: Member) -> None:
        """Let it reach the brokers again."""
        do("ip", "-n", member.space, "link", "set", "eth0", "up")
        do("ip", "-n", member.space, "route", "add", "default", "via", f"{NET}.{member.number}.1", must=False)

    def tend(self) -> None:
        """Start whoever is gone and not to stay away."""
        for member in self.members:
            if not member.running() and time.monotonic() >= member.down_until:
                member.start()

    def wait(self, what: Callable[[], bool], patience: float, why: str) -> float:
        """Wait for something, tending the workers; return how long it took."""
        begun = time.monotonic()
        while not what():
            if time.monotonic() - begun > patience:
                raise AssertionError(f"{why} after {patience:.0f} s")
            self.tend()
            time.sleep(0.25)
        return time.monotonic() - begun

    def working(self) -> bool:
        """Whether every shard is held by one worker that is ready, and read within a few records of its end."""
        held: list[str] = []
        for member in self.members:
            if not member.running():
                return False
            found = member.metrics()
            if found.get("kithwatch_ready") != 1.0:
                return False
            held += [key for key in found if key.startswith("kithwatch_shard_bytes{")]
        return len(held) == self.shards == len(set(held))

    def idle(self) -> bool:
        """Whether nothing is left to read."""
        return self.working() and not any(
            value
            for member in self.members
            for key, value in member.metrics().items()
            if key.startswith("kithwatch_consumer_lag_records{")
        )

    def close(self) -> None:
        """End everything and leave nothing behind."""
        for member in self.members:
            member.send(signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                member.end(signal.SIGKILL)
        self.two.stop()
        self.one.stop()
        if self.apart:
            do("umount", "-l", str(self.snapshots), must=False)
            for n in range(len(self.members)):
                do("ip", "netns", "delete", f"{SPACE}-{n}", must=False)
                do("ip", "link", "delete", f"{LINK}{n}", must=False)
            do("ip", "address", "del", f"{HOST}/32", "dev", "lo", must=False)
