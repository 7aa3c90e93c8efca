"""The speed peer: the features of first contacts and outcomes in plain Python and networkx.

Written as a careful programmer would who does not need millions of events an hour: one `json.loads` an event, objects
and deques for the windows, a `networkx.Graph` for the friendships. It keeps to the product's definitions, for streams
that come in time order, so that it can serve as an oracle too.

A *first contact* is the first request or message of an actor to a target within the horizon. The target is a
*stranger* if the two are not friends, share no mutual friend (the platform's own count is believed), and the target has
not contacted the actor first. A row of features is handed back for each first contact, about the actor; for each
outcome, about the account that it speaks of; for each contact that nobody answered in time; and for each message with
a new sign. With the window counts go sums that fade (`Fading`) and who else reaches for the same targets (`Callers`).
"""

from __future__ import annotations

import heapq
import json
import math
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import networkx as nx

__all__ = ["Callers", "Fading", "PlainPeer"]

HOUR: Final = 3_600_000
WINDOWS: Final = {"1h": HOUR, "24h": 24 * HOUR, "7d": 7 * 24 * HOUR}
"""Windows in milliseconds; each spans the times later than now minus its length."""
HORIZON: Final = 30 * 24 * HOUR
"""How long after its latest contact a pair is remembered."""
ANSWER_TIME: Final = 12 * HOUR
"""A contact with no answer for so long is ignored."""
WITHDRAWAL: Final = 10 * 60_000
"""A request taken back within this time is uncounted."""
RECENT: Final = 64
"""How many of the actor's newest targets the target's friends are compared with."""
OUTCOMES: Final = {
    "friend_request.accepted": "accepted",
    "friend_request.declined": "declined",
    "account.blocked": "blocked",
    "account.reported": "reported",
}
ANSWERS: Final = frozenset({*OUTCOMES.values(), "replied"})
COUNTED: Final = ("strangers", "linked", "minors", "accepted", "declined", "ignored", "blocked", "reported", "replied")
YEARS: Final = {"under_13": 11.0, "13_15": 14.0, "16_17": 16.5, "18_20": 19.0, "21_plus": 30.0}
MINORS: Final = frozenset({"under_13", "13_15", "16_17"})


SIGNS: Final = {
    name: 1 << bit
    for bit, name in enumerate(
        [
            "secrecy",
            "probing",
            "sexual",
            "personal_info",
            "blackmail",
            "meet_up",
            "off_platform",
            "image_request",
            "age_claim",
        ]
    )
}
MEMORY: Final = 14 * 24 * HOUR
"""Mean length of the exponential window of the fading sums."""


class Fading:
    """Sums that fade with time, by account and name."""

    def __init__(self) -> None:
        self.sums: dict[str, dict[str, float]] = {}
        self.last: dict[str, int] = {}

    def add(self, account: str, now: int, names: Iterable[str]) -> dict[str, float]:
        """Let an account's sums fade to `now`, count one for each name, and return a copy."""
        mine = self.sums.setdefault(account, {})
        kept = math.exp((self.last.get(account, now) - now) / MEMORY)
        self.last[account] = now
        for name in mine:
            mine[name] *= kept
        for name in names:
            mine[name] = mine.get(name, 0.0) + 1.0
        return dict(mine)


class Callers:
    """Who reached for the same targets of late: at most 8 others a target, and 8 a caller."""

    def __init__(self) -> None:
        self.calls: dict[str, deque[tuple[int, str]]] = {}
        self.shared: dict[str, Counter[str]] = {}

    def call(self, now: int, actor: str, target: str) -> tuple[int, int]:
        """Note a call; return how many others called, and with how many targets another one has in common at most."""
        calls = self.calls.setdefault(target, deque(maxlen=8))
        while calls and calls[0][0] <= now - WINDOWS["7d"]:
            calls.popleft()
        others = {other for _, other in calls if other != actor}
        mine = self.shared.setdefault(actor, Counter())
        mine.update(others)
        if len(mine) > 8:
            self.shared[actor] = mine = Counter(dict(mine.most_common(8)))
        calls.append((now, actor))
        return len(others), max(mine.values(), default=0)


class Pair:
    """What is known of one actor's contact to one target."""

    __slots__ = ("actor", "cancelled", "contact", "first", "flags", "last", "messages", "signs", "target")

    def __init__(self, actor: str, target: str, now: int) -> None:
        self.actor, self.target, self.first, self.last = actor, target, now, now
        self.flags: set[str] = set()
        self.signs: set[str] = set()
        self.messages = 0
        self.contact = self.cancelled = False

    def write(self, event: dict[str, Any]) -> set[str]:
        """Count a message; return the signs in it that the pair had not shown before."""
        if event["type"] != "message.sent":
            return set()
        self.messages += 1
        new = set(event.get("signs", ())) - self.signs
        self.signs |= new
        return new


class Window:
    """The contacts of one account in one window, and their counts."""

    __slots__ = ("counts", "firsts", "lasts", "span", "targets")

    def __init__(self, span: int) -> None:
        self.span = span
        self.firsts: deque[Pair] = deque()
        self.lasts: deque[tuple[int, Pair]] = deque()
        self.targets = 0
        self.counts = dict.fromkeys(COUNTED, 0)

    def move(self, now: int) -> None:
        """Let go of what has left the window."""
        since = now - self.span
        while self.firsts and self.firsts[0].first <= since:
            for flag in self.firsts.popleft().flags:
                self.counts[flag] -= 1
        while self.lasts and self.lasts[0][0] <= since:
            at, pair = self.lasts.popleft()
            self.targets -= pair.last == at

    def touch(self, now: int, pair: Pair, before: int | None) -> None:
        """Count a contact; `before` is the time of the pair's contact before it."""
        self.targets += before is None or before <= now - self.span
        self.lasts.append((now, pair))


class PlainPeer:
    """Features as of each first contact and outcome.

    Examples
    --------
    >>> peer = PlainPeer()
    >>> event = {"type": "message.sent", "event_id": "1", "occurred_at": 0, "actor_id": "a", "target_id": "b"}
    >>> (row,) = peer.process(event)
    >>> row["stranger"], row["strangers_1h"]
    (True, 1)
    """

    def __init__(self) -> None:
        self.friends: nx.Graph = nx.Graph()
        self.ages: dict[str, str] = {}
        self.seen: set[str] = set()
        self.pairs: dict[str, dict[str, Pair]] = {}
        self.windows: dict[str, dict[str, Window]] = {}
        self.unanswered: list[tuple[int, int, Pair]] = []
        self.number = 0
        self.fading = Fading()
        self.callers = Callers()
        self.rows: list[dict[str, Any]] = []

    def process(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """Take one event; return the rows of features that it leads to, silences before it first.

        A first message that answers an earlier one leads to two, that about the account that got it first.
        """
        self.rows = []
        if event["event_id"] not in self.seen:
            self.seen.add(event["event_id"])
            now = milliseconds(event["occurred_at"])
            self._pass_time(now)
            self._take(now, event)
        return self.rows

    def _take(self, now: int, event: dict[str, Any]) -> None:
        kind, actor = event["type"], event["actor_id"]
        target = event.get("target_id")
        for who, name in ((actor, "actor_age_band"), (target, "target_age_band")):
            if who is not None and name in event:
                self.ages[who] = event[name]
        if kind == "account.updated":
            if "age_band" in event:
                self.ages[actor] = event["age_band"]
            elif "birth_date" in event:
                self.ages[actor] = band_of(date.fromisoformat(event["birth_date"]), now)
        elif kind == "account.deleted":
            self._forget(actor)
        if target is None or target == actor:
            return
        if kind in ("friendship.created", "friend_request.accepted"):
            self.friends.add_edge(actor, target)
        elif kind == "friendship.removed" and self.friends.has_edge(actor, target):
            self.friends.remove_edge(actor, target)
        elif kind == "friend_request.cancelled":
            self._cancel(now, actor, target)
        elif kind in ("friend_request.sent", "message.sent"):
            self._contact(now, actor, target, event)
        if kind in OUTCOMES:
            self._outcome(now, target, actor, OUTCOMES[kind])

    def _contact(self, now: int, actor: str, target: str, event: dict[str, Any]) -> None:
        pair = self._pair(actor, target, now)
        if pair is not None and pair.contact:
            windows = self._windows(actor, now)
            before, pair.last = pair.last, now
            for window in windows.values():
                window.touch(now, pair, before)
            if pair.write(event):
                self._row(now, actor, "signed", pair)
            return
        friends = self.friends.has_edge(actor, target)
        mutual = event.get("mutual_friends")
        if mutual is None:
            mutual = self._mutual(actor, target)
        back = self._pair(target, actor, now)
        came_first = back is not None and back.contact
        if came_first:
            self._outcome(now, target, actor, "replied")
        stranger = not friends and not mutual and not came_first
        mine = self._windows(actor, now)
        known = self.friends.adj.get(target, ())
        recent = []
        for earlier in reversed(mine["7d"].firsts):
            if earlier.contact:
                recent.append(earlier.target)
                if len(recent) == RECENT:
                    break
        links = sum(other in known for other in recent)
        noted = pair
        pair = self._new_pair(actor, target, now)
        if noted is not None:  # so far only a block or report was known: it moves to the contact
            for flag in tuple(noted.flags):
                self._unflag(now, noted, flag)
                self._flag(now, pair, flag)
        pair.contact = True
        for window in mine.values():
            window.touch(now, pair, None)
        if stranger:
            self._flag(now, pair, "strangers")
            if links >= 1 and links >= 0.1 * len(recent):
                self._flag(now, pair, "linked")
            if child_of(self.ages.get(actor, "unknown"), self.ages.get(target, "unknown")):
                self._flag(now, pair, "minors")
        pair.write(event)
        others, shared = self.callers.call(now, actor, target) if stranger else (0, 0)
        row = self._row(now, actor, "contact", pair)
        row |= {"stranger": stranger, "mutual": mutual, "callers": others, "shared": shared}

    def _outcome(self, now: int, about: str, by: str, what: str) -> None:
        pair = self._pair(about, by, now)
        if what not in ("blocked", "reported") and (pair is None or not pair.contact):
            return
        if pair is None:
            pair = self._new_pair(about, by, now)
        if what in pair.flags:
            return
        self._unflag(now, pair, "ignored")
        self._flag(now, pair, what)
        self._row(now, about, what, pair)

    def _cancel(self, now: int, actor: str, target: str) -> None:
        pair = self._pair(actor, target, now)
        if pair is None or pair.flags & ANSWERS:
            return
        pair.cancelled = True
        if now - pair.first <= WITHDRAWAL:
            for flag in ("strangers", "linked", "minors"):
                self._unflag(now, pair, flag)

    def _pass_time(self, now: int) -> None:
        while self.unanswered and self.unanswered[0][0] <= now:
            due, silent = self.unanswered[0][0], []
            while self.unanswered and self.unanswered[0][0] == due:
                _, _, pair = heapq.heappop(self.unanswered)
                if pair.contact and not pair.cancelled and not pair.flags & ANSWERS:
                    self._flag(due, pair, "ignored")
                    silent.append(pair)
            for pair in silent:  # what falls due at one moment is counted before a row is written
                self._row(due, pair.actor, "silence", pair)

    def _row(self, now: int, account: str, cause: str, pair: Pair) -> dict[str, Any]:
        row: dict[str, Any] = {"time": now, "account": account, "cause": cause, "other": pair.target}
        row |= {"signs": sum(SIGNS[sign] for sign in pair.signs), "messages": pair.messages, "waited": now - pair.first}
        row["sums"] = self.fading.add(account, now, (cause, *pair.flags, *pair.signs))
        row["age_band"] = self.ages.get(account, "unknown")
        row["friends"] = len(self.friends[account]) if account in self.friends else 0
        row["clustering"] = nx.clustering(self.friends, account) if account in self.friends else 0.0
        for name, window in self._windows(account, now).items():
            row[f"targets_{name}"] = window.targets
            row |= {f"{flag}_{name}": count for flag, count in window.counts.items()}
        self.rows.append(row)
        return row

    def _mutual(self, actor: str, target: str) -> int:
        if actor not in self.friends or target not in self.friends:
            return 0
        return len(list(nx.common_neighbors(self.friends, actor, target)))

    def _pair(self, actor: str, target: str, now: int) -> Pair | None:
        pair = self.pairs.get(actor, {}).get(target)
        return pair if pair is not None and pair.last > now - HORIZON else None

    def _new_pair(self, actor: str, target: str, now: int) -> Pair:
        pair = self.pairs.setdefault(actor, {})[target] = Pair(actor, target, now)
        for window in self._windows(actor, now).values():
            window.firsts.append(pair)
        self.number += 1
        heapq.heappush(self.unanswered, (now + ANSWER_TIME, self.number, pair))
        return pair

    def _flag(self, now: int, pair: Pair, flag: str) -> None:
        for window in self._windows(pair.actor, now).values():
            window.counts[flag] += pair.first > now - window.span
        pair.flags.add(flag)

    def _unflag(self, now: int, pair: Pair, flag: str) -> None:
        if flag in pair.flags:
            for window in self._windows(pair.actor, now).values():
                window.counts[flag] -= pair.first > now - window.span
            pair.flags.discard(flag)

    def _windows(self, account: str, now: int) -> dict[str, Window]:
        if account not in self.windows:
            self.windows[account] = {name: Window(span) for name, span in WINDOWS.items()}
        mine = self.windows[account]
        for window in mine.values():
            window.move(now)
        return mine

    def _forget(self, account: str) -> None:
        if account in self.friends:
            self.friends.remove_node(account)
        self.ages.pop(account, None)
        self.windows.pop(account, None)
        for pair in self.pairs.pop(account, {}).values():
            pair.cancelled = True
        for others in self.pairs.values():
            others.pop(account, None)


def child_of(actor: str, target: str) -> bool:
    """Return whether a target is a minor and the actor, by age band, an adult who is no peer, or unknown."""
    if target not in MINORS or actor in MINORS:
        return False
    return actor not in YEARS or YEARS[actor] - YEARS[target] >= 3.5


def milliseconds(when: int | str) -> int:
    """Return epoch milliseconds of a contract time."""
    return when if isinstance(when, int) else round(datetime.fromisoformat(when).timestamp() * 1000)


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
        made += len(peer.process(json.loads(line)))
        events += 1
    return events, made


if __name__ == "__main__":
    with Path(sys.argv[1]).open("rb") as stream:
        began = time.perf_counter()
        count, emitted = run(stream)
    took = time.perf_counter() - began
    print(f"{count:,} events, {emitted:,} rows, {took:.1f} s, {count / took:,.0f} events/s")
