"""From records as they come (bytes) to columns, and the refusals, worded.

Nearly all records go through `streams.scan` in one compiled pass. What that leaves is read one at a time
with msgspec, whose word is final: the scanner takes nothing that it would read otherwise. Every record ends
as a row or as refused, exactly once, and no bytes raise. A reason names fields and types, never a value.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from graph.batch import EVENT, NO_ROLES, NO_TIME, NOT_GIVEN, AgeSource, EventBatch, Role, Sign
from streams.events import (
    AGE_BANDS,
    AGE_SOURCES,
    EARLIEST,
    EARLIEST_CREATED,
    KINDS,
    MAX_RECORD,
    ROLES,
    SIGNS,
    AccountUpdated,
    Event,
    MessageSent,
    RequestSent,
    Targeted,
    age_band,
)
from streams.hashing import PADDING, SEED, hash_id
from streams.scan import scan
from streams.timestamps import epoch_ms

__all__ = ["Decoded", "EventDecoder", "Rejected"]

MAX_DEPTH: Final = 64
"""Levels. JSON nested more deeply is refused, whatever the interpreter's own limit is."""
MAX_BATCH: Final = 2**32 - 1
"""Bytes. The text columns address no more."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_WHERE: Final = re.compile(r"(.*) - at `\$\.?([^`]*)`", re.DOTALL)
_DECODER: Final = msgspec.json.Decoder(Event)


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """A record that is no event.

    Attributes
    ----------
    index : int
        Its number in what was handed in (of a buffer of lines: the line, counted from 0).
    reason : str
        One line, without account ids and without content.
    """

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of a list of records.

    Attributes
    ----------
    batch : EventBatch
        In the order of the records.
    source : ndarray of int32, shape (n,)
        The number of the record that each row came from.
    rejected : list of Rejected
        In the order of the records.
    """

    batch: EventBatch
    source: NDArray[np.int32]
    rejected: list[Rejected]


class RefusedError(Exception):
    """Carries the reason."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row still in Python objects."""

    ids: tuple[str, str, str]
    values: dict[str, int]


class EventDecoder:
    """Turns records into batches of events.

    Parameters
    ----------
    seed : int, 0 to 2**64 - 1
        Of the id hashes. It must stay the same as long as any state is kept.

    Examples
    --------
    >>> record = b'{"type":"account.deleted","event_id":"e1","occurred_at":"2026-11-22T04:21:42Z","actor_id":"u1"}'
    >>> decoded = EventDecoder().decode([record, b"{"], not_after=1_800_000_000_000)
    >>> len(decoded.batch), decoded.source.tolist()
    (1, [0])
    >>> decoded.rejected
    [Rejected(index=1, reason='not JSON: Input data was truncated')]
    """

    def __init__(self, seed: int = SEED) -> None:
        self.seed = seed

    def decode(
        self, records: Sequence[bytes | None], *, not_after: int, ingested_at: Sequence[int] | None = None
    ) -> Decoded:
        """Decode a list of records.

        Parameters
        ----------
        records : sequence of bytes or None
            None is a record without a value.
        not_after : int
            Epoch milliseconds: an event that says it occurred later is refused.
        ingested_at : sequence of int, optional
            Epoch milliseconds, one a record: when it reached Kafka.

        Raises
        ------
        ValueError
            When the records together hold more than 4 GiB.
        """
        values = cast(Sequence[bytes], records)
        try:
            padded = b"".join((*values, bytes(PADDING)))
        except TypeError:  # None is rare: to look for it first costs more
            values = [record or b"" for record in records]
            padded = b"".join((*values, bytes(PADDING)))
        ends = np.fromiter(map(len, values), np.int64, len(values)).cumsum()
        starts = np.zeros_like(ends)
        starts[1:] = ends[:-1]
        decoded = self._decode(padded, starts, ends, not_after, lines=False)
        if ingested_at is not None:
            decoded.batch.rows["ingested_at"] = np.asarray(ingested_at, np.int64)[decoded.source]
        return decoded

    def decode_lines(self, buffer: bytes, *, not_after: int) -> Decoded:
        """Decode JSON Lines; the last line may lack its line feed. Blank lines are passed over silently.

        `source` and `index` are line numbers within `buffer`, counted from 0.
        """
        feeds = np.flatnonzero(np.frombuffer(buffer, np.uint8) == 10)
        ends = feeds if buffer.endswith(b"\n") or not buffer else np.append(feeds, len(buffer))
        starts = np.zeros_like(ends)
        starts[1:] = ends[:-1] + 1
        return self._decode(buffer + bytes(PADDING), starts, ends, not_after, lines=True)

    def _decode(
        self, padded: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], not_after: int, *, lines: bool
    ) -> Decoded:
        if len(padded) > MAX_BATCH:
            raise ValueError("more than 4 GiB of records in one batch: hand them in in smaller ones")
        n = len(starts)
        rows = np.empty(n, EVENT)
        text = np.empty(len(padded), np.uint8)
        source = np.empty(n, np.int32)
        left = np.empty(n, np.int32)
        data = np.frombuffer(padded, np.uint8)
        done, missed, used = scan(data, starts, ends, np.uint64(self.seed), not_after, rows, text, source, left)
        rows, source = rows[:done], source[:done]
        # copies: the buffers hold the whole records, which must not outlive this call
        text = text[:used].copy()
        if not missed:
            return Decoded(EventBatch(rows, text), source, [])
        rejected: list[Rejected] = []
        kept: list[_Row] = []
        kept_from: list[int] = []
        for i in left[:missed].tolist():
            raw = padded[starts[i] : min(ends[i], starts[i] + MAX_RECORD + 1)]
            if lines and not raw.strip():
                continue
            try:
                kept.append(_read(raw, not_after))
                kept_from.append(i)
            except RefusedError as refused:
                rejected.append(Rejected(i, str(refused)))
        if kept:
            late, late_text = self._columns(kept, len(text))
            text = np.concatenate((text, late_text))
            source = np.concatenate((source, np.array(kept_from, np.int32)))
            order = np.argsort(source, kind="stable")
            source = source[order]
            rows = np.concatenate((rows, late))[order]
        else:
            rows, source = rows.copy(), source.copy()
        return Decoded(EventBatch(rows, text), source, rejected)

    def _columns(self, kept: Sequence[_Row], used: int) -> tuple[NDArray[np.void], NDArray[np.uint8]]:
        """Return rows of what was read one at a time, and their text, which will stand at `used`."""
        names = EVENT.names or ()
        rows: list[tuple[int, ...]] = []
        pieces: list[bytes] = []
        for event in kept:
            values = {**event.values, "ingested_at": NO_TIME}
            for name, identity in zip(("event", "actor", "target"), event.ids, strict=True):
                piece = identity.encode()
                values[name] = hash_id(identity, self.seed) if identity else 0
                values[f"{name}_at"] = used
                values[f"{name}_len"] = len(piece)
                used += len(piece)
                pieces.append(piece)
            rows.append(tuple(map(values.__getitem__, names)))
        return np.array(rows, EVENT), np.frombuffer(b"".join(pieces), np.uint8)


def _read(raw: bytes, not_after: int) -> _Row:
    """Read one record, or raise `RefusedError` with the reason."""
    event = _parse(raw)
    target = event.target_id if isinstance(event, Targeted) else ""
    for name, identity in (("event_id", event.event_id), ("actor_id", event.actor_id), ("target_id", target)):
        if _CONTROL.search(identity):
            raise RefusedError(f"`{name}`: holds a control character")
    if event.actor_id == target:
        raise RefusedError("`target_id`: is the same as `actor_id`, and an account cannot act on itself")
    occurred = _time("occurred_at", event.occurred_at, EARLIEST, not_after)
    actor_age = AGE_BANDS[event.actor_age_band] if event.actor_age_band else NOT_GIVEN
    values = {
        "time": occurred,
        "kind": KINDS[type(event)],
        "created_at": NO_TIME,
        "mutual": -1,
        "signs": 0,
        "roles": NO_ROLES,
        "actor_age": actor_age,
        "target_age": AGE_BANDS[event.target_age_band] if event.target_age_band and target else NOT_GIVEN,
        "age_source": AgeSource.UNKNOWN,
    }
    if isinstance(event, AccountUpdated):
        _account(event, occurred, not_after, values)
    if isinstance(event, RequestSent | MessageSent) and event.mutual_friends is not None:
        values["mutual"] = event.mutual_friends
    if isinstance(event, MessageSent):
        values["signs"] = _bits(SIGNS[sign] for sign in event.signs or ())
    return _Row((event.event_id, event.actor_id, target), values)


def _account(event: AccountUpdated, occurred: int, not_after: int, values: dict[str, int]) -> None:
    """Add what an `account.updated` says to `values`."""
    if event.birth_date is not None:
        on = datetime.datetime.fromtimestamp(occurred // 1000, datetime.UTC).date()
        band = age_band(event.birth_date, on)
        if band is None:
            raise RefusedError("`birth_date`: lies after `occurred_at`, or more than 130 years before it")
        values["actor_age"] = band
    if event.age_band is not None:
        values["actor_age"] = AGE_BANDS[event.age_band]
    if event.age_source is not None:
        values["age_source"] = AGE_SOURCES[event.age_source]
    if event.created_at is not None:
        values["created_at"] = _time("created_at", event.created_at, EARLIEST_CREATED, not_after)
    if event.roles is not None:
        values["roles"] = _bits(ROLES.get(role, Role.OTHER) for role in event.roles)


def _bits(flags: Iterable[Sign | Role]) -> int:
    bits = 0
    for flag in flags:
        bits |= flag
    return bits


def _time(name: str, value: str | int, earliest: int, latest: int) -> int:
    """Return epoch milliseconds, or refuse what is no time or lies outside the limits."""
    if isinstance(value, str):
        try:
            value = epoch_ms(value)
        except ValueError as bad:
            raise RefusedError(f"`{name}`: {bad}") from None
    if value > latest:
        raise RefusedError(f"`{name}`: lies in the future")
    if value < earliest:
        year = 2000 if earliest == EARLIEST else 1990
        raise RefusedError(f"`{name}`: lies before {year} (are these epoch seconds instead of milliseconds?)")
    return value


def _parse(raw: bytes) -> Event:
    """Return the typed event of a record."""
    if not raw.strip():
        raise RefusedError("the record is empty")
    if len(raw) > MAX_RECORD:
        raise RefusedError(f"the record is larger than {MAX_RECORD // 1024} KiB")
    try:
        raw.decode()
    except UnicodeDecodeError as bad:
        raise RefusedError(f"not UTF-8 (byte {bad.start})") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(raw) > MAX_DEPTH:
        raise RefusedError(f"nested more than {MAX_DEPTH} levels deep")
    try:
        event: Event = _DECODER.decode(raw)
        return event
    except msgspec.ValidationError as bad:
        raise RefusedError(_explain(str(bad))) from None
    except msgspec.DecodeError as bad:
        raise RefusedError(f"not JSON: {str(bad).removeprefix('JSON is malformed: ')}") from None
    except (ValueError, OverflowError, RecursionError, UnicodeError):
        raise RefusedError("holds a number or text that cannot be read") from None


def _depth(raw: bytes) -> int:
    """Return how deeply brackets nest, those in strings aside."""
    depth = deepest = 0
    for c in _STRINGS.sub(b"", raw):
        if c in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif c in b"]}":
            depth -= 1
    return deepest


def _explain(message: str) -> str:
    """Word a refusal of msgspec's without the value that it may quote."""
    found = _WHERE.fullmatch(message)
    what, where = found.groups() if found else (message, "")
    if what.startswith("Object missing required field"):
        return f"{what.removeprefix('Object missing required field ')} is missing"
    if what.startswith("Invalid value"):
        return "`type`: is none of the event types" if where == "type" else f"`{where}`: unknown value"
    if what.startswith("Invalid enum value"):
        return f"`{where}`: is none of the allowed values"
    if not where:
        return "not a JSON object"
    if what.startswith("Expected") or what in ("Number out of range", "Invalid RFC3339 encoded date"):
        return f"`{where}`: {what[0].lower()}{what[1:]}"
    return f"`{where}`: not as the contract says"
