"""A look into the exchange topic beside the group: where a shard's log begins and ends, and single records of it."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.settings import KafkaSettings

__all__ = ["ExchangeLog"]

PATIENCE_MS = 5_000


class ExchangeLog:
    """Reads the exchange topic; belongs to no group and commits nothing.

    Parameters
    ----------
    settings : KafkaSettings
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self.topic = settings.topics.exchange
        self.consumer = AIOKafkaConsumer(**settings.client, enable_auto_commit=False, max_partition_fetch_bytes=4 << 20)

    async def __aenter__(self) -> ExchangeLog:
        await self.consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.consumer.stop()

    async def bounds(self, shard: int) -> tuple[int, int]:
        """Return the offsets of the first record that is still there, and of the next one to be written."""
        tp = TopicPartition(self.topic, shard)
        self.consumer.assign([tp])
        beginnings, ends = await self.consumer.beginning_offsets([tp]), await self.consumer.end_offsets([tp])
        return beginnings[tp], ends[tp]

    async def record(self, shard: int, offset: int) -> bytes | None:
        """Return one record's value; None if it is not there."""
        tp = TopicPartition(self.topic, shard)
        self.consumer.assign([tp])
        self.consumer.seek(tp, offset)
        found = await self.consumer.getmany(tp, timeout_ms=PATIENCE_MS, max_records=1)
        records = found.get(tp, [])
        return records[0].value if records and records[0].offset == offset else None
