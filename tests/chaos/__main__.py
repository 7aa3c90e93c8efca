"""Faults on Apache Kafka itself, under load: `python -m tests.chaos --rounds 8`.

Two brokers, some workers and a platform that sends without rest. One fault after the other; after each, the time until
every shard is worked on again. At the end everything is worked off, workers are stopped, and all topics are read once
more: every event must stand in a log once, every message that follows from the logs must be there, what the workers
held (their last snapshots) and the flags must be those of one uninterrupted reading
(docs/decisions/0016-what-two-runs-may-differ-in.md). Needs deploy/kafka/fetch.sh; without root, the network is not cut
and no disk is full.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded

import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import click
import msgspec
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from detectors.policy import default_policy
from streams.snapshots import SnapshotStore
from streams.topics import ensure_topics
from tests.chaos.cluster import Cluster, privileged
from tests.chaos.faults import FAULTS, NEEDS_ROOT
from tests.chaos.load import Load
from tests.chaos.verdict import judge

__all__ = ["main"]


@click.command()
@click.option("--rounds", default=1, show_default=True, help="How often each fault.")
@click.option("--only", multiple=True, help="Faults to do, by name; default all.")
@click.option("--workers", default=3, show_default=True)
@click.option("--shards", default=4, show_default=True)
@click.option("--rate", default=2000, show_default=True, help="Events a second.")
@click.option("--accounts", default=20_000, show_default=True)
@click.option("--calm", default=3.0, show_default=True, help="Seconds of ordinary work after each fault.")
@click.option("--seed", default=1, show_default=True)
@click.option("--keep", is_flag=True, help="Leave logs and snapshots.")
def main(
    rounds: int,
    only: tuple[str, ...],
    workers: int,
    shards: int,
    rate: int,
    accounts: int,
    calm: float,
    seed: int,
    keep: bool,
) -> None:
    """Do every fault ROUNDS times to workers at work, and say what became of every event."""
    chance = random.Random(seed)
    apart = privileged()
    names = [name for name in FAULTS if (not only or name in only) and (apart or name not in NEEDS_ROOT)]
    for name in sorted(NEEDS_ROOT - set(names)) if not only else ():
        click.echo(f"left out, it needs root: {name}")
    order = [name for _ in range(rounds) for name in chance.sample(names, len(names))]
    home = Path(tempfile.mkdtemp(prefix="kithwatch-chaos-"))
    cluster = Cluster(home, workers, shards, apart=apart)
    failed = True
    try:
        settings = cluster.settings
        admin = KafkaAdminClient(bootstrap_servers=settings.servers)
        admin.create_topics([NewTopic(name, 3, 2) for name in settings.topics.inputs])
        admin.close()
        ensure_topics(settings)
        load = Load(settings, rate, accounts, seed)
        cluster.wait(cluster.working, 300, "workers do not work")
        load.start()
        begun = time.monotonic()
        for number, name in enumerate(order, 1):
            time.sleep(calm)
            starts = sum(member.starts for member in cluster.members)
            at = time.monotonic()
            FAULTS[name](cluster, chance)
            lasted = time.monotonic() - at
            cluster.wait(cluster.working, 300, f"after '{name}' not every shard is worked on")
            again = sum(member.starts for member in cluster.members) - starts
            click.echo(
                f"{number:3}/{len(order)} {name:24} lasted {lasted:5.1f} s, all at work {time.monotonic() - at:5.1f} s "
                f"after it began, {again} started anew, {load.sent:,} events so far"
            )
        time.sleep(calm)
        load.finish()
        cluster.wait(cluster.idle, 300, "not everything was worked off")
        time.sleep(3.0)
        cluster.wait(cluster.idle, 300, "not everything was worked off")
        seconds = time.monotonic() - begun
        for member in cluster.members:
            member.end(signal.SIGTERM)
        direct = msgspec.structs.replace(settings, bootstrap=cluster.one.bootstrap)
        store = SnapshotStore(str(cluster.snapshots), settings.group)
        verdict = judge(direct, default_policy(), load.sent, store)
        click.echo(f"{len(order)} faults in {seconds:.0f} s over {workers} workers, {shards} shards and two brokers")
        click.echo(f"events sent {verdict.sent:,} (and {load.again:,} of them twice)")
        click.echo(f"events lost {verdict.lost:,}, counted {verdict.counted:,}")
        click.echo(f"flags {verdict.flags:,} in {verdict.records:,} records")
        for line in verdict.wrong:
            click.echo(f"WRONG: {line}")
        click.echo("nothing differs from an uninterrupted run" if not verdict.wrong else "differences were found")
        failed = bool(verdict.wrong)
    finally:
        cluster.close()
        if keep or failed:
            click.echo(f"logs are in {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
