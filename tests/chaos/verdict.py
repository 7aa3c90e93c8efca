"""What became of everything: the logs read once more from their beginning, beside what workers said and held."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from kafka import KafkaConsumer, TopicPartition

from detectors.policy import Policy
from graph.message import Kind
from graph.state import Var
from streams.live import LiveShard
from streams.metrics import Metrics
from streams.settings import KafkaSettings
from streams.snapshots import SnapshotStore
from streams.wire import unpack
from tests.deep import differences
from tests.newest import flags_wrong, newest

__all__ = ["Verdict", "judge"]


@dataclass
class Verdict:
    """The figures of a run, and what is wrong."""

    sent: int = 0
    lost: int = 0
    counted: int = 0
    flags: int = 0
    records: int = 0
    wrong: list[str] = field(default_factory=list)


def read_all(settings: KafkaSettings, topic: str) -> dict[int, list[bytes]]:
    """Return all values of a topic, by partition, in order."""
    consumer = KafkaConsumer(bootstrap_servers=settings.servers, max_partition_fetch_bytes=8 << 20)
    partitions = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    found: dict[int, list[bytes]] = {tp.partition: [] for tp in partitions}
    while any(consumer.position(tp) < ends[tp] for tp in partitions):
        for tp, records in consumer.poll(timeout_ms=1000).items():
            found[tp.partition] += [record.value for record in records]
    consumer.close()
    return found


def judge(settings: KafkaSettings, policy: Policy, sent: int, store: SnapshotStore) -> Verdict:
    """Compare events sent and counted, every message that follows, flags, and the workers' last snapshots."""
    verdict = Verdict(sent=sent)
    logs = read_all(settings, settings.topics.exchange)
    shards = len(logs)
    metrics = Metrics("chaos", version="0")
    due: list[dict[int, list[bytes]]] = [{} for _ in range(shards)]
    got: list[dict[int, list[bytes]]] = [{} for _ in range(shards)]
    ids: list[Any] = []
    flags: list[bytes] = []
    contexts: set[bytes] = set()
    for index in range(shards):
        shard = LiveShard(index, shards, policy, 0, settings.topics, metrics)
        highest: dict[int, tuple[int, int]] = {}
        for offset, value in enumerate(logs[index]):
            message = unpack(value)
            if message.kind == Kind.EVENTS:
                ids.append(message.rows["event"].copy())
            else:
                at = (message.offset, message.part)
                if at <= highest.get(message.source, (-1, -1)):
                    if value not in got[index][message.source]:
                        verdict.wrong.append(f"log {index}: a second sending that is not the first")
                    continue
                highest[message.source] = at
                got[index].setdefault(message.source, []).append(value)
            for topic, out, where in shard.take(value, offset, aloud=True):
                if topic == settings.topics.exchange:
                    due[where["partition"]].setdefault(index, []).append(out)
                elif topic == settings.topics.flags:
                    flags.append(out)
                else:
                    contexts.add(out)
        verdict.counted += shard.node.shard.counter(Var.N_EVENTS)
        found = store.list(index, shards)
        if not found or found[0].position != len(logs[index]):
            verdict.wrong.append(f"shard {index}: no snapshot at the end of its log")
            continue
        _, tree = store.read(found[0])
        held = LiveShard(index, shards, policy, 0, settings.topics, metrics)
        held.go_on_from(tree, found[0].position, b"")
        for part in ("node", "engine"):
            paths = [p for p in differences(getattr(held, part), getattr(shard, part)) if p != ".repeats"]
            if paths:
                verdict.wrong.append(f"shard {index} is not what its log gives: {part}{', '.join(paths[:3])}")
    verdict.wrong += [f"log {i} is not what follows from all logs" for i in range(shards) if got[i] != due[i]]
    verdict.lost = sent - len(np.unique(np.concatenate(ids)))
    if verdict.lost:
        verdict.wrong.append(f"{verdict.lost:,} events are lost")
    if verdict.counted != sent:
        verdict.wrong.append(f"{verdict.counted:,} events were counted, {sent:,} sent")
    told = [value for values in read_all(settings, settings.topics.flags).values() for value in values]
    verdict.records, verdict.flags = len(told), len(newest(told))
    verdict.wrong += flags_wrong(told, flags)
    shown = {value for values in read_all(settings, settings.topics.contexts).values() for value in values}
    if shown != contexts:
        verdict.wrong.append("contexts of flagged accounts are not those of an uninterrupted reading")
    return verdict
