"""The closed vocabularies of the labels of metrics: what is in none of them counts as `other`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

from detectors.evidence import DETECTORS as SUMMED
from detectors.victim_exposure import NAME as EXPOSURE

__all__ = [
    "BEGINNINGS",
    "DETECTORS",
    "EVENT_TYPES",
    "FLAG_TYPES",
    "OTHER",
    "OUTCOMES",
    "REASONS",
    "SEVERITIES",
    "SNAPSHOT_OUTCOMES",
    "STAGES",
    "TRAVELLING",
    "Beginning",
    "Outcome",
    "SnapshotOutcome",
    "Stage",
    "fold",
    "reason_class",
]

OTHER: Final = "other"
"""The label value of everything outside a vocabulary."""

EVENT_TYPES: Final = (
    "friend_request.sent",
    "friend_request.accepted",
    "friend_request.declined",
    "friend_request.cancelled",
    "friendship.created",
    "friendship.removed",
    "message.sent",
    "account.updated",
    "account.deleted",
    "account.blocked",
    "account.reported",
)
"""The event types of the contract, in the order of `graph.batch.EventKind`, whose first value is 1."""

REASONS: Final = (
    "empty",
    "oversize",
    "invalid_utf8",
    "invalid_json",
    "not_an_object",
    "unknown_type",
    "missing_field",
    "bad_field",
    "bad_time",
)
"""Why a record was dead-lettered: classes, never the text of an error, which may quote the record."""

DETECTORS: Final = (*SUMMED, EXPOSURE)
SEVERITIES: Final = ("low", "medium", "high", "critical")
FLAG_TYPES: Final = ("flag.raised", "flag.updated", "flag.retracted")

Stage = Literal["decode", "probe", "resolve", "assess", "review"]
Outcome = Literal["sent", "received", "repeated"]
SnapshotOutcome = Literal["written", "failed", "damaged"]
Beginning = Literal["restored", "rebuilt", "gap"]

STAGES: Final[tuple[Stage, ...]] = ("decode", "probe", "resolve", "assess", "review")
TRAVELLING: Final[tuple[Stage, ...]] = ("probe", "resolve", "assess", "review")  # decode has no rows from other shards
SNAPSHOT_OUTCOMES: Final[tuple[SnapshotOutcome, ...]] = ("written", "failed", "damaged")
BEGINNINGS: Final[tuple[Beginning, ...]] = ("restored", "rebuilt", "gap")
OUTCOMES: Final[tuple[Outcome, ...]] = ("sent", "received", "repeated")

_REASON_BEGINNINGS: Final = (
    ("the record is empty", "empty"),
    ("the record is larger", "oversize"),
    ("not UTF-8", "invalid_utf8"),
    ("not a JSON object", "not_an_object"),
    ("not JSON", "invalid_json"),
    ("nested", "invalid_json"),
    ("holds a number or text", "invalid_json"),
    ("`type`: is none of", "unknown_type"),
    ("`occurred_at` is missing", "missing_field"),
    ("`occurred_at`", "bad_time"),
    ("`created_at`", "bad_time"),
    ("`birth_date`", "bad_time"),
)
"""How the decoder words a refusal, and its class; the first that fits."""


def reason_class(reason: str) -> str:
    """Return the class (one of `REASONS`) of a reason that `streams.decode` gave in words.

    Examples
    --------
    >>> reason_class("`actor_id` is missing"), reason_class("`signs`: expected `array`, got `int`")
    ('missing_field', 'bad_field')
    """
    for beginning, name in _REASON_BEGINNINGS:
        if reason.startswith(beginning):
            return name
    if reason.endswith("is missing"):
        return "missing_field"
    return "bad_field" if reason.startswith("`") else OTHER


def fold(value: str, vocabulary: Collection[str]) -> str:
    """Return `value` if the vocabulary has it, else `other`."""
    return value if value in vocabulary else OTHER
