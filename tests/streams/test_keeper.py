"""When a worker writes a shard's snapshot: as often as asked, and sooner if there would be much to do again."""

from __future__ import annotations

import asyncio
from pathlib import Path

from detectors.policy import default_policy
from streams.keeper import SOONEST, SPARING, WORK, Keeper
from streams.live import LiveShard
from streams.metrics import Metrics
from streams.settings import KafkaSettings
from streams.snapshots import SnapshotSettings, SnapshotStore

SETTINGS = KafkaSettings()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def moved(shard: LiveShard, position: int, work: float) -> None:
    """Let a shard have taken and sent everything up to an offset."""
    shard.sent.ack(shard.sent.deliver(0, position))
    shard.position = position
    shard.worked += work


def test_much_work_to_do_again_is_reason_for_a_snapshot_before_it_is_due(tmp_path: Path) -> None:
    policy = default_policy()
    shard = LiveShard(0, 1, policy, 0, SETTINGS.topics, Metrics(policy.version))
    store, clock = SnapshotStore(str(tmp_path), SETTINGS.group), Clock()
    keeper = Keeper(
        SETTINGS, SnapshotSettings(url=str(tmp_path), every=1e6), lambda _: shard, 1, Metrics(policy.version), clock
    )

    async def newest_after(seconds: float) -> int:
        clock.now += seconds
        keeper.tend({0: shard})
        if keeper._saving:
            await asyncio.wait(keeper._saving)
        found = store.list(0, 1)
        return found[0].position if found else 0

    async def run() -> None:
        moved(shard, 5, WORK - 1)
        assert await newest_after(1) == 0, "little to do again"
        moved(shard, 6, 1)
        assert await newest_after(1) == 6
        moved(shard, 7, WORK + 1)
        assert await newest_after(SOONEST - 1) == 6, "not one after the other"
        assert await newest_after(1) == 7
        keeper._took[0] = SOONEST  # a large shard: writing takes a minute
        moved(shard, 8, WORK + 1)
        assert await newest_after((SPARING - 1) * SOONEST) == 7
        assert await newest_after(SOONEST) == 8

    asyncio.run(run())
