"""The rings that the calendar's cursors stand in: contacts by event time.

A ring of buckets, each 65.5 s of event time and holding a chain of contacts (a calendar queue: Brown, 1988). There are
two: one by the time of a pair's first contact, one by the time of its latest. Only the bucket that a cursor stands in
has to be in time order, so that a chain is sorted when the first cursor enters it, and events may come in any order
within the allowed lateness at no cost.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from graph.jit import njit
from graph.state import BUCKET_BITS, BUCKETS, NIL, Var

__all__ = ["link_first", "link_last", "next_of", "sort_bucket", "time_of", "unlink_last"]

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
