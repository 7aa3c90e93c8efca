"""How much the batched transport brings: the same topic through a plain Faust agent and through batches, in one run.

`python benchmarks/transport.py [--events N]` fills a topic of four partitions (confluent-kafka), then runs one worker
after the other and prints a table. Apache Kafka is used if deploy/kafka/fetch.sh has fetched it, else the embedded
broker. The absolute rates belong to the machine and the hour; the ratio is what to quote.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import confluent_kafka
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.peer_faust import Meter  # noqa: E402
from streams.broker import EmbeddedBroker, free_port  # noqa: E402
from tests.brokers import ApacheKafka, have_apache_kafka  # noqa: E402

PARTITIONS = 4
EVENT = (
    '{"type":"friend_request.sent","event_id":"%012d","occurred_at":1700000000000,'
    '"actor_id":"u%d","target_id":"u%d","mutual_friends":0}'
)


def fill(bootstrap: str, events: int) -> str:
    """Write that many events to a new topic and return its name."""
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    admin.close()
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "batch.size": 500_000})
    for number in range(events):
        value = EVENT % (number, number % 9973, number % 7919)
        while True:
            try:
                producer.produce(topic, value, partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(120) == 0, "the broker did not take all events"
    return topic


def batched(bootstrap: str, topic: str, expected: int) -> None:
    """Count records on the batched transport (runs in a process of its own)."""
    import faust

    from streams.transport import APP_SETTINGS, Batch, batched_topic

    datadir = tempfile.mkdtemp(prefix="kithwatch-bench-")
    app = faust.App(f"batched-{os.getpid()}", **APP_SETTINGS, broker=f"kithwatch://{bootstrap}", datadir=datadir)
    meter = Meter(expected)

    @app.agent(batched_topic(app, topic))
    async def count(stream: faust.StreamT[Batch]) -> None:
        async for event in stream.noack().events():
            meter.add(len(event.value.values()))
            event.ack()

    sys.argv[1:] = ["worker", "--without-web", "--web-port", str(free_port()), "-l", "error"]
    app.main()


def measure(*arguments: str) -> dict[str, Any]:
    """Run one worker to its end and return what it reports."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=600, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"events"')]
    if not lines:
        raise SystemExit(f"{arguments[0]} did not finish:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(lines[-1])
    result["rate"] = result["events"] / result["seconds"]
    return result


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--peer-events", type=int, default=60_000, help="the peer is slow: it stops after this many")
    parser.add_argument("--worker", nargs=3, metavar=("BOOTSTRAP", "TOPIC", "EVENTS"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        batched(chosen.worker[0], chosen.worker[1], int(chosen.worker[2]))
        return
    with ApacheKafka() if have_apache_kafka() else EmbeddedBroker() as broker:
        topic = fill(broker.bootstrap, chosen.events)
        peer = measure(str(ROOT / "benchmarks" / "peer_faust.py"), broker.bootstrap, topic, str(chosen.peer_events))
        ours = measure(__file__, "--worker", broker.bootstrap, topic, str(chosen.events))
    print(f"broker: {type(broker).__name__}, {chosen.events} events of {len(EVENT % (0, 0, 0))} bytes or a little more")
    for name, result in (("plain Faust agent, json.loads", peer), ("batched transport, counting", ours)):
        per_event = result["cpu_seconds"] / result["events"] * 1e6
        print(f"{name:32} {result['rate']:>10,.0f} events/s {per_event:>8.2f} µs of processor an event")
    print(f"ratio {ours['rate'] / peer['rate']:.0f}")


if __name__ == "__main__":
    main()
