"""RFC 3339 to epoch milliseconds, for times that kithwatch wrote itself."""

from __future__ import annotations

import datetime

from streams.timestamps import epoch_ms

__all__ = ["ms"]


def ms(text: str) -> int:
    """Return the epoch milliseconds of a time.

    Examples
    --------
    >>> ms("2026-11-22T04:21:42.123Z")
    1795321302123
    """
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return epoch_ms(text)  # knows leap seconds, and words the refusal
    if moment.tzinfo is None:
        return epoch_ms(text)
    return round(moment.timestamp() * 1000)
