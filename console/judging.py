"""What a case is worth, by its flags: severity, score, minors, order in the queue, whether it opens again.

Plain functions over what is known of a case's flags in short; nothing here touches the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from console.priority import fused, rank_of
from console.rules import Rules
from console.words import OPEN, SEVERITIES

__all__ = ["Brief", "Known", "brief_of", "grew", "judge", "read_briefs", "replaced", "top_of", "write_briefs"]

GROWN: Final = 5
"""A decided case is opened again when the minors reached doubled, and are at least so many."""
MOST: Final = 40
"""Of more flags than these a case keeps no briefs: reading the flags then costs less than rewriting the briefs."""
RETRACTED: Final = "flag.retracted"


class Brief(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One flag, as far as its case is judged by it. Severity and score are the highest that it had."""

    flag_id: str
    type: str
    detector: str
    shadow: bool
    severity: int
    score: float
    minors: int
    raised_at: int
    updated_at: int


class Known(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A case before a batch."""

    id: int
    state: str
    severity: int
    flags: int
    decided_severity: int | None
    decided_minors: int | None
    opened_at: int
    due_at: int | None
    held_until: int | None
    assignee: int | None
    reopened_because: str | None
    version: int
    shadow: bool
    headline: str
    policy_version: str
    briefs: str | None


_READ: Final = msgspec.json.Decoder(list[Brief])
_WRITE: Final = msgspec.json.Encoder()


def read_briefs(text: str) -> list[Brief]:
    """Return the briefs that a case keeps."""
    return _READ.decode(text)


def write_briefs(briefs: Sequence[Brief]) -> str | None:
    """Return briefs as a case keeps them; None if they are too many."""
    return _WRITE.encode(briefs).decode() if len(briefs) <= MOST else None


def brief_of(row: dict[str, Any]) -> Brief:
    """Return the brief of a row of the table of flags."""
    return Brief(
        row["flag_id"],
        row["type"],
        row["detector"],
        row["shadow"],
        row["peak_severity"],
        row["peak_score"],
        row["minors"],
        row["raised_at"],
        row["updated_at"],
    )


def _counting(own: Sequence[Brief]) -> Sequence[Brief]:
    """Return the flags that say something about the case: those that stand, and of these the live ones if any is."""
    standing = [flag for flag in own if flag.type != RETRACTED]
    return [flag for flag in standing if not flag.shadow] or standing


def _weight(flag: Brief) -> tuple[int, float, int, str]:
    return flag.severity, flag.score, flag.updated_at, flag.flag_id


def top_of(own: Sequence[Brief]) -> Brief:
    """Return the flag whose words head the case."""
    return max(_counting(own) or own, key=_weight)


def judge(case: Known, own: Sequence[Brief], now: int, rules: Rules) -> dict[str, Any]:
    """Return what a case becomes by its flags; all but its headline.

    Parameters
    ----------
    case : Known
        As it was.
    own : sequence of Brief
        All of its flags, one at least.
    now : int
        Wall clock, epoch ms.
    rules : Rules
    """
    seen = _counting(own)
    best: dict[str, float] = {}
    severity = minors = 0
    for flag in seen:
        best[flag.detector] = max(best.get(flag.detector, 0.0), flag.score)
        severity, minors = max(severity, flag.severity), max(minors, flag.minors)
    score = fused(best.values())
    row: dict[str, Any] = {
        "number": case.id,
        "state": case.state,
        "severity": severity,
        "score": score,
        "minors": minors,
        "detectors": f",{','.join(sorted({flag.detector for flag in own}))},",
        "shadow": all(flag.shadow for flag in own),
        "flags": len(own),
        "first_flag_at": min(flag.raised_at for flag in own),
        "last_flag_at": max(flag.updated_at for flag in own),
        "changed_at": now,
        "opened_at": case.opened_at,
        "due_at": case.due_at,
        "held_until": case.held_until,
        "assignee": case.assignee,
        "reopened_because": case.reopened_because,
        "version": case.version + 1,
        "briefs": write_briefs(own),
    }
    latest = now + rules.deadlines.ms(severity)
    if not case.flags:  # nobody has seen it yet
        row |= {"state": "open", "opened_at": now}
    if case.due_at is None or severity > case.severity:
        row["due_at"] = latest if case.due_at is None else min(case.due_at, latest)
    stands = bool(seen)
    because = _grown(case, severity, minors, len(own), stands=stands)
    if not stands and (case.state in OPEN or not case.flags):
        row["state"] = "withdrawn"
    elif because:
        row |= {"state": "open", "reopened_because": because, "opened_at": now, "due_at": latest}
        row |= {"held_until": None, "assignee": None if case.state not in OPEN else case.assignee}
    row["rank"] = rank_of(score, severity, minors, row["opened_at"])
    return row


def _grown(case: Known, severity: int, minors: int, flags: int, *, stands: bool) -> str | None:
    """Return why a case that was laid aside or decided has to be looked at again."""
    if not case.flags:
        return None
    if case.state == "withdrawn":
        return "a new flag was raised" if stands else None
    if case.state in ("held", "waiting"):
        return f"severity rose to {SEVERITIES[severity]}" if severity > case.severity else None
    if case.state not in ("confirmed", "dismissed"):
        return None
    return grew((case.decided_severity or 0, case.decided_minors or 0, case.flags), (severity, minors, flags))


def grew(before: tuple[int, int, int], now: tuple[int, int, int]) -> str | None:
    """Return how the evidence grew so far that it has to be looked at again; None if it did not.

    Parameters
    ----------
    before, now : tuple of int
        Severity, minors reached, number of flags.

    Examples
    --------
    >>> grew((1, 6, 2), (1, 11, 2)), grew((1, 6, 2), (1, 12, 2))
    (None, 'minors reached rose from 6 to 12')
    """
    severity, minors, flags = now
    if severity > before[0]:
        return f"severity rose from {SEVERITIES[before[0]]} to {SEVERITIES[severity]}"
    if minors >= max(2 * before[1], GROWN) and minors > before[1]:
        return f"minors reached rose from {before[1]} to {minors}"
    if flags > before[2] and severity >= 1:
        return "a new episode was flagged"
    return None


def replaced(own: Iterable[Brief], news: dict[str, Brief]) -> list[Brief]:
    """Return a case's flags after a batch: `news` in the place of what they replace, the new ones at the end."""
    left = dict(news)
    kept = [left.pop(flag.flag_id, flag) for flag in own]
    return kept + list(left.values())
