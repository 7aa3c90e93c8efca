"""What several commands read in the same way: policies and times."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from detectors.policy import Policy, PolicyError, default_policy, load_policy
from streams.cli import UserError
from streams.timestamps import epoch_ms

__all__ = ["AHEAD_MS", "latest_plausible", "read_policy", "read_time"]

AHEAD_MS: Final = 24 * 3_600_000
"""An event stamped further ahead of the wall clock than this is refused: the worst honest error is a time zone's."""


def latest_plausible() -> int:
    """Return the latest event time that is accepted now, epoch ms."""
    return int(time.time() * 1000) + AHEAD_MS


def read_policy(path: str | None) -> Policy:
    """Read a policy file; None means the default.

    Raises
    ------
    UserError
        If it cannot be read or used.
    """
    if path is None:
        return default_policy()
    try:
        return load_policy(Path(path).read_text(encoding="utf-8"))
    except OSError as problem:
        raise UserError(f"policy {path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"policy {path}: not UTF-8") from None
    except PolicyError as problem:
        raise UserError(f"policy {path}: {problem}") from None


def read_time(text: str | None, option: str) -> int:
    """Read a time given on the command line (RFC 3339, a date, or epoch ms); None is 0.

    Raises
    ------
    UserError
        If it is none of these.
    """
    if text is None:
        return 0
    if text.isascii() and text.isdigit() and len(text) <= 15:
        return int(text)
    try:
        return epoch_ms(text if "T" in text.upper() else f"{text}T00:00:00Z")
    except ValueError:
        raise UserError(
            f"{option}: {text!r} is no time; expected 2026-11-22, 2026-11-22T04:21:42Z or epoch ms"
        ) from None
