"""A stream that was played: in order of time, consistent, with labels beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.independent.engine import Event
from benchmarks.independent.friends import Friends
from benchmarks.independent.lobbies import Lobbies
from benchmarks.independent.people import band
from benchmarks.independent.video import Video
from benchmarks.independent.world import World

__all__ = ["WORLDS", "Stream", "write"]

WORLDS: Final[dict[str, type[World]]] = {"friends": Friends, "lobbies": Lobbies, "video": Video}
OUTREACH: Final = frozenset({"friend_request.sent", "message.sent"})


class Consistency:
    """Leave out what could not have happened once the moments are in order."""

    def __init__(self) -> None:
        self._gone: set[int] = set()
        self._blocks: set[tuple[int, int]] = set()
        self._asked: set[tuple[int, int]] = set()
        self._friends: set[tuple[int, int]] = set()

    def allows(self, kind: str, actor: int, target: int) -> bool:
        """Tell whether an event can happen now, and remember it."""
        if actor in self._gone or target in self._gone:
            return False
        pair = (min(actor, target), max(actor, target))
        if kind == "account.deleted":
            self._gone.add(actor)
        elif kind == "account.blocked":
            self._blocks.add((actor, target))
            self._friends.discard(pair)
        elif kind == "account.reported" or target < 0:
            return True
        elif (actor, target) in self._blocks or (target, actor) in self._blocks:
            return False
        return self._friendship(kind, actor, target, pair)

    def _friendship(self, kind: str, actor: int, target: int, pair: tuple[int, int]) -> bool:
        if kind == "friend_request.sent":
            if pair in self._friends or (actor, target) in self._asked:
                return False
            self._asked.add((actor, target))
        elif kind in ("friend_request.accepted", "friend_request.declined"):
            if (target, actor) not in self._asked or pair in self._friends:
                return False
            self._asked.discard((target, actor))
            if kind == "friend_request.accepted":
                self._friends.add(pair)
        elif kind == "friend_request.cancelled":
            if (actor, target) not in self._asked:
                return False
            self._asked.discard((actor, target))
        elif kind == "friendship.created":
            self._friends.add(pair)
        elif kind == "friendship.removed":
            if pair not in self._friends:
                return False
            self._friends.discard(pair)
        return True


class Stream:
    """A labelled stream, played when it is made.

    Parameters
    ----------
    world : one of `WORLDS`.
    seed : the same seed, accounts and days give the same stream, to the byte.
    accounts, days : its size.
    """

    def __init__(self, world: str, seed: int, accounts: int = 10_000, days: int = 28) -> None:
        played = WORLDS[world](f"{world}/{seed}/{accounts}/{days}", accounts, days)
        played.run()
        played.log.sort(key=_moment)
        self._people, self._log = played.people, played.log
        self._numbers = played.rng.sample(range(16**9), len(played.log))
        self._sought = {
            (index, other)
            for index, drives in played.drives.items()
            if played.people[index].harmful
            for drive in drives
            for other in drive.reached
            if played.people[other].age < 18
        }

    def records(self, reached: Callable[[dict[str, Any]], object] | None = None) -> Iterator[dict[str, Any]]:
        """Yield the events in order of time.

        Parameters
        ----------
        reached : is handed the first request or message of each attacker to each child that it sought out:
            `account_id`, `target_id` and `occurred_at`.
        """
        people, check, left = self._people, Consistency(), set(self._sought)
        inline = [band(p.shown) if p.fact == "inline" and p.shown is not None else None for p in people]
        for number, (when, _, kind, actor, target, more) in zip(self._numbers, self._log, strict=True):
            if not check.allows(kind, actor, target):
                continue
            record: dict[str, Any] = {
                "type": kind,
                "event_id": f"e{number:09x}",
                "occurred_at": when,
                "actor_id": people[actor].ident,
            }
            if inline[actor]:
                record["actor_age_band"] = inline[actor]
            if target >= 0:
                record["target_id"] = people[target].ident
                if inline[target]:
                    record["target_age_band"] = inline[target]
            if more:
                record.update(more)
            if reached is not None and kind in OUTREACH and (actor, target) in left:
                left.discard((actor, target))
                pair = {"account_id": people[actor].ident, "target_id": people[target].ident}
                reached(pair | {"occurred_at": when})
            yield record

    def lines(self, reached: Callable[[dict[str, Any]], object] | None = None) -> Iterator[bytes]:
        """Yield the events as lines of JSON, each with its newline; `reached` as in `records`."""
        encode = msgspec.json.Encoder().encode
        for record in self.records(reached):
            yield encode(record) + b"\n"

    def labels(self) -> Iterator[dict[str, Any]]:
        """Yield one label for each account, in the order of account ids."""
        for person in sorted(self._people, key=lambda person: person.ident):
            yield {"account_id": person.ident, "label": person.label, "harmful": person.harmful}


def write(stream: Stream, folder: Path) -> int:
    """Write events.jsonl and labels.jsonl; return the number of events."""
    folder.mkdir(parents=True, exist_ok=True)
    encode = msgspec.json.Encoder().encode
    count = 0
    with (folder / "events.jsonl").open("wb") as file:
        for line in stream.lines():
            file.write(line)
            count += 1
    with (folder / "labels.jsonl").open("wb") as file:
        for row in stream.labels():
            file.write(encode(row) + b"\n")
    return count


def _moment(event: Event) -> tuple[int, int]:
    return event[0], event[1]
