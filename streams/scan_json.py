"""Where things end in JSON text: strings, numbers and whole values, compiled, for `streams.scan`.

All return -1 when unsure, and take nothing that `msgspec` would refuse. They may read up to `PADDING` bytes
past a record, and all but a string may run past its end, which the caller has to notice.
Grammar: RFC 8259. UTF-8: RFC 3629, section 4.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from streams.hashing import byte, compiled, first_flag, load64

__all__ = ["digits", "scalar_end", "space", "string_end", "value_end"]

_U: Final = np.uint64


@compiled
def space(p: Any) -> Any:
    """Return where the white space from `p` ends. Stops by itself: the padding is none."""
    while byte(p) == 32 or byte(p) == 10 or byte(p) == 13 or byte(p) == 9:
        p += 1
    return p


@compiled
def _utf8(p: Any) -> Any:
    """Return the length of the character at `p`, or 0 if it is malformed or a control character."""
    a, b = byte(p), byte(p + 1)
    if b < 0x80 or b > 0xBF:
        return 0
    if 0xC2 <= a <= 0xDF:
        return 0 if a == 0xC2 and b < 0xA0 else 2
    if byte(p + 2) < 0x80 or byte(p + 2) > 0xBF:
        return 0
    if 0xE0 <= a <= 0xEF:
        return 0 if (a == 0xE0 and b < 0xA0) or (a == 0xED and b > 0x9F) else 3
    if byte(p + 3) < 0x80 or byte(p + 3) > 0xBF:
        return 0
    if 0xF0 <= a <= 0xF4:
        return 0 if (a == 0xF0 and b < 0x90) or (a == 0xF4 and b > 0x8F) else 4
    return 0


@compiled
def _escape(p: Any) -> Any:
    """Return the length of the escape at `p`, or 0 for a bad one and for surrogates, which are left to msgspec."""
    c = byte(p + 1)
    if c in (34, 92, 47, 98, 102, 110, 114, 116):
        return 2
    if c != 117:
        return 0
    for k in range(2, 6):
        c = byte(p + k)
        if not (48 <= c <= 57 or 65 <= c <= 70 or 97 <= c <= 102):
            return 0
    if (byte(p + 2) == 68 or byte(p + 2) == 100) and byte(p + 3) >= 56:
        return 0
    return 6


@compiled
def string_end(p: Any, hi: Any, escapes: Any) -> Any:
    """Return where the string that begins at `p` has its closing quote, or -1 when unsure."""
    ones = _U(0x0101010101010101)
    tops = _U(0x8080808080808080)
    while p < hi:
        x = load64(p)
        quote = x ^ (ones * _U(34))
        slash = x ^ (ones * _U(92))
        delete = x ^ (ones * _U(127))
        marks = (((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((delete - ones) & ~delete)) & tops
        marks |= (x | ((x - ones * _U(32)) & ~x)) & tops
        if marks == _U(0):
            p += 8
            continue
        p += first_flag(marks)
        if p >= hi:
            return -1
        if byte(p) == 34:
            return p
        step = 0
        if byte(p) >= 0x80:
            step = _utf8(p)
        elif byte(p) == 92 and escapes:
            step = _escape(p)
        if step == 0:
            return -1
        p += step
    return -1


@compiled
def digits(p: Any) -> Any:
    """Return where the digits from `p` end."""
    while 48 <= byte(p) <= 57:
        p += 1
    return p


@compiled
def scalar_end(p: Any, hi: Any) -> Any:
    """Return where the string, number or literal at `p` ends, or -1 when unsure."""
    c = byte(p)
    if c == 34:
        end = string_end(p + 1, hi, True)
        return end + 1 if end >= 0 else -1
    if c == 116 and byte(p + 1) == 114 and byte(p + 2) == 117 and byte(p + 3) == 101:
        return p + 4
    if c == 102 and byte(p + 1) == 97 and byte(p + 2) == 108 and byte(p + 3) == 115 and byte(p + 4) == 101:
        return p + 5
    if c == 110 and byte(p + 1) == 117 and byte(p + 2) == 108 and byte(p + 3) == 108:
        return p + 4
    if c == 45:
        p += 1
    start = p
    p = digits(p)
    if p == start or (byte(start) == 48 and p > start + 1):
        return -1
    if byte(p) == 46:
        start = p + 1
        p = digits(start)
        if p == start:
            return -1
    # exponents, and what else may follow, are left to msgspec: the caller looks for , ] }
    return p


@compiled
def value_end(p: Any, hi: Any) -> Any:
    """Return where any JSON value at `p` ends, or -1 when unsure, as of one nested more than 60 deep."""
    if byte(p) != 91 and byte(p) != 123:
        return scalar_end(p, hi)
    depth = 0
    objects = _U(0)
    opening = True
    while p < hi:
        # here a value is due, or, after an opening bracket, perhaps its closing one
        c = byte(p)
        if opening:
            if depth >= 60:
                return -1
            depth += 1
            objects = (objects << _U(1)) | _U(c == 123)
            p = space(p + 1)
            opening = False
            closed = byte(p) == (125 if objects & _U(1) else 93)
        else:
            p = scalar_end(p, hi)
            if p < 0:
                return -1
            p = space(p)
            closed = True
            if byte(p) == 44:
                p = space(p + 1)
                closed = False
        while closed:
            if byte(p) != (125 if objects & _U(1) else 93):
                return -1
            p += 1
            depth -= 1
            objects >>= _U(1)
            if depth == 0:
                return p
            p = space(p)
            if byte(p) == 44:
                p = space(p + 1)
                closed = False
        if objects & _U(1):
            if byte(p) != 34:
                return -1
            p = string_end(p + 1, hi, True)
            if p < 0:
                return -1
            p = space(p + 1)
            if byte(p) != 58:
                return -1
            p = space(p + 1)
        opening = byte(p) == 91 or byte(p) == 123
    return -1
