"""Reads what `kithwatch evaluate` measures: labels, flags, events, and whom attackers reached."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.evaluation import Steps
from streams.cli import UserError
from streams.files import read_blocks

__all__ = ["Contacts", "Flags", "Labels", "read_contacts", "read_flags", "read_labels", "read_victims"]

_WEEK: Final = 7 * 86_400_000
_MINORS: Final = frozenset({"under_13", "13_15", "16_17"})
_BANDS: Final = ((21.0, "21_plus"), (18.0, "18_20"), (16.0, "16_17"), (13.0, "13_15"), (-math.inf, "under_13"))
_MEDIUM: Final = frozenset({"medium", "high", "critical"})
_T = TypeVar("_T")


class _Label(msgspec.Struct):
    account_id: str
    label: str
    harmful: bool


class _Flag(msgspec.Struct):
    type: Literal["flag.raised", "flag.updated", "flag.retracted"]
    flag_id: str
    account_id: str
    score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    severity: Literal["low", "medium", "high", "critical"]
    raised_at: datetime
    updated_at: datetime | None = None
    role: Literal["actor", "target"] = "actor"
    shadow: bool = False


class _Victim(msgspec.Struct):
    account_id: str
    occurred_at: int


class _Event(msgspec.Struct):
    type: str
    occurred_at: int | datetime
    actor_id: str
    target_id: str | None = None
    age_band: str | None = None
    birth_date: str | None = None
    roles: list[str] | None = None
    actor_age_band: str | None = None
    target_age_band: str | None = None


@dataclass(slots=True)
class Labels:
    """What is true of each account, and where it stands in all arrays."""

    place: dict[str, int]
    label: list[str]
    harmful: NDArray[np.bool_]


@dataclass(slots=True)
class Flags:
    """Flags that accuse, by account.

    Attributes
    ----------
    score : highest score of each account.
    severe : whether any flag of it is medium or above.
    steps : score over time, of every record of these flags.
    count : number of flags of each account.
    """

    score: NDArray[np.float64]
    severe: NDArray[np.bool_]
    steps: Steps
    count: NDArray[np.int64]


@dataclass(slots=True)
class Contacts:
    """What the events say: who was active, and whom harmful accounts contacted when.

    Attributes
    ----------
    active : accounts that sent a request or message.
    first, last : time of the first and the last of these, epoch milliseconds.
    account, time : every harmful account's first contact with each target.
    child : the account and time of those that count as harm: with a minor, by the age that the events tell; or, where
        `victims.jsonl` was read, those with children that the account sought out, whatever the events tell.
    band, role : what the platform told of accounts in the end; several roles as one text.
    """

    active: set[int] = field(default_factory=set)
    first: int = 0
    last: int = 0
    account: list[int] = field(default_factory=list)
    time: list[int] = field(default_factory=list)
    child: list[tuple[int, int]] = field(default_factory=list)
    band: dict[int, str] = field(default_factory=dict)
    role: dict[int, str] = field(default_factory=dict)

    @property
    def days(self) -> float:
        """Length of the stream."""
        return (self.last - self.first) / _WEEK * 7.0


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the numbered lines of a JSON Lines file, plain or compressed; blank ones are left out.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    for block in read_blocks(str(path)):
        for number, line in enumerate(block.data.split(b"\n"), block.first_line):
            if line and not line.isspace():
                yield number, line


def _decode(kind: type[_T], path: Path) -> Iterator[tuple[int, _T]]:
    decode = msgspec.json.Decoder(kind).decode
    for number, line in lines(path):
        try:
            yield number, decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise UserError(f"{path}, line {number}: {problem}") from None


def read_labels(path: Path) -> Labels:
    """Read `labels.jsonl`."""
    place: dict[str, int] = {}
    label: list[str] = []
    harmful: list[bool] = []
    for number, entry in _decode(_Label, path):
        if entry.account_id in place:
            raise UserError(f"{path}, line {number}: account {entry.account_id} has a label already")
        place[entry.account_id] = len(label)
        label.append(entry.label)
        harmful.append(entry.harmful)
    if not label:
        raise UserError(f"{path} has no labels in it")
    return Labels(place, label, np.array(harmful))


def read_flags(path: Path, labels: Labels) -> Flags:
    """Read flags: the last record of each counts; shadow, retracted and `target` flags are left out."""
    last: dict[str, _Flag] = {}
    records: dict[str, list[tuple[int, float]]] = {}
    for number, flag in _decode(_Flag, path):
        if flag.account_id not in labels.place:
            raise UserError(f"{path}, line {number}: account {flag.account_id} has no label; are the files of one run?")
        when = flag.updated_at or flag.raised_at
        if when.tzinfo is None:
            raise UserError(f"{path}, line {number}: the time has no offset")
        last[flag.flag_id] = flag
        records.setdefault(flag.flag_id, []).append((round(when.timestamp() * 1000), flag.score))
    n = len(labels.label)
    severe, count = np.zeros(n, np.bool_), np.zeros(n, np.int64)
    steps: list[tuple[int, int, float]] = []
    for flag_id, flag in last.items():
        if flag.shadow or flag.role == "target" or flag.type == "flag.retracted":
            continue
        account = labels.place[flag.account_id]
        severe[account] |= flag.severity in _MEDIUM
        count[account] += 1
        # what counts is what the flag says in the end: a score that was corrected down was never crossed
        steps += [(account, time, min(score, flag.score)) for time, score in records[flag_id]]
    table = np.array(steps, np.float64).reshape(-1, 3)
    over_time = Steps(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])
    return Flags(over_time.highest(n), severe, over_time, count)


def read_victims(path: Path, labels: Labels) -> list[tuple[int, int]]:
    """Read `victims.jsonl`: account and time of each contact of a harmful account with a child that it sought out."""
    found = []
    for number, contact in _decode(_Victim, path):
        account = labels.place.get(contact.account_id)
        if account is None:
            raise UserError(
                f"{path}, line {number}: account {contact.account_id} has no label; are the files of one run?"
            )
        found.append((account, contact.occurred_at))
    return found


def read_contacts(path: Path, labels: Labels) -> Contacts:
    """Read from events who was active, and the first contact of each harmful account with each target."""
    contacts, bands, roles = Contacts(), dict[str, str](), dict[str, str]()
    known: set[tuple[str, str]] = set()
    for number, event in _decode(_Event, path):
        at = event.occurred_at
        time = at if isinstance(at, int) else round(at.timestamp() * 1000)
        if event.type == "account.updated":
            if event.birth_date is not None:
                bands[event.actor_id] = _band(event.birth_date, time, f"{path}, line {number}")
            elif event.age_band is not None:
                bands[event.actor_id] = event.age_band
            if event.roles is not None:
                roles[event.actor_id] = ", ".join(sorted(event.roles))
        if event.actor_age_band is not None:
            bands[event.actor_id] = event.actor_age_band
        if event.target_id is None:
            continue
        if event.target_age_band is not None:
            bands[event.target_id] = event.target_age_band
        if event.type not in ("friend_request.sent", "message.sent"):
            continue
        contacts.first = contacts.first or time
        contacts.last = max(contacts.last, time)
        account = labels.place.get(event.actor_id)
        if account is None:
            raise UserError(f"{path}, line {number}: account {event.actor_id} has no label; are the files of one run?")
        contacts.active.add(account)
        pair = (event.actor_id, event.target_id)
        if labels.harmful[account] and pair not in known:
            known.add(pair)
            contacts.account.append(account)
            contacts.time.append(time)
            if bands.get(event.target_id) in _MINORS:
                contacts.child.append((account, time))
    contacts.band = {labels.place[name]: band for name, band in bands.items() if name in labels.place}
    contacts.role = {labels.place[name]: role for name, role in roles.items() if role and name in labels.place}
    return contacts


def _band(birth_date: str, time: int, where: str) -> str:
    """Return the age band of a birth date."""
    try:
        born = datetime.fromisoformat(birth_date + "T00:00:00+00:00").timestamp()
    except ValueError:
        raise UserError(f"{where}: {birth_date!r} is no date") from None
    years = (time / 1000 - born) / (365.25 * 86_400)
    return next(band for least, band in _BANDS if years >= least)
