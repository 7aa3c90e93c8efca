"""Snapshots of a worker's shards: made in the background, and taken up again where a shard is assigned.

A snapshot at offset P is the state after all records before P. It is shown only once everything that follows from those
records has arrived where it belongs, so that whoever goes on from it has nothing to send again. The committed offset of
the exchange topic plays no part in it: it tells up to where flags and messages were sent (docs/decisions/0015).

What cannot be used is told apart: a *damaged* snapshot costs the way from the one before; one of *another log* (the
topic was made anew) is set aside; one that is of another version, or sealed with another key, stops the worker with a
line, since to go on without it could forget what the log no longer holds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Final

from graph.kept import LayoutError, tree_of
from streams.exchange_log import ExchangeLog
from streams.freeze import Frozen, freeze
from streams.live import LiveShard, anchor_of
from streams.metrics import Metrics
from streams.settings import KafkaSettings
from streams.snapshot_file import DamagedError, Header, SnapshotError
from streams.snapshots import LAYOUT, Found, SnapshotSettings, SnapshotStore

__all__ = ["Keeper"]

log = logging.getLogger(__name__)

WORK: Final = 8.0
"""Seconds of a shard's work that are too many to do again after a failure: reason for a snapshot before it is due."""
SOONEST: Final = 60.0
"""Seconds between two of a shard, at least, if work is the reason ..."""
SPARING: Final = 5.0
"""... and that many times what the last one took: a fifth of a core goes into writing, at most."""
SENT_WITHIN: Final = 30.0
"""Seconds within which everything that follows from a frozen state must have arrived."""


class Keeper:
    """Makes and restores the snapshots of one worker.

    Parameters
    ----------
    settings : KafkaSettings
    snapshots : SnapshotSettings
    make : callable
        Returns an empty shard, by its number.
    shards : int
        How many there are.
    metrics : Metrics
    clock : callable
        Seconds, for what is due when.

    Raises
    ------
    ValueError
        If the URL cannot be used.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        snapshots: SnapshotSettings,
        make: Callable[[int], LiveShard],
        shards: int,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.make = make
        self.shards = shards
        self.metrics = metrics
        self.every = snapshots.every
        self.store = SnapshotStore(snapshots.url, settings.group, snapshots.key) if snapshots.url else None
        self._clock = clock
        self._due: dict[int, float] = {}
        self._at: dict[int, int] = {}  # the offset of each shard's newest snapshot
        self._written: dict[int, float] = {}
        self._begun: dict[int, float] = {}
        self._took: dict[int, float] = {}
        self._one_at_a_time = asyncio.Semaphore(1)
        self._tidy_at: dict[int, int | None] = {}
        self._saving: set[asyncio.Task[None]] = set()

    # making

    def tend(self, live: dict[int, LiveShard]) -> None:
        """Begin the snapshots that are due; called every second or so."""
        if self.store is None:
            return
        now = self._clock()
        for index, shard in live.items():
            # not all at once: shards that came together are spread over the time between two
            due = self._due.setdefault(index, now + self.every * (index % self.shards + 1) / self.shards)
            if (now >= due or self._much_to_do_again(shard, now)) and not self._saving:
                self._due[index] = now + self.every
                self.save(shard) if self._has_news(shard) else self._tidy(index)
                break
        ages = {index: now - at for index, at in self._written.items() if index in live}
        self.metrics.set_snapshot_ages(ages)

    def _much_to_do_again(self, shard: LiveShard, now: float) -> bool:
        index = shard.node.index
        pause = max(SOONEST, SPARING * self._took.get(index, 0.0))
        return shard.worked >= WORK and now >= self._begun.get(index, now - SOONEST) + pause

    def save(self, shard: LiveShard) -> None:
        """Freeze a shard now and write it in the background, if there is news since its newest snapshot."""
        index = shard.node.index
        if self.store is None or not self._has_news(shard):
            return
        header = Header(
            layout=LAYOUT,
            program=version("kithwatch"),
            shard=index,
            shards=self.shards,
            position=shard.position,
            anchor=shard.anchor,
            policy=shard.engine.version,
            erased=shard.erased,
        )
        try:
            frozen = freeze(lambda: tree_of(shard), shard.size().bytes)
        except OSError as problem:  # no memory for another process
            self._failed(index, str(problem))
            return
        self._begun[index] = self._clock()
        shard.worked = 0.0
        self.metrics.observe_snapshot_pause(frozen.pause)
        task = asyncio.create_task(self._save(shard, header, frozen))
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)

    async def _save(self, shard: LiveShard, header: Header, frozen: Frozen) -> None:
        index, begun = header.shard, time.perf_counter()
        assert self.store is not None
        try:
            async with self._one_at_a_time:
                size = await asyncio.to_thread(
                    self.store.write, header, self._once_sent(frozen, shard, header.position)
                )
        except (SnapshotError, OSError) as problem:
            self._failed(index, str(problem))
            return
        finally:
            frozen.close()
        self._at[index] = header.position
        self._written[index] = self._clock()
        self._took[index] = time.perf_counter() - begun
        self.metrics.count_snapshot(index, "written", seconds=self._took[index], size=size)
        log.debug("Snapshot of shard %d at offset %d: %d bytes", index, header.position, size)

    @staticmethod
    def _once_sent(frozen: Frozen, shard: LiveShard, position: int) -> Iterator[bytes]:
        """Yield the frames; hold the last one back until everything before the snapshot's offset was sent."""
        held = b""
        for frame in frozen.frames:
            if held:
                yield held
            held = frame
        deadline = time.monotonic() + SENT_WITHIN
        while shard.sent_until() < position:
            if time.monotonic() > deadline:
                raise SnapshotError("what follows from it has not arrived")
            time.sleep(0.02)
        yield held

    def _has_news(self, shard: LiveShard) -> bool:
        return shard.position > self._at.get(shard.node.index, 0)

    def _tidy(self, index: int) -> None:
        """Drop what a shard that stands still has of accounts erased since, once after each snapshot."""
        if index in self._tidy_at and self._tidy_at[index] == self._at.get(index):
            return
        self._tidy_at[index] = self._at.get(index)
        task = asyncio.create_task(self._forget_erased(index))
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)

    async def _forget_erased(self, index: int) -> None:
        assert self.store is not None
        try:
            await asyncio.to_thread(self.store.forget_erased, index, self.shards)
        except (SnapshotError, OSError) as problem:
            log.error("The newest snapshot of shard %d cannot be read back: %s", index, problem)
            self.metrics.count_snapshot(index, "damaged")
            self._at.pop(index, None)  # the next one is written, news or not

    def _failed(self, index: int, why: str) -> None:
        self.metrics.count_snapshot(index, "failed")
        log.error("No snapshot of shard %d: %s. The one before is kept, and the next is tried in time", index, why)

    async def finish(self, live: dict[int, LiveShard], patience: float) -> None:
        """Take a last snapshot of every shard, and wait for all that is under way."""
        for shard in live.values():
            self.save(shard)
        if self._saving:
            await asyncio.wait(self._saving, timeout=patience)

    # restoring

    async def restore(self, index: int) -> LiveShard:
        """Return a shard as its newest usable snapshot has it; an empty one, to be rebuilt from the log, without.

        Raises
        ------
        SnapshotError
            If the snapshot there is cannot be used by this worker.
        """
        begun = time.perf_counter()
        if self.store is None:
            return self.make(index)
        found = await asyncio.to_thread(self.store.list, index, self.shards)
        if found:
            async with ExchangeLog(self.settings) as exchange:
                for each in found:
                    shard = await self._try(exchange, index, each)
                    if shard is not None:
                        self._at[index] = each.position
                        self.metrics.observe_restore("restored", time.perf_counter() - begun)
                        log.info("Shard %d goes on from its snapshot at offset %d", index, each.position)
                        return shard
        self.metrics.observe_restore("rebuilt", time.perf_counter() - begun)
        return self.make(index)

    async def _try(self, exchange: ExchangeLog, index: int, found: Found) -> LiveShard | None:
        assert self.store is not None
        begin, end = await exchange.bounds(index)
        try:
            header = await asyncio.to_thread(self.store.header, found)
            before = await exchange.record(index, found.position - 1) if begin < found.position <= end else None
            if found.position > end or (before is not None and anchor_of(before) != header.anchor):
                log.warning("The snapshot %s is of another topic than the one there is: set aside", found.path)
                await asyncio.to_thread(self.store.set_aside, found, "other-log")
                return None
            header, tree = await asyncio.to_thread(self.store.read, found)
            shard = self.make(index)
            shard.go_on_from(tree, header.position, header.anchor)
        except FileNotFoundError:  # pruned by another worker meanwhile
            return None
        except DamagedError as problem:
            log.error("The snapshot %s cannot be used: %s. The one before is taken", found.path, problem)
            self.metrics.count_snapshot(index, "damaged")
            await asyncio.to_thread(self.store.set_aside, found, "damaged")
            return None
        except (SnapshotError, LayoutError) as problem:
            raise SnapshotError(
                f"the snapshot {found.path} cannot be used: {problem}. Move it away to rebuild from the log"
            ) from None
        if header.position < begin:
            log.error(
                "Shard %d: its log no longer holds the records from offset %d to %d, which came after its snapshot",
                *(index, header.position, begin - 1),
            )
            self.metrics.observe_restore("gap")
        return shard
