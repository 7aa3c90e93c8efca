"""The faults: each is done to a running cluster, and undone again."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

from tests.chaos.cluster import Cluster

__all__ = ["FAULTS", "NEEDS_ROOT"]

SESSION = 10.0
"""The group's session timeout, seconds (`streams.worker`)."""
Fault = Callable[[Cluster, random.Random], None]


def kill_a_worker(cluster: Cluster, chance: random.Random) -> None:
    """kill -9, and started again after a moment."""
    member = chance.choice(cluster.members)
    member.down_until = time.monotonic() + chance.choice((0.0, 2.0, SESSION + 3.0))
    member.end(signal.SIGKILL)


def stop_a_worker(cluster: Cluster, chance: random.Random) -> None:
    """SIGTERM, as a deployment does."""
    member = chance.choice(cluster.members)
    member.down_until = time.monotonic() + 2.0
    member.end(signal.SIGTERM)


def let_a_worker_stand(cluster: Cluster, chance: random.Random) -> None:
    """SIGSTOP for longer than the session timeout: it wakes up with shards that went to others."""
    member = chance.choice(cluster.members)
    member.send(signal.SIGSTOP)
    time.sleep(SESSION + 4.0)
    member.send(signal.SIGCONT)


def restart_a_broker(cluster: Cluster, chance: random.Random) -> None:
    """SIGTERM and started again, or kill -9."""
    broker = chance.choice((cluster.one, cluster.two))
    broker.end(chance.choice((signal.SIGTERM, signal.SIGKILL)))
    broker.start()


def leave_one_broker(cluster: Cluster, chance: random.Random) -> None:
    """One of two brokers is away for a while; the other leads everything."""
    cluster.two.end(signal.SIGTERM)
    _tended(cluster, 12.0)
    cluster.two.start()


def cut_a_worker_off(cluster: Cluster, chance: random.Random) -> None:
    """A worker's network is gone for longer than the session timeout."""
    member = chance.choice(cluster.members)
    cluster.cut(member)
    _tended(cluster, SESSION + 4.0)
    cluster.mend(member)


def fill_the_disk(cluster: Cluster, chance: random.Random) -> None:
    """No room for snapshots; a worker is killed when there is room again."""
    filler = cluster.snapshots / "filler"
    try:
        with filler.open("wb") as file:
            while True:
                file.write(b"x" * (1 << 20))
                file.flush()
    except OSError:
        pass
    _tended(cluster, 8.0)
    filler.unlink()
    kill_a_worker(cluster, chance)


def damage_a_snapshot(cluster: Cluster, chance: random.Random) -> None:
    """A byte of a shard's newest snapshot is wrong, or its end is missing, and all workers are killed."""
    shards = sorted(path for path in cluster.snapshots.rglob("shard-*") if path.is_dir())
    found = sorted(chance.choice(shards).glob("*.snap")) if shards else []
    for member in cluster.members:
        member.end(signal.SIGKILL)
    if len(found) > 1:
        size = found[-1].stat().st_size
        if chance.random() < 0.5:
            os.truncate(found[-1], chance.randrange(size))
        else:
            with found[-1].open("r+b") as file:
                file.seek(chance.randrange(size))
                byte = file.read(1)
                file.seek(-1, os.SEEK_CUR)
                file.write(bytes([byte[0] ^ 0x40]))


def _tended(cluster: Cluster, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        cluster.tend()
        time.sleep(0.25)


FAULTS: dict[str, Fault] = {
    fault.__name__.replace("_", " "): fault
    for fault in (
        kill_a_worker,
        damage_a_snapshot,
        let_a_worker_stand,
        restart_a_broker,
        stop_a_worker,
        cut_a_worker_off,
        leave_one_broker,
        fill_the_disk,
    )
}
NEEDS_ROOT = {"cut a worker off", "fill the disk"}
