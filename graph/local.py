"""The three steps on one shard, by function calls, one event after the other."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from graph.accounts import find_account, intern_account, learn_age
from graph.batch import NO_ROLES, NOT_GIVEN, EventKind
from graph.clock import LATE, keep_time, remember
from graph.contacts import (
    BIT_REPLIED,
    answer,
    assess_contact,
    cancel_contact,
    draw_recent,
    erase_account,
    note_outcome,
    resolve_contact,
    touch,
    write_row,
)
from graph.friends import befriend, draw_friends, pool_need, unfriend
from graph.jit import njit
from graph.pairs import find_pair
from graph.state import CONTACT, NIL, Var

__all__ = ["DONE", "POOL_FULL", "TICK", "process_events", "update_facts"]

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
TICK: Final = 2  # the next event lies past the tick

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
        account.created = event.created_at // 1000


@njit
def process_events(s: Any, events: Any, text: Any, start: int, tick: int, out: Any, n: int, scratch: Any) -> Any:
    """Work through `events[start:]` until the end, the tick, or an array that must grow.

    Parameters
    ----------
    s : State
        With room for every event (see `graph.shard.Shard.reserve`).
    events : ndarray of EVENT
    text : ndarray of uint8
    start : int
    tick : int
        Stop before the first event that would move the clock to this time or past it, ms.
    out : ndarray of FEATURES
        Rows are written from `n` on; at most two an event.
    scratch : ndarray of uint32, shape (3, >= 512)

    Returns
    -------
    position, n, code : int
        The next event to take, the rows in `out`, and `DONE`, `POOL_FULL` or `TICK`.
    """
    drawn, recent, common = scratch[0], scratch[1], scratch[2]
    v = s.vars
    for i in range(start, len(events)):
        e = events[i]
        kind = e.kind
        if kind in (REQUEST_ACCEPTED, FRIENDSHIP_CREATED):
            need = 0
            for key in (e.actor, e.target):
                row = find_account(s, key)
                need += 4 if row == NIL else pool_need(s, row)
            if v[Var.POOL_TOP] + need > len(s.pool):
                return i, n, POOL_FULL
        if v[Var.CLOCK] >= 0 and tick <= e.time <= v[Var.CLOCK] + v[Var.MAX_JUMP]:
            return i, n, TICK
        if not remember(s, e.event):
            v[Var.N_DUPLICATE] += 1
            continue
        v[Var.N_EVENTS] += 1
        time, lateness = keep_time(s, e.time, e.actor)
        late = lateness == LATE
        if late:
            v[Var.N_LATE] += 1
        if kind == ACCOUNT_DELETED:
            a = find_account(s, e.actor)
            if a != NIL:
                write_row(s, out, n, a, e, time, i, NIL, False)
                n += 1
                erase_account(s, a, drawn, common)
            continue
        a = intern_account(s, e.actor, text, e.actor_at, e.actor_len)
        s.accounts[a].seen = max(np.int64(s.accounts[a].seen), time // 1000)
        if kind == ACCOUNT_UPDATED:
            update_facts(s, a, e)
            continue
        learn_age(s, a, e.actor_age)
        b = intern_account(s, e.target, text, e.target_at, e.target_len)
        learn_age(s, b, e.target_age)
        if kind in (MESSAGE_SENT, REQUEST_SENT):
            if late:
                continue
            p = find_pair(s, a, b)
            if p != NIL and s.pairs[p].flags & CONTACT:
                touch(s, p, time)
                continue
            k = draw_friends(s, a, drawn)
            m = draw_recent(s, a, recent)
            friend, mutual, links, reverse = resolve_contact(
                s, a, b, drawn, k, np.int64(s.accounts[a].friends), recent, m, common
            )
            if e.mutual >= 0:
                mutual = np.int64(e.mutual)
            if reverse != NIL and answer(s, reverse, BIT_REPLIED):
                write_row(s, out, n, b, e, time, i, reverse, False)
                n += 1
            stranger = not friend and mutual == 0 and reverse == NIL
            p = assess_contact(
                s, a, b, time, text, e.event_at, e.event_len, stranger, links, m, np.int64(s.accounts[b].age)
            )
            v[Var.N_FIRST] += 1
            write_row(s, out, n, a, e, time, i, p, True)
            out[n].mutual = mutual
            n += 1
        elif kind == FRIENDSHIP_CREATED:
            befriend(s, a, b, drawn, common)
        elif kind == FRIENDSHIP_REMOVED:
            unfriend(s, a, b, drawn, common)
        elif kind == REQUEST_CANCELLED:
            cancel_contact(s, a, b, time)
        else:  # accepted, declined, blocked, reported: it speaks about the target
            if kind == REQUEST_ACCEPTED:
                befriend(s, a, b, drawn, common)
            p = note_outcome(s, b, a, kind, time, late)
            if p != NIL:
                write_row(s, out, n, b, e, time, i, p, False)
                n += 1
    return len(events), n, DONE
