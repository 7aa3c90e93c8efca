"""Stores what was read of topics, and the offsets in the same transaction, and lets people write in between.

On SQLite a batch is taken in chunks, small ones while people are about. A transaction goes on from chunk to chunk while
nobody waits, as one for the whole batch costs least, and ends after the chunk in hand when somebody does. PostgreSQL
has room for all at once: there a batch is one chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from kafka import TopicPartition
from sqlalchemy import Connection, select, update

from console.database import Database
from console.ingest import upsert
from console.tables import offsets, refused

__all__ = ["MovedError", "Record", "Store", "Take"]

CHUNK: Final = 500
"""While people are about: of flags in the worst case some 70 ms of work."""
ALONE: Final = 5_000
"""Else. What every chunk costs by itself makes small ones a tenth slower; the first to come waits for it."""
SHORTEN: Final = 15_000
"""Records after which SQLite's log is copied back: in the worst case some 256 MiB. Copied back after each batch, pages
would be written twice that the next batch changes again: a third more bytes for the same flags."""

Record = Any
Take = Callable[[Connection, list[Any], int], list[tuple[Any, str]]]
"""Takes records within a transaction, at a time; returns those it refused, with the reason."""


class MovedError(Exception):
    """Another console has read these records already."""


class Store:
    """Where records go that were read.

    Parameters
    ----------
    database : Database
    take : callable
        What to do with records.
    clock : callable
        Epoch ms.
    chunk, alone : int
        How many records somebody may have to wait for on SQLite, while people are about and when the first one comes.
    """

    def __init__(
        self, database: Database, take: Take, clock: Callable[[], int], *, chunk: int = CHUNK, alone: int = ALONE
    ) -> None:
        self.database = database
        self.take = take
        self.clock = clock
        self.chunk = chunk
        self.alone = alone
        self._written = 0

    def store(self, polled: Mapping[TopicPartition, Sequence[Record]], ends: Mapping[TopicPartition, int]) -> None:
        """Store records; whatever goes wrong, the offsets are where it stopped.

        Parameters
        ----------
        polled : mapping
            Partition to its records, in the order of offsets.
        ends : mapping
            Partition to the offset after its newest record.

        Raises
        ------
        MovedError
            If another console has read some of them; those before are stored.
        """
        batch = [record for records in polled.values() for record in records]
        done = 0
        while done < len(batch):
            with self.database.writing(gives_way=True) as connection:
                now, began = self.clock(), done
                while done < len(batch) and (done == began or not self.database.awaited):
                    chunk = batch[done : done + self._size(len(batch))]
                    self._store(connection, chunk, ends, now)
                    done += len(chunk)
        self._written += len(batch)
        if self._written >= SHORTEN:
            self._written = 0
            self.database.shorten_log()

    def _size(self, whole: int) -> int:
        """Return how many records the next chunk has at most."""
        if not self.database.sqlite:
            return whole
        return self.chunk if self.database.people_about else self.alone

    def _store(self, connection: Connection, chunk: list[Record], ends: Mapping[TopicPartition, int], now: int) -> None:
        for one, records in groupby(chunk, lambda record: TopicPartition(record.topic, record.partition)):
            _move(connection, one, list(records), ends[one], now)
        for record, reason in self.take(connection, chunk, now):
            where = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            connection.execute(
                upsert(connection, refused).values(**where, at=now, reason=reason).on_conflict_do_nothing()
            )


def _move(connection: Connection, one: TopicPartition, records: Sequence[Record], end: int, now: int) -> None:
    """Move the offset, or raise if another console has moved it."""
    here = (offsets.c.topic == one.topic) & (offsets.c.partition == one.partition)
    known = connection.execute(select(offsets.c.next_offset).where(here).with_for_update()).scalar()
    after = {"next_offset": records[-1].offset + 1, "end_offset": end, "read_at": now}
    if known is None:
        made = connection.execute(
            upsert(connection, offsets)
            .values(topic=one.topic, partition=one.partition, **after)
            .on_conflict_do_nothing()
            .returning(offsets.c.topic)
        )
        if made.first() is None:  # not every driver counts the rows of such an INSERT
            raise MovedError
    elif known > records[0].offset:
        raise MovedError
    else:
        connection.execute(update(offsets).where(here).values(**after))
