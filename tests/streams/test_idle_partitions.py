"""A partition that is silent holds nothing up: no watermark waits for it, neither detection nor expiry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
from kafka import KafkaProducer

from graph.state import DAY
from streams.settings import KafkaSettings
from streams.timestamps import rfc3339
from tests.graph.build import START
from tests.streams.test_pipeline import read, wait_for
from tests.streams.test_worker import (  # the fixture is used by its name
    make_topics,
    place,  # noqa: F401
    running,
)

Place = Callable[[int], KafkaSettings]


def event(kind: str, number: int, at: int, actor: str, target: str = "", **more: object) -> bytes:
    named = {"target_id": target} if target else {}
    head = {"type": kind, "event_id": f"e{number}", "occurred_at": rfc3339(at), "actor_id": actor}
    return msgspec.json.encode(head | named | more)


def test_silent_partitions_freeze_neither_detection_nor_expiry(place: Place, tmp_path: Path) -> None:  # noqa: F811
    #   partition 0 of one topic of three:  40 children asked | a day | a day | ... 35 days
    #   all other partitions:               nothing                                        one message
    settings = place(1)
    make_topics(settings, 3, 2, 2)
    ages = {"actor_age_band": "21_plus", "target_age_band": "under_13"}
    children = [event("friend_request.sent", n, START + 1000 * n, "u0", f"c{n}", **ages) for n in range(40)]
    refused = [event("friend_request.declined", 100 + n, START + 60_000 + 1000 * n, f"c{n}", "u0") for n in range(40)]
    days = [event("account.updated", 1000 + day, START + DAY * day, f"u{1 + day % 3}") for day in range(1, 36)]
    with running(settings, tmp_path / "log") as worker:
        wait_for(lambda: worker.ready()[0], "not ready")
        producer = KafkaProducer(bootstrap_servers=settings.servers)
        for value in [*children, *refused]:
            producer.send(settings.topics.friend_requests, value, partition=0)
        producer.flush()
        wait_for(lambda: worker.metric("kithwatch_shard_contacts") == 40, "contacts are not held")
        assert [record for record in read(settings, settings.topics.flags, 1) if b'"u0"' in record.value]
        for value in days:
            producer.send(settings.topics.friend_requests, value, partition=0)
        producer.flush()
        wait_for(lambda: worker.metric("kithwatch_shard_contacts") == 0, "contacts are held beyond their horizon")
        woken = event("message.sent", 5000, START + DAY * 35 - 1000, "u1", "u2")
        producer.send(settings.topics.messages, woken, partition=1)
        producer.flush()
        producer.close()
        wait_for(lambda: worker.metric("kithwatch_shard_contacts") == 1, "whoever wakes up is not heard")
        assert worker.metric("kithwatch_events_late_total") == 0
        worker.stop()
