"""What a snapshot of a large shard costs: `python -m benchmarks.snapshot`.

A shard is filled with contacts and friendships of heavy-tailed accounts (`benchmarks.memory`). Then it goes on taking
events, one message after the other, while a snapshot is made as a worker makes it: frozen by a fork, packed by the
child, stored by a thread. Reported are the time the stream stood still for the freeze, the longest that one message
took meanwhile beside the longest before, and what a copy of the arrays would have cost instead. Then the snapshot is
read into a new shard, and both are compared.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import threading
import time
from itertools import islice
from pathlib import Path

import click
import psutil

from benchmarks.memory import batches
from detectors.engine import Engine
from detectors.policy import default_policy
from graph.kept import restore, tree_of
from graph.message import split_events
from graph.node import Node
from streams import freeze as freezing
from streams.freeze import freeze
from streams.snapshot_file import Header
from streams.snapshots import LAYOUT, SnapshotStore
from tests.deep import differences

MESSAGE = 2_048
PAUSE_BAR, RESTORE_BAR = 0.2, 5.0


def resident() -> float:
    """Return the resident set, MiB."""
    return psutil.Process().memory_info().rss / 2**20


@click.command()
@click.argument("contacts", type=int, default=7_000_000)
@click.argument("friendships", type=int, default=3_500_000)
@click.option("--accounts", type=int, default=1_000_000)
@click.option("--folder", type=click.Path(path_type=Path), help="Where to write; by default a temporary folder.")
def main(contacts: int, friendships: int, accounts: int, folder: Path | None) -> None:
    """Freeze, write and restore a shard of so many CONTACTS and FRIENDSHIPS while it works."""
    place = folder or Path(tempfile.mkdtemp(prefix="kithwatch-snapshot-"))
    node = Node(0, 1)
    engine = Engine(node.shard, default_policy())
    more = 1_200_000
    stream = (
        message
        for batch in batches(accounts, contacts + more, friendships, 36, 1)
        for start in range(0, len(batch), MESSAGE)
        for _, message in split_events(batch.select(slice(start, start + MESSAGE)), 1)
    )

    def take(offset: int) -> float | None:
        """Take one message; return how long it took, or None at the end."""
        message = next(stream, None)
        if message is None:
            return None
        begun = time.perf_counter()
        for step in node.handle(message, offset):
            if not isinstance(step, list):
                for _ in engine.take(step):
                    pass
        return time.perf_counter() - begun

    for offset in range((contacts + friendships) // MESSAGE):
        take(offset)
    gc.collect()
    gc.freeze()
    offset = 1 << 30
    before = sorted(filter(None, (take(offset + i) for i in range(250))))
    shard = node.shard
    click.echo(
        f"held: {shard.contacts:,} contacts, {shard.friendships:,} friendships, {shard.accounts:,} accounts; "
        f"arrays of {sum(shard.nbytes.values()) / 2**20:,.0f} MiB, resident {resident():,.0f} MiB"
    )

    store = SnapshotStore(str(place), "benchmark")
    header = Header(
        layout=LAYOUT, program="0", shard=0, shards=1, position=1, anchor=b"", policy=engine.version, erased=0
    )
    frozen = freeze(lambda: {"node": tree_of(node), "engine": tree_of(engine)}, sum(shard.nbytes.values()))
    kept = (shard.contacts, shard.friendships, shard.clock)
    written: list[float] = []

    def write() -> None:
        begun = time.perf_counter()
        written.append(store.write(header, frozen.frames))
        written.append(time.perf_counter() - begun)

    writer = threading.Thread(target=write)
    writer.start()
    during: list[float] = []
    most = resident()
    while writer.is_alive() and (took := take(offset)) is not None:
        during.append(took)
        most = max(most, resident())
        offset += 1
    writer.join()
    size, seconds = written
    during.sort()
    click.echo(f"the stream stood still for the freeze: {1000 * frozen.pause:.1f} ms (bar {1000 * PAUSE_BAR:.0f})")
    calm, busy = [(1000 * times[-1], 1000 * times[len(times) // 2]) for times in (before, during)]
    click.echo(
        f"a message of {MESSAGE:,} events took {calm[1]:.1f} ms before and {busy[1]:.1f} ms while it was written "
        f"(medians), {calm[0]:.1f} and {busy[0]:.1f} ms at most"
    )
    click.echo(
        f"written: {size / 2**20:,.0f} MiB in {seconds:.1f} s beside {len(during):,} messages; most {most:,.0f} MiB"
    )

    (found,) = store.list(0, 1)
    begun = time.perf_counter()
    _, tree = store.read(found)
    again = Node(0, 1)
    anew = Engine(again.shard, default_policy())
    restore(again, tree["node"])
    restore(anew, tree["engine"])
    took_restore = time.perf_counter() - begun
    click.echo(f"restored in {took_restore:.1f} s (bar {RESTORE_BAR:.0f})")
    assert (again.shard.contacts, again.shard.friendships, again.shard.clock) == kept
    del tree

    freezing.COPIED = 1 << 60  # type: ignore[misc]  # the other way, for comparison
    copied = freeze(lambda: {"node": tree_of(again), "engine": tree_of(anew)}, 0)
    click.echo(f"a copy of the arrays instead of a fork: {1000 * copied.pause:.0f} ms")
    second = SnapshotStore(str(place), "copied")
    second.write(header, copied.frames)
    one, other = store.read(found)[1], second.read(second.list(0, 1)[0])[1]
    click.echo(f"what was read equals what was frozen: {'no' if list(islice(differences(one, other), 1)) else 'yes'}")
    if folder is None:
        shutil.rmtree(place)
    os._exit(0 if frozen.pause < PAUSE_BAR and took_restore < RESTORE_BAR else 1)


if __name__ == "__main__":
    main()
