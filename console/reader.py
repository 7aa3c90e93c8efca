"""Reads a topic from where the database says, and stores the offsets in the transaction of what was read.

No consumer group: Kafka's committed offsets could not be part of the database's transaction. Two consoles may read the
same topic; whoever comes second finds the offset moved, lets go of its batch and goes on from there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from console.database import Database
from console.ingest import upsert
from console.storing import MovedError, Store, Take
from console.tables import offsets

__all__ = ["Reader"]

POLL_MS: Final = 500
BATCH: Final = 5_000
AGAIN_SECONDS: Final = 2.0
METADATA_SECONDS: Final = 30.0

log = logging.getLogger(__name__)


class Reader(threading.Thread):
    """A thread that reads topics into the database until it is told to stop.

    Parameters
    ----------
    database : Database
    client : dict
        How to reach Kafka and sign in (`streams.settings.KafkaSettings.client`).
    topics : iterable of str
    take : callable
        What to do with a batch.
    from_end : bool
        Where to begin at the very first start: with what comes from now on, or with the oldest record there is.
    clock : callable
        Epoch ms.
    """

    def __init__(
        self,
        database: Database,
        client: dict[str, Any],
        topics: Iterable[str],
        take: Take,
        *,
        from_end: bool = False,
        clock: Callable[[], int] = lambda: int(time.time() * 1000),
        name: str = "reader",
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.database = database
        self.client = client
        self.topics = list(topics)
        self._store = Store(database, take, clock)
        self.from_end = from_end
        self.clock = clock
        self.stopping = threading.Event()
        self.problem: str | None = None
        """What keeps it from reading, in words for the page of health; None when all is well."""

    def run(self) -> None:
        """Read, and begin again after a failure, until told to stop."""
        while not self.stopping.is_set():
            try:
                self._read()
            except MovedError:
                continue
            except (KafkaError, DBAPIError, OSError, ValueError) as problem:
                self.problem = f"{type(problem).__name__} while reading {', '.join(self.topics)}"
                log.warning("%s; trying again", self.problem)
                self.stopping.wait(AGAIN_SECONDS)

    def stop(self) -> None:
        """Ask it to stop, and wait."""
        self.stopping.set()
        if self.is_alive():
            self.join(20)

    def _read(self) -> None:
        consumer = KafkaConsumer(
            **self.client,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=BATCH,
            max_partition_fetch_bytes=8 << 20,
        )
        try:
            assigned = self._assign(consumer)
            looked = time.monotonic()
            while not self.stopping.is_set():
                polled = consumer.poll(timeout_ms=POLL_MS)
                if polled:
                    ends = {one: consumer.highwater(one) or got[-1].offset + 1 for one, got in polled.items()}
                    self._store.store(polled, ends)
                self.problem = None
                if not assigned or time.monotonic() - looked > METADATA_SECONDS:  # partitions may have been added
                    looked = time.monotonic()
                    assigned = self._assign(consumer)
                    if not assigned:
                        self.problem = f"no topic {' or '.join(self.topics)}"
                        self.stopping.wait(AGAIN_SECONDS)
        finally:
            consumer.close()

    def _assign(self, consumer: KafkaConsumer) -> set[TopicPartition]:
        found = {
            TopicPartition(topic, partition)
            for topic in self.topics
            for partition in consumer.partitions_for_topic(topic) or ()
        }
        if found and found != consumer.assignment():
            consumer.assign(sorted(found))
            with self.database.reading() as connection:
                known = {(row.topic, row.partition): row.next_offset for row in connection.execute(select(offsets))}
            for one in found:
                if (one.topic, one.partition) in known:
                    consumer.seek(one, known[one.topic, one.partition])
                else:
                    self._begin(consumer, one)
        return found

    def _begin(self, consumer: KafkaConsumer, one: TopicPartition) -> None:
        """Begin a partition that was never read."""
        if not self.from_end:
            consumer.seek_to_beginning(one)
            return
        consumer.seek_to_end(one)
        start = consumer.position(one)  # and hold to it, whatever comes before the first record
        row = {"topic": one.topic, "partition": one.partition, "next_offset": start, "end_offset": start}
        with self.database.writing() as connection:
            connection.execute(upsert(connection, offsets).values(**row, read_at=self.clock()).on_conflict_do_nothing())
