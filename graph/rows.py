"""Rows of features: what an account looks like as of one event, or as of the end of an answer time.

Silence is an event of its own: a contact that nobody has answered within the answer time leads to a row at that very
moment of event time, whenever the clock is moved past it and by whatever event. So the clock moves in steps, from one
such moment to the next, and each row has its windows as they stood then (`pass_time`).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from graph.batch import NO_TIME
from graph.buckets import FIRST_7D
from graph.calendar import advance
from graph.callers import STRONG, tied
from graph.jit import inlined, njit
from graph.state import ALL_SIGNS, CORRECTED, EXPOSED, FIRST, IGNORED, NIL, PENDING, SIGN_BITS, SILENCE, WITHDRAWN, Var

__all__ = ["ROOM", "pass_time", "renew_in_rows", "write_corrected", "write_exposed", "write_row", "write_withdrawn"]

ROOM: Final = 2
"""Rows that one event leads to at most, silences on the way to it aside."""


@inlined
def write_row(
    s: Any, out: Any, n: int, row: int, p: int, time: int, source: int, kind: int, ingested_at: int, what: int
) -> Any:
    """Write the features of account `row` as they stand now, about its contact `p` or NIL, into `out[n]`."""
    account = s.accounts[row]
    r = out[n]
    activity = account.activity
    if activity == NIL:
        for column in range(len(r.counts)):
            r.counts[column] = 0
        r.pair = NIL
        r.shared = 0
        r.sharers = 0
    else:
        for column in range(len(r.counts)):
            r.counts[column] = s.counts[activity, column]
        # a contact that no window holds is no evidence, and its row may be another's before this one is read
        newest = s.newest[activity]
        held = s.pairs[newest].first > s.cursor_at[FIRST_7D] - s.vars[Var.LATENESS]
        r.pair = newest if held else NIL
        shared, r.sharers = tied(s, activity)
        r.shared = min(shared, 255)
    r.time = time
    r.ingested_at = ingested_at
    r.hash = account.hash
    r.account = row
    r.source = source
    r.friends = account.friends
    r.triangles = account.triangles
    r.created = account.created
    r.mutual = -1
    r.callers = 0
    r.suspects = 0
    r.strong = 0
    r.roles = account.roles
    r.kind = kind
    r.age = account.age
    r.what = what
    if p == NIL:
        r.flags = 0
        r.waited = 0
        r.signs = 0
        r.messages = 0
        r.target_age = 0
    else:
        pair = s.pairs[p]
        r.flags = pair.flags
        r.waited = max(time - pair.first, 0) // 1000
        r.signs = pair.signs & ALL_SIGNS
        r.messages = pair.signs >> SIGN_BITS
        r.target_age = s.accounts[pair.target].age
    r.new_signs = r.signs if what == FIRST else 0


@njit
def write_exposed(
    s: Any,
    out: Any,
    n: int,
    row: int,
    time: int,
    source: int,
    kind: int,
    ingested_at: int,
    suspicion: int,
    others: int,
    suspects: int,
    strong: int,
) -> Any:
    """Write the row of a minor whom a suspect, as a stranger, has called on; return the rows now in `out`.

    `others`, `suspects` and `strong` are as `graph.callers.call` returned them; the row counts the caller too.
    """
    write_row(s, out, n, row, NIL, time, source, kind, ingested_at, EXPOSED)
    out[n].callers = others + 1
    out[n].suspects = suspects + 1
    out[n].strong = strong + (1 if suspicion >= STRONG else 0)
    return n + 1


@njit
def write_withdrawn(
    s: Any, out: Any, n: int, row: int, p: int, flags: int, time: int, source: int, kind: int, ingested_at: int
) -> Any:
    """Write the row of a withdrawn request that `cancel_contact` returned, if it did; return the rows now in `out`."""
    if p == NIL:
        return n
    write_row(s, out, n, row, p, time, source, kind, ingested_at, WITHDRAWN)
    out[n].flags = flags
    return n + 1


@njit
def write_corrected(s: Any, out: Any, n: int, row: int, age: int, time: int, source: int, e: Any) -> Any:
    """Write a row if event `e` changed the `age` of an account that has contacts; return the rows now in `out`."""
    if s.accounts[row].age == age or s.accounts[row].activity == NIL:
        return n
    write_row(s, out, n, row, NIL, time, source, e.kind, e.ingested_at, CORRECTED)
    out[n].target_age = age
    return n + 1


@njit
def renew_in_rows(s: Any, out: Any, n: int, p: int) -> Any:
    """Let no row point to contact `p`, which is about to be replaced, and is no evidence."""
    for j in range(n):
        if out[j].pair == p:
            out[j].pair = s.pairs[p].earlier


@inlined
def pass_time(s: Any, clock: int, out: Any, n: int, source: int) -> Any:
    """Move the clock to `clock`, and write a row for each contact on the way that nobody has answered in time.

    A contact whose own first row is still to come (its target's shard was not heard yet) has none: that row will say
    that it is ignored, as that of a contact does which came so late that its answer time was over.

    Parameters
    ----------
    out : ndarray of FEATURES
        Written from `n` on.
    source : int
        For the rows: what moves the clock.

    Returns
    -------
    n : int
    done : bool
        False when `out` is full, but for `ROOM`: to be called again with more room, and nothing done in between.
    """
    v = s.vars
    while True:
        p = np.int64(v[Var.SILENT])
        while p != NIL:
            if n + ROOM >= len(out):
                v[Var.SILENT] = p
                return n, False
            pair = s.pairs[p]
            if pair.flags & IGNORED and not pair.flags & PENDING:
                write_row(s, out, n, s.owner[pair.activity], p, v[Var.CLOCK], source, 0, NO_TIME, SILENCE)
                n += 1
            following = np.int64(pair.first_next)
            p = following if following != NIL and s.pairs[following].first == pair.first else np.int64(NIL)
        v[Var.SILENT] = NIL
        if v[Var.CLOCK] >= clock:
            return n, True
        v[Var.SILENT] = advance(s, clock)
