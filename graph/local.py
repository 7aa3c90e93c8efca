"""The three steps on one shard, by function calls, one event after the other."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from graph.accounts import find_account, intern_account, learn_age
from graph.batch import NO_ROLES, NOT_GIVEN, EventKind
from graph.callers import call, exposes, meet
from graph.clock import LATE, WITNESSES, has_to_stop, is_known, keep_time, landing, remember
from graph.contacts import (
    BIT_REPLIED,
    answer,
    assess_contact,
    cancel_contact,
    count_links,
    draw_recent,
    early_answers,
    erase_account,
    is_withdrawal,
    note_message,
    note_outcome,
    open_contact,
    resolve_contact,
    touch,
)
from graph.friends import befriend, draw_friends, pool_need, unfriend
from graph.jit import inlined, njit
from graph.pairs import find_pair
from graph.prefetch import look_ahead
from graph.rows import (
    ROOM,
    pass_time,
    renew_in_rows,
    write_corrected,
    write_exposed,
    write_row,
    write_withdrawn,
)
from graph.state import ACCEPTED, CONTACT, FIRST, NIL, OUTCOME, SIGNED, Var

__all__ = ["DONE", "FLUSH", "POOL_FULL", "TICK", "process_events", "update_facts"]

REQUEST_SENT: Final = int(EventKind.REQUEST_SENT)
REQUEST_ACCEPTED: Final = int(EventKind.REQUEST_ACCEPTED)
REQUEST_CANCELLED: Final = int(EventKind.REQUEST_CANCELLED)
FRIENDSHIP_CREATED: Final = int(EventKind.FRIENDSHIP_CREATED)
FRIENDSHIP_REMOVED: Final = int(EventKind.FRIENDSHIP_REMOVED)
MESSAGE_SENT: Final = int(EventKind.MESSAGE_SENT)
ACCOUNT_UPDATED: Final = int(EventKind.ACCOUNT_UPDATED)
ACCOUNT_DELETED: Final = int(EventKind.ACCOUNT_DELETED)

DONE: Final = 0
POOL_FULL: Final = 1  # the pool of neighbour lists must grow before the next event
TICK: Final = 2  # the next event would move the clock to the tick or past it, or over a gap
FLUSH: Final = 3  # the rows so far must be read first: there is no room for more, or the next event takes away
# what they rest on

VERIFIED: Final = 3


@njit
def update_facts(s: Any, row: int, event: Any) -> Any:
    """Take what `account.updated` says; a verified age yields only to a verified one."""
    account = s.accounts[row]
    if event.actor_age != NOT_GIVEN and (account.age_source < VERIFIED or event.age_source >= VERIFIED):
        account.age = event.actor_age
        account.age_source = max(event.age_source, 1)
    if event.roles != NO_ROLES:
        account.roles = event.roles
    if event.created_at >= 0:
        account.created = min(event.created_at // 1000, 0xFFFFFFFF)


@njit
def takes_away(s: Any, e: Any) -> Any:
    """Tell whether an event takes away contacts that rows written before it rest on, or sets the clock back."""
    v = s.vars
    if v[Var.SUPPORT] < WITNESSES and e.time < v[Var.CLOCK] - v[Var.LATENESS]:
        return True
    if e.kind == ACCOUNT_DELETED:
        return find_account(s, e.actor) != NIL
    if e.kind == REQUEST_CANCELLED:
        a, b = find_account(s, e.actor), find_account(s, e.target)
        if a != NIL and b != NIL:
            return is_withdrawal(s, find_pair(s, a, b), min(e.time, v[Var.CLOCK]))
    return False


@njit
def pool_short(s: Any, e: Any) -> Any:
    """Tell whether a new friendship might not fit into the pool of neighbour lists."""
    need = 0
    for key in (e.actor, e.target):
        row = find_account(s, key)
        need += 4 if row == NIL else pool_need(s, row)
    return s.vars[Var.POOL_TOP] + need > len(s.pool)


@inlined
def process_contact(
    s: Any, e: Any, text: Any, a: int, b: int, time: int, i: int, out: Any, n: int, scratch: Any
) -> Any:
    """Take a request or message from account `a` to `b`; return the rows now in `out`."""
    drawn, recent, common = scratch[0], scratch[1], scratch[2]
    p = find_pair(s, a, b)
    befriended = False
    if p != NIL:
        if s.pairs[p].flags & CONTACT:
            touch(s, p, time)
            fresh = note_message(s, p, e.signs) if e.kind == MESSAGE_SENT else 0
            if fresh:
                write_row(s, out, n, a, p, time, i, e.kind, e.ingested_at, SIGNED)
                out[n].new_signs = fresh
                n += 1
            return n
        renew_in_rows(s, out, n, p)
        befriended = early_answers(s, p, time) & ACCEPTED != 0  # by this very contact
    known = s.accounts[b].friends > 0  # or they have none in common, and none of the others is a friend
    k = draw_friends(s, a, drawn) if known else 0
    friend, mutual, links, reverse, answered = resolve_contact(
        s, a, b, time, drawn, k, np.int64(s.accounts[a].friends), recent, 0, common
    )
    if e.mutual >= 0:
        mutual = np.int64(e.mutual)
    if reverse != NIL and answer(s, reverse, BIT_REPLIED):
        write_row(s, out, n, b, reverse, time, i, e.kind, e.ingested_at, OUTCOME)
        n += 1
    stranger = (befriended or not friend) and mutual == 0 and reverse == NIL
    m = 0
    if stranger and known:  # nobody asks of the others
        m = draw_recent(s, a, recent)
        links = count_links(s, b, recent, m)
    p = open_contact(s, a, b, time, e.kind == REQUEST_SENT, e.signs)
    age = np.int64(s.accounts[b].age)
    assess_contact(s, p, text, e.event_at, e.event_len, stranger, answered, links, m, age)
    s.vars[Var.N_FIRST] += 1
    suspicion = np.int64(s.accounts[a].suspicion)
    others, suspects, strong, again = call(s, b, e.actor, time, suspicion, stranger, common)
    if stranger and not again:
        meet(s, np.int64(s.pairs[p].activity), common, 0, others)
    if exposes(suspicion, stranger, age):  # then there was no row of an answer above: two at most
        n = write_exposed(s, out, n, b, time, i, e.kind, e.ingested_at, suspicion, others, suspects, strong)
    write_row(s, out, n, a, p, time, i, e.kind, e.ingested_at, FIRST)
    out[n].mutual = mutual
    out[n].callers = others
    out[n].suspects = suspects
    return n + 1


@njit
def process_events(s: Any, events: Any, text: Any, start: int, out: Any, n: int, scratch: Any) -> Any:
    """Work through `events[start:]` until the end, the tick, or something that the caller must do first.

    It stops before the first event that would move the clock to `Var.TICK` or past it; before an event that takes
    away what rows in `out` may rest on, and after a deletion, so that a row of features can be read beside the
    graph it was written from, however the stream is cut; before a friendship for which the pool is too small; and
    when `out` is full, on the way to an event if need be.

    Parameters
    ----------
    s : State
        With room for every event (see `graph.shard.Shard.reserve`).
    events : ndarray of EVENT
    text : ndarray of uint8
    start : int
    out : ndarray of FEATURES
        Rows are written from `n` on; there must be room for more than `graph.rows.ROOM`.
    scratch : ndarray of uint32, shape (3, >= 512)

    Returns
    -------
    position, n, code : int
        The next event to take, the rows in `out`, and `DONE`, `POOL_FULL`, `TICK` or `FLUSH`.
    """
    drawn, common = scratch[0], scratch[2]
    v = s.vars
    for i in range(start, len(events)):
        look_ahead(s, events, i)
        e = events[i]
        kind = e.kind
        if n + ROOM > len(out):
            return i, n, FLUSH
        if kind in (REQUEST_ACCEPTED, FRIENDSHIP_CREATED) and pool_short(s, e):
            return i, n, POOL_FULL
        if is_known(s, e.event):
            v[Var.N_DUPLICATE] += 1
            continue
        if v[Var.CLOCK] >= 0 and (e.time > v[Var.CLOCK] or v[Var.SILENT] != NIL):
            goal = landing(s, e.time, e.actor)
            if has_to_stop(s, e.time, goal):
                return i, n, TICK
            n, done = pass_time(s, goal, out, n, i)
            if not done:
                return i, n, FLUSH
        if n > 0 and (kind in (ACCOUNT_DELETED, REQUEST_CANCELLED) or v[Var.SUPPORT] < WITNESSES) and takes_away(s, e):
            return i, n, FLUSH
        v[Var.N_EVENTS] += 1
        time, lateness = keep_time(s, e.time, e.actor)
        remember(s, e.event)
        late = lateness == LATE
        if late:
            v[Var.N_LATE] += 1
        if kind == ACCOUNT_DELETED:
            a = find_account(s, e.actor)
            if a != NIL:
                write_row(s, out, n, a, NIL, time, i, kind, e.ingested_at, OUTCOME)
                erase_account(s, a, drawn, common)
                return i + 1, n + 1, FLUSH
            continue
        a = intern_account(s, e.actor, text, e.actor_at, e.actor_len)
        s.accounts[a].seen = max(np.int64(s.accounts[a].seen), time // 1000)
        if kind == ACCOUNT_UPDATED:
            age = np.int64(s.accounts[a].age)
            update_facts(s, a, e)
            n = write_corrected(s, out, n, a, age, time, i, e)
            continue
        learn_age(s, a, e.actor_age)
        b = intern_account(s, e.target, text, e.target_at, e.target_len)
        learn_age(s, b, e.target_age)
        if kind in (MESSAGE_SENT, REQUEST_SENT):
            if not late:
                n = process_contact(s, e, text, a, b, time, i, out, n, scratch)
        elif kind == FRIENDSHIP_CREATED:
            befriend(s, a, b, drawn, common)
        elif kind == FRIENDSHIP_REMOVED:
            unfriend(s, a, b, drawn, common)
        elif kind == REQUEST_CANCELLED:
            p, flags = cancel_contact(s, a, b, time)
            n = write_withdrawn(s, out, n, a, p, flags, time, i, kind, e.ingested_at)
        else:  # accepted, declined, blocked, reported: it speaks about the target
            if kind == REQUEST_ACCEPTED:
                befriend(s, a, b, drawn, common)
            p = note_outcome(s, b, a, kind, time, late)
            if p != NIL:
                write_row(s, out, n, b, p, time, i, kind, e.ingested_at, OUTCOME)
                n += 1
    return len(events), n, DONE
