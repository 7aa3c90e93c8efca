"""What a worker tells Prometheus: counters, gauges and histograms, named by the Prometheus conventions.

Names and units follow https://prometheus.io/docs/practices/naming/. A worker calls a few methods once a batch with
plain numbers, so that counting costs nothing an event. Labels come from closed vocabularies: a value that is not in
its vocabulary counts as `other`. So no stream, however hostile, makes the number of series grow, and no account id
can reach a label.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from streams.vocabulary import (
    BEGINNINGS,
    DETECTORS,
    EVENT_TYPES,
    FLAG_TYPES,
    OTHER,
    OUTCOMES,
    REASONS,
    SEVERITIES,
    SNAPSHOT_OUTCOMES,
    STAGES,
    TRAVELLING,
    Beginning,
    Outcome,
    SnapshotOutcome,
    Stage,
    fold,
)

__all__ = ["Metrics", "ShardSize"]

_FLAG_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30, 60, 300)
_STAGE_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_SNAPSHOT_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_PAUSE_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1)
_BATCH_RECORDS: Final = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)

_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}", re.ASCII)  # what Kafka accepts as a topic's name
_MOST_TOPICS: Final = 64


@dataclass(frozen=True, slots=True)
class ShardSize:
    """What one shard holds.

    Attributes
    ----------
    accounts, contacts, friendships : int
        Rows held.
    bytes : int
        Memory of the shard's arrays.
    clock : float or None
        Event time the shard has reached, in seconds since the epoch; `None` before its first event.
    """

    accounts: int
    contacts: int
    friendships: int
    bytes: int
    clock: float | None = None


class _WithoutCreationTimes(Collector):
    """A registry less the `_created` samples, which would double the series and which no query of ours reads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Yield the registry's metrics."""
        for metric in self._registry.collect():
            if metric.type in ("counter", "histogram"):
                metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class Metrics:
    """All metrics of one worker, in a registry of their own.

    Parameters
    ----------
    policy_version : str
        Hash of the policy in force.
    version : str, optional
        The program's version; that of the installed package by default.
    detectors, reasons : collection of str
        Vocabularies of the `detector` and `reason` labels.

    Notes
    -----
    Series of a closed vocabulary exist from the start with the value 0, so that the first dead letter or flag is an
    increase that Prometheus sees, and a query for what has not happened answers 0 rather than nothing.

    Examples
    --------
    >>> metrics = Metrics("demo", version="0")
    >>> metrics.count_events({"message.sent": 3, "u123": 1}, late=1)
    >>> metrics.registry.get_sample_value("kithwatch_events_total", {"type": "message.sent"})
    3.0
    >>> metrics.registry.get_sample_value("kithwatch_events_total", {"type": "other"})
    1.0
    """

    def __init__(
        self,
        policy_version: str,
        *,
        version: str | None = None,
        detectors: Collection[str] = DETECTORS,
        reasons: Collection[str] = REASONS,
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.exposed: Collector = _WithoutCreationTimes(self.registry)
        self._version = installed_version("kithwatch") if version is None else version
        self._detectors = frozenset(detectors)
        self._reasons = frozenset(reasons)
        self._topics: set[str] = set()
        self._partitions: set[tuple[str, str]] = set()
        self._shards: set[str] = set()
        self._snapshots_of: set[str] = set()
        self._replicas: set[str] = set()
        ProcessCollector(registry=self.registry)
        self._make_stream_metrics()
        self._make_shard_metrics()
        self._make_snapshot_metrics()
        self._start_at_zero()
        self.set_policy(policy_version)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"kithwatch_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"kithwatch_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"kithwatch_{name}", text, labels, registry=self.registry, buckets=buckets)

    def _make_stream_metrics(self) -> None:
        self._build = Info("kithwatch_build", "Version of the program and of its policy.", registry=self.registry)
        self._ready = self._gauge("ready", "1 when the worker answers /readyz with 200.")
        self._events = self._counter("events_total", "Events decoded, by type.", "type")
        self._late = self._counter("events_late_total", "Events older than the allowed lateness.")
        self._ahead = self._counter("events_ahead_total", "Events stamped implausibly far ahead of the stream.")
        self._duplicate = self._counter("events_duplicate_total", "Events whose event_id was seen before.")
        self._dead = self._counter("dead_letters_total", "Records dead-lettered, by reason.", "reason")
        self._lag = self._gauge(
            "consumer_lag_records", "Records of a partition that the worker has yet to read.", "topic", "partition"
        )
        self._batch = self._histogram("batch_records", "Rows in a batch, by stage.", _BATCH_RECORDS, "stage")
        self._stage = self._histogram("stage_seconds", "Seconds a stage worked on a batch.", _STAGE_SECONDS, "stage")
        self._exchange = self._counter(
            "exchange_rows_total",
            "Rows that travelled between shards, by the stage they are for; repeated: received again and dropped.",
            "stage",
            "outcome",
        )
        self._flags = self._counter("flags_total", "Flags sent.", "detector", "severity", "type")
        self._flag_delay = self._histogram(
            "event_to_flag_seconds",
            "Seconds from the record that crossed the line being produced to its flag being sent.",
            _FLAG_SECONDS,
        )
        self._circuit = self._gauge(
            "circuit_open", "1 while a detector's daily circuit breaker marks its flags as shadow.", "detector"
        )

    def _make_shard_metrics(self) -> None:
        self._shard_accounts = self._gauge("shard_accounts", "Accounts a shard holds.", "shard")
        self._shard_contacts = self._gauge("shard_contacts", "Contacts a shard holds.", "shard")
        self._shard_friendships = self._gauge("shard_friendships", "Friendships a shard holds.", "shard")
        self._shard_bytes = self._gauge("shard_bytes", "Bytes of a shard's arrays.", "shard")
        self._shard_clock = self._gauge(
            "shard_clock_seconds", "Event time a shard has reached, in seconds since the epoch.", "shard"
        )
        self._replica_lag = self._gauge(
            "replica_lag_records",
            "Records that a shard's owner has done with and this worker's replica has not.",
            "shard",
        )

    def _make_snapshot_metrics(self) -> None:
        self._snapshots = self._counter(
            "snapshots_total", "Snapshots written, failed, or found damaged when one was needed.", "outcome"
        )
        self._snapshot_bytes = self._gauge("snapshot_bytes", "Bytes of a shard's newest snapshot.", "shard")
        self._snapshot_age = self._gauge(
            "snapshot_age_seconds", "Seconds since this worker last wrote a snapshot of a shard.", "shard"
        )
        self._snapshot_seconds = self._histogram(
            "snapshot_seconds", "Seconds from freezing a shard to its snapshot being stored.", _SNAPSHOT_SECONDS
        )
        self._snapshot_pause = self._histogram(
            "snapshot_pause_seconds", "Seconds that the stream stood still for a snapshot.", _PAUSE_SECONDS
        )
        self._shard_starts = self._counter(
            "shard_starts_total",
            "Shards taken up: from a snapshot, from the beginning of their log, or with records missing between.",
            "outcome",
        )
        self._restore_seconds = self._histogram(
            "restore_seconds", "Seconds it took to read a shard's snapshot.", _SNAPSHOT_SECONDS
        )

    def _start_at_zero(self) -> None:
        for done in SNAPSHOT_OUTCOMES:
            self._snapshots.labels(done)
        for beginning in BEGINNINGS:
            self._shard_starts.labels(beginning)
        for kind in EVENT_TYPES:
            self._events.labels(kind)
        for reason in self._reasons:
            self._dead.labels(reason)
        for stage in STAGES:
            self._batch.labels(stage)
            self._stage.labels(stage)
        for stage in TRAVELLING:
            for outcome in OUTCOMES:
                self._exchange.labels(stage, outcome)
        for detector in self._detectors:
            self._circuit.labels(detector)
            for severity in SEVERITIES:
                for kind in FLAG_TYPES:
                    self._flags.labels(detector, severity, kind)

    def set_policy(self, policy_version: str) -> None:
        """Note the policy in force from now on."""
        self._build.info({"version": self._version, "policy_version": policy_version})

    def set_ready(self, ready: bool) -> None:
        """Note whether the worker is ready; the health server does this at each scrape."""
        self._ready.set(ready)

    def count_events(self, by_type: Mapping[str, int], *, late: int = 0, ahead: int = 0, duplicates: int = 0) -> None:
        """Count a batch of decoded events.

        Parameters
        ----------
        by_type : mapping of str to int
            Events of each contract type.
        late, ahead, duplicates : int
            How many of this or an earlier batch proved late, stamped far ahead, or seen before.
        """
        for kind, count in by_type.items():
            if count:
                self._events.labels(fold(kind, EVENT_TYPES)).inc(count)
        self._late.inc(late)
        self._ahead.inc(ahead)
        self._duplicate.inc(duplicates)

    def count_dead_letters(self, by_reason: Mapping[str, int]) -> None:
        """Count dead letters by the class of their reason."""
        for reason, count in by_reason.items():
            if count:
                self._dead.labels(fold(reason, self._reasons)).inc(count)

    def set_lag(self, lag: Mapping[tuple[str, int], int]) -> None:
        """Set the lag of every assigned (topic, partition); partitions no longer named are forgotten."""
        named = {(self._topic(topic), str(int(partition))): records for (topic, partition), records in lag.items()}
        _forget([self._lag], self._partitions - named.keys())
        for labels, records in named.items():
            self._lag.labels(*labels).set(max(records, 0))
        self._partitions = set(named)

    def observe_batch(self, stage: Stage, records: int, seconds: float) -> None:
        """Note one batch that a stage worked on: its rows and the seconds they took."""
        label = fold(stage, STAGES)
        self._batch.labels(label).observe(records)
        self._stage.labels(label).observe(max(seconds, 0.0))

    def count_exchange(self, stage: Stage, outcome: Outcome, rows: int) -> None:
        """Count rows that travelled between shards for `stage`: sent, received, or received again and dropped."""
        self._exchange.labels(fold(stage, STAGES), fold(outcome, OUTCOMES)).inc(rows)

    def count_flag(self, detector: str, severity: str, kind: str, *, seconds: float | None = None) -> None:
        """Count one flag.

        Parameters
        ----------
        detector, severity, kind : str
            As in the flag's `detector`, `severity` and `type`.
        seconds : float, optional
            Wall-clock seconds since the record that crossed the line was produced (its Kafka timestamp). Leave it out
            during backfill, where it would measure the age of the history.
        """
        labels = (fold(detector, self._detectors), fold(severity, SEVERITIES), fold(kind, FLAG_TYPES))
        self._flags.labels(*labels).inc()
        if seconds is not None:
            self._flag_delay.observe(max(seconds, 0.0))

    def set_circuit(self, detector: str, is_open: bool) -> None:
        """Note whether a detector's circuit breaker is open."""
        self._circuit.labels(fold(detector, self._detectors)).set(is_open)

    def set_shards(self, shards: Mapping[int, ShardSize]) -> None:
        """Set the sizes and clocks of every shard of this worker; shards no longer named are forgotten."""
        named = {str(int(shard)): size for shard, size in shards.items()}
        gauges = (self._shard_accounts, self._shard_contacts, self._shard_friendships, self._shard_bytes)
        _forget((*gauges, self._shard_clock), [(shard,) for shard in self._shards - named.keys()])
        for shard, size in named.items():
            for gauge, value in zip(gauges, (size.accounts, size.contacts, size.friendships, size.bytes), strict=True):
                gauge.labels(shard).set(value)
            if size.clock is not None:
                self._shard_clock.labels(shard).set(size.clock)
        self._shards = set(named)

    def set_replicas(self, lag: Mapping[int, int]) -> None:
        """Set how far each replica is behind its shard's owner; replicas no longer named are forgotten."""
        named = {str(int(shard)): records for shard, records in lag.items()}
        _forget([self._replica_lag], [(shard,) for shard in self._replicas - named.keys()])
        for shard, records in named.items():
            self._replica_lag.labels(shard).set(max(records, 0))
        self._replicas = set(named)

    def count_snapshot(
        self, shard: int, outcome: SnapshotOutcome, *, seconds: float | None = None, size: int | None = None
    ) -> None:
        """Count a snapshot: written (with seconds and bytes), failed, or found damaged."""
        self._snapshots.labels(fold(outcome, SNAPSHOT_OUTCOMES)).inc()
        if seconds is not None:
            self._snapshot_seconds.observe(seconds)
        if size is not None:
            self._snapshot_bytes.labels(str(int(shard))).set(size)

    def observe_snapshot_pause(self, seconds: float) -> None:
        """Note how long the stream stood still for a snapshot."""
        self._snapshot_pause.observe(seconds)

    def observe_restore(self, outcome: Beginning, seconds: float | None = None) -> None:
        """Count a shard that was taken up, with the seconds that reading its snapshot took."""
        self._shard_starts.labels(fold(outcome, BEGINNINGS)).inc()
        if seconds is not None and outcome == "restored":
            self._restore_seconds.observe(seconds)

    def set_snapshot_ages(self, ages: Mapping[int, float]) -> None:
        """Set the seconds since each shard's newest snapshot; shards no longer named are forgotten."""
        named = {str(int(shard)): age for shard, age in ages.items()}
        gone = [(shard,) for shard in self._snapshots_of - named.keys()]
        _forget([self._snapshot_age, self._snapshot_bytes], gone)
        for shard, age in named.items():
            self._snapshot_age.labels(shard).set(age)
        self._snapshots_of = set(named)

    def _topic(self, name: str) -> str:
        """Return `name` as a label: a name Kafka would accept, of the first few that this worker read."""
        if name in self._topics:
            return name
        if len(self._topics) >= _MOST_TOPICS or _TOPIC.fullmatch(name) is None:
            return OTHER
        self._topics.add(name)
        return name


def _forget(gauges: Iterable[Gauge], series: Iterable[tuple[str, ...]]) -> None:
    """Remove the series with these label values, where they exist."""
    gone = list(series)
    for gauge in gauges:
        for labels in gone:
            gauge.remove(*labels)
