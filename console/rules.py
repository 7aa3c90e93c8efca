"""What a team may set: times, limits, retention. Read from a YAML file (`--rules`); defaults are explained here."""

from __future__ import annotations

from pathlib import Path

import msgspec

__all__ = ["Rules", "load_rules"]

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Deadlines(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hours in which a case of a severity should be decided."""

    low: float = 336.0
    medium: float = 72.0
    high: float = 24.0
    critical: float = 4.0

    def ms(self, level: int) -> int:
        """Return the time for a severity, in milliseconds."""
        return int((self.low, self.medium, self.high, self.critical)[level] * HOUR)


class Retention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days for which things are kept after their last change; a legal hold keeps a case however old.

    Attributes
    ----------
    confirmed, dismissed
        Cases by how they ended. A confirmed one may be asked for by law enforcement, 18 U.S.C. 2258A(h) asks for a year
        of what was reported; a dismissed one speaks of somebody innocent and goes sooner.
    evidence
        Contacts and activity of a dismissed case: the finest grain goes first.
    audit
        Audit records.
    shadow
        Cases that only shadow flags made.
    """

    confirmed: int = 400
    dismissed: int = 90
    evidence: int = 30
    audit: int = 1100
    shadow: int = 30


class Wellness(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to remind of a break: points seen within an hour, and how long the break is, in minutes."""

    points_an_hour: int = 40
    break_minutes: int = 10
    points: tuple[int, int, int, int] = (1, 2, 4, 6)


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a team may set.

    Attributes
    ----------
    deadlines
        How long a case may wait.
    undo_minutes
        How long one's own decision can be taken back.
    unmask_minutes
        How long an account stays unmasked for the one who asked.
    bulk_limit
        Cases in one bulk decision.
    idle_minutes, session_hours
        A session ends when nothing was done for so long, and after so long in any case.
    sign_in_failures, lock_minutes
        After so many wrong passwords an account is locked for so long.
    """

    deadlines: Deadlines = Deadlines()
    retention: Retention = Retention()
    wellness: Wellness = Wellness()
    undo_minutes: float = 10.0
    unmask_minutes: float = 30.0
    bulk_limit: int = 100
    idle_minutes: float = 60.0
    session_hours: float = 12.0
    sign_in_failures: int = 6
    lock_minutes: float = 15.0


def load_rules(path: str | None) -> Rules:
    """Read a rules file; None gives the defaults.

    Raises
    ------
    ValueError
        If it cannot be read or holds something else.
    """
    if path is None:
        return Rules()
    try:
        return msgspec.yaml.decode(Path(path).read_bytes(), type=Rules)
    except OSError as problem:
        raise ValueError(f"rules {path}: {problem.strerror}") from None
    except msgspec.MsgspecError as problem:
        raise ValueError(f"rules {path}: {problem}") from None
