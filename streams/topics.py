"""`kithwatch topics`: create the topics that are missing, check those that are there.

What is chosen, and why:

- The exchange topic has one partition a shard. Their number cannot change while state is spread by it: a topic that
  disagrees with what was asked for is refused, never repaired.
- It keeps records for 760 days: without snapshots a shard is rebuilt from it, and what it no longer holds is forgotten.
  760 days are the two years a friendship is remembered without a sign of life, and a month. With snapshots it has to
  reach back to the oldest one that is kept, so that `--retention 14d` leaves two weeks to notice that none are written.
- Flags are keyed by account, and an account has several flags, so compaction would lose some: `delete`, 90 days.
- Contexts (the surroundings of flagged accounts) are for the console, which reads them at once: 7 days.
- Dispositions are what workers learn suppressions from when they start anew: as long as the exchange topic.
- Dead letters hold the platform's own bytes, so they go after 14 days.
- All of these count retention from the time of writing (`LogAppendTime`): with the time of the events, loading old
  years would have the broker delete them at once.
- The input topics belong to the platform: they are made only on request.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Final

import click
import msgspec
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import InvalidConfigurationError, KafkaError, TopicAlreadyExistsError

from streams.cli import UserError
from streams.settings import DAY_MS, DEFAULT_SHARDS, KafkaSettings

__all__ = ["TopicPlan", "TopicState", "ensure_topics", "topics"]

CONNECT_MS: Final = 5_000
FLAG_RETENTION_MS: Final = 90 * DAY_MS
CONTEXT_RETENTION_MS: Final = 7 * DAY_MS
DISPOSITION_RETENTION_MS: Final = 760 * DAY_MS
DEAD_LETTER_RETENTION_MS: Final = 14 * DAY_MS

log = logging.getLogger(__name__)


class TopicState(msgspec.Struct, frozen=True):
    """One topic: what it should be, and whether it was there.

    Attributes
    ----------
    name
        The topic.
    partitions
        Its partitions, or those it would get.
    status
        `present`, `created`, or `missing` (nothing was changed).
    """

    name: str
    partitions: int
    status: str


class TopicPlan(msgspec.Struct, frozen=True):
    """All topics after `ensure_topics`, and the number of shards."""

    shards: int
    topics: tuple[TopicState, ...]

    @property
    def missing(self) -> list[str]:
        """Names of the topics that are not there."""
        return [topic.name for topic in self.topics if topic.status == "missing"]


def ensure_topics(settings: KafkaSettings, *, input_partitions: int | None = None, check: bool = False) -> TopicPlan:
    """Create what is missing and return how the topics are.

    Parameters
    ----------
    settings
        Where Kafka is and how the topics should be.
    input_partitions
        Partitions of input topics that are missing. None leaves missing input topics missing.
    check
        Change nothing.

    Raises
    ------
    UserError
        If no broker answers or it refuses a topic, or the exchange topic has not as many partitions as asked for.
    """
    names = settings.topics
    with _admin(settings) as admin:
        found = _partitions(admin, [*names.inputs, *names.own])
        shards = _shards(settings, found)
        replication = settings.replication if settings.replication is not None else -1
        wanted = {
            names.exchange: (shards, _config(settings.retention_ms)),
            names.flags: (shards, _config(FLAG_RETENTION_MS)),
            names.contexts: (shards, _config(CONTEXT_RETENTION_MS)),
            names.dispositions: (shards, _config(DISPOSITION_RETENTION_MS)),
            names.dead_letters: (1, _config(DEAD_LETTER_RETENTION_MS)),
        }
        states = [
            _ensure(admin, name, found.get(name), input_partitions, {}, replication, check) for name in names.inputs
        ]
        states += [
            _ensure(admin, name, found.get(name), partitions, config, replication, check)
            for name, (partitions, config) in wanted.items()
        ]
    return TopicPlan(shards, tuple(states))


def _config(retention_ms: int) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(retention_ms),
        "message.timestamp.type": "LogAppendTime",
    }


@contextlib.contextmanager
def _admin(settings: KafkaSettings) -> Iterator[KafkaAdminClient]:
    hush = logging.getLogger("kafka")
    level = hush.level
    hush.setLevel(logging.CRITICAL)  # what goes wrong is said once, below
    try:
        admin = KafkaAdminClient(**settings.client, bootstrap_timeout_ms=CONNECT_MS)
        try:
            yield admin
        finally:
            admin.close()
    except (KafkaError, OSError, ValueError) as problem:
        raise UserError(
            f"no Kafka broker could be used at {settings.bootstrap} ({_reason(problem)}); start one, or give its "
            "address with --bootstrap or KITHWATCH_BOOTSTRAP"
        ) from problem
    finally:
        hush.setLevel(level)


def _reason(problem: Exception) -> str:
    return str(problem).split(": Request ")[0] or type(problem).__name__


def _partitions(admin: KafkaAdminClient, names: list[str]) -> dict[str, int]:
    described = admin.describe_topics(names)
    return {topic["name"]: len(topic["partitions"]) for topic in described if topic["partitions"]}


def _shards(settings: KafkaSettings, found: dict[str, int]) -> int:
    present = found.get(settings.topics.exchange)
    if settings.shards is not None and present is not None and settings.shards != present:
        raise UserError(
            f"{settings.shards} shards are asked for, but {settings.topics.exchange} has {present} partitions; leave "
            f"--shards out to go on with {present}, or start over: delete that topic and set another KITHWATCH_GROUP, "
            "which reads the input topics from their beginning"
        )
    return present or settings.shards or DEFAULT_SHARDS


def _ensure(
    admin: KafkaAdminClient,
    name: str,
    present: int | None,
    partitions: int | None,
    config: dict[str, str],
    replication: int,
    check: bool,
) -> TopicState:
    if present is not None:
        return TopicState(name, present, "present")
    if check or partitions is None:
        return TopicState(name, partitions or 0, "missing")
    try:
        _create(admin, name, partitions, config, replication)
    except KafkaError as problem:
        raise UserError(f"the broker does not create the topic {name}: {_reason(problem)}") from problem
    return TopicState(name, partitions, "created")


def _create(admin: KafkaAdminClient, name: str, partitions: int, config: dict[str, str], replication: int) -> None:
    try:
        admin.create_topics([NewTopic(name, partitions, replication, topic_configs=config)], wait_for_metadata=True)
    except TopicAlreadyExistsError:
        there = _partitions(admin, [name]).get(name)  # another worker was quicker
        if there != partitions:
            raise UserError(
                f"the topic {name} was made with {there} partitions while {partitions} were wanted; start all workers "
                "with the same --shards"
            ) from None
    except InvalidConfigurationError:
        if not config:
            raise
        log.warning("The broker does not know the settings %s of the topic %s; it is made without", config, name)
        _create(admin, name, partitions, {}, replication)


@click.command()
@click.option("--bootstrap", metavar="HOST:PORT", help="Kafka brokers [env KITHWATCH_BOOTSTRAP, localhost:9092]")
@click.option("--shards", type=click.IntRange(1), help=f"partitions of the exchange topic [as found, {DEFAULT_SHARDS}]")
@click.option("--replication", type=click.IntRange(1), help="copies of each record [the brokers' default]")
@click.option(
    "--retention", metavar="TIME", help="how long the exchange topic keeps records: 30d, 12h, unlimited [760d]"
)
@click.option(
    "--create-inputs", type=click.IntRange(1), metavar="N", help="make missing input topics, N partitions each"
)
@click.option("--check", is_flag=True, help="change nothing; exit status 1 if a topic is missing")
def topics(
    bootstrap: str | None,
    shards: int | None,
    replication: int | None,
    retention: str | None,
    create_inputs: int | None,
    check: bool,
) -> None:
    """Create the topics that are missing, and check those that are there."""
    try:
        settings = KafkaSettings.from_env(
            bootstrap=bootstrap, shards=shards, replication=replication, retention=retention
        )
    except ValueError as problem:
        raise UserError(str(problem)) from problem
    plan = ensure_topics(settings, input_partitions=create_inputs, check=check)
    for topic in plan.topics:
        click.echo(f"{topic.status:8} {topic.name}" + (f"  partitions={topic.partitions}" if topic.partitions else ""))
    if check and plan.missing:
        raise click.ClickException(f"missing topics: {', '.join(plan.missing)}; kithwatch topics makes kithwatch's own")
    if unmade := [name for name in plan.missing if name in settings.topics.inputs]:
        click.echo(
            f"The platform's own topics are missing: {', '.join(unmade)}; --create-inputs N makes them.", err=True
        )
