"""From an event's being produced to its flag's being readable: `python -m benchmarks.latency [EVENTS/S] [SECONDS]`.

Ordinary messages come at the given rate; among them, twenty times a second, a new adult account that contacts
children, strangers all, one after the other, until it is flagged. The newest event in a flag's evidence is the one
that led to it: its latency is the time from handing it to the producer to reading the flag. Apache Kafka is used if
it has been fetched, else the embedded broker. Broker, worker, producer and consumer share the machine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import msgspec
from confluent_kafka import Producer
from kafka import KafkaConsumer

from streams.broker import free_port
from streams.settings import KafkaSettings
from streams.topics import ensure_topics
from tests.brokers import broker_for_tests

ROOT = Path(__file__).parent.parent
STRANGERS = 40


def main() -> None:
    """Run it and print the percentiles."""
    rate = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    if (ROOT / "var/kafka/libs").is_dir() and any((ROOT / "var/kafka/libs").iterdir()):
        os.environ["KITHWATCH_TEST_BROKER"] = "apache"
    with broker_for_tests() as broker:
        settings = KafkaSettings(bootstrap=broker.bootstrap, shards=2)
        ensure_topics(settings, input_partitions=2)
        port = free_port()
        program = Path(sys.executable).with_name("kithwatch")
        command = [
            program,
            "worker",
            "--bootstrap",
            broker.bootstrap,
            "--health-port",
            str(port),
            "--log-level",
            "error",
        ]
        worker = subprocess.Popen(command)
        try:
            wait_ready(port)
            print(f"broker: {type(broker).__name__}, {rate:,} events a second for {seconds:.0f} s")
            report(run(broker.bootstrap, settings, rate, seconds))
        finally:
            worker.terminate()
            worker.wait(timeout=30)


def wait_ready(port: int) -> None:
    """Wait for the worker's /readyz."""
    until = time.monotonic() + 180
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    raise SystemExit("the worker did not get ready")


def run(bootstrap: str, settings: KafkaSettings, rate: int, seconds: float) -> list[float]:
    """Produce the stream and return the latencies of its flags, in seconds."""
    sent: dict[str, float] = {}
    found: list[float] = []
    done = threading.Event()

    def consume() -> None:
        consumer = KafkaConsumer(settings.topics.flags, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        while not done.is_set():
            for records in consumer.poll(timeout_ms=50).values():
                now = time.perf_counter()
                for record in records:
                    flag = msgspec.json.decode(record.value)
                    if flag["type"] == "flag.raised" and flag["evidence"]["event_ids"]:
                        newest = flag["evidence"]["event_ids"][0]
                        if newest in sent:
                            found.append(now - sent[newest])
        consumer.close()

    reader = threading.Thread(target=consume)
    reader.start()
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 2, "acks": "all"})
    begun, number, attacker = time.perf_counter(), 0, 0

    def produce(topic: str, kind: str, actor: str, target: str, event_id: str, **ages: str) -> None:
        event = {"type": kind, "event_id": event_id, "occurred_at": int(time.time() * 1000)}
        producer.produce(topic, msgspec.json.encode(event | {"actor_id": actor, "target_id": target} | ages))

    while (elapsed := time.perf_counter() - begun) < seconds:
        while number < elapsed * rate:
            pair = number % 20_000
            produce(settings.topics.messages, "message.sent", f"u{pair}", f"u{pair ^ 1}", f"m{number}")
            number += 1
        if elapsed > 5 and attacker < (elapsed - 5) * 20:
            for i in range(STRANGERS):
                event_id = f"r{attacker}-{i}"
                sent[event_id] = time.perf_counter()
                produce(
                    settings.topics.friend_requests,
                    "friend_request.sent",
                    f"x{attacker}",
                    f"s{attacker}-{i}",
                    event_id,
                    actor_age_band="21_plus",
                    target_age_band="13_15",
                )
            attacker += 1
        producer.poll(0)
        time.sleep(0.002)
    producer.flush()
    time.sleep(3)
    done.set()
    reader.join()
    print(f"{number:,} messages, {attacker} accounts that contact children")
    return found


def report(latencies: list[float]) -> None:
    """Print the percentiles."""
    if len(latencies) < 2:
        raise SystemExit("too few flags to tell")
    cuts = statistics.quantiles(latencies, n=100)
    p50, p99, most = (1000 * value for value in (cuts[49], cuts[98], max(latencies)))
    print(f"{len(latencies)} flags: p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {most:.0f} ms")


if __name__ == "__main__":
    main()
