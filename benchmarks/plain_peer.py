"""The speed peer: the features of first contacts and outcomes in plain Python and networkx.

Written as a careful programmer would who does not need millions of events an hour: one `json.loads` an event, dicts and
deques for the windows, a `networkx.Graph` for the friendships. It keeps to the same definitions as the product, so it
also serves as an oracle in tests.

A *first contact* is the first request or message of an actor to a target within the horizon. The target is a
*stranger* if the two are not friends, share no mutual friend (by the graph or by the platform's own count), and the
target has not contacted the actor first. A row of features is handed back for each first contact, about the actor, and for
each outcome, about the account that it speaks of.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import networkx as nx

__all__ = ["HORIZON", "WINDOWS", "PlainPeer"]

HOUR: Final = 3_600_000
WINDOWS: Final = {"1h": HOUR, "24h": 24 * HOUR, "7d": 7 * 24 * HOUR}
"""Windows in milliseconds; one spans the times later than now minus its length."""
HORIZON: Final = 30 * 24 * HOUR
"""How long a contact is remembered."""
MINORS: Final = frozenset({"under_13", "13_15", "16_17"})
OUTCOMES: Final = {
    "friend_request.accepted": "accepted",
    "friend_request.declined": "declined",
    "account.blocked": "blocked",
    "account.reported": "reported",
}


@dataclass(slots=True)
class Window:
    """Distinct targets, strangers and minors, and outcomes, of one account in one window."""

    span: int
    contacts: deque[tuple[int, str, bool, bool]] = field(default_factory=deque)
    outcomes: deque[tuple[int, str]] = field(default_factory=deque)
    targets: int = 0
    strangers: int = 0
    minors: int = 0
    outcome_counts: Counter[str] = field(default_factory=Counter)

    def move(self, now: int) -> None:
        """Let go of what has left the window."""
        while self.contacts and self.contacts[0][0] <= now - self.span:
            _, _, stranger, minor = self.contacts.popleft()
            self.targets -= 1
            self.strangers -= stranger
            self.minors -= stranger and minor
        while self.outcomes and self.outcomes[0][0] <= now - self.span:
            self.outcome_counts[self.outcomes.popleft()[1]] -= 1

    def contact(self, now: int, target: str, stranger: bool, minor: bool) -> None:
        """Count a first contact."""
        self.contacts.append((now, target, stranger, minor))
        self.targets += 1
        self.strangers += stranger
        self.minors += stranger and minor

    def outcome(self, now: int, what: str) -> None:
        """Count an outcome."""
        self.outcomes.append((now, what))
        self.outcome_counts[what] += 1


class PlainPeer:
    """Features as of each first contact and outcome.

    Examples
    --------
    >>> peer = PlainPeer()
    >>> row = peer.process({"type": "message.sent", "event_id": "1", "occurred_at": 0, "actor_id": "a", "target_id": "b"})
    >>> row["stranger"], row["strangers_1h"]
    (True, 1)
    """

    def __init__(self) -> None:
        self.friends: nx.Graph = nx.Graph()
        self.ages: dict[str, str] = {}
        self.seen: set[str] = set()
        self.pairs: dict[tuple[str, str], int] = {}
        self.replied: set[tuple[str, str]] = set()
        self.windows: dict[str, dict[str, Window]] = {}

    def process(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """Take one event; return a row of features for a first contact or an outcome, None for the rest."""
        if event["event_id"] in self.seen:
            return None
        self.seen.add(event["event_id"])
        now, kind, actor = milliseconds(event["occurred_at"]), event["type"], event["actor_id"]
        target = event.get("target_id")
        for who, name in ((actor, "actor_age_band"), (target, "target_age_band")):
            if who is not None and name in event:
                self.ages[who] = event[name]
        if kind == "account.updated":
            self._update(actor, event, now)
        elif kind == "account.deleted":
            self._forget(actor)
        if target is None or target == actor:
            return None
        if kind in ("friendship.created", "friend_request.accepted"):
            self.friends.add_edge(actor, target)
        elif kind in ("friendship.removed", "account.blocked") and self.friends.has_edge(actor, target):
            self.friends.remove_edge(actor, target)
        if kind in ("friend_request.sent", "message.sent"):
            return self._contact(now, actor, target, event)
        if kind in OUTCOMES:
            return self._outcome(now, target, actor, OUTCOMES[kind])
        return None

    def _contact(self, now: int, actor: str, target: str, event: dict[str, Any]) -> dict[str, Any] | None:
        last = self.pairs.get((actor, target))
        self.pairs[actor, target] = now
        if last is not None and last > now - HORIZON:
            return None
        back = self.pairs.get((target, actor))
        came_first = back is not None and back > now - HORIZON
        mutual = self._mutual(actor, target)
        believed = max(mutual, event.get("mutual_friends") or 0)
        friends = self.friends.has_edge(actor, target)
        stranger = not friends and not believed and not came_first
        minor = self.ages.get(target, "unknown") in MINORS
        for window in self._windows(actor, now).values():
            window.contact(now, target, stranger, minor)
        row = self._row(now, actor, "contact", target)
        row |= {"stranger": stranger, "minor": minor, "mutual": believed, "friends": friends}
        if event["type"] == "message.sent" and came_first and (target, actor) not in self.replied:
            self.replied.add((target, actor))
            for window in self._windows(target, now).values():
                window.outcome(now, "replied")
        return row

    def _outcome(self, now: int, about: str, by: str, what: str) -> dict[str, Any]:
        for window in self._windows(about, now).values():
            window.outcome(now, what)
        return self._row(now, about, what, by)

    def _row(self, now: int, account: str, cause: str, other: str) -> dict[str, Any]:
        row: dict[str, Any] = {"time": now, "account": account, "cause": cause, "other": other}
        row["age_band"] = self.ages.get(account, "unknown")
        row["clustering"] = nx.clustering(self.friends, account) if account in self.friends else 0.0
        for name, window in self._windows(account, now).items():
            row[f"targets_{name}"] = window.targets
            row[f"strangers_{name}"] = window.strangers
            row[f"minors_{name}"] = window.minors
            for what in (*OUTCOMES.values(), "replied"):
                row[f"{what}_{name}"] = window.outcome_counts[what]
        return row

    def _mutual(self, actor: str, target: str) -> int:
        if actor not in self.friends or target not in self.friends:
            return 0
        return len(list(nx.common_neighbors(self.friends, actor, target)))

    def _windows(self, account: str, now: int) -> dict[str, Window]:
        if account not in self.windows:
            self.windows[account] = {name: Window(span) for name, span in WINDOWS.items()}
        mine = self.windows[account]
        for window in mine.values():
            window.move(now)
        return mine

    def _update(self, account: str, event: dict[str, Any], now: int) -> None:
        if "birth_date" in event:
            self.ages[account] = band_of(date.fromisoformat(event["birth_date"]), now)
        elif "age_band" in event:
            self.ages[account] = event["age_band"]

    def _forget(self, account: str) -> None:
        if account in self.friends:
            self.friends.remove_node(account)
        self.ages.pop(account, None)
        self.windows.pop(account, None)


def milliseconds(when: int | str) -> int:
    """Return epoch milliseconds of a contract time."""
    if isinstance(when, int):
        return when
    return round(datetime.fromisoformat(when).timestamp() * 1000)


def band_of(born: date, now: int) -> str:
    """Return the age band on the day of `now` of somebody born on a day."""
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    for limit, band in ((13, "under_13"), (16, "13_15"), (18, "16_17"), (21, "18_20")):
        if age < limit:
            return band
    return "21_plus"


def run(lines: Iterable[bytes]) -> tuple[int, int]:
    """Process JSON lines; return the number of events and of rows."""
    peer, events, made = PlainPeer(), 0, 0
    for line in lines:
        made += peer.process(json.loads(line)) is not None
        events += 1
    return events, made


if __name__ == "__main__":
    with Path(sys.argv[1]).open("rb") as stream:
        began = time.perf_counter()
        count, emitted = run(stream)
    took = time.perf_counter() - began
    print(f"{count:,} events, {emitted:,} rows, {took:.1f} s, {count / took:,.0f} events/s")
