"""The fast way from records to rows: one compiled pass over the bytes, with no Python object an event.

What it takes, it reads exactly as `msgspec` with the types of `streams.events` would, which a property test
holds it to. Whatever it is not sure of (broken records, escapes in ids, birth dates, floats for integers …)
it leaves to `streams.decode`, which reads those one at a time and words the refusals. It looks at eight bytes
at a time to find the end of a string (Mycroft's zero-byte test; Lemire and Langdale, "Parsing gigabytes of
JSON per second", 2019, do so with wider registers), and tells names apart by their bytes packed into integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graph.batch import NO_ROLES, NO_TIME, NOT_GIVEN, AgeSource, EventKind, Role
from streams.events import AGE_BANDS, AGE_SOURCES, EARLIEST, EARLIEST_CREATED, KINDS, MAX_RECORD, ROLES, SIGNS
from streams.hashing import compiled, load64, xxh3
from streams.scan_json import digits, scalar_end, space, string_end, value_end
from streams.timestamps import parse_time

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


def _word_table(words: Mapping[str, int]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return a perfect hash table: packed words, shape (65, 3), the multiplier in the last row; and their values."""
    packed = {word: np.frombuffer(word.encode().ljust(24, b"\0"), "<u8") for word in words}
    multiplier = 0x9E3779B97F4A7C15
    while True:
        slots = {w: ((int(p[0] ^ p[1] ^ p[2]) * multiplier) % 2**64) >> 58 for w, p in packed.items()}
        if len(set(slots.values())) == len(words):
            break
        multiplier = (multiplier * 0x5851F42D4C957F2D + 2) % 2**64
    table = np.zeros((65, 3), np.uint64)
    values = np.full(64, -1, np.int64)
    for word, slot in slots.items():
        table[slot] = packed[word]
        values[slot] = words[word]
    table[64] = multiplier
    return table, values


_FIELD_WORDS, _FIELD_VALUES = _word_table(_FIELDS)
_TAG_WORDS, _TAG_VALUES = _word_table({str(c.__struct_config__.tag): kind for c, kind in KINDS.items()})
_BAND_WORDS, _BAND_VALUES = _word_table(AGE_BANDS)
_SOURCE_WORDS, _SOURCE_VALUES = _word_table(AGE_SOURCES)
_SIGN_WORDS, _SIGN_VALUES = _word_table(SIGNS)
_ROLE_WORDS, _ROLE_VALUES = _word_table(ROLES)

# what the compiled code compares with, as plain numbers
_SENT: Final = int(EventKind.REQUEST_SENT)
_MESSAGE: Final = int(EventKind.MESSAGE_SENT)
_UPDATED: Final = int(EventKind.ACCOUNT_UPDATED)
_DELETED: Final = int(EventKind.ACCOUNT_DELETED)
_OTHER: Final = int(Role.OTHER)
_NO_SOURCE: Final = int(AgeSource.UNKNOWN)
_BASICS: Final = 1 << _TYPE | 1 << _EVENT_ID | 1 << _TIME | 1 << _ACTOR


@compiled
def _word(data: Any, at: Any, length: Any, words: Any, values: Any) -> Any:
    """Return the value of the name at `at`, or -1."""
    if length < 1 or length > 24:
        return np.int64(-1)
    a, b, c = load64(data, at), _U(0), _U(0)
    if length < 8:
        a &= (_U(1) << _U(8 * length)) - _U(1)
    elif length > 8:
        b = load64(data, at + 8)
        if length < 16:
            b &= (_U(1) << _U(8 * (length - 8))) - _U(1)
        elif length > 16:
            c = load64(data, at + 16)
            if length < 24:
                c &= (_U(1) << _U(8 * (length - 16))) - _U(1)
    slot = np.int64(((a ^ b ^ c) * words[64, 0]) >> _U(58))
    if words[slot, 0] == a and words[slot, 1] == b and words[slot, 2] == c:
        return values[slot]
    return np.int64(-1)


@compiled
def _flags(data: Any, p: Any, hi: Any, words: Any, values: Any, otherwise: Any) -> Any:
    """Return (where the list of names at `p` ends, the names' bits), or (-1, 0)."""
    bits = np.int64(0)
    p = space(data, p + 1)
    if data[p] == 93:
        return p + 1, bits
    while p < hi and data[p] == 34:
        end = string_end(data, p + 1, hi, False)
        if end < 0:
            return np.int64(-1), bits
        bit = _word(data, p + 1, end - p - 1, words, values)
        if bit < 0:
            bit = otherwise
        if bit < 0:
            return np.int64(-1), bits
        bits |= bit
        p = space(data, end + 1)
        if data[p] == 93:
            return p + 1, bits
        if data[p] != 44:
            break
        p = space(data, p + 1)
    return np.int64(-1), bits


@compiled
def _copy(data: Any, lo: Any, hi: Any, text: Any, to: Any) -> Any:
    for k in range(hi - lo):
        text[to + k] = data[lo + k]
    return to + hi - lo


@compiled
def _record(data: Any, lo: Any, hi: Any, seed: Any, not_after: Any, row: Any, text: Any, used: Any) -> Any:
    """Write one record as a row; return the new length of the text, or -1 when the record is left."""
    p = space(data, lo)
    if hi - lo > MAX_RECORD or data[p] != 123:
        return -1
    seen = 0
    kind, signs, roles = np.int64(0), np.int64(0), np.int64(NO_ROLES)
    actor_age, target_age, own_age = np.int64(NOT_GIVEN), np.int64(NOT_GIVEN), np.int64(NOT_GIVEN)
    source, mutual = np.int64(_NO_SOURCE), np.int64(-1)
    time, created = np.int64(0), np.int64(NO_TIME)
    event_lo, event_hi, actor_lo, actor_hi, target_lo, target_hi = lo, lo, lo, lo, lo, lo
    while True:
        p = space(data, p + 1)
        if data[p] != 34:
            return -1
        v = p + 1
        p = string_end(data, v, hi, False)
        if p < 0:
            return -1
        field = _word(data, v, p - v, _FIELD_WORDS, _FIELD_VALUES)
        p = space(data, p + 1)
        if data[p] != 58:
            return -1
        p = space(data, p + 1)
        v = p + 1
        if field > 0 and field != _TEXT:
            if seen >> field & 1 or field == _BIRTH:
                return -1
            seen |= 1 << field
        if field < 0:
            p = value_end(data, p, hi)
            if p < 0:
                return -1
        elif data[p] == 34:
            p = string_end(data, v, hi, field == _TEXT)
            if p < 0:
                return -1
            if field == _TYPE:
                kind = _word(data, v, p - v, _TAG_WORDS, _TAG_VALUES)
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
                time = parse_time(data, v, p - v)
            elif field == _CREATED:
                created = parse_time(data, v, p - v)
            elif field == _AGE_SOURCE:
                source = _word(data, v, p - v, _SOURCE_WORDS, _SOURCE_VALUES)
                if source < 0:
                    return -1
            elif field in (_ACTOR_AGE, _TARGET_AGE, _AGE_BAND):
                age = _word(data, v, p - v, _BAND_WORDS, _BAND_VALUES)
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
        elif 48 <= data[p] <= 57:
            p = digits(data, v)
            if p - v >= 15 or (data[v - 1] == 48 and p > v):
                return -1
            number = np.int64(0)
            for k in range(v - 1, p):
                number = number * 10 + np.int64(data[k]) - 48
            if field == _TIME:
                time = number
            elif field == _CREATED:
                created = number
            elif field == _MUTUAL and number < 2**31:
                mutual = number
            else:
                return -1
        elif data[p] == 91 and field == _SIGNS:
            p, signs = _flags(data, p, hi, _SIGN_WORDS, _SIGN_VALUES, -1)
        elif data[p] == 91 and field == _ROLES:
            p, roles = _flags(data, p, hi, _ROLE_WORDS, _ROLE_VALUES, _OTHER)
        elif data[p] == 110 and field > _TARGET:
            p = scalar_end(data, p, hi)
        else:
            return -1
        if p < 0:
            return -1
        p = space(data, p)
        if data[p] == 125:
            break
        if data[p] != 44:
            return -1
    # a cut-off record would have run on into the next one: all that was read lies before its end if this does
    if p >= hi:
        return -1
    for k in range(p + 1, hi):
        if data[k] not in (32, 10, 13, 9):
            return -1
    if seen & _BASICS != _BASICS or time < EARLIEST or time > not_after:
        return -1
    if kind == _UPDATED:
        if created != NO_TIME and (created < EARLIEST_CREATED or created > not_after):
            return -1
        actor_age = own_age if own_age != NOT_GIVEN else actor_age
    else:
        created, roles, source = np.int64(NO_TIME), np.int64(NO_ROLES), np.int64(_NO_SOURCE)
    if kind != _MESSAGE:
        signs = np.int64(0)
        if kind != _SENT:
            mutual = np.int64(-1)
    row.event = xxh3(data, event_lo, event_hi - event_lo, seed)
    actor = xxh3(data, actor_lo, actor_hi - actor_lo, seed)
    target = _U(0)
    if kind in (_UPDATED, _DELETED):
        target_lo, target_hi, target_age = lo, lo, np.int64(NOT_GIVEN)
    elif target_hi == target_lo:
        return -1
    else:
        target = xxh3(data, target_lo, target_hi - target_lo, seed)
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
    used = _copy(data, event_lo, event_hi, text, used)
    row.actor_at = used
    row.actor_len = actor_hi - actor_lo
    used = _copy(data, actor_lo, actor_hi, text, used)
    row.target_at = used
    row.target_len = target_hi - target_lo
    used = _copy(data, target_lo, target_hi, text, used)
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
        Filled with the ids; as long as `data` at most.
    source, left : ndarray of int32, shape (n,)
        Filled with the indices of the records that became rows, and of those that did not.

    Returns
    -------
    tuple of int
        Rows, records left, and bytes of text.
    """
    done, missed, used = 0, 0, 0
    for i in range(len(starts)):
        end = _record(data, starts[i], ends[i], seed, not_after, rows[done], text, used)
        if end < 0:
            left[missed] = i
            missed += 1
        else:
            source[done] = i
            done += 1
            used = end
    return done, missed, used
