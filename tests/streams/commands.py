"""Commands called as a user calls them, and decisions as the console writes them."""

from __future__ import annotations

from typing import Any

from click.testing import CliRunner, Result

__all__ = ["disposition", "invoke"]


def invoke(command: Any, *args: object) -> Result:
    """Run a command in this process; what it does not mean to raise is raised."""
    return CliRunner().invoke(command, [str(arg) for arg in args], catch_exceptions=False)


def disposition(account: str, outcome: str, **more: Any) -> dict[str, Any]:
    """Return a reviewer's decision about an account."""
    return {
        "type": "disposition.made",
        "disposition_id": account,
        "account_id": account,
        "role": "actor",
        "outcome": outcome,
        "reason": "why",
        "decided_at": "2026-10-01T00:00:00Z",
        "flag_ids": [],
        "detectors": [],
        "severity": "medium",
    } | more
