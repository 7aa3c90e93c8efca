"""What a platform does not send: ages, friendships, outcomes, signs, signs worth the name, or every other event."""

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
    "sure_signs": "signs to rely on: half are missed, and some 3 % of messages have one by mistake, those of some "
    "people far more often",
    "half": "every event other than account facts is lost with a chance of one half",
}
"""What may be missing, and what that means."""

_AGES: Final = ("age_band", "birth_date", "age_source")
_OUTCOMES: Final = frozenset(
    {"friend_request.accepted", "friend_request.declined", "account.blocked", "account.reported"}
)
_DRAWN: Final = frozenset({"half", "sure_signs"})
_MILD: Final = ("off_platform", "meet_up", "probing", "personal_info", "age_claim")
_GRAVE: Final = ("sexual", "image_request", "secrecy", "blackmail")
_MISTAKES: Final = 0.02
_MOST_MISTAKES: Final = 0.4
_BITS: Final = 1 << 64


def _habit(key: bytes) -> tuple[float, tuple[str, ...]]:
    """Return how often a classifier finds a sign in somebody's messages by mistake, and which ones.

    The rate has a heavy tail over people (a Pareto law with exponent 2; its mean is 0.03): there are those who joke,
    who flirt, who trade, who write in a dialect that it was not taught.
    """
    drawn = xxhash.xxh3_64_intdigest(key)
    rate = min(_MISTAKES * (((drawn >> 11) + 1) / (_BITS >> 11)) ** -0.5 - _MISTAKES / 2, _MOST_MISTAKES)
    return rate, (_MILD[drawn % 5], _MILD[drawn // 5 % 5], _GRAVE[drawn // 25 % 4])


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
            drawn = xxhash.xxh3_64_intdigest(self._salt + event["event_id"].encode()) if names & _DRAWN else 0
            if "half" in names and drawn & 2:
                continue
            if "outcomes" in names and kind in _OUTCOMES:
                continue
            if "friendships" in names:
                if kind == "friendship.created":
                    continue
                event.pop("mutual_friends", None)
            if "signs" in names:
                event.pop("signs", None)
            elif "sure_signs" in names and kind == "message.sent":
                self._mistake(event, drawn)
            yield event

    def _mistake(self, event: dict[str, Any], drawn: int) -> None:
        """Let a poor classifier read a message: it misses half of the signs, and finds some that are not there."""
        signs = event.pop("signs", [])
        if drawn & 1:  # another bit than that by which half of the events are lost
            signs = []
        rate, usual = _habit(self._salt + event["actor_id"].encode())
        if (drawn >> 11) < rate * (_BITS >> 11):
            found = usual[(drawn >> 1) % len(usual)]
            signs = signs if found in signs else [*signs, found]
        if signs:
            event["signs"] = signs
