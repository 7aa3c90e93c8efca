"""`kithwatch worker`: one Faust worker; start as many as there are cores or machines.

Two kinds of agents. The **decoders** read the platform's topics, turn records into columns and hand the events to the
shard of their actor. The **shard** agent reads the exchange topic, one partition a shard, in which events, asks and
answers stand in one order, and runs the steps probe, resolve and assess and the detectors.

What is acknowledged when: an input batch, once all its events and dead letters are acknowledged by all in-sync
replicas; an exchange batch, once all that followed from it is. A shard's state follows from its partition of the
exchange topic alone, so that after a start or rebalance it goes on from its newest snapshot (`streams.keeper`), or is
rebuilt from the topic's beginning: silently up to the committed offset (everything before was sent already) and aloud
from there.

A worker that meets what it cannot go on from (a bug, a broker that refuses) ends at once with status 1, as if killed:
nothing half done is acknowledged, and whoever comes next takes it up from the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final

import faust
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerClosed
from faust.types import TP

from detectors.lists import Lists
from detectors.policy import Policy
from detectors.rules import PREFIX
from graph.batch import EventKind
from graph.message import split_events
from streams.deadletters import dead_letter
from streams.decode import EventDecoder
from streams.health import HealthServer
from streams.keeper import Keeper
from streams.live import LiveShard
from streams.metrics import Metrics
from streams.options import latest_plausible
from streams.process import end_at_once
from streams.reviews import read_dispositions, split_reviews
from streams.settings import KafkaSettings
from streams.snapshots import SnapshotSettings
from streams.standby import Standby
from streams.timestamps import rfc3339
from streams.transport import APP_SETTINGS, Batch, batched_topic
from streams.vocabulary import DETECTORS, EVENT_TYPES, reason_class
from streams.wire import pack

__all__ = ["SESSION_TIMEOUT", "STANDBY_TIMEOUT", "Worker"]

log = logging.getLogger(__name__)

IN_FLIGHT: Final = 16
"""Batches an agent may have sent and not yet acknowledged."""
BREATH: Final = 0.05
"""Seconds an agent works before it lets others have the event loop."""
LAST_BATCHES: Final = 10.0
"""Seconds that a worker which is told to stop takes for the batches that it has begun."""
STOP_SNAPSHOTS: Final = 20.0
"""Seconds that a worker which is told to stop takes for its last snapshots."""
SESSION_TIMEOUT: Final = 10.0
"""Seconds after which a worker that is not heard loses its shards."""
STANDBY_TIMEOUT: Final = 6.0
"""The same for a worker with standbys: who has them wants to be quick, and a takeover for nothing costs little then."""
BACKLOG: Final = 20_000
"""Records to read that are worth a word in the log."""
Job = Callable[..., Coroutine[Any, Any, None]]


class Worker:
    """Everything a worker does, around one Faust app.

    Parameters
    ----------
    settings : KafkaSettings
    policy : Policy
    shards : int
        Partitions of the exchange topic.
    snapshots : SnapshotSettings, optional
        Where snapshots go, and how often; none by default.
    standby : bool
        Whether to follow the shards of other workers.
    session_timeout : float
        Seconds after which the group gives the shards of a worker that is not heard to others.
    raise_after : int
        Flags before this event time, epoch ms, are not sent.
    lists : Lists, optional
        Who stands on the policy's lists.
    host, port
        Where `/metrics`, `/livez` and `/readyz` are served; port 0 chooses a free one.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        policy: Policy,
        shards: int,
        *,
        snapshots: SnapshotSettings | None = None,
        standby: bool = False,
        session_timeout: float = SESSION_TIMEOUT,
        raise_after: int = 0,
        lists: Lists | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.settings = settings
        self.policy = policy
        self.shards = shards
        self.raise_after = raise_after
        self.lists = lists
        self.decoder = EventDecoder()
        self.live: dict[int, LiveShard] = {}
        self.producer: AIOKafkaProducer | None = None
        self.detectors = (*DETECTORS, *(PREFIX + name for name in policy.rules))
        self.metrics = Metrics(policy_version=policy.version, detectors=self.detectors)
        self.health = HealthServer(
            self.metrics, last_poll=lambda: self.last_beat, not_ready=self.not_ready, host=host, port=port
        )
        self.session_timeout = session_timeout
        self.last_beat = time.monotonic()
        self.assigned = False
        self._said = -60.0
        self._sending: set[asyncio.Task[None]] = set()
        self._closing = False
        self._busy = 0  # batches that agents are in the middle of
        self._at_rest = asyncio.Event()
        self._at_rest.set()
        self._bringing: dict[int, asyncio.Task[None]] = {}
        self._mine: set[int] = set()
        self.keeper = Keeper(settings, snapshots or SnapshotSettings(), self._make_shard, shards, self.metrics)
        self.standby = Standby(settings, shards, self.keeper, self._others) if standby else None
        self._datadir = tempfile.mkdtemp(prefix="kithwatch-")  # Faust wants one; nothing of ours is in it
        self.app = self._make_app()

    def _make_app(self) -> faust.App:
        app = faust.App(
            self.settings.group,
            **APP_SETTINGS,
            broker=self.settings.faust_url,
            broker_credentials=self.settings.security.faust_credentials(),
            broker_commit_interval=1.0,
            broker_session_timeout=self.session_timeout,
            # by which a member also learns that others came: later than the rebalance timeout, and it is out
            broker_heartbeat_interval=min(self.session_timeout / 5, 3.0),
            broker_rebalance_timeout=30.0,
            broker_request_timeout=max(90.0, self.session_timeout + 10.0),  # Faust wants it to be the longer of the two
            consumer_max_fetch_size=4 << 20,
            web_enabled=False,
            datadir=self._datadir,
            store="memory://",
        )
        # the transport asks here where a partition of the exchange goes on, see `streams.transport`
        app.rebuilt_topics = frozenset({self.settings.topics.exchange})
        app.position_of = self.position_of
        app.sent_until = self.sent_until
        for name in self.settings.topics.inputs:
            app.agent(batched_topic(app, name), name=f"decode.{name}")(self._to_the_end(self.decode))
        decisions = batched_topic(app, self.settings.topics.dispositions)
        app.agent(decisions, name="review")(self._to_the_end(self.review))
        app.agent(batched_topic(app, self.settings.topics.exchange), name="shard")(self._to_the_end(self.work))
        app.on_partitions_assigned.connect(self._on_assigned, weak=False)
        app.task(self._to_the_end(self._start))
        app.timer(1.0)(self._beat)
        return app

    def _to_the_end(self, job: Job) -> Job:
        """Wrap a job so that its failure ends the worker: Faust would start it anew, and lose what it held."""

        @functools.wraps(job)  # Faust looks at what it takes
        async def run(*args: Any) -> None:
            try:
                await job(*args)
            except Exception as problem:
                if self._closing and isinstance(problem, ProducerClosed):
                    return  # it could not be sent in time, is not acknowledged, and is left to the next worker
                end_at_once(problem, self._datadir)

        return run

    @contextlib.asynccontextmanager
    async def _begun(self, gate: asyncio.Semaphore) -> AsyncIterator[None]:
        """Work on a batch: once there is room, and only while the worker is not told to stop, which waits for it."""
        await gate.acquire()
        if self._closing:
            await asyncio.Event().wait()  # until the app cancels its agents
        self._busy += 1
        self._at_rest.clear()
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                self._at_rest.set()

    # the shards of this worker

    def _make_shard(self, index: int) -> LiveShard:
        settled = (self.raise_after, self.settings.topics, self.metrics, self.lists)
        return LiveShard(index, self.shards, self.policy, *settled)

    def position_of(self, tp: TP) -> int | None:
        """Return the offset at which a shard goes on reading, or None while it is being restored."""
        shard = self.live.get(tp.partition)
        return shard.position if shard is not None else None

    def sent_until(self, tp: TP) -> int | None:
        """Return the offset before which all that follows from a shard's log was sent, or None for no shard of ours."""
        shard = self.live.get(tp.partition)
        return shard.sent_until() if shard is not None else None

    async def _on_assigned(self, app: faust.App, assigned: set[TP], **_: Any) -> None:
        self._mine = mine = {tp.partition for tp in assigned if tp.topic == self.settings.topics.exchange}
        for index in self.live.keys() - mine:
            self.keeper.save(self.live[index])
        # a shard that comes back goes on where it was: its state follows from the log alone
        self.live = {index: shard for index, shard in self.live.items() if index in mine}
        for index in sorted(mine - self.live.keys() - self._bringing.keys()):
            self._bringing[index] = asyncio.create_task(self._to_the_end(self._bring)(index))
        self.assigned = True
        log.info("Shards of this worker: %s", sorted(mine) or "none")

    def _others(self) -> set[int]:
        """Return the shards to follow: those of other workers, as far as is known."""
        return set(range(self.shards)) - self._mine - self._bringing.keys() if self.assigned else set()

    async def _bring(self, index: int) -> None:
        """Restore a shard, and begin to read its log."""
        try:
            shard = self.standby.release(index, self.metrics) if self.standby else None
            shard = shard or await self.keeper.restore(index)
            if index not in self._mine:
                return  # taken away meanwhile
            self.live[index] = shard
        finally:
            del self._bringing[index]
        await self.app.consumer.place(TP(self.settings.topics.exchange, index))

    def not_ready(self) -> str | None:
        """Return what the worker waits for, or None.

        Ready is who knows what the log says, so that flags are right. How far behind the platform it is, is no matter
        of readiness (nothing is gained by starting it anew) but of `kithwatch_consumer_lag_records`.
        """
        if self.producer is None or not self.assigned:
            return "no partitions assigned yet"
        if missing := sorted(self._mine - self.live.keys()):
            return f"shard {missing[0]} is being restored from its snapshot"
        for index, shard in sorted(self.live.items()):
            if not self.app.consumer.is_placed(TP(self.settings.topics.exchange, index)):
                return f"shard {index} has not been asked after yet"
            upto = self._committed(index)
            if shard.position < upto:
                return f"shard {index} is rebuilt up to offset {shard.position} of {upto}"
        return None

    def _committed(self, index: int) -> int:
        """Return the offset up to which an earlier worker had sent all that followed."""
        floor: int = self.app.consumer.silent_until(TP(self.settings.topics.exchange, index))
        return floor

    # starting and stopping

    async def _start(self) -> None:
        self.producer = AIOKafkaProducer(
            **self.settings.client,
            acks="all",
            enable_idempotence=True,
            linger_ms=2,
            max_batch_size=900_000,
            max_request_size=1_000_000,
        )
        await self.producer.start()
        await self.health.start()
        if self.standby is not None:
            self.standby.start()

    async def close(self) -> None:
        """Begin no more batches, finish what is being sent, then let go of the broker."""
        self._closing = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._at_rest.wait(), LAST_BATCHES)
        if self.standby is not None:
            await self.standby.stop()
        if self._sending:
            await asyncio.wait(self._sending, timeout=10.0)
        await self.keeper.finish(self.live, patience=STOP_SNAPSHOTS)
        if self.producer is not None:
            await self.producer.stop()
        await self.health.stop()
        shutil.rmtree(self._datadir, ignore_errors=True)

    async def _beat(self) -> None:
        self.last_beat = time.monotonic()
        self._measure()
        if not self._closing:
            self.keeper.tend(self.live)

    # agents

    async def decode(self, stream: Any) -> None:
        """Turn records of an input topic into events for the shards."""
        gate = asyncio.Semaphore(IN_FLIGHT)
        async for event in stream.noack().events():
            async with self._begun(gate):
                batch: Batch = event.value
                begun = time.perf_counter()
                decoded = self.decoder.decode(
                    batch.values(),
                    not_after=latest_plausible(),
                    ingested_at=[record.timestamp for record in batch.records],
                )
                messages = [(shard, pack(message)) for shard, message in split_events(decoded.batch, self.shards)]
                self.metrics.observe_batch("decode", len(batch), time.perf_counter() - begun)
                sent = []
                for shard, value in messages:
                    sent.append(await self._send(self.settings.topics.exchange, value, partition=shard))
                reasons: Counter[str] = Counter()
                for bad in decoded.rejected:
                    record = batch.records[bad.index]
                    reasons[reason_class(bad.reason)] += 1
                    letter, where = dead_letter(record, bad.reason)
                    sent.append(await self._send(self.settings.topics.dead_letters, letter, **where))
                kinds = Counter(decoded.batch.rows["kind"].tolist())
                self.metrics.count_events({EVENT_TYPES[EventKind(kind) - 1]: n for kind, n in kinds.items()})
                self.metrics.count_dead_letters(reasons)
                batch.release()
                self._ack_when_sent(event, sent, gate)
            await asyncio.sleep(0)

    async def review(self, stream: Any) -> None:
        """Put reviewers' decisions into the logs of the shards that they concern."""
        gate = asyncio.Semaphore(IN_FLIGHT)
        async for event in stream.noack().events():
            async with self._begun(gate):
                batch: Batch = event.value
                rows, refused = read_dispositions(batch.values())
                sent = []
                for shard, message in split_reviews(rows, self.shards):
                    sent.append(await self._send(self.settings.topics.exchange, pack(message), partition=shard))
                for index, reason in refused:
                    letter, where = dead_letter(batch.records[index], reason)
                    sent.append(await self._send(self.settings.topics.dead_letters, letter, **where))
                self.metrics.count_dead_letters(Counter(reason_class(reason) for _, reason in refused))
                batch.release()
                self._ack_when_sent(event, sent, gate)
            await asyncio.sleep(0)

    async def work(self, stream: Any) -> None:
        """Run the shards."""
        gate = asyncio.Semaphore(IN_FLIGHT)
        async for event in stream.noack().events():
            async with self._begun(gate):
                batch: Batch = event.value
                shard = self.live.get(batch.partition)
                # taken away while the batch waited, or to be read again: what came before it may be missing
                if shard is None or not self.app.consumer.is_current(batch):
                    gate.release()
                    continue
                silent_until = self._committed(batch.partition)
                ticket = shard.sent.deliver(0, batch.last + 1)
                sent: list[Awaitable[Any]] = []
                breath = time.perf_counter()
                for record in batch.records:
                    if record.offset >= shard.position:
                        aloud = record.offset >= silent_until
                        for topic, value, where in shard.take(record.value, record.offset, aloud=aloud):
                            sent.append(await self._send(topic, value, **where))
                    if time.perf_counter() - breath > BREATH:
                        await asyncio.sleep(0)
                        breath = time.perf_counter()
                batch.release()
                self._ack_when_sent(event, sent, gate, functools.partial(shard.sent.ack, ticket))
            await asyncio.sleep(0)

    # sending

    async def _send(self, topic: str, value: bytes | None, **where: Any) -> Awaitable[Any]:
        assert self.producer is not None
        future: Awaitable[Any] = await self.producer.send(topic, value, **where)
        return future

    def _ack_when_sent(
        self, event: Any, sent: list[Awaitable[Any]], gate: asyncio.Semaphore, note: Callable[[], object] = lambda: None
    ) -> None:
        """Acknowledge a batch once everything that followed from it has arrived; `note` is told first."""
        if not sent:
            note()
            event.ack()
            gate.release()
            return
        task = asyncio.create_task(self._finish(event, sent, gate, note))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _finish(
        self, event: Any, sent: list[Awaitable[Any]], gate: asyncio.Semaphore, note: Callable[[], object]
    ) -> None:
        try:
            await asyncio.gather(*sent)
        except KafkaError as problem:
            # before anything that comes after it is sent: a receiver drops what is older than what it has seen
            end_at_once(problem, self._datadir)
        finally:
            gate.release()
        note()
        event.ack()

    # measuring

    def _measure(self) -> None:
        """Bring the gauges up to date, once a second."""
        self.metrics.set_shards({index: shard.size() for index, shard in self.live.items()})
        for index, shard in self.live.items():
            late, ahead, duplicates = shard.news()
            if shard.position >= self._committed(index):  # or they were counted before the restart
                self.metrics.count_events({}, late=late, ahead=ahead, duplicates=duplicates)
        lag = {}
        consumer = self.app.consumer
        for tp in consumer.assignment():
            end = consumer.highwater(tp)
            at = self.position_of(tp) if tp.topic == self.settings.topics.exchange else consumer.done_until(tp)
            if end is not None and at is not None:
                lag[tp.topic, tp.partition] = end - at
        self.metrics.set_lag(lag)
        self._say_how_far(sum(lag.values()))
        for name in self.detectors:
            is_open = any(shard.engine.ledger.circuit_open(name) for shard in self.live.values())
            self.metrics.set_circuit(name, is_open)

    def _say_how_far(self, behind: int) -> None:
        """Say, every half minute of a backlog, how much of it is left and which event time is reached."""
        now = time.monotonic()
        if behind < BACKLOG or now < self._said + 30.0:
            return
        self._said = now
        clocks = [shard.node.shard.clock for shard in self.live.values() if shard.node.shard.clock >= 0]
        reached = rfc3339(min(clocks)) if clocks else "no event yet"
        log.info("Behind by %d records; event time reached: %s", behind, reached)
