"""From the core's flag records to the contract's flags."""

from __future__ import annotations

from detectors.episodes import FlagRecord
from streams.flags import Evidence, Flag, Window, encode_flag
from streams.timestamps import rfc3339

__all__ = ["flag_bytes"]


def flag_bytes(record: FlagRecord) -> bytes:
    """Return a flag as the contract's JSON."""
    return encode_flag(
        Flag(
            type=record.type,  # type: ignore[arg-type]  # the core's vocabulary is the contract's
            flag_id=record.flag_id,
            account_id=record.account_id,
            role=record.role,  # type: ignore[arg-type]
            detector=record.detector,
            severity=record.severity,  # type: ignore[arg-type]
            score=record.score,
            raised_at=rfc3339(record.raised_at),
            updated_at=rfc3339(record.updated_at),
            window=Window(start=rfc3339(record.window[0]), end=rfc3339(record.window[1])),
            evidence=Evidence(
                features=record.features,
                thresholds=record.thresholds,
                baseline=record.baseline,
                targets=record.targets,
                event_ids=record.event_ids,
            ),
            explanation=record.explanation,
            counterfactual=record.counterfactual,
            policy_version=record.policy_version,
            shadow=record.shadow,
        )
    )
