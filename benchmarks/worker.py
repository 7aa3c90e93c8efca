"""How fast one worker is, from topic to flags, beside a plain Faust agent that only decodes JSON, in one run.

`python benchmarks/worker.py [--events N] [--shards N]` fills the platform's three topics with a simulated platform's
events (confluent-kafka), runs the peer (`benchmarks/peer_faust.py`) over the same bytes, then one `kithwatch worker`,
and prints a table. The worker's time runs from its first event to when all it sent itself over the exchange topic is
done with too. Apache Kafka is used if deploy/kafka/fetch.sh has fetched it, else the embedded broker. Absolute rates
belong to the machine and the hour; the ratio is what to quote.

What made the worker fast, in one run after another on two cores that the broker shares (1 M events, 4 shards):
a fetch that the broker may hold 20 ms and not 1.5 s (aiokafka has one under way, and all partitions wait with it: the
worker was idle for more than half of the time); larger messages between shards (20,000 records a batch, 800 kB a
message: every message costs about 0.3 ms, whatever it holds); cutting them by a radix sort instead of one pass a shard;
kernels loaded before the first event; and leaving long-lived objects out of the garbage collector's rounds.
From 4.2 to 14 times the peer.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import confluent_kafka
import psutil
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.transport import measure  # noqa: E402
from simulation.scenarios import build  # noqa: E402
from streams.broker import EmbeddedBroker, free_port  # noqa: E402
from streams.demo import topic_of  # noqa: E402
from streams.settings import TopicNames  # noqa: E402
from tests.brokers import ApacheKafka, have_apache_kafka  # noqa: E402

PARTITIONS = 2
PATIENCE = 600.0


def make_topics(bootstrap: str, **partitions: int) -> TopicNames:
    """Make topics of new names, and return all names."""
    mark = uuid.uuid4().hex[:6]
    names = TopicNames(**{field: f"bench-{mark}-{field}" for field in TopicNames.__struct_fields__})
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names.inputs])
    admin.close()
    return names


def send(producer: confluent_kafka.Producer, topic: str, value: bytes, **more: Any) -> None:
    """Send a record, waiting where there is no room."""
    while True:
        try:
            producer.produce(topic, value, **more)
            return
        except BufferError:
            producer.poll(0.05)


def fill(bootstrap: str, names: TopicNames, peer_topic: str, events: int, accounts: int) -> int:
    """Send a simulated platform's events to its topics and to the peer's; return the bytes."""
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "batch.size": 500_000})
    encode = json.JSONEncoder(separators=(",", ":")).encode
    size = 0
    for event in itertools.islice(build("social", seed=1, accounts=accounts).events(), events):
        value = encode(event).encode()
        size += len(value)
        send(producer, topic_of(event["type"], names), value, key=event["actor_id"].encode())
        send(producer, peer_topic, value)
    assert producer.flush(120) == 0, "the broker did not take all events"
    return size


@contextmanager
def running_worker(
    bootstrap: str, names: TopicNames, shards: int, log: Path, snapshots: Path, *options: str
) -> Iterator[tuple[psutil.Process, str]]:
    """Run `kithwatch worker`; gives its process and the address of its metrics."""
    port = free_port()
    program = Path(sys.executable).with_name("kithwatch")
    settings = {f"KITHWATCH_TOPIC_{field.upper()}": getattr(names, field) for field in TopicNames.__struct_fields__}
    arguments = ["--bootstrap", bootstrap, "--shards", str(shards), "--health-port", str(port)]
    arguments += ["--snapshots", str(snapshots), *options]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(program), "worker", *arguments],
            stdout=out,
            stderr=out,
            env=os.environ | settings | {"KITHWATCH_GROUP": names.exchange},
        )
    try:
        yield psutil.Process(process.pid), f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def scrape(address: str) -> dict[str, float]:
    """Return the sums of a worker's metrics by name, and the rows received by stage."""
    try:
        with urllib.request.urlopen(f"{address}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, OSError):
        return {}
    totals: defaultdict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            totals[sample.name] += sample.value
            if sample.name == "kithwatch_exchange_rows_total":
                totals[f"{sample.labels['stage']}.{sample.labels['outcome']}"] += sample.value
            if sample.name in ("kithwatch_stage_seconds_sum", "kithwatch_batch_records_sum"):
                totals[f"{sample.labels['stage']}.{sample.name[10:-4]}"] += sample.value
    return dict(totals)


def take(process: psutil.Process, address: str, events: int) -> dict[str, float]:
    """Wait until a worker has done with that many events; return its rate and measures."""
    begun: tuple[float, float] | None = None
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            raise SystemExit("the worker is gone")
        found = scrape(address)
        now, cpu = time.perf_counter(), sum(process.cpu_times()[:2])
        if found.get("kithwatch_events_total", 0) == 0:
            begun = (now, cpu)  # the last look before the first event
        done = (
            found.get("probe.received", 0) >= events
            and found["resolve.received"] == found["resolve.sent"]
            and found["assess.received"] == found["assess.sent"]
        )
        if begun and done:
            seconds = now - begun[0]
            return found | {"seconds": seconds, "rate": events / seconds, "cpu": cpu - begun[1]}
        time.sleep(0.25)
    raise SystemExit(f"the worker did not finish: {scrape(address)}")


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=50_000)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--peer-events", type=int, default=60_000, help="the peer is slow: it stops after this many")
    parser.add_argument("--log", type=Path, help="keep the worker's log here")
    chosen = parser.parse_args()
    with (
        ApacheKafka() if have_apache_kafka() else EmbeddedBroker() as broker,
        tempfile.TemporaryDirectory(prefix="kithwatch-bench-") as folder,
    ):
        names = make_topics(broker.bootstrap)
        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
        admin.create_topics([NewTopic(f"{names.exchange}-peer", PARTITIONS, 1)])
        admin.close()
        size = fill(broker.bootstrap, names, f"{names.exchange}-peer", chosen.events, chosen.accounts)
        peer = measure(
            str(ROOT / "benchmarks" / "peer_faust.py"),
            broker.bootstrap,
            f"{names.exchange}-peer",
            str(chosen.peer_events),
        )
        log = chosen.log or Path(folder) / "worker.log"
        with running_worker(broker.bootstrap, names, chosen.shards, log, Path(folder) / "snapshots") as (
            process,
            address,
        ):
            ours = take(process, address, chosen.events)
            memory = process.memory_info().rss / 1e6
    print(f"broker: {type(broker).__name__}, {chosen.events} events of {size / chosen.events:.0f} bytes on average")
    print(f"plain Faust agent, json.loads    {peer['rate']:>10,.0f} events/s")
    print(
        f"kithwatch worker, {chosen.shards} shards, flags {ours['rate']:>10,.0f} events/s "
        f"({ours['cpu'] / chosen.events * 1e6:.2f} µs of processor an event, {memory:.0f} MB, "
        f"{ours['resolve.sent'] / chosen.events:.0%} of events asked about, {ours['kithwatch_flags_total']:.0f} flags)"
    )
    for stage in ("decode", "probe", "resolve", "assess"):
        rows, seconds = ours[f"{stage}.batch_records"], ours[f"{stage}.stage_seconds"]
        print(f"  {stage:8} {rows:>12,.0f} rows {seconds:>7.2f} s")
    print(f"ratio {ours['rate'] / peer['rate']:.1f} (at least 10 is wanted)")


if __name__ == "__main__":
    main()
