"""Flags leave as the contract shows them, and the same flag always as the same bytes."""

from __future__ import annotations

import json

import msgspec
import pytest

from streams.flags import Evidence, Flag, Window, dead_letter_headers, encode_flag, rfc3339

FLAG = Flag(
    type="flag.raised",
    flag_id="f1",
    account_id="u123",
    role="actor",
    detector="minor_targeting",
    severity="high",
    score=0.93,
    raised_at=rfc3339(1795321302123),
    updated_at=rfc3339(1795321302123),
    window=Window(start=rfc3339(1795321302123 - 7 * 86_400_000), end=rfc3339(1795321302123)),
    evidence=Evidence(
        features={"strangers_7d": 31, "minors_7d": 23},
        thresholds={"p_value": 1e-6, "minors_7d": 8},
        baseline={"minor_share": 0.07},
        targets=["u1"],
        event_ids=["e1"],
    ),
    explanation="Adult account contacted 23 minors.",
    counterfactual="Would not have been raised below 8 minors in 7 days.",
    policy_version="1",
    shadow=False,
)


def test_a_flag_looks_as_the_contract_shows_it() -> None:
    out = json.loads(encode_flag(FLAG))
    assert list(out) == [
        *("type", "schema_version", "flag_id", "account_id", "role", "detector", "severity", "score", "raised_at"),
        *("updated_at", "window", "evidence", "explanation", "counterfactual", "policy_version", "shadow"),
    ]
    assert out["schema_version"] == 1
    assert out["raised_at"] == "2026-11-22T04:21:42.123Z"
    assert list(out["evidence"]) == ["features", "thresholds", "baseline", "targets", "event_ids"]
    assert out["evidence"]["features"]["minors_7d"] == 23
    assert out["evidence"]["thresholds"]["p_value"] == 1e-6


def test_the_order_of_computation_does_not_show() -> None:
    evidence = msgspec.structs.replace(FLAG.evidence, features={"minors_7d": 23, "strangers_7d": 31})
    assert encode_flag(msgspec.structs.replace(FLAG, evidence=evidence)) == encode_flag(FLAG)


def test_a_flag_is_read_back_as_it_was() -> None:
    assert msgspec.json.decode(encode_flag(FLAG), type=Flag) == FLAG


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_cannot_say_is_refused(value: float) -> None:
    evidence = msgspec.structs.replace(FLAG.evidence, baseline={"minor_share": value})
    with pytest.raises(ValueError, match=r"baseline\.minor_share is not a finite number"):
        encode_flag(msgspec.structs.replace(FLAG, evidence=evidence))


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_a_score_lies_between_0_and_1(score: float) -> None:
    with pytest.raises(ValueError, match="score"):
        encode_flag(msgspec.structs.replace(FLAG, score=score))


def test_a_dead_letter_says_where_it_came_from_and_why() -> None:
    assert dead_letter_headers("not JSON", "social.messages", 3, 12) == [
        ("kithwatch.error", b"not JSON"),
        ("kithwatch.topic", b"social.messages"),
        ("kithwatch.partition", b"3"),
        ("kithwatch.offset", b"12"),
    ]
