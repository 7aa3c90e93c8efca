"""Statements about a worker's metrics: their names, their labels, and what can never get into them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from graph.batch import EventKind
from streams.decode import EventDecoder
from streams.metrics import Metrics, ShardSize
from streams.vocabulary import EVENT_TYPES, FLAG_TYPES, OTHER, REASONS, SEVERITIES, reason_class


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def series(metrics: Metrics) -> int:
    return sum(len(family.samples) for family in metrics.exposed.collect())


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("p1", version="1.2.3")


def test_every_event_kind_has_a_label_in_its_place() -> None:
    assert [kind.value for kind in EventKind] == list(range(1, len(EVENT_TYPES) + 1))
    words = [kind.name.lower().replace("request_", "friend_request_") for kind in EventKind]
    assert words == [name.replace(".", "_") for name in EVENT_TYPES]


def test_events_are_counted_by_type(metrics: Metrics) -> None:
    metrics.count_events({"message.sent": 3, "account.blocked": 1}, late=2, ahead=1, duplicates=4)
    metrics.count_events({"message.sent": 2})
    assert value(metrics, "kithwatch_events_total", type="message.sent") == 5
    assert value(metrics, "kithwatch_events_total", type="account.blocked") == 1
    assert value(metrics, "kithwatch_events_late_total") == 2
    assert value(metrics, "kithwatch_events_ahead_total") == 1
    assert value(metrics, "kithwatch_events_duplicate_total") == 4


def test_what_has_not_happened_is_zero_from_the_start(metrics: Metrics) -> None:
    for reason in REASONS:
        assert value(metrics, "kithwatch_dead_letters_total", reason=reason) == 0
    for severity in SEVERITIES:
        for kind in FLAG_TYPES:
            labels = {"detector": "mass_add", "severity": severity, "type": kind}
            assert value(metrics, "kithwatch_flags_total", **labels) == 0
    assert value(metrics, "kithwatch_circuit_open", detector="minor_targeting") == 0


def test_flags_and_their_delay(metrics: Metrics) -> None:
    metrics.count_flag("mass_add", "high", "flag.raised", seconds=0.12)
    metrics.count_flag("mass_add", "high", "flag.updated")  # backfill: no delay to speak of
    metrics.count_flag("mass_add", "high", "flag.raised", seconds=-0.5)  # the producer's clock is ahead of ours
    labels = {"detector": "mass_add", "severity": "high"}
    assert value(metrics, "kithwatch_flags_total", type="flag.raised", **labels) == 2
    assert value(metrics, "kithwatch_flags_total", type="flag.updated", **labels) == 1
    assert value(metrics, "kithwatch_event_to_flag_seconds_count") == 2
    assert value(metrics, "kithwatch_event_to_flag_seconds_sum") == pytest.approx(0.12)


def test_batches_are_measured_by_stage(metrics: Metrics) -> None:
    metrics.observe_batch("probe", 500, 0.004)
    assert value(metrics, "kithwatch_batch_records_sum", stage="probe") == 500
    assert value(metrics, "kithwatch_batch_records_bucket", stage="probe", le="1000.0") == 1
    assert value(metrics, "kithwatch_stage_seconds_sum", stage="probe") == pytest.approx(0.004)


def test_exchanged_rows(metrics: Metrics) -> None:
    metrics.count_exchange("resolve", "sent", 10)
    metrics.count_exchange("resolve", "repeated", 2)
    assert value(metrics, "kithwatch_exchange_rows_total", stage="resolve", outcome="sent") == 10
    assert value(metrics, "kithwatch_exchange_rows_total", stage="resolve", outcome="repeated") == 2


def test_a_revoked_partition_leaves_no_lag_behind(metrics: Metrics) -> None:
    metrics.set_lag({("social.messages", 0): 5, ("social.messages", 1): 7})
    metrics.set_lag({("social.messages", 1): -1})  # the end offset was read before the position
    assert value(metrics, "kithwatch_consumer_lag_records", topic="social.messages", partition="0") is None
    assert value(metrics, "kithwatch_consumer_lag_records", topic="social.messages", partition="1") == 0


def test_a_revoked_shard_leaves_no_sizes_behind(metrics: Metrics) -> None:
    before = series(metrics)
    metrics.set_shards({3: ShardSize(10, 20, 30, 4096, clock=1.5), 4: ShardSize(0, 0, 0, 0)})
    assert value(metrics, "kithwatch_shard_contacts", shard="3") == 20
    assert value(metrics, "kithwatch_shard_clock_seconds", shard="3") == 1.5
    assert value(metrics, "kithwatch_shard_clock_seconds", shard="4") is None, "no event yet, so no time"
    metrics.set_shards({})
    assert series(metrics) == before


def test_the_policy_in_force_replaces_the_one_before(metrics: Metrics) -> None:
    metrics.set_policy("p2")
    assert value(metrics, "kithwatch_build_info", version="1.2.3", policy_version="p2") == 1
    assert value(metrics, "kithwatch_build_info", version="1.2.3", policy_version="p1") is None


def test_two_workers_in_one_process_share_nothing() -> None:
    first, second = Metrics("p"), Metrics("p")
    first.count_events({"message.sent": 1})
    assert value(second, "kithwatch_events_total", type="message.sent") == 0


def test_detectors_and_reasons_are_told_at_the_start() -> None:
    metrics = Metrics("p", detectors=["co_targeting"], reasons=["too_old"])
    metrics.count_flag("co_targeting", "low", "flag.raised")
    metrics.count_dead_letters({"too_old": 1, "bad_field": 2})
    assert value(metrics, "kithwatch_dead_letters_total", reason="too_old") == 1
    assert value(metrics, "kithwatch_dead_letters_total", reason=OTHER) == 2
    assert value(metrics, "kithwatch_circuit_open", detector="mass_add") is None


@given(words=st.lists(st.text(max_size=200), min_size=1, max_size=20))
def test_no_text_from_the_stream_becomes_a_label(words: list[str]) -> None:
    """Whatever is handed in, the series of `other` are the only ones that come on top."""
    metrics = Metrics("p", version="0")
    clean = generate_latest(metrics.exposed)
    for word in words:
        account = f"u-{word}"
        metrics.count_events({account: 1})
        metrics.count_dead_letters({account: 1})
        metrics.count_flag(account, account, account)
        metrics.set_circuit(account, True)
        metrics.count_exchange(account, account, 1)  # type: ignore[arg-type]  # what a mistake could do
        metrics.observe_batch(account, 1, 0.0)  # type: ignore[arg-type]
    assert not [line for line in generate_latest(metrics.exposed).decode().splitlines() if "u-" in line]
    once = Metrics("p", version="0")
    once.count_events({"x": 1})
    once.count_dead_letters({"x": 1})
    once.count_flag("x", "x", "x")
    once.set_circuit("x", True)
    once.count_exchange("x", "x", 1)  # type: ignore[arg-type]
    once.observe_batch("x", 1, 0.0)  # type: ignore[arg-type]
    assert series(metrics) == series(once)
    assert len(clean) < 64 * 1024


HEAD = b'{"event_id": "e", "actor_id": "a", "target_id": "b", '
NOW = b'"occurred_at": 1790000000000, '
SENT = b'"type": "message.sent"}'


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (b"", "empty"),
        (HEAD + NOW + b'"x": "' + b"y" * 70_000 + b'", ' + SENT, "oversize"),
        (b'{"type": "\xff"}', "invalid_utf8"),
        (b"{", "invalid_json"),
        (b"[" * 5000 + b"]" * 5000, "invalid_json"),
        (b"[1]", "not_an_object"),
        (HEAD + NOW + b'"type": "message.read"}', "unknown_type"),
        (HEAD + SENT, "missing_field"),
        (NOW.replace(b'"occ', b'{"occ') + SENT, "missing_field"),
        (HEAD + NOW + b'"signs": 3, ' + SENT, "bad_field"),
        (HEAD + b'"occurred_at": "yesterday", ' + SENT, "bad_time"),
        (HEAD + b'"occurred_at": 4102444800000, ' + SENT, "bad_time"),
    ],
    ids=range(12),
)
def test_what_the_decoder_refuses_has_a_class(record: bytes, expected: str) -> None:
    (rejected,) = EventDecoder().decode([record], not_after=1_800_000_000_000).rejected
    assert reason_class(rejected.reason) == expected, rejected.reason
    assert expected in REASONS


def test_every_class_of_a_reason_is_one_the_decoder_can_give() -> None:
    (mark,) = test_what_the_decoder_refuses_has_a_class.pytestmark  # type: ignore[attr-defined]  # pytest sets it
    assert {expected for _, expected in mark.args[1]} == set(REASONS)


def test_topics_in_labels_are_few_and_have_names_kafka_allows(metrics: Metrics) -> None:
    metrics.set_lag({("my topic\n", 0): 1})
    assert value(metrics, "kithwatch_consumer_lag_records", topic=OTHER, partition="0") == 1
    metrics.set_lag({(f"topic-{number}", 0): 1 for number in range(1000)})
    lags = [f for f in metrics.exposed.collect() if f.name == "kithwatch_consumer_lag_records"]
    assert len(lags[0].samples) == 65


def test_names_follow_the_conventions(metrics: Metrics) -> None:
    for family in metrics.exposed.collect():
        assert re.fullmatch(r"(kithwatch|process)_[a-z_]+", family.name), family.name
        assert family.documentation.endswith(".")
        if family.name.startswith("kithwatch") and family.type == "histogram":
            assert family.name.endswith(("_seconds", "_records"))
        assert not any(sample.name.endswith("_created") for sample in family.samples)
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)
