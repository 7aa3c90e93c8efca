"""What sharing the work costs: CPU seconds an event of two workers beside one, in one run.

`python benchmarks/workers.py`. Everything is on the same machine and the broker has its share of it, so that rates
would say little. What is compared is the processor time of all worker processes over the same events, shards and input
partitions. Each run has topics of its own. The workers stand still (SIGSTOP, once each has its shards) while these are
filled, so that all begin at once, with as much before them as they can take. The order is one, two, two, one, and the
figure is the quotient of the sums.

With `--live` they are not stood still: events are sent as fast as one process sends, which is less than two workers can
take. They then wait, take what is there in small batches, and spend more time an event: what is told is the price of
more workers than the rate needs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import confluent_kafka
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.worker import make_topics, running_worker, scrape, send
from simulation.scenarios import build
from streams.broker import EmbeddedBroker
from streams.demo import topic_of
from tests.brokers import ApacheKafka, have_apache_kafka

PATIENCE: Final = 300.0
BAR: Final = 1.15
STAYS: Final = ("--session-timeout", "280")
"""A worker that stands still keeps its shards."""
SETTLED: Final = 8.0
"""Seconds without a rebalance, after which the group is complete."""


def spent_by(processes: Iterable[psutil.Process]) -> float:
    """Return the CPU seconds that processes have used."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def run(
    bootstrap: str, events: list[tuple[str, bytes, bytes]], workers: int, shards: int, folder: Path, *, live: bool
) -> tuple[float, float]:
    """Return the CPU seconds that so many workers take for the events, and how long that lasted."""
    names = make_topics(bootstrap)
    with ExitStack() as stack:
        started = []
        for number in range(workers):
            log = folder / f"worker-{names.exchange}-{number}.log"
            started.append(
                stack.enter_context(running_worker(bootstrap, names, shards, log, folder / "snapshots", *STAYS))
            )

        def found() -> list[dict[str, float]]:
            return [scrape(address) for _, address in started]

        def wait(done: Callable[[list[dict[str, float]]], bool], why: str, lasting: float = 0.0) -> None:
            begun = since = time.monotonic()
            while not (good := done(found())) or time.monotonic() < since + lasting:
                if not good:
                    since = time.monotonic()
                if time.monotonic() > begun + PATIENCE:
                    raise SystemExit(f"{why}: {found()}")
                time.sleep(0.5)

        def shared(each: list[dict[str, float]]) -> bool:
            """Every worker is ready and holds its share."""
            return all(one.get("kithwatch_ready") == 1 and one.get("kithwatch_shard_bytes", 0) > 0 for one in each)

        def worked_off(each: list[dict[str, float]]) -> bool:
            total = {
                name: sum(one.get(name, 0.0) for one in each)
                for name in ("probe.received", "resolve.received", "resolve.sent", "assess.received", "assess.sent")
            }
            return (
                total["probe.received"] >= len(events)
                and total["resolve.received"] == total["resolve.sent"]
                and total["assess.received"] == total["assess.sent"]
            )

        wait(shared, "not every worker got shards", lasting=SETTLED)
        processes = [process for process, _ in started]
        before, at = spent_by(processes), time.monotonic()
        if not live:
            for process in processes:
                process.suspend()
        producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "batch.size": 500_000})
        for kind, key, value in events:
            send(producer, topic_of(kind, names), value, key=key)
        assert producer.flush(120) == 0, "the broker did not take all events"
        if not live:
            before, at = spent_by(processes), time.monotonic()
            for process in processes:
                process.resume()
        wait(worked_off, "not worked off")
        spent, lasted = spent_by(processes) - before, time.monotonic() - at
        taken = [one["probe.received"] for one in found()]
        assert all(share > 0.1 * len(events) for share in taken), f"one worker had nearly all: {taken}"
        return spent, lasted


def main() -> None:
    """Run, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=1_500_000)
    parser.add_argument("--accounts", type=int, default=50_000)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--live", action="store_true", help="while events are sent; the bar is for a backlog")
    chosen = parser.parse_args()
    encode = json.JSONEncoder(separators=(",", ":")).encode
    events = [
        (event["type"], event["actor_id"].encode(), encode(event).encode())
        for event in itertools.islice(build("social", seed=1, accounts=chosen.accounts).events(), chosen.events)
    ]
    spent: dict[int, float] = {1: 0.0, 2: 0.0}
    with (
        ApacheKafka() if have_apache_kafka() else EmbeddedBroker() as broker,
        tempfile.TemporaryDirectory(prefix="kithwatch-bench-") as folder,
    ):
        print(f"broker: {type(broker).__name__}, {len(events):,} events", flush=True)
        for workers in (1, 2, 2, 1):
            seconds, lasted = run(broker.bootstrap, events, workers, chosen.shards, Path(folder), live=chosen.live)
            spent[workers] += seconds
            each = seconds / len(events) * 1e6
            print(f"{workers} of them: {each:.2f} µs of processor an event, {lasted:.0f} s", flush=True)
    print(f"two workers take {spent[2] / spent[1]:.2f} times the processor time of one (bar {BAR})")
    sys.exit(not chosen.live and spent[2] > BAR * spent[1])


if __name__ == "__main__":
    main()
