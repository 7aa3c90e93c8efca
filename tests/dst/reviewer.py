"""A reviewer in a simulated world: decides about flags as they were sent, and sometimes thinks better of it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec

from streams.timestamps import epoch_ms, rfc3339

__all__ = ["decide"]

HOUR = 3_600_000


def decide(chance: random.Random, flags: Sequence[bytes], decisions: Sequence[bytes]) -> bytes | None:
    """Return a decision about one of the newest flags, or what takes one back, as a record; None without a flag."""
    if decisions and chance.random() < 0.3:
        made = msgspec.json.decode(chance.choice(decisions))
        at = epoch_ms(made["decided_at"]) + 60_000
        return msgspec.json.encode(made | {"type": "disposition.undone", "decided_at": rfc3339(at)})
    if not flags:
        return None
    flag = msgspec.json.decode(chance.choice(flags[-20:]))
    made = {name: flag[name] for name in ("account_id", "role", "severity")} | {
        "type": "disposition.made",
        "disposition_id": f"d{len(decisions)}",
        "outcome": chance.choice(("dismissed", "dismissed", "dismissed", "confirmed", "waiting")),
        "reason": "none",
        "decided_at": rfc3339(epoch_ms(flag["updated_at"]) + chance.randrange(HOUR)),
        "flag_ids": [flag["flag_id"]],
        "detectors": [flag["detector"]],
    }
    return msgspec.json.encode(made)
