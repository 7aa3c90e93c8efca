"""Flags, as docs/schemas/flag.schema.json describes them, and the headers of dead letters."""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from streams.timestamps import rfc3339

__all__ = ["SCHEMA_VERSION", "Evidence", "Flag", "Window", "dead_letter_headers", "encode_flag", "rfc3339"]

SCHEMA_VERSION: Final = 1

Time = Annotated[str, Meta(description="RFC 3339 in UTC.", extra_json_schema={"format": "date-time"})]
AtMost20 = Annotated[list[str], Meta(max_length=20, description="At most 20, the newest.")]


class Window(Struct, frozen=True, kw_only=True):
    """The span of event time that a flag speaks of."""

    start: Time
    end: Time


class Evidence(Struct, frozen=True, kw_only=True):
    """Why a flag was raised: what was measured, the lines it crossed, what is usual, and the newest examples."""

    features: dict[str, float]
    thresholds: dict[str, float]
    baseline: dict[str, float]
    targets: AtMost20
    event_ids: AtMost20


class Flag(Struct, frozen=True, kw_only=True):
    """A lead for a person to look at; never a verdict. Idempotent by `flag_id`."""

    type: Annotated[
        Literal["flag.raised", "flag.updated", "flag.retracted"],
        Meta(
            description="Updated: severity rose, the score rose by 0.05 or more, evidence grew, a dismissal was taken "
            "back. Retracted: a reviewer dismissed it."
        ),
    ]
    schema_version: Literal[1] = 1
    flag_id: Annotated[str, Meta(description="The same input gives the same id.")]
    account_id: str
    role: Annotated[
        Literal["actor", "target"],
        Meta(description="`actor` is under suspicion; `target` is at risk and must never be treated as accused."),
    ]
    detector: str
    severity: Literal["low", "medium", "high", "critical"]
    score: Annotated[float, Meta(ge=0, le=1, description="Comparable across detectors, for ranking.")]
    raised_at: Annotated[Time, Meta(description="Event time of what crossed the line; an update keeps it.")]
    updated_at: Annotated[Time, Meta(description="Event time of what led to this record.")]
    window: Window
    evidence: Evidence
    explanation: str
    counterfactual: str
    policy_version: str
    shadow: Annotated[bool, Meta(description="From a policy on trial: for comparison, not for review.")]


# the order of keys in the dictionaries must not depend on the order of computation
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def encode_flag(flag: Flag) -> bytes:
    """Return a flag as JSON: fields in the order of the contract, names in evidence sorted; equal flags, equal bytes.

    Raises
    ------
    ValueError
        When a number is not finite, which JSON cannot say.
    """
    e = flag.evidence
    if not math.isfinite(sum(e.features.values()) + sum(e.thresholds.values()) + sum(e.baseline.values())):
        for name in ("features", "thresholds", "baseline"):
            for key, value in getattr(e, name).items():
                if not math.isfinite(value):
                    raise ValueError(f"{flag.detector}: {name}.{key} is not a finite number")
    if not 0 <= flag.score <= 1:
        raise ValueError(f"{flag.detector}: the score is not between 0 and 1")
    return _ENCODER.encode(flag)


def dead_letter_headers(error: str, topic: str, partition: int, offset: int) -> list[tuple[str, bytes]]:
    """Return the headers of a dead letter, whose value is the record's own bytes."""
    return [
        ("kithwatch.error", error.encode()),
        ("kithwatch.topic", topic.encode()),
        ("kithwatch.partition", str(partition).encode()),
        ("kithwatch.offset", str(offset).encode()),
    ]
