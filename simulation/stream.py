"""A labelled stream: the rows of a platform as events of the contract, and a label for every account."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import numpy as np

from simulation.cast import EDGES, harmful_mask
from simulation.classes import CLASSES, is_harmful
from simulation.missing import Missing
from simulation.outcomes import REASONS
from simulation.people import BANDS, SOURCES, People
from simulation.platform import Platform
from simulation.rows import DAY, MESSAGE, REPORTED, REQUEST, SIGNS, TYPES, UPDATED, Array

__all__ = ["Event", "Stream"]

Event = dict[str, Any]

_ROLES: Final = {1: "educator", 2: "coach", 4: "counsellor", 8: "business", 16: "creator", 32: "moderator"}
_SIGN_LISTS: Final = [[name for bit, name in enumerate(SIGNS) if signs >> bit & 1] for signs in range(1 << len(SIGNS))]


class Stream:
    """A labelled stream in time order; every call of a method begins it anew and yields the same.

    Parameters
    ----------
    make : makes the platform; called once a pass.
    prefix : put before account and event ids, to tell several streams apart.
    missing : names in `simulation.missing.MISSING`: what the platform does not send.
    """

    def __init__(self, make: Callable[[], Platform], prefix: str = "", missing: tuple[str, ...] = ()) -> None:
        self._make, self._prefix, self._missing = make, prefix, missing

    def events(self, reached: Callable[[Event], object] | None = None) -> Iterator[Event]:
        """Yield the events in time order.

        Parameters
        ----------
        reached : is handed each harmful account's first contact with each child that it sought out: `account_id`,
            `target_id` and `occurred_at`, as the event that tells of it is due. What is told here is what happened,
            whether or not the platform knows anybody's age and sends the event.
        """
        platform = self._make()
        people = platform.people
        names = [self._prefix + name for name in people.names]
        sends = Missing(self._missing, platform.profile.kind)
        number = 0
        victims = _Victims(people, names)
        for part in platform.rows():
            if reached is not None:
                for contact in victims.among(part):
                    reached(contact)
            made = _events(part, people, names, f"{self._prefix}e", number, platform.profile.conversation_ids)
            yield from sends.of(made) if self._missing else made
            number += len(part)

    def lines(self, reached: Callable[[Event], object] | None = None) -> Iterator[bytes]:
        """Yield the events as lines of JSON, each with its newline; `reached` as in `events`."""
        encode = msgspec.json.Encoder().encode
        for event in self.events(reached):
            yield encode(event) + b"\n"

    def labels(self) -> Iterator[Event]:
        """Yield one label for each account, in the order of account ids."""
        people = self._make().people
        named = sorted(zip(people.names, people.label.tolist(), strict=True), key=lambda pair: int(pair[0][1:]))
        for name, label in named:
            yield {
                "account_id": self._prefix + name,
                "label": CLASSES[label],
                "harmful": is_harmful(CLASSES[label]),
            }


class _Victims:
    """Finds the first contact of each harmful account with each child that it sought out."""

    def __init__(self, people: People, names: list[str]) -> None:
        self._harmful, self._child, self._names = harmful_mask(people.label), people.age < 18.0, names
        self._known: set[tuple[int, int]] = set()

    def among(self, part: Array) -> Iterator[Event]:
        """Yield those contacts in a stretch of rows that are first ones."""
        sought = (part["campaign"] >= 0) & ((part["kind"] == MESSAGE) | (part["kind"] == REQUEST))
        sought &= self._harmful[part["actor"]] & (part["target"] >= 0)
        sought[sought] = self._child[part["target"][sought]]
        for time, actor, target in zip(
            *(part[name][sought].tolist() for name in ("time", "actor", "target")), strict=True
        ):
            if (actor, target) not in self._known:
                self._known.add((actor, target))
                yield {"account_id": self._names[actor], "target_id": self._names[target], "occurred_at": time}


def _events(
    part: Array, people: People, names: list[str], prefix: str, first: int, conversations: bool
) -> Iterator[Event]:
    """Yield rows as events; written for speed, as there are millions."""
    columns = [part[name].tolist() for name in ("time", "kind", "actor", "target", "extra", "signs")]
    number = first
    for time, kind, actor, target, extra, signs in zip(*columns, strict=True):
        event: Event = {
            "type": TYPES[kind],
            "event_id": f"{prefix}{number:x}",
            "occurred_at": time,
            "actor_id": names[actor],
        }
        number += 1
        if target >= 0:
            event["target_id"] = names[target]
        if kind == MESSAGE:
            if conversations:
                event["conversation_id"] = f"{names[min(actor, target)]}-{names[max(actor, target)]}"
            if signs:
                event["signs"] = _SIGN_LISTS[signs]
        elif kind == REQUEST:
            if extra >= 0:
                event["mutual_friends"] = extra
        elif kind == UPDATED:
            _account(event, people, actor, extra, time)
        elif kind == REPORTED and extra >= 0:
            event["reason"] = REASONS[extra]
        yield event


def _account(event: Event, people: People, account: int, band: int, time: int) -> None:
    """Add what the platform knows of an account, or a corrected age band."""
    if band >= 0:
        event["age_band"], event["age_source"] = BANDS[band], SOURCES[1]
        return
    known = int(people.band[account])
    if known and known == _band_of(float(people.age[account])) and int(people.created[account]) % 7 == 0:
        born = datetime.fromtimestamp((time - float(people.age[account]) * 365.25 * DAY) / 1000, UTC)
        event["birth_date"] = born.date().isoformat()
        event["age_source"] = SOURCES[int(people.source[account])]
    elif known:
        event["age_band"], event["age_source"] = BANDS[known], SOURCES[int(people.source[account])]
    event["created_at"] = int(people.created[account])
    roles = int(people.roles[account])
    if roles:
        event["roles"] = [name for bit, name in _ROLES.items() if roles & bit]


def _band_of(age: float) -> int:
    return int(np.searchsorted(EDGES, age, side="right")) + 1
