"""`kithwatch demo`: broker, worker, console, a simulated platform and a live display, all on this machine."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click
import msgspec
from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from simulation.live import live as live_events
from streams.broker import BrokerError, EmbeddedBroker, free_port
from streams.demo_console import ConsoleProcess
from streams.flags import Flag
from streams.settings import KafkaSettings, TopicNames
from streams.timestamps import rfc3339
from streams.topics import ensure_topics

__all__ = ["demo"]

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
SHARDS: Final = 2
INPUT_PARTITIONS: Final = 3
WORKER_PATIENCE: Final = 180.0
"""Seconds; the first start on a machine may have to compile the kernels."""
COLOURS: Final = {"low": "cyan", "medium": "yellow", "high": "bright_red", "critical": "bold white on red"}
_FLAG: Final = msgspec.json.Decoder(Flag)


def topic_of(kind: str, names: TopicNames) -> str:
    """Return the input topic that a platform would send an event type to."""
    if kind.startswith("friend"):
        return names.friend_requests
    return names.messages if kind.startswith("message") else names.accounts


class Feeder(threading.Thread):
    """The simulated platform: sends its history at once, then events as their time comes."""

    def __init__(self, bootstrap: str, *, seed: int, accounts: int, start: int, speed: float) -> None:
        super().__init__(name="platform", daemon=True)
        self.names = TopicNames()
        self.start_ms = start
        self.speed = speed
        self.clock = start
        self.sent = 0
        self.live_since: float | None = None
        self.problem: str | None = None
        self.stopping = threading.Event()
        self._events = live_events(start=start, seed=seed, accounts=accounts)
        self._servers = bootstrap

    def run(self) -> None:
        """Send until told to stop."""
        try:
            producer = KafkaProducer(bootstrap_servers=self._servers, linger_ms=20, batch_size=1 << 16)
            with suppress(StopIteration):
                self._send_all(producer)
            producer.flush(timeout=5)
            producer.close(timeout=5)
        except KafkaError as problem:
            self.problem = f"the platform lost the broker ({type(problem).__name__})"

    def _send_all(self, producer: KafkaProducer) -> None:
        for when, event in self._events:
            if self.stopping.is_set():
                return
            if when >= self.start_ms:
                if self.live_since is None:
                    producer.flush()
                    self.live_since = time.monotonic()
                due = self.live_since + (when - self.start_ms) / 1000 / self.speed
                while (wait := due - time.monotonic()) > 0:
                    if self.stopping.wait(min(wait, 0.5)):
                        return
            self.clock = when
            key = str(event["actor_id"]).encode()
            producer.send(topic_of(str(event["type"]), self.names), key=key, value=msgspec.json.encode(event))
            self.sent += 1


class Inbox(threading.Thread):
    """A consumer of the flag topic, as a platform would write one: the last record of each flag counts."""

    def __init__(self, bootstrap: str, on_flag: Callable[[Flag], None]) -> None:
        super().__init__(name="flags", daemon=True)
        self.stopping = threading.Event()
        self.flags: dict[str, Flag] = {}
        """The newest record of each flag, the one that came last at the end."""
        self.rose: dict[str, str] = {}
        """The severity a flag began with, if it has risen since."""
        self._servers = bootstrap
        self._on_flag = on_flag

    def run(self) -> None:
        """Read until told to stop."""
        consumer = KafkaConsumer(
            TopicNames().flags, bootstrap_servers=self._servers, group_id=None, auto_offset_reset="earliest"
        )
        while not self.stopping.is_set():
            try:
                polled = consumer.poll(timeout_ms=300)
            except KafkaError:
                continue
            for records in polled.values():
                for record in records:
                    flag = _FLAG.decode(record.value)
                    self._take(flag)
        consumer.close()

    def _take(self, flag: Flag) -> None:
        before = self.flags.pop(flag.flag_id, None)
        self.flags[flag.flag_id] = flag
        if before is not None and before.severity != flag.severity:
            self.rose.setdefault(flag.flag_id, before.severity)
        self._on_flag(flag)

    def newest(self) -> list[tuple[Flag, str | None]]:
        """Return the flags, the one with the latest news first, and the severity each has risen from."""
        flags = list(self.flags.values())
        return [(flag, self.rose.get(flag.flag_id)) for flag in reversed(flags)]


class WorkerProcess:
    """The worker, as an operator would start it."""

    def __init__(self, bootstrap: str, raise_after: int, log: Path) -> None:
        self.log = log
        self.port = free_port()
        self._file = log.open("wb")
        program = Path(sys.executable).with_name("kithwatch")
        command = [str(program), "worker", "--bootstrap", bootstrap, "--health-port", str(self.port)]
        self.process = subprocess.Popen(  # noqa: S603  # our own program, arguments of our own making
            [*command, "--raise-after", str(raise_after), "--log-level", "warning"],
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us: the worker is stopped in its turn
        )
        self._before: tuple[float, float] | None = None

    def ready(self) -> bool:
        """Tell whether the worker says so."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def failed(self) -> str | None:
        """Return why the worker is gone, or None."""
        if self.process.poll() is None:
            return None
        tail = self.log.read_text(errors="replace").strip().splitlines()[-5:]
        return f"the worker stopped with status {self.process.returncode}: " + " / ".join(tail)

    def measures(self) -> dict[str, float]:
        """Return rates and gauges from its /metrics."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=2) as answer:
                text = answer.read().decode()
        except (urllib.error.URLError, OSError):
            return {}
        totals: defaultdict[str, float] = defaultdict(float)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                totals[sample.name] += sample.value
        now, events = time.monotonic(), totals["kithwatch_events_total"]
        if self._before is not None and now > self._before[0]:
            totals["rate"] = (events - self._before[1]) / (now - self._before[0])
        self._before = (now, events)
        return dict(totals)

    def stop(self) -> None:
        """Ask it to stop, and wait."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._file.close()


def line_of(flag: Flag, rose_from: str | None = None, *, short: bool = False) -> Text:
    """Return a flag as one entry of the display."""
    colour = COLOURS[flag.severity]
    head = f"{flag.updated_at[5:16].replace('T', ' ')}  {flag.severity:8}"
    text = Text.assemble((head, colour), f" {flag.detector:16} {flag.score:.2f}  {flag.account_id}")
    if rose_from is not None:
        text.append(f"  risen from {rose_from}", "bold")
    elif flag.type != "flag.raised":
        text.append(f"  {flag.type.removeprefix('flag.')}", "dim")
    text.append(f"\n  {flag.explanation}", "default")
    if not short:
        text.append(f"\n  {flag.counterfactual}", "dim")
    return text


def fitting(flags: list[tuple[Flag, str | None]], console: Console, lines: int, *, short: bool) -> list[Text]:
    """Return as many of the first flags as fit into so many lines of a panel as wide as the console."""
    shown: list[Text] = []
    for flag, rose_from in flags:
        text = line_of(flag, rose_from, short=short)
        lines -= len(text.wrap(console, console.width - 4))
        if lines < 0:
            break
        shown.append(text)
    return shown


def display(feeder: Feeder, inbox: Inbox, measured: dict[str, float], console: Console, review: str) -> Group:
    """Return the whole screen; `review` says where the review console is."""
    grid = Table.grid(padding=(0, 2))
    grid.add_row("review", Text(review, "bold"))
    lag = measured.get("kithwatch_consumer_lag_records", 0)
    phase = "live" if feeder.live_since is not None else "loading the platform's history"
    grid.add_row("platform", f"{phase}, {rfc3339(feeder.clock)[:16].replace('T', ' ')}, {feeder.speed:g} × real time")
    grid.add_row(
        "events",
        f"{feeder.sent:,} sent, {measured.get('kithwatch_events_total', 0):,.0f} taken, "
        f"{measured.get('rate', 0):,.0f} a second, {lag:,.0f} behind, "
        f"{measured.get('kithwatch_dead_letters_total', 0):,.0f} refused",
    )
    grid.add_row(
        "graph",
        f"{measured.get('kithwatch_shard_contacts', 0):,.0f} contacts, "
        f"{measured.get('kithwatch_shard_friendships', 0):,.0f} friendships, "
        f"{measured.get('kithwatch_shard_bytes', 0) / 1e6:,.0f} MB in {SHARDS} shards",
    )
    flags = inbox.newest()
    counts: Counter[str] = Counter(flag.severity for flag, _ in flags)
    grid.add_row("flags", ", ".join(f"{counts[name]} {name}" for name in reversed(COLOURS)) if flags else "none yet")
    short = console.height < 34 or console.width < 100
    shown = fitting(flags, console, max(console.height - (12 if console.width < 112 else 11), 3), short=short)
    body = Group(*shown) if shown else Text("waiting for the first flag", "dim")
    return Group(
        Panel(grid, title="kithwatch demo: a simulated platform, watched live", border_style="blue"),
        Panel(body, title="flags, latest news first: leads, never verdicts", border_style="blue"),
        Text("Ctrl-C stops everything.", "dim"),
    )


class Demo:
    """All parts, and their order of starting and stopping."""

    def __init__(self, console: Console, *, seed: int, accounts: int, speed: float, seconds: float | None) -> None:
        self.console = console
        self.seed, self.accounts, self.speed, self.seconds = seed, accounts, speed, seconds
        self.stopping = threading.Event()

    def run(self) -> int:
        """Run until Ctrl-C or the time is over; return the number of flags seen."""
        # the past, so that a fast clock does not run into the future
        start = int(time.time() * 1000) // HOUR_MS * HOUR_MS - 30 * DAY_MS
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kithwatch-demo-")))
            self.console.print("starting the embedded broker …")
            broker = EmbeddedBroker()
            stack.callback(broker.stop)
            broker.start()
            settings = KafkaSettings(bootstrap=broker.bootstrap, shards=SHARDS)
            ensure_topics(settings, input_partitions=INPUT_PARTITIONS)
            self.console.print("starting a worker … (the very first start compiles for about a minute)")
            worker = WorkerProcess(broker.bootstrap, start, folder / "worker.log")
            stack.callback(worker.stop)
            review = ConsoleProcess(broker.bootstrap, folder, f"http://127.0.0.1:{worker.port}")
            stack.callback(review.stop)
            self._wait_for(worker)
            self._wait_for(review)
            self.console.print(f"review console: {review.sign_in}", soft_wrap=True, highlight=False)
            inbox = Inbox(broker.bootstrap, self._print_flag)
            feeder = Feeder(broker.bootstrap, seed=self.seed, accounts=self.accounts, start=start, speed=self.speed)
            for part in (inbox, feeder):
                part.start()
                stack.callback(part.join, 15.0)
                stack.callback(part.stopping.set)
            self._show(feeder, inbox, worker, review)
            self.console.print("stopping …")
        self.console.print(f"Stopped. {feeder.sent:,} events sent, {len(inbox.flags)} flags raised.")
        return len(inbox.flags)

    def _print_flag(self, flag: Flag) -> None:
        if not self.console.is_terminal:
            self.console.print(line_of(flag), soft_wrap=True)

    def _wait_for(self, part: WorkerProcess | ConsoleProcess) -> None:
        until = time.monotonic() + WORKER_PATIENCE
        while not part.ready():
            if reason := part.failed():
                raise click.ClickException(reason)
            if time.monotonic() > until:
                raise click.ClickException(f"not ready in time: {part.log.stem}")
            if self.stopping.wait(0.2):
                return

    def _show(self, feeder: Feeder, inbox: Inbox, worker: WorkerProcess, review: ConsoleProcess) -> None:
        until = None if self.seconds is None else time.monotonic() + self.seconds
        terminal = self.console.is_terminal
        with self._live() as update:
            while not self.stopping.wait(1.0 if terminal else 5.0) and (until is None or time.monotonic() < until):
                if reason := worker.failed() or review.failed() or feeder.problem:
                    raise click.ClickException(reason)
                update(display(feeder, inbox, worker.measures(), self.console, review.sign_in))

    @contextmanager
    def _live(self) -> Iterator[Callable[[Any], None]]:
        if not self.console.is_terminal:
            yield lambda screen: self.console.print(screen.renderables[0])
            return
        with Live(console=self.console, screen=True, auto_refresh=False) as live:
            yield lambda screen: live.update(screen, refresh=True)


@click.command()
@click.option("--seed", default=1, show_default=True, help="Another seed, another platform.")
@click.option("--accounts", default=3000, type=click.IntRange(200, 100_000), show_default=True, help="Its size.")
@click.option("--speed", default=300.0, type=click.FloatRange(1, 3600), show_default=True, help="Event time a second.")
@click.option("--seconds", type=click.FloatRange(1), help="Stop by itself after this long.")
def demo(seed: int, accounts: int, speed: float, seconds: float | None) -> None:
    """Watch everything work on this machine: no Docker, no Kafka to install."""
    shown = Demo(Console(), seed=seed, accounts=accounts, speed=speed, seconds=seconds)

    def stop(_number: int, _frame: FrameType | None) -> None:
        shown.stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the last: its terminal was closed
        signal.signal(number, stop)
    try:
        shown.run()
    except BrokerError as problem:
        raise click.ClickException(str(problem)) from None
