"""What a consumer has that keeps the last record of each flag."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

__all__ = ["flags_wrong", "newest"]


def newest(flags: Iterable[bytes]) -> dict[str, set[bytes]]:
    """Return the last record of each flag by its own time, whatever the order in which they came.

    Of two records of one moment the one that says more is the last. Several are left only where they say the same of
    all that counts: an account was erased and came back within the same millisecond of event time.
    """
    found: dict[str, tuple[Any, set[bytes]]] = {}
    for value in flags:
        flag = msgspec.json.decode(value)
        rank = (flag["updated_at"], flag["type"] == "flag.updated", flag["score"], flag["severity"])
        best = found.get(flag["flag_id"])
        if best is None or rank > best[0]:
            found[flag["flag_id"]] = (rank, {value})
        elif rank == best[0]:
            best[1].add(value)
    return {flag_id: values for flag_id, (_, values) in found.items()}


def flags_wrong(told: list[bytes], wanted: list[bytes]) -> list[str]:
    """Return what is wrong with the flag records told, beside those of uninterrupted readings."""
    wrong = []
    if strange := set(told) - set(wanted):
        wrong.append(f"{len(strange)} flag records that no uninterrupted reading gives")
    if lost := set(wanted) - set(told):
        wrong.append(f"{len(lost)} flag records were never sent")
    if newest(told) != newest(wanted):
        wrong.append("the last record of some flag is another one")
    return wrong
