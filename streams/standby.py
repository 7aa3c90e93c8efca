"""Warm replicas: a worker with `--standby` follows the shards of other workers, and goes on at once when it gets them.

A replica reads the shard's log beside the group, silently, and never past the committed offset: everything before that
was sent already, so that whoever takes over from a replica has nothing of the dead worker's to find out. What it is
behind by (the records of a second or two) is read after the takeover, silently up to the committed offset as after any
restore. It costs the memory and the work of the shards it follows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.keeper import Keeper
from streams.live import LiveShard
from streams.metrics import Metrics
from streams.settings import KafkaSettings
from streams.snapshot_file import SnapshotError
from streams.wire import WireError

__all__ = ["Standby"]

log = logging.getLogger(__name__)

BREATH: Final = 50
"""Records taken before others have the event loop."""
PAUSE: Final = 0.5
"""Seconds between two looks at the committed offsets."""


class Standby:
    """The replicas of one worker.

    Parameters
    ----------
    settings : KafkaSettings
    shards : int
    keeper : Keeper
        Gives a replica its beginning.
    others : callable
        Returns the shards to follow now.
    """

    def __init__(self, settings: KafkaSettings, shards: int, keeper: Keeper, others: Callable[[], set[int]]) -> None:
        self.settings = settings
        self.shards = shards
        self.keeper = keeper
        self.others = others
        self.replicas: dict[int, LiveShard] = {}
        self._unheard = Metrics("standby", version="0")  # what replicas do is no work of the stream's
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow, on the running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Follow no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def release(self, index: int, metrics: Metrics) -> LiveShard | None:
        """Hand over the replica of a shard that this worker was given, if there is one."""
        shard = self.replicas.pop(index, None)
        if shard is not None:
            shard.metrics = metrics
            shard.stand_in()
            log.info("Shard %d goes on from its replica at offset %d", index, shard.position)
        return shard

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
            except (KafkaError, OSError) as problem:
                log.warning("Replicas are not followed for now: %s", problem)
                await asyncio.sleep(5.0)
            except (SnapshotError, WireError) as problem:
                log.error("Replicas are not followed any more: %s", problem)
                self.replicas.clear()
                self.keeper.metrics.set_replicas({})
                return

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(enable_auto_commit=False, max_partition_fetch_bytes=4 << 20, **self.settings.client)
        admin = AIOKafkaAdminClient(**self.settings.client)
        await consumer.start()
        try:
            await admin.start()
            while True:
                await self._keep_up(consumer, admin)
                await asyncio.sleep(PAUSE)
        finally:
            await admin.close()
            await consumer.stop()

    async def _keep_up(self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        """Bring every replica up to the committed offset."""
        wanted = self.others()
        for index in self.replicas.keys() - wanted:
            del self.replicas[index]
        for index in sorted(wanted - self.replicas.keys()):
            shard = await self.keeper.restore(index)
            shard.metrics = self._unheard
            if index in self.others():
                self.replicas[index] = shard
        committed = await admin.list_consumer_group_offsets(self.settings.group)
        tps = {index: TopicPartition(self.settings.topics.exchange, index) for index in sorted(self.replicas)}
        upto = {index: committed[tp].offset if tp in committed else 0 for index, tp in tps.items()}
        self.keeper.metrics.set_replicas({index: upto[index] - self.replicas[index].position for index in tps})
        for index, tp in tps.items():
            await self._read(consumer, tp, index, upto[index])

    async def _read(self, consumer: AIOKafkaConsumer, tp: TopicPartition, index: int, upto: int) -> None:
        shard = self.replicas.get(index)
        if shard is None or shard.position >= upto:
            return
        consumer.assign([tp])
        begin = (await consumer.beginning_offsets([tp]))[tp]
        consumer.seek(tp, max(shard.position, begin))
        while shard.position < upto:
            found = await consumer.getmany(tp, timeout_ms=1000, max_records=2000)
            if not found:
                return
            for n, record in enumerate(found[tp]):
                if self.replicas.get(index) is not shard or record.offset >= upto:
                    return  # taken over meanwhile, or far enough
                if record.offset >= shard.position:
                    shard.take(record.value, record.offset, aloud=False)
                if n % BREATH == 0:
                    await asyncio.sleep(0)
