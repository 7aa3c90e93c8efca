"""The worker as an operator starts it, on a real broker: events in, flags and dead letters out."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaConsumer, KafkaProducer

from detectors.policy import default_policy
from simulation.scenarios import build
from streams.broker import free_port
from streams.demo import topic_of
from streams.outflow import flag_bytes
from streams.replay import Replay
from streams.reviews import read_dispositions
from streams.settings import KafkaSettings, TopicNames
from streams.topics import ensure_topics
from tests.brokers import Broker
from tests.detectors.test_reviews import disposition

PATIENCE = 150.0


@pytest.fixture
def settings(broker: Broker, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> KafkaSettings:
    """Topics of this test's own, and the environment a worker finds them by."""
    names = {field: unique(field.replace("_", "-")) for field in TopicNames.__struct_fields__}
    for field, name in names.items():
        monkeypatch.setenv(f"KITHWATCH_TOPIC_{field.upper()}", name)
    monkeypatch.setenv("KITHWATCH_GROUP", unique("group"))
    return KafkaSettings.from_env(bootstrap=broker.bootstrap, shards=1)


@contextmanager
def worker(settings: KafkaSettings, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run one worker until the block ends; it must stop by itself when asked."""
    port = free_port()
    program = Path(sys.executable).with_name("kithwatch")
    with log.open("ab") as out:
        process = subprocess.Popen(
            [program, "worker", "--bootstrap", settings.bootstrap, "--health-port", str(port)], stdout=out, stderr=out
        )
        try:
            yield process, port
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0, log.read_text()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def metric(port: int, name: str) -> float:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return -1.0
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)


def wait_for(what: Callable[[], bool], why: str) -> None:
    until = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < until, why
        time.sleep(0.3)


def send(settings: KafkaSettings, records: list[tuple[str, bytes | None]]) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.servers)
    for topic, value in records:
        producer.send(topic, key=b"key", value=value)
    producer.flush()
    producer.close()


def read(settings: KafkaSettings, topic: str, count: int) -> list:
    """Return the records of a topic, once there are `count` and no more come."""
    consumer = KafkaConsumer(topic, bootstrap_servers=settings.servers, auto_offset_reset="earliest", group_id=None)
    found: list = []
    until = time.monotonic() + 60
    while time.monotonic() < until:
        new = [record for records in consumer.poll(timeout_ms=1500).values() for record in records]
        found += new
        if not new and len(found) >= count:
            break
    consumer.close()
    return found


def test_flags_of_a_live_stream_are_replays_byte_for_byte(settings: KafkaSettings, tmp_path: Path) -> None:
    ensure_topics(settings, input_partitions=1)
    events = list(build("demo", 3, accounts=600, days=2).events())
    lines = [msgspec.json.encode(event) for event in events]
    run = Replay(default_policy())
    wanted = [flag_bytes(flag) for flag in run.feed(b"\n".join(lines))]
    assert wanted, "a test without flags shows nothing"
    log = tmp_path / "worker.log"
    with worker(settings, log) as (_, port):
        # one topic, so that the order is the stream's
        send(settings, [(settings.topics.messages, line) for line in lines])
        wait_for(lambda: metric(port, "kithwatch_events_total") == len(lines), "events were not taken")
        wait_for(lambda: metric(port, "kithwatch_flags_total") == len(wanted), "flags were not raised")
        got = read(settings, settings.topics.flags, len(wanted))
        assert metric(port, "kithwatch_shard_contacts") == run.shard.contacts
        assert metric(port, "kithwatch_shard_accounts") == run.shard.accounts
    assert [record.value for record in got] == wanted
    assert all(record.key.decode() == json.loads(record.value)["account_id"] for record in got)
    text = log.read_text()
    assert "Traceback" not in text
    ids = {json.loads(flag)["account_id"] for flag in wanted}
    assert not [account for account in ids if f" {account} " in text or f"'{account}'" in text]


def test_a_dismissal_is_obeyed_and_remembered_and_what_is_no_disposition_is_put_aside(
    settings: KafkaSettings, tmp_path: Path
) -> None:
    """After the stream, as replay would with `--dispositions`; and a worker that starts anew has nothing to add."""
    ensure_topics(settings, input_partitions=1)
    lines = [msgspec.json.encode(event) for event in build("demo", 3, accounts=600, days=2).events()]
    plain = Replay(default_policy())
    flags = list(plain.feed(b"\n".join(lines)))
    at = max(flag.updated_at for flag in flags) + 7 * 86_400_000
    decisions = [disposition(flag, at) for flag in flags if flag.type == "flag.raised"][:2]
    rows, _ = read_dispositions(decisions)
    run = Replay(default_policy(), reviews=rows)
    wanted = [flag_bytes(flag) for flag in (*run.feed(b"\n".join(lines)), *run.finish())]
    assert [json.loads(flag)["type"] for flag in wanted[len(flags) :]] == ["flag.retracted"] * 2
    names = settings.topics
    with worker(settings, tmp_path / "worker.log") as (_, port):
        send(settings, [(names.messages, line) for line in lines])
        wait_for(lambda: metric(port, "kithwatch_flags_total") == len(flags), "flags were not raised")
        send(settings, [(names.dispositions, value) for value in (decisions[0], b"{", decisions[1], decisions[0])])
        wait_for(lambda: metric(port, "kithwatch_flags_total") == len(wanted), "the flags were not retracted")
        (letter,) = read(settings, names.dead_letters, 1)
    assert letter.value == b"{"
    assert dict(letter.headers)["kithwatch.topic"].decode() == names.dispositions
    with worker(settings, tmp_path / "worker.log") as (_, port):
        wait_for(lambda: metric(port, "kithwatch_shard_contacts") == run.shard.contacts, "the state is not the same")
        got = read(settings, names.flags, len(wanted))
    assert [record.value for record in got] == wanted


def test_a_restart_rebuilds_and_sends_nothing_twice(settings: KafkaSettings, tmp_path: Path) -> None:
    ensure_topics(settings, input_partitions=1)
    lines = [msgspec.json.encode(event) for event in build("demo", 3, accounts=600, days=2).events()]
    run = Replay(default_policy())
    wanted = [flag_bytes(flag) for flag in run.feed(b"\n".join(lines))]
    half = len(lines) // 2
    log = tmp_path / "worker.log"
    with worker(settings, log) as (_, port):
        send(settings, [(settings.topics.messages, line) for line in lines[:half]])
        wait_for(lambda: metric(port, "kithwatch_events_total") == half, "the first half was not taken")
        wait_for(lambda: metric(port, "kithwatch_consumer_lag_records") == 0, "the first half was not worked off")
    send(settings, [(settings.topics.messages, line) for line in lines[half:]])
    with worker(settings, log) as (_, port):
        wait_for(lambda: metric(port, "kithwatch_shard_contacts") == run.shard.contacts, "the state is not the same")
        wait_for(lambda: metric(port, "kithwatch_consumer_lag_records") == 0, "the second half was not worked off")
        got = read(settings, settings.topics.flags, len(wanted))
    assert [record.value for record in got] == wanted


def test_bad_input_goes_to_dead_letters_and_the_stream_goes_on(settings: KafkaSettings, tmp_path: Path) -> None:
    ensure_topics(settings, input_partitions=2)

    def event(number: int, **more: object) -> bytes:
        head = {"type": "message.sent", "event_id": f"e{number}", "occurred_at": 1_790_000_000_000 + number}
        return msgspec.json.encode(head | {"actor_id": f"a{number}", "target_id": f"b{number}"} | more)

    bad: list[bytes | None] = [
        b"{",
        b"",
        None,
        b"[]",
        b"\xff\xfe",
        event(1, occurred_at="2100-01-01T00:00:00Z"),
        event(2, type="message.teleported"),
        event(3, actor_id=7),
        event(4, mutual_friends=-1),
        event(5, note="x" * 70_000),
        b"[" * 20_000,
        event(6, occurred_at=1_790_000_000),
        event(7, target_id="a7"),
    ]
    good = [event(1000 + number) for number in range(400)]
    mixed: list[bytes | None] = []
    for place, ok in enumerate(good):
        mixed.append(ok)
        if place % 10 == 0 and place // 10 < len(bad):
            mixed.append(bad[place // 10])
    names = settings.topics
    with worker(settings, tmp_path / "worker.log") as (_, port):
        send(settings, [(names.inputs[number % 3], value) for number, value in enumerate(mixed)])
        wait_for(lambda: metric(port, "kithwatch_events_total") == len(good), "good events were lost")
        wait_for(lambda: metric(port, "kithwatch_shard_contacts") == len(good), "contacts were lost")
        letters = read(settings, names.dead_letters, len(bad))
        clock = metric(port, "kithwatch_shard_clock_seconds")
    assert sorted(record.value or b"" for record in letters) == sorted(value or b"" for value in bad)
    assert clock == pytest.approx(1_790_000_001.4, abs=1)
    for record in letters:
        headers = dict(record.headers)
        assert headers["kithwatch.error"]
        assert headers["kithwatch.topic"].decode() in names.inputs
        assert headers["kithwatch.partition"].isdigit()
        assert headers["kithwatch.offset"].isdigit()


def test_topics_of_a_platform_are_where_it_would_send_them() -> None:
    names = TopicNames()
    assert topic_of("friend_request.sent", names) == names.friend_requests
    assert topic_of("message.sent", names) == names.messages
    assert topic_of("account.reported", names) == names.accounts
