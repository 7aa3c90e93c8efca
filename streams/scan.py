"""The fast way from records to rows: one compiled pass over the bytes, with no Python object an event.

What it takes, it reads exactly as `msgspec` with the types of `streams.events` would, which a property test
holds it to. Whatever it is not sure of (broken records, escapes in ids, floats for integers …) it
leaves to `streams.decode`, which reads those one at a time and words the refusals. It looks at eight bytes
at a time to find the end of a string (Mycroft's zero-byte test; Lemire and Langdale, "Parsing gigabytes of
JSON per second", 2019, do so with wider registers), and tells names apart by their bytes packed into integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graph.batch import NO_ROLES, NO_TIME, NOT_GIVEN, AgeBand, AgeSource, EventKind, Role
from streams.events import (
    AGE_BANDS,
    AGE_LIMITS,
    AGE_SOURCES,
    EARLIEST,
    EARLIEST_CREATED,
    KINDS,
    MAX_RECORD,
    OLDEST_PERSON,
    ROLES,
    SIGNS,
)
from streams.hashing import byte, compiled, load64, store64, xxh3
from streams.scan_json import digits, scalar_end, space, string_end, value_end
from streams.timestamps import BAD_TIME, parse_date, parse_time, years_between

__all__ = ["scan"]

_U: Final = np.uint64
_TYPE: Final = 1
_EVENT_ID: Final = 2
_TIME: Final = 3
_ACTOR: Final = 4
_TARGET: Final = 5
_MUTUAL: Final = 6
_SIGNS: Final = 7
_ACTOR_AGE: Final = 8
_TARGET_AGE: Final = 9
_AGE_BAND: Final = 10
_AGE_SOURCE: Final = 11
_CREATED: Final = 12
_ROLES: Final = 13
_BIRTH: Final = 14
_TEXT: Final = 15  # a string that is checked and dropped
_FIELDS: Final = {
    "type": _TYPE,
    "event_id": _EVENT_ID,
    "occurred_at": _TIME,
    "actor_id": _ACTOR,
    "target_id": _TARGET,
    "mutual_friends": _MUTUAL,
    "signs": _SIGNS,
    "actor_age_band": _ACTOR_AGE,
    "target_age_band": _TARGET_AGE,
    "age_band": _AGE_BAND,
    "age_source": _AGE_SOURCE,
    "created_at": _CREATED,
    "roles": _ROLES,
    "birth_date": _BIRTH,
    "conversation_id": _TEXT,
    "reason": _TEXT,
}


# the tables of names
_FIELD_NAMES: Final = 0
_TAGS: Final = 1
_BANDS: Final = 2
_SOURCES: Final = 3
_SIGN_NAMES: Final = 4
_ROLE_NAMES: Final = 5
_SLOTS: Final = 64


def _tables(*tables: Mapping[str, int]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return perfect hash tables, one after the other, with the multipliers in their last rows; and the values."""
    names = np.zeros((len(tables), _SLOTS + 1, 3), np.uint64)
    values = np.full((len(tables), _SLOTS), -1, np.int64)
    for number, table in enumerate(tables):
        packed = {name: np.frombuffer(name.encode().ljust(24, b"\0"), "<u8") for name in table}
        multiplier = 0x9E3779B97F4A7C15
        while True:
            slots = {n: ((int(p[0] ^ p[1] ^ p[2]) * multiplier) % 2**64) >> 58 for n, p in packed.items()}
            if len(set(slots.values())) == len(table):
                break
            multiplier = (multiplier * 0x5851F42D4C957F2D + 2) % 2**64
        for name, slot in slots.items():
            names[number, slot] = packed[name]
            values[number, slot] = table[name]
        names[number, _SLOTS] = multiplier
    return names, values


# in the order of the numbers above
_NAMES, _VALUES = _tables(
    _FIELDS, {str(c.__struct_config__.tag): kind for c, kind in KINDS.items()}, AGE_BANDS, AGE_SOURCES, SIGNS, ROLES
)

# what the compiled code compares with, as plain numbers
_SENT: Final = int(EventKind.REQUEST_SENT)
_MESSAGE: Final = int(EventKind.MESSAGE_SENT)
_UPDATED: Final = int(EventKind.ACCOUNT_UPDATED)
_DELETED: Final = int(EventKind.ACCOUNT_DELETED)
_OTHER: Final = int(Role.OTHER)
_ADULT: Final = int(AgeBand.AGE_21_PLUS)
_BELOW: Final = tuple((limit, int(band)) for limit, band in AGE_LIMITS)
_NO_SOURCE: Final = int(AgeSource.UNKNOWN)
_BASICS: Final = 1 << _TYPE | 1 << _EVENT_ID | 1 << _TIME | 1 << _ACTOR


@compiled
def _word(at: Any, length: Any, table: Any) -> Any:
    """Return the value of the name at `at`, or -1."""
    if length < 1 or length > 24:
        return np.int64(-1)
    a, b, c = load64(at), _U(0), _U(0)
    if length < 8:
        a &= (_U(1) << _U(8 * length)) - _U(1)
    elif length > 8:
        b = load64(at + 8)
        if length < 16:
            b &= (_U(1) << _U(8 * (length - 8))) - _U(1)
        elif length > 16:
            c = load64(at + 16)
            if length < 24:
                c &= (_U(1) << _U(8 * (length - 16))) - _U(1)
    slot = np.int64(((a ^ b ^ c) * _NAMES[table, _SLOTS, 0]) >> _U(58))
    if _NAMES[table, slot, 0] == a and _NAMES[table, slot, 1] == b and _NAMES[table, slot, 2] == c:
        return _VALUES[table, slot]
    return np.int64(-1)


@compiled
def _flags(p: Any, hi: Any, table: Any, otherwise: Any) -> Any:
    """Return (where the list of names at `p` ends, the names' bits), or (-1, 0)."""
    bits = np.int64(0)
    p = space(p + 1)
    if byte(p) == 93:
        return p + 1, bits
    while p < hi and byte(p) == 34:
        end = string_end(p + 1, hi, False)
        if end < 0:
            return np.int64(-1), bits
        bit = _word(p + 1, end - p - 1, table)
        if bit < 0:
            bit = otherwise
        if bit < 0:
            return np.int64(-1), bits
        bits |= bit
        p = space(end + 1)
        if byte(p) == 93:
            return p + 1, bits
        if byte(p) != 44:
            break
        p = space(p + 1)
    return np.int64(-1), bits


@compiled
def _copy(lo: Any, hi: Any, to: Any) -> Any:
    """Copy bytes, eight at a time (so up to seven too many); return where the copy ends."""
    for k in range(0, hi - lo, 8):
        store64(to + k, load64(lo + k))
    return to + hi - lo


@compiled
def _band(years: Any) -> Any:
    """Return the age band of somebody of so many years."""
    for limit, band in _BELOW:
        if years < limit:
            return np.int64(band)
    return np.int64(_ADULT)


@compiled
def _record(lo: Any, hi: Any, seed: Any, not_after: Any, row: Any, text: Any, used: Any) -> Any:
    """Write one record as a row; return the new length of the text, or -1 when the record is left."""
    p = space(lo)
    if hi - lo > MAX_RECORD or byte(p) != 123:
        return -1
    seen = 0
    kind, signs, roles = np.int64(0), np.int64(0), np.int64(NO_ROLES)
    actor_age, target_age, own_age = np.int64(NOT_GIVEN), np.int64(NOT_GIVEN), np.int64(NOT_GIVEN)
    source, mutual = np.int64(_NO_SOURCE), np.int64(-1)
    time, created, birth = np.int64(0), np.int64(NO_TIME), np.int64(BAD_TIME)
    event_lo, event_hi, actor_lo, actor_hi, target_lo, target_hi = lo, lo, lo, lo, lo, lo
    while True:
        p = space(p + 1)
        if byte(p) != 34:
            return -1
        v = p + 1
        p = string_end(v, hi, False)
        if p < 0:
            return -1
        field = _word(v, p - v, _FIELD_NAMES)
        p = space(p + 1)
        if byte(p) != 58:
            return -1
        p = space(p + 1)
        v = p + 1
        if field > 0 and field != _TEXT:
            if seen >> field & 1:
                return -1
            seen |= 1 << field
        if field < 0:
            p = value_end(p, hi)
            if p < 0:
                return -1
        elif byte(p) == 34:
            p = string_end(v, hi, field == _TEXT)
            if p < 0:
                return -1
            if field == _TYPE:
                kind = _word(v, p - v, _TAGS)
                if kind < 0:
                    return -1
            elif field in (_EVENT_ID, _ACTOR, _TARGET):
                if p - v < 1 or p - v > 128:
                    return -1
                if field == _EVENT_ID:
                    event_lo, event_hi = v, p
                elif field == _ACTOR:
                    actor_lo, actor_hi = v, p
                else:
                    target_lo, target_hi = v, p
            elif field == _TIME:
                time = parse_time(v, p - v)
            elif field == _CREATED:
                created = parse_time(v, p - v)
            elif field == _BIRTH:
                birth = parse_date(v, p - v)
                if birth == BAD_TIME:
                    return -1
            elif field == _AGE_SOURCE:
                source = _word(v, p - v, _SOURCES)
                if source < 0:
                    return -1
            elif field in (_ACTOR_AGE, _TARGET_AGE, _AGE_BAND):
                age = _word(v, p - v, _BANDS)
                if age < 0:
                    return -1
                if field == _ACTOR_AGE:
                    actor_age = age
                elif field == _TARGET_AGE:
                    target_age = age
                else:
                    own_age = age
            elif field != _TEXT:
                return -1
            p += 1
        elif 48 <= byte(p) <= 57:
            p = digits(v)
            if p - v >= 15 or (byte(v - 1) == 48 and p > v):
                return -1
            number = np.int64(0)
            for k in range(v - 1, p):
                number = number * 10 + byte(k) - 48
            if field == _TIME:
                time = number
            elif field == _CREATED:
                created = number
            elif field == _MUTUAL and number < 2**31:
                mutual = number
            else:
                return -1
        elif byte(p) == 91 and field == _SIGNS:
            p, signs = _flags(p, hi, _SIGN_NAMES, -1)
        elif byte(p) == 91 and field == _ROLES:
            p, roles = _flags(p, hi, _ROLE_NAMES, _OTHER)
        elif byte(p) == 110 and field > _TARGET:
            p = scalar_end(p, hi)
        else:
            return -1
        if p < 0:
            return -1
        p = space(p)
        if byte(p) == 125:
            break
        if byte(p) != 44:
            return -1
    # a cut-off record would have run on into the next one: all that was read lies before its end if this does
    if p >= hi:
        return -1
    for k in range(p + 1, hi):
        if byte(k) not in (32, 10, 13, 9):
            return -1
    if seen & _BASICS != _BASICS or time < EARLIEST or time > not_after:
        return -1
    if kind == _UPDATED:
        if created != NO_TIME and (created < EARLIEST_CREATED or created > not_after):
            return -1
        if birth != BAD_TIME:
            years = years_between(birth, time)
            if years < 0 or years > OLDEST_PERSON:
                return -1
            actor_age = _band(years)
        actor_age = own_age if own_age != NOT_GIVEN else actor_age
    else:
        created, roles, source = np.int64(NO_TIME), np.int64(NO_ROLES), np.int64(_NO_SOURCE)
    if kind != _MESSAGE:
        signs = np.int64(0)
        if kind != _SENT:
            mutual = np.int64(-1)
    row.event = xxh3(event_lo, event_hi - event_lo, seed)
    actor = xxh3(actor_lo, actor_hi - actor_lo, seed)
    target = _U(0)
    if kind in (_UPDATED, _DELETED):
        target_lo, target_hi, target_age = lo, lo, np.int64(NOT_GIVEN)
    elif target_hi == target_lo:
        return -1
    else:
        target = xxh3(target_lo, target_hi - target_lo, seed)
        if actor == target:
            return -1
    row.time = time
    row.ingested_at = NO_TIME
    row.actor = actor
    row.target = target
    row.created_at = created
    row.mutual = mutual
    row.event_at = used
    row.event_len = event_hi - event_lo
    used = _copy(event_lo, event_hi, text + used) - text
    row.actor_at = used
    row.actor_len = actor_hi - actor_lo
    used = _copy(actor_lo, actor_hi, text + used) - text
    row.target_at = used
    row.target_len = target_hi - target_lo
    used = _copy(target_lo, target_hi, text + used) - text
    row.signs = signs
    row.roles = roles
    row.kind = kind
    row.actor_age = actor_age
    row.target_age = target_age
    row.age_source = source
    return used


@compiled
def scan(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    seed: Any,
    not_after: int,
    rows: NDArray[np.void],
    text: NDArray[np.uint8],
    source: NDArray[np.int32],
    left: NDArray[np.int32],
) -> Any:
    """Turn the records that it understands into rows.

    Parameters
    ----------
    data : ndarray of uint8
        All records, and `PADDING` zero bytes after the last.
    starts, ends : ndarray of int64, shape (n,)
        Where each record lies in `data`.
    seed : uint64
    not_after : int
        Epoch milliseconds.
    rows : ndarray of EVENT, shape (n,)
        Filled from the front.
    text : ndarray of uint8
        Filled with the ids; as long as `data`.
    source, left : ndarray of int32, shape (n,)
        Filled with the indices of the records that became rows, and of those that did not.

    Returns
    -------
    tuple of int
        Rows, records left, and bytes of text.
    """
    base, written = data.ctypes.data, text.ctypes.data
    done, missed, used = 0, 0, 0
    for i in range(len(starts)):
        end = _record(base + starts[i], base + ends[i], seed, not_after, rows[done], written, used)
        if end < 0:
            left[missed] = i
            missed += 1
        else:
            source[done] = i
            done += 1
            used = end
    return done, missed, used
