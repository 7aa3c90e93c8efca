"""`kithwatch worker`: what is read and checked before a worker starts, and how Faust runs it."""

from __future__ import annotations

import sys
from typing import Any

import click
import faust

from streams.cli import UserError
from streams.collector import spare
from streams.lists import read_lists
from streams.options import read_policy, read_time
from streams.process import check_port, check_snapshots, set_up_logging
from streams.settings import KafkaSettings, parse_duration
from streams.snapshots import SnapshotSettings
from streams.topics import ensure_topics
from streams.warm import exercise
from streams.worker import SESSION_TIMEOUT, STANDBY_TIMEOUT, Worker

__all__ = ["worker"]


class Runner(faust.Worker):  # type: ignore[misc]  # faust ships no types mypy follows here
    """Runs a worker until it is told to stop."""

    def __init__(self, worker: Worker, **options: Any) -> None:
        super().__init__(worker.app, **options)
        self.worker = worker

    async def on_stop(self) -> None:
        """Finish sending before the app goes."""
        await self.worker.close()
        await super().on_stop()


@click.command()
@click.option("--bootstrap", metavar="HOST:PORT", help="Brokers; default $KITHWATCH_BOOTSTRAP or localhost:9092.")
@click.option("--shards", type=click.IntRange(1, 4096), help="Shards, if the exchange topic is yet to be made.")
@click.option("--policy", "policy_path", metavar="FILE", help="A policy; what it leaves out keeps its default.")
@click.option("--lists", "lists_paths", multiple=True, metavar="FILE", help="Who stands on the policy's lists.")
@click.option("--snapshots", metavar="URL", help="Folder or fsspec URL; default $KITHWATCH_SNAPSHOTS; none: keep none.")
@click.option(
    "--snapshot-every", default="5m", show_default=True, metavar="TIME", help="Between two of a shard, at most."
)
@click.option("--standby", is_flag=True, help="Follow the shards of other workers, to go on at once if they end.")
@click.option(
    "--session-timeout",
    type=click.FloatRange(6.0, 300.0),
    help="Seconds after which a worker that is not heard loses its shards; default 10, or 6 (the least that brokers "
    "allow) with --standby.",
)
@click.option("--raise-after", metavar="TIME", help="Send no flag before this event time (for loading history).")
@click.option("--health-host", default="127.0.0.1", show_default=True, help="Where metrics and health are served.")
@click.option("--health-port", default=0, type=click.IntRange(0, 65535), help="0 (the default) chooses a free port.")
@click.option("--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]))
def worker(
    bootstrap: str | None,
    shards: int | None,
    policy_path: str | None,
    lists_paths: tuple[str, ...],
    snapshots: str | None,
    snapshot_every: str,
    standby: bool,
    session_timeout: float | None,
    raise_after: str | None,
    health_host: str,
    health_port: int,
    log_level: str,
) -> None:
    """Run one worker. Start as many as there are cores or machines: they share the shards among them."""
    try:
        settings = KafkaSettings.from_env(bootstrap=bootstrap, shards=shards)
        keeping = SnapshotSettings.from_env(url=snapshots, every_ms=parse_duration(snapshot_every))
    except ValueError as problem:
        raise UserError(str(problem)) from None
    policy = read_policy(policy_path)
    lists = read_lists(lists_paths, policy)
    plan = ensure_topics(settings)
    missing = [name for name in settings.topics.inputs if name in plan.missing]
    if missing:
        hint = "the platform makes them, or `kithwatch topics --create-inputs`"
        raise UserError(f"no topic {', '.join(missing)}: {hint}")
    check_snapshots(settings, keeping)
    check_port(health_host, health_port)
    set_up_logging(log_level.upper())
    made = Worker(
        settings,
        policy,
        plan.shards,
        snapshots=keeping,
        standby=standby,
        session_timeout=session_timeout or (STANDBY_TIMEOUT if standby else SESSION_TIMEOUT),
        raise_after=read_time(raise_after, "--raise-after"),
        lists=lists,
        host=health_host,
        port=health_port,
    )
    exercise()  # compiles on a machine's very first start, loads what is compiled on every other
    spare()
    runner = Runner(made, redirect_stdouts=False, quiet=True, override_logging=False)
    runner.spinner = None
    sys.exit(runner.execute_from_commandline())
