"""The third step on several shards: answers, back at the shard that owns the actor."""

from __future__ import annotations

from typing import Any

import numpy as np

from graph.accounts import find_account
from graph.callers import meet
from graph.contacts import assess_contact, cancel_contact
from graph.exchange import (
    FRIENDS_BEFORE,
    REQUEST_CANCELLED,
    follow_time,
    learn_foreign_age,
)
from graph.friends import shift_triangles
from graph.jit import njit
from graph.local import DONE, FLUSH, TICK
from graph.pairs import find_pair
from graph.rows import ROOM, write_row, write_withdrawn
from graph.state import ACCEPTED, FIRST, NIL, PENDING, Var

__all__ = ["assess_rows"]


@njit
def assess_rows(s: Any, replies: Any, text: Any, hashes: Any, start: int, out: Any) -> Any:
    """Take answers back at the actor's shard.

    Parameters
    ----------
    out : ndarray of FEATURES
        Written from 0 on.

    Returns
    -------
    position, rows, code : int
        The code is `FLUSH` when the rows so far must be read first: a contact is taken away, or there is no more room.
    """
    n = 0
    for i in range(start, len(replies)):
        reply = replies[i]
        if n + ROOM > len(out):
            return i, n, FLUSH
        if 0 <= s.vars[Var.TICK] <= reply.time:
            return i, n, TICK
        time = np.int64(reply.time)
        n, done = follow_time(s, time, out, n, i)
        if not done or (reply.kind == REQUEST_CANCELLED and n > 0):
            return i, n, FLUSH
        a = find_account(s, reply.actor)
        if a == NIL:
            continue
        if reply.kind == 0:
            shift_triangles(s, a, np.int64(reply.triangles))
            continue
        if reply.kind == REQUEST_CANCELLED:
            b = find_account(s, reply.target)
            if b != NIL:
                p, flags = cancel_contact(s, a, b, time)
                n = write_withdrawn(s, out, n, a, p, flags, time, i, reply.kind, reply.ingested_at)
            continue
        b = find_account(s, reply.target)
        if b == NIL:
            continue
        learn_foreign_age(s, b, reply.target_age)
        p = find_pair(s, a, b)
        if p == NIL or not s.pairs[p].flags & PENDING:
            continue  # taken back or forgotten meanwhile
        s.pairs[p].flags &= 0xFFFF ^ PENDING
        # a friendship that only the target's shard knows, of a contact accepted by now, came of that acceptance
        friend = reply.friend == FRIENDS_BEFORE or (reply.friend and not s.pairs[p].flags & ACCEPTED)
        stranger = not friend and reply.mutual == 0 and not reply.reverse
        links, m, age = np.int64(reply.links), np.int64(reply.links_of), np.int64(reply.target_age)
        assess_contact(s, p, text, reply.event_at, reply.event_len, stranger, reply.answered != 0, links, m, age)
        s.vars[Var.N_FIRST] += 1
        if stranger:
            meet(s, np.int64(s.pairs[p].activity), hashes, np.int64(reply.hashes_at), np.int64(reply.drawn))
        write_row(s, out, n, a, p, time, i, reply.kind, reply.ingested_at, FIRST)
        out[n].mutual = reply.mutual
        out[n].callers = reply.callers
        out[n].suspects = reply.suspects
        n += 1
    return len(replies), n, DONE
