"""The outbox: what has to reach Kafka is written with the decision and sent afterwards, in order.

So a decision is never taken without being told, nor told without being taken (the transactional outbox pattern). A
record that was sent twice around a crash is recognised by its `disposition_id`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import DBAPIError

from console.database import Database
from console.tables import outbox
from streams.dispositions import Disposition

__all__ = ["DISPOSITIONS", "Publisher", "post"]

DISPOSITIONS: Final = "kithwatch.dispositions"
AT_ONCE: Final = 500
IDLE_SECONDS: Final = 0.5
AGAIN_SECONDS: Final = 2.0
PATIENCE_SECONDS: Final = 30.0
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")

log = logging.getLogger(__name__)


def post(connection: Connection, key: str, disposition: Disposition, *, case_id: int, now: int) -> None:
    """Put a disposition into the outbox, within the transaction of the decision."""
    connection.execute(
        insert(outbox).values(case_id=case_id, key=key, value=_ENCODER.encode(disposition).decode(), created_at=now)
    )


class Publisher(threading.Thread):
    """Sends what lies in the outbox until it is told to stop.

    Parameters
    ----------
    database : Database
    client : dict
        How to reach Kafka and sign in (`streams.settings.KafkaSettings.client`).
    topic : str
        Where dispositions go.
    """

    def __init__(
        self,
        database: Database,
        client: dict[str, Any],
        topic: str,
        *,
        clock: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        super().__init__(name="outbox", daemon=True)
        self.database = database
        self.client = client
        self.topic = topic
        self.clock = clock
        self.stopping = threading.Event()
        self.problem: str | None = None

    def run(self) -> None:
        """Send until told to stop."""
        producer: KafkaProducer | None = None
        while not self.stopping.is_set():
            try:
                producer = producer or KafkaProducer(**self.client, acks="all", enable_idempotence=True, linger_ms=5)
                sent = self.send(producer)
                self.problem = None
                if not sent:
                    self.stopping.wait(IDLE_SECONDS)
            except (KafkaError, DBAPIError, OSError) as problem:
                self.problem = f"{type(problem).__name__} while sending dispositions"
                log.warning("%s; trying again", self.problem)
                if producer is not None:
                    producer.close(timeout=1)
                    producer = None
                self.stopping.wait(AGAIN_SECONDS)
        if producer is not None:
            producer.close(timeout=5)

    def stop(self) -> None:
        """Ask it to stop, and wait."""
        self.stopping.set()
        if self.is_alive():
            self.join(20)

    def send(self, producer: KafkaProducer) -> int:
        """Send what waits, in order, and note that it was sent; return how many."""
        with self.database.reading() as connection:
            waiting = connection.execute(
                select(outbox).where(outbox.c.sent_at.is_(None)).order_by(outbox.c.id).limit(AT_ONCE)
            ).all()
        if not waiting:
            return 0
        pending = [producer.send(self.topic, key=row.key.encode(), value=row.value.encode()) for row in waiting]
        for one in pending:
            one.get(timeout=PATIENCE_SECONDS)
        with self.database.writing(gives_way=True) as connection:
            connection.execute(
                update(outbox)
                .where(outbox.c.id.in_([row.id for row in waiting]), outbox.c.sent_at.is_(None))
                # what was told is the broker's now: the account's id need not lie here any longer
                .values(sent_at=self.clock(), key="", value="")
            )
        return len(waiting)
