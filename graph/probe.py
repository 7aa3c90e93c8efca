"""The first step on several shards: events at the shard that owns the actor, which asks the target's."""

from __future__ import annotations

from typing import Any

import numpy as np

from graph.accounts import find_account, intern_account, learn_age
from graph.batch import NOT_GIVEN
from graph.clock import LATE, WITNESSES, has_to_stop, is_known, keep_time, landing, remember
from graph.contacts import draw_recent, note_message, open_contact, touch
from graph.exchange import (
    ACCOUNT_DELETED,
    ACCOUNT_UPDATED,
    ANSWERS_FULL,
    FRIENDS_SINCE,
    FRIENDSHIP_CREATED,
    FRIENDSHIP_REMOVED,
    MESSAGE_SENT,
    REQUEST_ACCEPTED,
    REQUEST_CANCELLED,
    REQUEST_SENT,
    put_hashes,
)
from graph.friends import add_friend, draw_friends, is_friend, pool_need, remove_friend
from graph.jit import njit
from graph.local import DONE, FLUSH, POOL_FULL, TICK, takes_away, update_facts
from graph.pairs import detach_pair, find_pair
from graph.rows import ROOM, pass_time, renew_in_rows, write_corrected, write_row
from graph.state import ACCEPTED, CONTACT, NIL, OUTCOME, PENDING, SIGNED, Var

__all__ = ["probe_events"]


@njit
def start_ask(ask: Any, e: Any, time: int, late: bool, age: int) -> Any:
    """Fill in what every ask carries."""
    ask.time = time
    ask.ingested_at = e.ingested_at
    ask.actor = e.actor
    ask.target = e.target
    ask.event_at = e.event_at
    ask.actor_at = e.actor_at
    ask.target_at = e.target_at
    ask.event_len = e.event_len
    ask.actor_len = e.actor_len
    ask.target_len = e.target_len
    ask.drawn = 0
    ask.recent = 0
    ask.links = 0
    ask.links_of = 0
    ask.hashes_at = 0
    ask.friends = 0
    ask.mutual = e.mutual
    ask.triangles = 0
    ask.kind = e.kind
    ask.actor_age = age
    ask.target_age = e.target_age
    ask.late = late
    ask.friend = 0
    ask.reverse = 0
    ask.answered = 0
    ask.suspicion = 0
    ask.callers = 0
    ask.suspects = 0


@njit
def is_news(s: Any, row: int, age: int) -> Any:
    """Tell whether an age carried by an event says something new of an account that may be another shard's."""
    account = s.accounts[row]
    return age not in (NOT_GIVEN, 0) and account.age_source == 0 and account.age != age


@njit
def put_hint(s: Any, asks: Any, n: int, e: Any, a: int, b: int, time: int, late: bool) -> Any:
    """Ask the target's shard to take the age that an event carries, if it is news here; return the asks written.

    Of hints that contradict one another, one may so be held back as known: an account's facts are the place for age.
    """
    if e.target_age in (NOT_GIVEN, 0):
        return n
    if b != NIL:
        if not is_news(s, b, e.target_age):
            return n
        s.accounts[b].age = e.target_age
    start_ask(asks[n], e, time, late, np.int64(s.accounts[a].age))
    asks[n].kind = ACCOUNT_UPDATED
    return n + 1


@njit
def probe_events(
    s: Any,
    events: Any,
    text: Any,
    start: int,
    out: Any,
    asks: Any,
    n: int,
    hashes: Any,
    h: int,
    scratch: Any,
) -> Any:
    """Take events at the actor's shard.

    Parameters
    ----------
    s, events, text, start, scratch
        As for `graph.local.process_events`.
    out : ndarray of FEATURES
        Written from 0 on: silences, signs in messages of known pairs, an erased account.
    asks : ndarray of ASK
        Written from `n` on.
    hashes : ndarray of uint64
        Written from `h` on.

    Returns
    -------
    position, rows, n, h, code : int
        The code is `ANSWERS_FULL` when `asks` or `hashes` must grow.
    """
    rows = 0
    drawn, recent = scratch[0], scratch[1]
    v = s.vars
    for i in range(start, len(events)):
        e = events[i]
        kind = e.kind
        if kind in (REQUEST_ACCEPTED, FRIENDSHIP_CREATED):
            row = find_account(s, e.actor)
            if v[Var.POOL_TOP] + (4 if row == NIL else pool_need(s, row)) > len(s.pool):
                return i, rows, n, h, POOL_FULL
        room: Any = 1
        if kind == ACCOUNT_DELETED:
            row = find_account(s, e.actor)
            if row != NIL:
                room = np.int64(s.accounts[row].friends) + 1
        if n + room > len(asks) or h + room * 1024 > len(hashes):
            return i, rows, n, h, ANSWERS_FULL
        if rows + ROOM > len(out):
            return i, rows, n, h, FLUSH
        if is_known(s, e.event):
            v[Var.N_DUPLICATE] += 1
            continue
        if v[Var.CLOCK] >= 0 and (e.time > v[Var.CLOCK] or v[Var.SILENT] != NIL):
            goal = landing(s, e.time, e.actor)
            if has_to_stop(s, e.time, goal):
                return i, rows, n, h, TICK
            rows, done = pass_time(s, goal, out, rows, i)
            if not done:
                return i, rows, n, h, FLUSH
        if rows > 0 and (kind == ACCOUNT_DELETED or v[Var.SUPPORT] < WITNESSES) and takes_away(s, e):
            return i, rows, n, h, FLUSH
        v[Var.N_EVENTS] += 1
        time, lateness = keep_time(s, e.time, e.actor)
        remember(s, e.event)
        late = lateness == LATE
        if late:
            v[Var.N_LATE] += 1
        if kind == ACCOUNT_DELETED:
            a = find_account(s, e.actor)
            if a == NIL:  # others may hold its name
                start_ask(asks[n], e, time, late, 0)
                n += 1
                continue
            write_row(s, out, rows, a, NIL, time, i, kind, e.ingested_at, OUTCOME)
            while s.accounts[a].activity != NIL:
                detach_pair(s, s.newest[s.accounts[a].activity])
            while s.accounts[a].friends:
                other = np.int64(s.pool[np.int64(s.accounts[a].friends_at)])
                start_ask(asks[n], e, time, late, 0)
                asks[n].kind = FRIENDSHIP_REMOVED
                asks[n].target = s.accounts[other].hash
                asks[n].target_len = 0
                asks[n].target_age = NOT_GIVEN
                remove_friend(s, a, other)
                k = draw_friends(s, a, drawn)
                asks[n].friends = s.accounts[a].friends
                asks[n].drawn = k
                asks[n].hashes_at = h
                h = put_hashes(s, drawn, k, hashes, h)
                n += 1
            start_ask(asks[n], e, time, late, 0)
            return i + 1, rows + 1, n + 1, h, FLUSH
        a = intern_account(s, e.actor, text, e.actor_at, e.actor_len)
        s.accounts[a].seen = max(np.int64(s.accounts[a].seen), time // 1000)
        if kind == ACCOUNT_UPDATED:
            age = np.int64(s.accounts[a].age)
            update_facts(s, a, e)
            rows = write_corrected(s, out, rows, a, age, time, i, e)
            continue
        learn_age(s, a, e.actor_age)
        b = find_account(s, e.target)
        if kind == REQUEST_CANCELLED:
            start_ask(asks[n], e, time, late, np.int64(s.accounts[a].age))
            n += 1
            continue
        if kind in (MESSAGE_SENT, REQUEST_SENT):
            p = find_pair(s, a, b) if b != NIL and not late else NIL
            known = p != NIL and s.pairs[p].flags & CONTACT
            if known:
                touch(s, p, time)
                fresh = note_message(s, p, e.signs) if kind == MESSAGE_SENT else 0
                if fresh and not s.pairs[p].flags & PENDING:  # or the row of the first contact will say so
                    write_row(s, out, rows, a, p, time, i, kind, e.ingested_at, SIGNED)
                    out[rows].new_signs = fresh
                    rows += 1
            if late or known:
                n = put_hint(s, asks, n, e, a, b, time, late)
                continue
        k = 0
        m = 0
        ask = asks[n]
        start_ask(ask, e, time, late, np.int64(s.accounts[a].age))
        ask.friends = s.accounts[a].friends
        if kind in (REQUEST_ACCEPTED, FRIENDSHIP_CREATED):
            b = intern_account(s, e.target, text, e.target_at, e.target_len)
            ask.friend = is_friend(s, a, b)
            if not ask.friend:
                k = draw_friends(s, a, drawn)
                add_friend(s, a, b)
        elif kind == FRIENDSHIP_REMOVED:
            if b == NIL or not is_friend(s, a, b):
                n = put_hint(s, asks, n, e, a, b, time, late)
                continue
            remove_friend(s, a, b)
            ask.friends = s.accounts[a].friends
            k = draw_friends(s, a, drawn)
        elif kind in (MESSAGE_SENT, REQUEST_SENT):
            k = draw_friends(s, a, drawn)
            m = draw_recent(s, a, recent)
            ask.suspicion = s.accounts[a].suspicion
            # held from now on, so that answers find it, however soon; assessed once the target's shard was heard
            b = intern_account(s, e.target, text, e.target_at, e.target_len)
            p = find_pair(s, a, b)
            if p != NIL:
                renew_in_rows(s, out, rows, p)
            p = open_contact(s, a, b, time, kind == REQUEST_SENT, e.signs)
            ask.friend = is_friend(s, a, b)
            if s.pairs[p].flags & ACCEPTED:  # the acceptance was here before, and the friendship came of it
                ask.friend = FRIENDS_SINCE
            s.pairs[p].flags |= PENDING
        ask.drawn = k
        ask.recent = m
        ask.hashes_at = h
        h = put_hashes(s, drawn, k, hashes, h)
        h = put_hashes(s, recent, m, hashes, h)
        n += 1
    return len(events), rows, n, h, DONE
