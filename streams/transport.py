"""A Faust transport that hands an agent a whole fetched batch as one message; chosen by the broker URL `kithwatch://`.

Faust's own consumer makes several tasks and queue hops a record, which bounds a worker at some thousands of records a
second. Here a message is what one fetch brought from one partition, so that the cost is paid once a batch. The
decision, and what it costs, is docs/decisions/0001-batched-transport.md.

What holds:

- The committed offset is the end of the unbroken run of acknowledged batches (`streams.acks`), never past an open
  one.
- Reading a partition has an *epoch*, raised with each assignment and seek at the moment the position moves, in the
  thread that moves it. Records fetched before are dropped after it, since they will be fetched again; an
  acknowledgement of a batch from an earlier epoch counts for nothing.
- A topic that the app names in `rebuilt_topics` is state, not work: a partition of it is read from where the app's
  `position_of` says, whatever is committed, and not before it says so (`Consumer.place`). What is committed is what
  the app's `sent_until` says: the offset up to which everything that follows from it was sent
  (`Consumer.silent_until`). It never moves back while the topic is read again.
- Nothing that was fetched is skipped: what cannot be handed out (a rebalance began, the partition was paused) is read
  again from the committed offset.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, ClassVar, Final

import faust
import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message
from faust.types.tuples import ack_lock
from mode.utils.futures import notify

from streams.acks import AckedRuns

__all__ = ["APP_SETTINGS", "Batch", "Consumer", "Transport", "batched_topic"]

MAX_BATCH: Final = 20_000
FETCH_WAIT_MS: Final = 20
"""How long a broker may hold a fetch for which it has nothing. aiokafka has one fetch a broker under way: while one
waits on topics that are quiet, records of all other partitions wait with it (1.5 s by Faust's setting)."""

APP_SETTINGS: Final[Mapping[str, Any]] = {
    # a batch holds this many records at most, and so does what one fetch brings of all partitions
    "broker_max_poll_records": MAX_BATCH,
    # batches, not records, waiting in front of an agent: memory is this times MAX_BATCH records a topic
    "stream_buffer_maxsize": 4,
    # agents keep batches open until the next snapshot, so waiting for all to be acknowledged would block a rebalance
    "stream_wait_empty": False,
    # with None the state could never be rebuilt
    "consumer_auto_offset_reset": "earliest",
    # above 0, Faust uses its own assignor, which gives one worker the same partition of all topics of equal size
    "table_standby_replicas": 1,
    "topic_disable_leader": True,
    "worker_redirect_stdouts": False,
}
"""Settings of a Faust app on this transport, with the trouble each one prevents."""


class Batch:
    """The records of one partition from one fetch: the value of a message on this transport.

    Attributes
    ----------
    topic, partition
        Where the records come from.
    first, last
        Offsets of the first and the last record. There may be gaps between (compaction, transaction markers).
    records
        The records: `offset`, `timestamp` (milliseconds), `key`, `value` (bytes or None), `headers`.
    epoch
        The uninterrupted stretch of reading that it belongs to.
    """

    __slots__ = ("__weakref__", "epoch", "first", "last", "partition", "records", "ticket", "topic")

    def __init__(self, tp: TP, records: list[ConsumerRecord], ticket: int, epoch: int) -> None:
        self.topic: str = tp.topic
        self.partition: int = tp.partition
        self.first: int = records[0].offset
        self.last: int = records[-1].offset
        self.records = records
        self.ticket = ticket
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"<Batch {self.topic}[{self.partition}] {self.first}..{self.last}>"

    def values(self) -> list[bytes | None]:
        """Return the records' values."""
        return [record.value for record in self.records]

    def release(self) -> None:
        """Let go of the records. The event can still be acknowledged, and costs next to nothing until then."""
        self.records = []


class Fetch(msgspec.Struct, frozen=True):
    """What one poll brought: records, the position after them, and the epochs in which they were read."""

    epochs: dict[TP, int]
    records: dict[TP, list[ConsumerRecord]]
    ends: dict[TP, int]


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # faust ships no types mypy follows here
    """aiokafka's thread, with an epoch that tells records read before a seek from those read after."""

    epoch: int = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.silent_until: dict[TP, int] = {}
        self.placed: set[TP] = set()
        self._moves: defaultdict[TP, int] = defaultdict(int)

    def epoch_of(self, tp: TP) -> int:
        """Return the number of the stretch of reading that a partition is in; it rises with each move."""
        return self.epoch + self._moves[tp]

    def _create_consumer(self, loop: asyncio.AbstractEventLoop) -> AIOKafkaConsumer:
        consumer = super()._create_consumer(loop=loop)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # no setting of Faust's; read when the consumer starts
        return consumer

    async def fetch(self, active: set[TP] | None, patience: float) -> Fetch:
        """Return the next records of the active partitions, waiting `patience` seconds at most."""
        fetched: Fetch = await self.call_thread(self._fetch, self._ensure_consumer(), active, patience)
        return fetched

    async def _fetch(self, consumer: AIOKafkaConsumer, active: set[TP] | None, patience: float) -> Fetch:
        records = await self._fetch_records(
            consumer, active, timeout=patience, max_records=self.app.conf.broker_max_poll_records
        )
        # nothing else runs in this thread between the fetch and here: epoch and positions belong to these records
        epochs = {tp: self.epoch_of(tp) for tp in records}
        # the position lies past transaction markers that end a batch; it is valid here, so this does not wait
        ends = {tp: await consumer.position(tp) for tp in records}
        return Fetch(epochs, records, ends)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Begin an epoch: positions are those of a new assignment."""
        self.epoch += 1
        self.placed.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    async def seek_to_committed(self) -> Mapping[TP, int | None]:
        """Go back to the committed offsets; where nothing is committed yet, to the beginning.

        aiokafka leaves a partition without a committed offset where it is, so that what was fetched and dropped
        during a rebalance would never be read again.
        """
        committed: Mapping[TP, int | None] = await self.call_thread(self._seek_to_committed)
        return committed

    async def _seek_to_committed(self) -> Mapping[TP, int | None]:
        consumer = self._ensure_consumer()
        committed = {tp: await consumer.committed(tp) for tp in consumer.assignment()}
        rebuilt = [tp for tp in committed if tp.topic in getattr(self.app, "rebuilt_topics", ())]
        fresh = [tp for tp, offset in committed.items() if tp not in rebuilt and (offset is None or offset < 0)]
        beginnings: dict[TP, int] = {}
        if self.app.conf.consumer_auto_offset_reset == "earliest":
            beginnings = await consumer.beginning_offsets([*fresh, *rebuilt]) if fresh or rebuilt else {}
        ends = await consumer.end_offsets(rebuilt) if rebuilt else {}
        # no await from here on: a fetch in between would read with the old epoch from the new position
        for tp in rebuilt:
            # an offset past the end is of an earlier topic of this name
            upto = committed[tp] if committed[tp] is not None and committed[tp] <= ends[tp] else 0
            self.silent_until[tp] = max(upto, self.silent_until.get(tp, 0) if upto else 0)
        self.placed.clear()
        for tp in consumer.assignment() & committed.keys():
            target = beginnings.get(tp, committed[tp])
            if tp in rebuilt:
                if (live := self.app.position_of(tp)) is None:
                    continue
                target = max(live, beginnings.get(tp, 0))
                self.placed.add(tp)
            if target is not None and target >= 0:
                consumer.seek(tp, target)
        self.epoch += 1
        return committed

    async def place(self, tp: TP) -> None:
        """Go where the app's `position_of` says, now that it knows; later, if the partition is not asked after yet."""
        await self.call_thread(self._place, tp)

    async def _place(self, tp: TP) -> None:
        consumer = self._ensure_consumer()
        if tp not in self.silent_until or tp not in consumer.assignment():
            return  # `_seek_to_committed` is still to come
        beginnings = await consumer.beginning_offsets([tp])
        position = self.app.position_of(tp)
        if position is None or tp not in consumer.assignment():
            return
        consumer.seek(tp, max(position, beginnings[tp]))
        self._moves[tp] += 1
        self.placed.add(tp)

    async def _seek_wait(self, consumer: AIOKafkaConsumer, partitions: Mapping[TP, int]) -> None:
        self.epoch += 1
        await super()._seek_wait(consumer, partitions)

    async def seek_one(self, partition: TP, offset: int) -> None:
        """Move one partition's position."""
        await self.call_thread(self._seek_one, partition, offset)

    async def _seek_one(self, partition: TP, offset: int) -> None:
        self._ensure_consumer().seek(partition, offset)
        self._moves[partition] += 1


class Consumer(driver.Consumer):  # type: ignore[misc]  # faust ships no types mypy follows here
    """Faust's aiokafka consumer, one message a fetched batch."""

    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._runs: defaultdict[TP, AckedRuns] = defaultdict(AckedRuns)
        self._rewind = False
        self._room = asyncio.Event()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # -- reading

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109  # inherited
        """Yield one message for each partition of one fetch, two or more where it brought more than a batch holds."""
        active = await self._ready()
        if active is not None and not active:
            return
        if self._buffered_partitions:
            # a partition whose agent catches up meanwhile must not wait for news from the others
            timeout = min(timeout, 0.02)
        fetch = await self._thread.fetch(active, timeout)
        if self.should_stop:
            return
        size = self.app.conf.broker_max_poll_records or MAX_BATCH
        chunks = {
            tp: [records[at : at + size] for at in range(0, len(records), size)]
            for tp, records in fetch.records.items()
        }
        for tp, records in self.scheduler.iterate(chunks):
            if fetch.epochs[tp] != self._thread.epoch_of(tp):
                continue  # whoever moved the position has the records read again
            if not self.flow_active or not (active is None or self._may_take(tp)):
                self._rewind = True  # too late to hand it out: read it again, once the flow is on
                return
            end = fetch.ends[tp] if records[-1] is fetch.records[tp][-1] else records[-1].offset + 1
            with ack_lock:
                ticket = self._runs[tp].deliver(fetch.epochs[tp], end)
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            # the base class drops messages below the offset read last; the epoch has done that already, and after a
            # rebalance that mark can lie ahead of records that have to be read again
            self._read_offset[tp] = None
            yield tp, self._batch_message(tp, Batch(tp, records, ticket, fetch.epochs[tp]))

    def _may_take(self, tp: TP) -> bool:
        """Tell whether a partition is, at this moment, neither revoked nor paused, or paused for want of room only."""
        return tp in self._get_active_partitions() or tp in self._buffered_partitions

    async def _ready(self) -> set[TP] | None:
        """Wait until there is something to fetch for; return the partitions, None for all (a client without group)."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        if self.should_stop:
            return set()
        if self._rewind:
            try:
                await self.perform_seek()
            except Exception as trouble:
                self.log.warning("Cannot go back to the committed offsets, trying again: %s", trouble)
                await self.sleep(1.0)
                return set()
            self._rewind = False
        if self.app.client_only:
            return None
        if not (active := self._readable()):
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), 1.0)
            active = self._readable()
        return active

    def _readable(self) -> set[TP]:
        """Return the partitions to fetch from: active ones, of rebuilt topics those whose position is known."""
        rebuilt = getattr(self.app, "rebuilt_topics", ())
        return {tp for tp in self._get_active_partitions() if tp.topic not in rebuilt or tp in self._thread.placed}

    def _batch_message(self, tp: TP, batch: Batch) -> ConsumerMessage:
        newest = batch.records[-1]
        return ConsumerMessage(
            batch.topic,
            batch.partition,
            batch.last,
            newest.timestamp / 1000.0,
            newest.timestamp_type,
            None,
            None,
            batch,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    def on_buffer_drop(self, tp: TP) -> None:
        """Take a partition up again whose agent has room."""
        super().on_buffer_drop(tp)
        self._room.set()

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Take paused partitions up again."""
        super().resume_partitions(tps)
        self._room.set()

    async def _seek(self, partition: TP, offset: int) -> None:
        await self._thread.seek_one(partition, offset)

    # -- acknowledging and committing

    def ack(self, message: Message) -> bool:
        """Acknowledge a batch. Only once every batch before it is acknowledged too, its end can be committed."""
        with ack_lock:
            if message.acked:
                return False
            message.acked = True
            self._unacked_messages.discard(message)
            tp = message.tp
            runs = self._runs.get(tp)
            done = (
                runs is not None
                and self.app.topics.acks_enabled_for(message.topic)
                and message.generation_id == self.app.consumer_generation_id
                and runs.ack(message.value.ticket)
            )
            if done:
                self._n_acked += 1
                self._acked[tp]  # the base class commits the partitions that have an entry here
            notify(self._waiting_for_ack)
            return bool(done)

    def _new_offset(self, tp: TP) -> int | None:
        with ack_lock:
            if tp.topic in getattr(self.app, "rebuilt_topics", ()):
                sent = self.app.sent_until(tp)
                return sent if sent is not None and sent > self.silent_until(tp) else None
            runs = self._runs.get(tp)
            # after a seek, what was acknowledged before it is read again: not to be committed any more
            if runs is None or runs.epoch != self._thread.epoch_of(tp):
                return None
            return runs.committable

    def is_current(self, batch: Batch) -> bool:
        """Tell whether a batch belongs to the reading that goes on; after a seek, its records are read again."""
        return batch.epoch == self._thread.epoch_of(TP(batch.topic, batch.partition))

    async def place(self, tp: TP) -> None:
        """Begin to read a partition of a rebuilt topic, whose position the app knows now."""
        await self._thread.place(tp)
        self._room.set()

    def is_placed(self, tp: TP) -> bool:
        """Tell whether it is known yet up to where a rebuilt topic was done with before."""
        return tp in self._thread.silent_until

    def silent_until(self, tp: TP) -> int:
        """Return the offset of a rebuilt topic up to which all that follows from it was sent before."""
        return self._thread.silent_until.get(tp, 0)

    def done_until(self, tp: TP) -> int | None:
        """Return the offset up to which a partition is done: acknowledged here, or committed by a worker before."""
        runs = self._runs.get(tp)
        done = runs.committable if runs is not None else None
        return done if done is not None else self._committed_offset.get(tp)

    def _should_commit(self, tp: TP, offset: int) -> bool:
        # also downwards: a topic made anew begins at 0 again
        return bool(offset != self._committed_offset[tp])

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: the base class counts the offsets between two messages as done, here they are the batch."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what was acknowledged, also by handlers of the app's `on_partitions_revoked` signal, then let go."""
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self._acked[tp]  # the base class has removed it
        await self.commit()
        with ack_lock:
            for tp in revoked:
                self._runs.pop(tp, None)
                self._acked.pop(tp, None)
                self._committed_offset.pop(tp, None)


class Transport(driver.Transport):  # type: ignore[misc]  # faust ships no types mypy follows here
    """Kafka through aiokafka, batched."""

    Consumer: ClassVar[type] = Consumer
    default_port = 9092
    driver_version = driver.Transport.driver_version


def batched_topic(app: faust.App, name: str, **options: Any) -> faust.TopicT:
    """Return a topic whose agents receive a `Batch` a message, and to which bytes are sent as they are."""
    return app.topic(
        name,
        key_type=bytes,
        key_serializer="raw",
        value_type=bytes,
        value_serializer="raw",
        **options,
    )
