"""What a platform does not send: ages, friendships, outcomes, signs, or every other event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import xxhash

__all__ = ["MISSING", "Missing"]

MISSING: Final = {
    "ages": "no age of anybody, neither band, birth date nor source",
    "friendships": "no friendships from before the stream, and no count of mutual friends: a cold start",
    "outcomes": "no answers, blocks or reports",
    "signs": "no signs in messages",
    "half": "every event other than account facts is lost with a chance of one half",
}
"""What may be missing, and what that means."""

_AGES: Final = ("age_band", "birth_date", "age_source")
_OUTCOMES: Final = frozenset(
    {"friend_request.accepted", "friend_request.declined", "account.blocked", "account.reported"}
)


class Missing:
    """Leaves out of a stream what is missing.

    Parameters
    ----------
    names : of MISSING.
    salt : for drawing the events that are lost.

    Examples
    --------
    >>> event = {"type": "account.updated", "event_id": "1", "actor_id": "a", "age_band": "13_15"}
    >>> list(Missing(("ages",), "x").of([event]))
    [{'type': 'account.updated', 'event_id': '1', 'actor_id': 'a'}]
    """

    def __init__(self, names: tuple[str, ...], salt: str) -> None:
        unknown = set(names) - set(MISSING)
        if unknown:
            raise ValueError(f"cannot leave out {', '.join(sorted(unknown))}; choose of: {', '.join(MISSING)}")
        self._names, self._salt = frozenset(names), salt.encode()

    def of(self, events: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield what is left of some events."""
        names = self._names
        for event in events:
            kind = event["type"]
            if kind.startswith("account.") and kind not in _OUTCOMES:
                if "ages" in names:
                    for field in _AGES:
                        event.pop(field, None)
                yield event
                continue
            if "half" in names and xxhash.xxh3_64_intdigest(self._salt + event["event_id"].encode()) & 1:
                continue
            if "outcomes" in names and kind in _OUTCOMES:
                continue
            if "friendships" in names:
                if kind == "friendship.created":
                    continue
                event.pop("mutual_friends", None)
            if "signs" in names:
                event.pop("signs", None)
            yield event
