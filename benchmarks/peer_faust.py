"""The peer: a plain Faust agent, one event a record, that only decodes JSON. Nothing is detected and nothing kept.

Started as `python benchmarks/peer_faust.py BOOTSTRAP TOPIC EXPECTED`; prints one JSON line with the events, the seconds
from the first to the last of them, and the processor seconds of this process in between.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import faust

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from streams.broker import free_port  # noqa: E402  # the repository is not installed where this may be run


class Meter:
    """Counts events, and reports and ends the process at the last expected one."""

    def __init__(self, expected: int) -> None:
        self.expected, self.count = expected, 0
        self.started = self.cpu = 0.0

    def add(self, count: int) -> None:
        """Note `count` events that are done."""
        if not self.count:
            self.started, self.cpu = time.perf_counter(), time.process_time()
        self.count += count
        if self.count >= self.expected:
            seconds, cpu = time.perf_counter() - self.started, time.process_time() - self.cpu
            report = json.dumps({"events": self.count, "seconds": seconds, "cpu_seconds": cpu})
            os.write(1, f"\n{report}\n".encode())  # Faust takes over print
            os._exit(0)


def main() -> None:
    """Run the agent until the expected number of events went by."""
    bootstrap, topic, expected = sys.argv[1], sys.argv[2], int(sys.argv[3])
    app = faust.App(
        f"peer-{os.getpid()}",
        broker=f"kafka://{bootstrap}",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        topic_disable_leader=True,
        worker_redirect_stdouts=False,
        datadir=tempfile.mkdtemp(prefix="kithwatch-peer-"),
    )
    meter = Meter(expected)

    @app.agent(app.topic(topic, value_type=bytes))
    async def decode(stream: faust.StreamT[bytes]) -> None:
        async for value in stream:
            json.loads(value)
            meter.add(1)

    sys.argv[1:] = ["worker", "--without-web", "--web-port", str(free_port()), "-l", "error"]
    app.main()


if __name__ == "__main__":
    main()
