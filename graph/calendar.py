"""The calendar: contacts by event time, and the cursors of the sliding windows that pass over them.

A cursor stands at `clock - width` in a ring of buckets (`graph.buckets`); what it passes leaves its window. Counts are
therefore exact sets: at any clock c, a window of width w holds the contacts with times in (c - w, c].

    first contacts   ... | bucket | bucket | bucket | ... | now
                           ^ 7 d             ^ 24 h    ^ 12 h: no answer?   ^ 1 h
    latest contacts  ^ horizon: the pair is forgotten
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from graph.buckets import (
    ANSWER,
    CURSORS,
    FIRST,
    FIRST_1H,
    FIRST_7D,
    FIRST_24H,
    HORIZON,
    LAST,
    LAST_1H,
    LAST_7D,
    LAST_24H,
    next_of,
    sort_bucket,
    time_of,
    unlink_last,
)
from graph.fetch import fetch
from graph.jit import inlined, njit
from graph.pairs import erase_event, forget_pair
from graph.state import (
    ANSWERED,
    BUCKET_BITS,
    BUCKETS,
    CANCELLED,
    CONTACT,
    COUNTED_BITS,
    DAY,
    IGNORED,
    NIL,
    STRANGER_BITS,
    Var,
)

__all__ = ["add_targets", "advance", "count_bit", "place_cursors", "step_bit", "uncount_bit"]

# where the counted bits of each window begin among the count columns
BITS_1H: Final = 1
BITS_24H: Final = 5
BITS_7D: Final = 15
BIT_IGNORED: Final = 5
TARGETS_1H: Final = 0
TARGETS_24H: Final = 4
TARGETS_7D: Final = 14


@njit
def count_bit(s: Any, p: int, bit: int) -> Any:
    """Set counted bit number `bit` of contact `p` and count it in every window that holds its first contact."""
    pair = s.pairs[p]
    if pair.flags & (1 << bit):
        return
    pair.flags |= 1 << bit
    step_bit(s, p, bit, 1)


@njit
def uncount_bit(s: Any, p: int, bit: int) -> Any:
    """Clear counted bit number `bit` of contact `p` and uncount it."""
    pair = s.pairs[p]
    if not pair.flags & (1 << bit):
        return
    pair.flags &= 0xFFFF ^ (1 << bit)
    step_bit(s, p, bit, -1)


@njit
def step_bit(s: Any, p: int, bit: int, step: int) -> Any:
    """Move the columns of one counted bit in every window that holds the first contact of `p`."""
    pair = s.pairs[p]
    row = pair.activity
    if bit < STRANGER_BITS and pair.first > s.cursor_at[FIRST_1H]:
        s.counts[row, BITS_1H + bit] += step
    if pair.first > s.cursor_at[FIRST_24H]:
        s.counts[row, BITS_24H + bit] += step
    if pair.first > s.cursor_at[FIRST_7D]:
        s.counts[row, BITS_7D + bit] += step


@njit
def uncount_window(s: Any, p: int, column: int, bits: int) -> Any:
    """Take all counted bits of `p` out of one window."""
    pair = s.pairs[p]
    row = pair.activity
    for bit in range(bits):
        if pair.flags & (1 << bit):
            s.counts[row, column + bit] -= 1


@njit
def add_targets(s: Any, p: int, step: int) -> Any:
    """Count (or uncount) `p` as a distinct target in every window that holds its latest contact."""
    pair = s.pairs[p]
    row = pair.activity
    if pair.last > s.cursor_at[LAST_1H]:
        s.counts[row, TARGETS_1H] += step
    if pair.last > s.cursor_at[LAST_24H]:
        s.counts[row, TARGETS_24H] += step
    if pair.last > s.cursor_at[LAST_7D]:
        s.counts[row, TARGETS_7D] += step


@inlined
def is_unanswered(s: Any, p: int) -> Any:
    """Tell whether contact `p` becomes ignored when its answer time is over."""
    flags = s.pairs[p].flags
    return flags & CONTACT and not flags & (ANSWERED | CANCELLED | IGNORED)


@inlined
def passed(s: Any, c: int, p: int) -> Any:
    """Do what is due when cursor `c` passes contact `p`."""
    pair = s.pairs[p]
    if c == HORIZON:
        unlink_last(s, p)
        forget_pair(s, p)
        return
    if pair.activity == NIL:
        return
    if c == FIRST_1H:
        uncount_window(s, p, BITS_1H, STRANGER_BITS)
    elif c == ANSWER:
        if is_unanswered(s, p):
            count_bit(s, p, BIT_IGNORED)
    elif c == FIRST_24H:
        uncount_window(s, p, BITS_24H, COUNTED_BITS)
    elif c == FIRST_7D:
        uncount_window(s, p, BITS_7D, COUNTED_BITS)
        erase_event(s, p)
    elif pair.flags & CONTACT:
        row = pair.activity
        column = TARGETS_1H if c == LAST_1H else TARGETS_24H if c == LAST_24H else TARGETS_7D
        s.counts[row, column] -= 1


@inlined
def drain(s: Any, c: int, upto: int) -> Any:
    """Move cursor `c` to `upto`, passing every contact on the way."""
    calendar = FIRST if c < LAST_1H else LAST
    goal = upto >> BUCKET_BITS
    while True:
        bucket = s.cursor_bucket[c]
        p = np.int64(s.cursor_next[c])
        while p != NIL and (bucket < goal or time_of(s, calendar, p) <= upto):
            following = next_of(s, calendar, p)
            if following != NIL:
                fetch(s.pairs, following)
            s.cursor_next[c] = following
            passed(s, c, p)
            p = following
        if bucket >= goal:
            break
        if c == FIRST_7D:
            s.buckets[FIRST, bucket & (BUCKETS - 1)] = NIL
        bucket += 1
        slot = bucket & (BUCKETS - 1)
        if bucket == goal and not s.in_order[calendar, slot]:
            sort_bucket(s, calendar, slot)
            s.in_order[calendar, slot] = True
        s.cursor_bucket[c] = bucket
        s.cursor_next[c] = s.buckets[calendar, slot]
    s.cursor_at[c] = upto


@inlined
def skip_answered(s: Any, upto: int) -> Any:
    """Move the cursor of answer times to `upto`, or to before the first contact that nobody has answered; return it.

    Buckets on the way are put in order too, so that the first found is the earliest.
    """
    goal = upto >> BUCKET_BITS
    while True:
        bucket = s.cursor_bucket[ANSWER]
        p = np.int64(s.cursor_next[ANSWER])
        while p != NIL and (bucket < goal or s.pairs[p].first <= upto):
            if is_unanswered(s, p):
                return p
            p = np.int64(s.pairs[p].first_next)
            if p != NIL:
                fetch(s.pairs, p)
            s.cursor_next[ANSWER] = p
        if bucket >= goal:
            return np.int64(NIL)
        bucket += 1
        slot = bucket & (BUCKETS - 1)
        if not s.in_order[FIRST, slot]:
            sort_bucket(s, FIRST, slot)
            s.in_order[FIRST, slot] = True
        s.cursor_bucket[ANSWER] = bucket
        s.cursor_next[ANSWER] = s.buckets[FIRST, slot]


@inlined
def advance(s: Any, clock: int) -> Any:
    """Move the clock, and every cursor with it, to `clock` or to the first moment before at which contacts get ignored.

    Returns the first of these contacts, or NIL at `clock` with none. The others, if any, follow it in the calendar of
    first contacts, with the same time.
    """
    v = s.vars
    if clock < v[Var.DUE]:
        v[Var.CLOCK] = clock
        for c in range(CURSORS):
            s.cursor_at[c] = clock - s.cursor_width[c]
        return np.int64(NIL)
    now = v[Var.CLOCK]
    silent = np.int64(NIL)
    while silent == NIL and now != clock:
        # a day at a time, so that no cursor laps another round the ring
        now = min(now + DAY, clock)
        if now >= s.cursor_due[ANSWER]:
            silent = skip_answered(s, now - s.cursor_width[ANSWER])
            if silent != NIL:
                now = s.pairs[silent].first + s.cursor_width[ANSWER]
        for c in range(CURSORS):
            if now < s.cursor_due[c]:
                s.cursor_at[c] = now - s.cursor_width[c]
            else:
                drain(s, c, now - s.cursor_width[c])
                p = np.int64(s.cursor_next[c])
                calendar = FIRST if c < LAST_1H else LAST
                when = (s.cursor_bucket[c] + 1) << BUCKET_BITS if p == NIL else time_of(s, calendar, p)
                s.cursor_due[c] = when + s.cursor_width[c]
    v[Var.CLOCK] = now
    due = s.cursor_due[0]
    for c in range(1, CURSORS):
        due = min(due, s.cursor_due[c])
    v[Var.DUE] = due
    return silent


@njit
def place_cursors(s: Any, clock: int) -> Any:
    """Set the clock, what is due next by it and all cursors of an empty calendar."""
    s.vars[Var.CLOCK] = clock
    s.vars[Var.TICK] = (clock // s.vars[Var.TICK_WIDTH] + 1) * s.vars[Var.TICK_WIDTH]
    s.vars[Var.ROTATE_AT] = (clock // s.vars[Var.LATENESS] + 1) * s.vars[Var.LATENESS]
    s.vars[Var.DUE] = clock
    for c in range(CURSORS):
        s.cursor_at[c] = clock - s.cursor_width[c]
        s.cursor_bucket[c] = s.cursor_at[c] >> BUCKET_BITS
        s.cursor_next[c] = NIL
        s.cursor_due[c] = clock
