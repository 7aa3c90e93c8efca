"""The demo as a newcomer sees it: a flag within a minute, a readable screen, and nothing left behind."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from streams.demo import Inbox, display, fitting
from streams.flags import Evidence, Flag, Window

PROGRAM = Path(sys.executable).with_name("kithwatch")
FLAG = re.compile(rb"(low|medium|high|critical)[ \x1b\[0-9;m]+(mass_add|minor_targeting) ")


class Shown:
    """A running demo, and what it has written."""

    def __init__(self, process: subprocess.Popen[bytes], source: int) -> None:
        self.process, self.source, self.text = process, source, b""

    def until(self, pattern: re.Pattern[bytes], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not pattern.search(self.text) and time.monotonic() < deadline:
            if select.select([self.source], [], [], 0.5)[0] and not self._read():
                break
        return bool(pattern.search(self.text))

    def _read(self) -> bool:
        try:
            new = os.read(self.source, 65536)
        except OSError:  # the other end of a terminal is gone
            return False
        self.text += new
        return bool(new)

    def stop(self, sign: int) -> None:
        """End it, and see that all it started is gone."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        assert len(children) >= 3, "broker, worker and console"
        self.process.send_signal(sign)
        while select.select([self.source], [], [], 30)[0] and self._read():
            pass
        assert self.process.wait(20) == 0, self.text.decode()[-2000:]
        assert not [child for child in children if child.is_running()]


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """The processes to be ended, come what may."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()


def test_a_flag_within_a_minute_and_nothing_left_behind(started: list[subprocess.Popen[bytes]]) -> None:
    process = subprocess.Popen([PROGRAM, "demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    started.append(process)
    assert process.stdout is not None
    shown = Shown(process, process.stdout.fileno())
    assert shown.until(FLAG, 60), shown.text.decode()
    shown.stop(signal.SIGINT)
    process.stdout.close()
    assert b"flags raised" in shown.text
    assert b"Traceback" not in shown.text


def test_the_screen_of_a_small_terminal(started: list[subprocess.Popen[bytes]]) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen(
        [PROGRAM, "demo", "--seed", "2"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    started.append(process)
    shown = Shown(process, ours)
    assert shown.until(re.compile(rb"never verdicts"), 60)
    assert shown.until(FLAG, 60), shown.text.decode()[-3000:]
    shown.stop(signal.SIGTERM)
    os.close(ours)
    assert b"\x1b[?1049l" in shown.text, "the terminal is as it was"
    assert b"Stopped." in shown.text.split(b"\x1b[?1049l")[-1]


def flag(number: int, severity: str = "low", kind: str = "flag.raised") -> Flag:
    return Flag(
        type=kind,
        flag_id=f"f{number}",
        account_id=f"u{number}",
        role="actor",
        detector="minor_targeting",
        severity=severity,
        score=0.5,
        raised_at="2026-11-22T04:21:42.123Z",
        updated_at=f"2026-11-22T04:{number:02}:42.123Z",
        window=Window(start="2026-11-22T03:21:42.123Z", end="2026-11-22T04:21:42.123Z"),
        evidence=Evidence(features={}, thresholds={}, baseline={}, targets=[], event_ids=[]),
        explanation="Adult account contacted 5 minors with no mutual friend in 1 hour; 0.4 were expected of 6.",
        counterfactual="Would not have been raised below 3 minors in 1 hour.",
        policy_version="p",
        shadow=False,
    )


def test_each_flag_is_listed_once_with_its_latest_news_first() -> None:
    inbox = Inbox("127.0.0.1:1", lambda _flag: None)
    for record in (flag(1), flag(2), flag(1, "high", "flag.updated"), flag(3), flag(2, "low", "flag.updated")):
        inbox._take(record)
    assert [(flag.flag_id, flag.severity, was) for flag, was in inbox.newest()] == [
        ("f2", "low", None),
        ("f3", "low", None),
        ("f1", "high", "low"),
    ]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (120, 40), (60, 16)])
def test_the_screen_fits_the_terminal(width: int, height: int) -> None:
    class Feeder:
        live_since, clock, speed, sent = 1.0, 1_790_000_000_000, 300.0, 1_234_567

    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True)
    inbox = Inbox("127.0.0.1:1", lambda _flag: None)
    for number in range(30):
        inbox._take(flag(number))
    measured = {"kithwatch_events_total": 1_234_567.0, "rate": 99_999.0, "kithwatch_consumer_lag_records": 12_345.0}
    review = "http://127.0.0.1:54321  sign in as reviewer, lead, admin or viewer, password abcd-efgh-jkmn"
    console.print(display(Feeder(), inbox, measured, console, review))  # type: ignore[arg-type]
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) <= height
    assert "never verdicts" in "".join(lines)
    assert fitting(inbox.newest(), console, 9, short=True)
