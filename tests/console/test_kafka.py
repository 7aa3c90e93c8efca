"""Between Kafka and the database: nothing lost, nothing twice, and decisions arrive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from sqlalchemy import func, select

from console.decisions import Choice, decide
from console.outbox import Publisher
from console.reader import Reader
from console.server import take_flags
from console.service import Service
from console.tables import cases, flags, offsets, outbox, refused
from streams.dispositions import Disposition
from streams.flags import encode_flag
from streams.settings import KafkaSettings
from tests.brokers import Broker
from tests.console.build import flag, person, service_of

pytestmark = pytest.mark.kafka
PATIENCE = 60.0


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def count(service: Service, table: Any) -> int:
    with service.database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


@pytest.fixture
def topic(broker: Broker, unique: Callable[[str], str]) -> str:
    name = unique("flags")
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_topics([NewTopic(name, 3, 1)])
    admin.close()
    return name


@pytest.fixture
def send(broker: Broker, topic: str) -> Iterator[Callable[..., None]]:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)

    def send(*values: bytes) -> None:
        for number, value in enumerate(values):
            producer.send(topic, key=str(number).encode(), value=value)
        producer.flush()

    yield send
    producer.close()


@pytest.fixture
def own(database_url: str) -> Iterator[Service]:
    made = service_of(database_url)
    yield made
    made.database.close()


def reader(service: Service, broker: Broker, topic: str, take: Any = None) -> Reader:
    client = KafkaSettings(bootstrap=broker.bootstrap).client
    made = Reader(service.database, client, [topic], take or take_flags(service), clock=service.clock)
    made.start()
    return made


def test_it_reads_on_where_the_database_stands(own: Service, broker: Broker, topic: str, send: Any) -> None:
    send(*(encode_flag(flag(f"u{i}")) for i in range(200)))
    first = reader(own, broker, topic)
    until(lambda: count(own, cases) == 200)
    first.stop()
    send(*(encode_flag(flag(f"v{i}")) for i in range(50)))
    seen: list[int] = []
    take = take_flags(own)

    def counting(connection: Any, records: list[Any], now: int) -> Any:
        seen.append(len(records))
        return take(connection, records, now)

    second = reader(own, broker, topic, counting)
    until(lambda: count(own, cases) == 250)
    second.stop()
    assert sum(seen) == 50, "nothing is read twice"


def test_a_batch_that_fails_is_read_again_whole(own: Service, broker: Broker, topic: str, send: Any) -> None:
    take, failed = take_flags(own), []

    def fails_at_first(connection: Any, records: list[Any], now: int) -> Any:
        done = take(connection, records, now)
        if not failed:
            failed.append(len(records))
            raise OSError("the disk went away after the rows were written")
        return done

    send(*(encode_flag(flag(f"u{i}")) for i in range(30)))
    one = reader(own, broker, topic, fails_at_first)
    until(lambda: count(own, cases) == 30 and one.problem is None)
    one.stop()
    with own.database.reading() as connection:
        assert set(connection.execute(select(flags.c.records)).scalars()) == {1}
        assert connection.execute(select(func.sum(offsets.c.next_offset))).scalar() == 30


def test_two_consoles_share_a_database_without_counting_twice(
    own: Service, broker: Broker, topic: str, send: Any
) -> None:
    both = [reader(own, broker, topic) for _ in range(2)]
    for part in range(5):
        send(*(encode_flag(flag(f"u{part}-{i}")) for i in range(40)))
    until(lambda: count(own, cases) == 200)
    for one in both:
        one.stop()
    with own.database.reading() as connection:
        assert set(connection.execute(select(flags.c.records)).scalars()) == {1}


def test_what_is_no_flag_is_noted_and_the_stream_goes_on(own: Service, broker: Broker, topic: str, send: Any) -> None:
    send(b"no json", b"{}", b"\xff\xfe", encode_flag(flag("u1")), b"")
    one = reader(own, broker, topic)
    until(lambda: count(own, cases) == 1 and count(own, refused) == 4)
    one.stop()
    with own.database.reading() as connection:
        assert all(connection.execute(select(refused.c.reason)).scalars())


def test_a_decision_arrives_once_and_leaves_no_account_id_behind(
    own: Service, broker: Broker, topic: str, unique: Callable[[str], str]
) -> None:
    there = unique("dispositions")
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_topics([NewTopic(there, 1, 1)])
    admin.close()
    with own.database.writing() as connection:
        own.ingest.take(connection, [flag("u1")], own.clock())
    rita = person(own)
    publisher = Publisher(own.database, KafkaSettings(bootstrap=broker.bootstrap).client, there, clock=own.clock)
    publisher.start()
    with own.database.writing() as connection:
        choice = Choice(action="dismiss", reason="known_role", policy="none")
        decide(connection, own.keys, rita, 1, choice, now=own.clock())
    consumer = KafkaConsumer(there, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    found: list[Any] = []

    def arrived() -> bool:
        found.extend(record for records in consumer.poll(timeout_ms=200).values() for record in records)
        return bool(found)

    until(arrived)
    until(lambda: not outbox_waits(own))
    publisher.stop()
    consumer.close()
    (record,) = found
    disposition = msgspec.json.decode(record.value, type=Disposition)
    assert (record.key, disposition.account_id, disposition.outcome) == (b"u1", "u1", "dismissed")
    with own.database.reading() as connection:
        assert tuple(connection.execute(select(outbox.c.key, outbox.c.value)).one()) == ("", "")


def outbox_waits(service: Service) -> bool:
    with service.database.reading() as connection:
        waiting = select(func.count()).select_from(outbox).where(outbox.c.sent_at.is_(None))
        return bool(connection.execute(waiting).scalar())
