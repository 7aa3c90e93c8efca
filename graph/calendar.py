"""The calendar: contacts by event time, and the cursors of the sliding windows that pass over them.

A ring of buckets, each 65.5 s of event time and holding a chain of contacts (a calendar queue: Brown,
1988). There are two: one by the time of a pair's first contact, one by the time of its latest. A cursor
stands at `clock - width`; what it passes leaves its window. Only the bucket that a cursor stands in has
to be in time order, so that a chain is sorted when the first cursor enters it, and events may come in
any order within the allowed lateness at no cost. Counts are therefore exact sets: at any clock c, a
window of width w holds the contacts with times in (c - w, c].

    first contacts   ... | bucket | bucket | bucket | ... | now
                           ^ 7 d             ^ 24 h    ^ 12 h: no answer?   ^ 1 h
    latest contacts  ^ horizon: the pair is forgotten
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from graph.fetch import fetch
from graph.jit import njit
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

__all__ = ["advance", "count_bit", "link_first", "link_last", "place_cursors", "uncount_bit", "unlink_last"]

FIRST: Final = 0  # the calendar of first contacts
LAST: Final = 1  # the calendar of latest contacts
# cursors
FIRST_1H: Final = 0
ANSWER: Final = 1
FIRST_24H: Final = 2
FIRST_7D: Final = 3
LAST_1H: Final = 4
LAST_24H: Final = 5
LAST_7D: Final = 6
HORIZON: Final = 7
CURSORS: Final = 8
# where the counted bits of each window begin among the count columns
BITS_1H: Final = 1
BITS_24H: Final = 5
BITS_7D: Final = 15
BIT_IGNORED: Final = 5
TARGETS_1H: Final = 0
TARGETS_24H: Final = 4
TARGETS_7D: Final = 14


@njit
def time_of(s: Any, calendar: int, p: int) -> Any:
    """Return the time by which a calendar orders contact `p`."""
    return s.pairs[p].first if calendar == FIRST else s.pairs[p].last


@njit
def next_of(s: Any, calendar: int, p: int) -> Any:
    """Return the entry after `p` in its chain, or NIL."""
    return np.int64(s.pairs[p].first_next if calendar == FIRST else s.pairs[p].last_next)


@njit
def set_next(s: Any, calendar: int, p: int, following: int) -> Any:
    """Chain `following` after `p`."""
    if calendar == FIRST:
        s.pairs[p].first_next = following
    else:
        s.pairs[p].last_next = following
        if following != NIL:
            s.pairs[following].last_prev = p


@njit
def sort_bucket(s: Any, calendar: int, slot: int) -> Any:
    """Put one bucket's chain in time order, in place.

    Most chains stand in falling order, since each contact was put before the last, or were sorted by the
    cursor before this one; only what came out of order takes the merge sort (bottom-up, stable).
    """
    head = np.int64(s.buckets[calendar, slot])
    if head == NIL:
        return
    rising = True
    falling = True
    p = head
    time = time_of(s, calendar, p)
    while rising or falling:
        p = next_of(s, calendar, p)
        if p == NIL:
            break
        then = time
        time = time_of(s, calendar, p)
        rising &= then <= time
        falling &= then > time
    if rising:
        return
    if falling:
        p = head
        before = np.int64(NIL)
        while p != NIL:
            following = next_of(s, calendar, p)
            set_next(s, calendar, p, before)
            before = p
            p = following
        s.buckets[calendar, slot] = before
        if calendar == LAST:
            s.pairs[before].last_prev = NIL
        return
    width = 1
    while True:
        p = head
        head = np.int64(NIL)
        tail = np.int64(NIL)
        merges = 0
        while p != NIL:
            merges += 1
            q = p
            left = 0
            while left < width and q != NIL:
                left += 1
                q = next_of(s, calendar, q)
            right = width
            while left > 0 or (right > 0 and q != NIL):
                if left > 0 and (right == 0 or q == NIL or time_of(s, calendar, p) <= time_of(s, calendar, q)):
                    taken = p
                    p = next_of(s, calendar, p)
                    left -= 1
                else:
                    taken = q
                    q = next_of(s, calendar, q)
                    right -= 1
                if tail == NIL:
                    head = taken
                else:
                    set_next(s, calendar, tail, taken)
                tail = taken
            p = q
        if tail != NIL:
            set_next(s, calendar, tail, NIL)
        if merges <= 1:
            break
        width *= 2
    s.buckets[calendar, slot] = head
    if calendar == LAST and head != NIL:
        s.pairs[head].last_prev = NIL


@njit
def insert(s: Any, calendar: int, p: int) -> Any:
    """Put contact `p` into the bucket of its time; in order, where a cursor stands in that bucket."""
    time = time_of(s, calendar, p)
    bucket = time >> BUCKET_BITS
    slot = bucket & (BUCKETS - 1)
    base = 4 * calendar
    ordered = False
    for c in range(base, base + 4):
        ordered |= s.cursor_bucket[c] == bucket
    before = np.int64(NIL)
    following = np.int64(s.buckets[calendar, slot])
    if ordered:
        while following != NIL and time_of(s, calendar, following) <= time:
            before = following
            following = next_of(s, calendar, following)
    else:
        s.in_order[calendar, slot] = False
    set_next(s, calendar, p, following)
    if before == NIL:
        s.buckets[calendar, slot] = p
        if calendar == LAST:
            s.pairs[p].last_prev = NIL
    else:
        set_next(s, calendar, before, p)
    for c in range(base, base + 4):
        if s.cursor_bucket[c] == bucket and time > s.cursor_at[c]:
            ahead = s.cursor_next[c]
            if ahead == NIL or time < time_of(s, calendar, ahead):
                s.cursor_next[c] = p
        if time > s.cursor_at[c]:
            due = time + s.cursor_width[c]
            s.cursor_due[c] = min(s.cursor_due[c], due)
            s.vars[Var.DUE] = min(s.vars[Var.DUE], due)


@njit
def link_first(s: Any, p: int) -> Any:
    """Enter `p` in the calendar of first contacts."""
    insert(s, FIRST, p)


@njit
def link_last(s: Any, p: int) -> Any:
    """Enter `p` in the calendar of latest contacts."""
    insert(s, LAST, p)


@njit
def unlink_last(s: Any, p: int) -> Any:
    """Take `p` out of the calendar of latest contacts."""
    pair = s.pairs[p]
    before, following = pair.last_prev, pair.last_next
    if before == NIL:
        s.buckets[LAST, (pair.last >> BUCKET_BITS) & (BUCKETS - 1)] = following
    else:
        s.pairs[before].last_next = following
    if following != NIL:
        s.pairs[following].last_prev = before
    for c in range(LAST_1H, CURSORS):
        if s.cursor_next[c] == p:
            s.cursor_next[c] = following


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


@njit
def is_unanswered(s: Any, p: int) -> Any:
    """Tell whether contact `p` becomes ignored when its answer time is over."""
    flags = s.pairs[p].flags
    return flags & CONTACT and not flags & (ANSWERED | CANCELLED | IGNORED)


@njit
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


@njit
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


@njit
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


@njit
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
