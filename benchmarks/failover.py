"""How long the events of a killed worker's shards wait: `python -m benchmarks.failover`.

Apache Kafka on this machine (deploy/kafka/fetch.sh), two workers, two shards of ten million contacts and friendships
each: filled here through the steps of `kithwatch replay`, and laid where snapshots lie, as of the beginning of an empty
log. Accounts are owned by the shards that they are on, and their history ends now. A platform sends events of these
accounts without rest. Then the worker that holds shard 0 is killed (SIGKILL), and started again once the other one has
taken over; so several times with standbys, and as often without.

What is told is seen from outside, at the exchange topic: the time from the kill until the dead worker's shard is heard
to ask about an event that reached Kafka *after* the kill, and the time from which on nothing it asks about is older
than two seconds. Two times from the survivor's own log stand beside it: when the group gave it the shard, and when it
had the state.
"""

from __future__ import annotations

import multiprocessing
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import click
import confluent_kafka as ck
import numpy as np
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from benchmarks.memory import Names, batches, texts
from detectors.policy import default_policy
from graph.kept import tree_of
from graph.message import Kind, owner_of
from graph.state import DAY
from streams.hashing import hash_id
from streams.live import LiveShard
from streams.metrics import Metrics
from streams.settings import KafkaSettings
from streams.snapshot_file import Header, pack_tree
from streams.snapshots import LAYOUT, SnapshotStore
from streams.topics import ensure_topics
from streams.wire import unpack
from tests.brokers import ApacheKafka
from tests.chaos.cluster import Member
from tests.chaos.load import Load

SHARDS: Final = 2
LENGTH: Final = 36
"""Characters of an account's id, as of a UUID."""
BARS: Final = {True: 10.0, False: 30.0}
OLD: Final = 2.0
"""Seconds; what waited longer is behind."""
QUIET: Final = 5.0
"""Seconds without anything old, after which a shard has caught up."""
PATIENCE: Final = 240.0


def names_of(shard: int, accounts: int) -> Names:
    """Return accounts that a shard owns."""
    numbers = np.arange(int(1.1 * SHARDS * accounts) + 10_000)
    known = texts(numbers, LENGTH, 7)
    hashes = np.fromiter((hash_id(row.tobytes().decode()) for row in known), np.uint64, len(known))
    mine = np.flatnonzero(owner_of(hashes, SHARDS) == shard)[:accounts]
    assert len(mine) == accounts, "too few accounts fell to the shard"
    return Names(hashes[mine], known[mine])


def fill(shard: int, edges: int, accounts: int, settings: KafkaSettings, folder: str, now: int) -> tuple[int, int, int]:
    """Make a shard's state and lay it down as its snapshot; return its contacts, friendships and the file's bytes."""
    policy = default_policy()
    live = LiveShard(shard, SHARDS, policy, now, settings.topics, Metrics(policy.version))
    stream = batches(
        *(accounts, 2 * edges // 3, edges - 2 * edges // 3, LENGTH, 1 + shard),
        start=now - 29 * DAY,
        names=names_of(shard, accounts),
    )
    for batch in stream:
        for step in live.node.shard.process(batch):
            for _ in live.engine.take(step):
                pass
    head = Header(
        layout=LAYOUT,
        program="benchmark",
        shard=shard,
        shards=SHARDS,
        position=0,
        anchor=b"",
        policy=policy.version,
        erased=0,
    )
    size = SnapshotStore(folder, settings.group).write(head, pack_tree(tree_of(live)))
    return live.node.shard.contacts, live.node.shard.friendships, size


class Watch:
    """Listens to the exchange topic: when each shard asked last, and how old what it asked about was."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._consumer = ck.Consumer(
            {"bootstrap.servers": settings.bootstrap, "group.id": "watch", "enable.auto.commit": False}
        )
        ends = [
            self._consumer.get_watermark_offsets(ck.TopicPartition(settings.topics.exchange, p), timeout=30)[1]
            for p in range(SHARDS)
        ]
        self._consumer.assign([ck.TopicPartition(settings.topics.exchange, p, end) for p, end in enumerate(ends)])
        self._lock = threading.Lock()
        self._heard: list[tuple[float, int, float, float]] = []  # when, which shard, its oldest and newest event
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            record = self._consumer.poll(0.2)
            if record is None or record.error():
                continue
            message = unpack(record.value())
            if message.kind == Kind.ASKS:
                came = message.rows["ingested_at"] / 1000
                with self._lock:
                    self._heard.append((time.time(), message.source, float(came.min()), float(came.max())))

    def since(self, shard: int, at: float) -> list[tuple[float, float, float]]:
        """Return what was heard of a shard since a time: when, and when its oldest and newest event reached Kafka."""
        with self._lock:
            return [(when, old, new) for when, source, old, new in self._heard if source == shard and when >= at]

    def stop(self) -> None:
        """Listen no more."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()


def wait(what: Callable[[], bool], why: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        if time.monotonic() > deadline:
            raise SystemExit(f"after {PATIENCE:.0f} s: {why}")
        time.sleep(0.1)


def holds(member: Member, shard: int) -> bool:
    """Whether a worker has a shard, ready to work."""
    found = member.metrics()
    return found.get("kithwatch_ready") == 1.0 and f'kithwatch_shard_bytes{{shard="{shard}"}}' in found


def settled(members: list[Member], watch: Watch, *, standby: bool) -> bool:
    """Whether each worker has its share, replicas are level with their owners, and nothing heard lately is old."""
    all_found = [member.metrics() for member in members]
    for found in all_found:
        if found.get("kithwatch_ready") != 1.0 or not any(key.startswith("kithwatch_shard_bytes{") for key in found):
            return False
        behind = [value for key, value in found.items() if key.startswith("kithwatch_replica_lag_records{")]
        if standby and (len(behind) != SHARDS // 2 or max(behind) > 100):
            return False
    now = time.time()
    lately = [watch.since(shard, now - QUIET) for shard in range(SHARDS)]
    return all(lately) and all(when - old < OLD for each in lately for when, old, _ in each)


SAID: Final = re.compile(r"^(\S+ \S+),(\d+) \w+ (.*)$", re.MULTILINE)


def said_after(log: Path, at: float, what: str) -> float | None:
    """Return when, in seconds after a time, a worker's log said something first."""
    for day, ms, text in SAID.findall(log.read_text(errors="replace")):
        when = datetime.strptime(day, "%Y-%m-%d %H:%M:%S").timestamp() + int(ms) / 1000
        if when >= at and re.match(what, text):
            return when - at
    return None


def fail_over(members: list[Member], watch: Watch, shard: int, label: str) -> float:
    """Kill the worker that holds a shard; return the seconds until the shard is worked on again."""
    (victim,) = [member for member in members if holds(member, shard)]
    (heir,) = [member for member in members if member is not victim]
    at = time.time()
    victim.end(signal.SIGKILL)

    def again() -> list[float]:
        return [when for when, _, new in watch.since(shard, at) if new > at]

    wait(lambda: bool(again()), "the shard is not worked on")
    first = again()[0] - at

    def behind() -> float:
        return max((when for when, old, _ in watch.since(shard, at) if when - old > OLD), default=at)

    wait(lambda: time.time() - behind() > QUIET, "the shard does not catch up")
    given = said_after(heir.log, at, r"Shards of this worker")
    state = said_after(heir.log, at, rf"Shard {shard} goes on from its (snapshot|replica)")
    steps = ", ".join(
        f"{what} after {seconds:.1f} s"
        for what, seconds in (("given over", given), ("state there", state))
        if seconds is not None
    )
    click.echo(f"{label}: worked on again after {first:.1f} s, up to date after {behind() - at:.1f} s ({steps})")
    victim.start()
    return first


@click.command()
@click.option("--edges", default=10_500_000, show_default=True, help="Contacts and friendships of each shard.")
@click.option("--accounts", default=1_000_000, show_default=True, help="Of each shard.")
@click.option("--rounds", default=3, show_default=True, help="Kills with standbys, and as many without.")
@click.option("--rate", default=1000, show_default=True, help="Events a second.")
@click.option("--calm", default=10.0, show_default=True, help="Seconds of ordinary work before each kill.")
@click.option("--snapshot-every", default="5m", show_default=True, help="As of the worker.")
@click.option("--keep", is_flag=True, help="Leave the logs.")
def main(edges: int, accounts: int, rounds: int, rate: int, calm: float, snapshot_every: str, keep: bool) -> None:
    """Fill the shards, kill, measure; status 1 where a bar is missed."""
    home = Path(tempfile.mkdtemp(prefix="kithwatch-failover-"))
    now = int(time.time() * 1000)
    worst: dict[bool, float] = {}
    with ApacheKafka() as kafka:
        settings = KafkaSettings(bootstrap=kafka.bootstrap, group="failover", shards=SHARDS)
        admin = KafkaAdminClient(bootstrap_servers=settings.servers)
        admin.create_topics([NewTopic(name, SHARDS, 1) for name in settings.topics.inputs])
        admin.close()
        ensure_topics(settings)
        members = [Member(number, settings, home, False, ()) for number in range(2)]
        begun = time.monotonic()
        with multiprocessing.get_context("spawn").Pool(SHARDS) as pool:
            made = [
                pool.apply_async(fill, (shard, edges, accounts, settings, str(members[0].snapshots), now))
                for shard in range(SHARDS)
            ]
            for shard, job in enumerate(made):
                contacts, friendships, size = job.get()
                click.echo(
                    f"shard {shard}: {contacts:,} contacts and {friendships:,} friendships, snapshot of "
                    f"{size / 2**20:,.0f} MiB, made in {time.monotonic() - begun:.0f} s"
                )
        everyone = [row.tobytes().decode() for shard in range(SHARDS) for row in names_of(shard, accounts).texts]
        np.random.default_rng(1).shuffle(everyone)
        watch = Watch(settings)
        load = Load(settings, rate, len(everyone), 1, everyone.__getitem__)
        try:
            for standby in (True, False):
                kind = "with a standby" if standby else "without"
                for member in members:
                    member.extra = ("--snapshot-every", snapshot_every, *(("--standby",) if standby else ()))
                    member.start()
                if not load.sent:
                    wait(lambda: all(m.metrics().get("kithwatch_ready") == 1.0 for m in members), "workers not ready")
                    load.start()
                seconds = []
                for number in range(rounds):
                    wait(lambda standby=standby: settled(members, watch, standby=standby), "no calm")  # type: ignore[misc]
                    time.sleep(calm)
                    seconds.append(fail_over(members, watch, 0, f"{kind}, {number + 1} of {rounds}"))
                worst[standby] = max(seconds)
                for member in members:
                    wait(lambda member=member: bool(member.metrics()), "not up")  # type: ignore[misc]
                    member.end(signal.SIGTERM)
            load.finish()
        finally:
            for member in members:
                member.end(signal.SIGKILL)
            watch.stop()
            if keep:
                click.echo(f"logs are in {home}")
            else:
                shutil.rmtree(home, ignore_errors=True)
    for standby, bar in BARS.items():
        kind = "with a standby" if standby else "without"
        click.echo(f"{kind}: {worst[standby]:.1f} s at worst (bar {bar:.0f} s), {load.sent:,} events sent in all")
    sys.exit(any(worst[standby] >= bar for standby, bar in BARS.items()))


if __name__ == "__main__":
    main()
