"""The second step on several shards: asks at the shard that owns the target, which answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from graph.accounts import find_account, intern_account, learn_age
from graph.callers import call, exposes, note_erased
from graph.contacts import BIT_REPLIED, answer, erase_account, note_outcome, resolve_contact
from graph.exchange import (
    ACCOUNT_DELETED,
    ACCOUNT_UPDATED,
    ANSWERS_FULL,
    FRIENDS_BEFORE,
    FRIENDS_SINCE,
    FRIENDSHIP_CREATED,
    FRIENDSHIP_REMOVED,
    MESSAGE_SENT,
    REQUEST_ACCEPTED,
    REQUEST_CANCELLED,
    REQUEST_SENT,
    follow_time,
    get_rows,
    learn_foreign_age,
)
from graph.friends import add_friend, common_friends, is_friend, pool_need, remove_friend, scaled, shift_triangles
from graph.jit import copy, njit
from graph.local import DONE, FLUSH, POOL_FULL, TICK
from graph.rows import ROOM, write_exposed, write_row
from graph.state import NIL, OUTCOME, SLOTS, Var

__all__ = ["resolve_rows"]


@njit
def put_triangles(replies: Any, r: int, ask: Any, key: Any, by: int) -> Any:
    """Write an answer that changes the triangles of the account with hash `key`."""
    replies[r] = ask
    replies[r].kind = 0
    replies[r].actor = key
    replies[r].triangles = by
    replies[r].drawn = 0
    replies[r].recent = 0
    replies[r].event_len = 0
    replies[r].actor_len = 0
    replies[r].target_len = 0
    return r + 1


@njit
def resolve_rows(
    s: Any,
    asks: Any,
    text: Any,
    hashes: Any,
    start: int,
    out: Any,
    replies: Any,
    r: int,
    met: Any,
    h: int,
    scratch: Any,
) -> Any:
    """Take asks at the target's shard.

    Parameters
    ----------
    out : ndarray of FEATURES
        Written from 0 on.
    replies : ndarray of ASK
        Answers, written from `r` on.
    met : ndarray of uint64
        Callers that the answers name, written from `h` on.

    Returns
    -------
    position, rows, r, h, code : int
    """
    drawn, recent, common = scratch[0], scratch[1], scratch[2]
    n = 0
    for i in range(start, len(asks)):
        ask = asks[i]
        kind = ask.kind
        k = np.int64(ask.drawn)
        m = np.int64(ask.recent)
        if kind in (REQUEST_ACCEPTED, FRIENDSHIP_CREATED):
            row = find_account(s, ask.target)
            if s.vars[Var.POOL_TOP] + (4 if row == NIL else pool_need(s, row)) > len(s.pool):
                return i, n, r, h, POOL_FULL
        if r + k + 2 > len(replies) or h + SLOTS > len(met):
            return i, n, r, h, ANSWERS_FULL
        if n + ROOM > len(out):
            return i, n, r, h, FLUSH
        if 0 <= s.vars[Var.TICK] <= ask.time:
            return i, n, r, h, TICK
        time = np.int64(ask.time)
        n, done = follow_time(s, time, out, n, i)
        if not done or (kind == ACCOUNT_DELETED and n > 0):
            return i, n, r, h, FLUSH
        if kind == ACCOUNT_DELETED:
            a = find_account(s, ask.actor)
            if a != NIL:
                erase_account(s, a, drawn, common)
            else:
                note_erased(s, ask.actor)
            continue
        if kind == FRIENDSHIP_REMOVED:
            a = find_account(s, ask.actor)
            b = find_account(s, ask.target)
            if b != NIL:
                learn_age(s, b, ask.target_age)
            if a != NIL and b != NIL and is_friend(s, b, a):
                remove_friend(s, b, a)
                get_rows(s, hashes, ask.hashes_at, k, drawn)
                opened = common_friends(s, b, drawn, k, common)
                for j in range(opened):
                    r = put_triangles(replies, r, ask, s.accounts[common[j]].hash, -1)
                opened = scaled(opened, k, np.int64(ask.friends))
                shift_triangles(s, b, -opened)
                r = put_triangles(replies, r, ask, ask.actor, -opened)
            continue
        b = intern_account(s, ask.target, text, ask.target_at, ask.target_len)
        learn_age(s, b, ask.target_age)
        if kind == ACCOUNT_UPDATED:  # the age was all there was to say
            continue
        if kind == REQUEST_CANCELLED:
            replies[r] = ask
            r += 1
            continue
        if kind in (MESSAGE_SENT, REQUEST_SENT):
            a = find_account(s, ask.actor)
            learn_foreign_age(s, a, ask.actor_age)
            get_rows(s, hashes, ask.hashes_at, k, drawn)
            get_rows(s, hashes, ask.hashes_at + k, m, recent)
            friend, mutual, links, reverse, answered = resolve_contact(
                s, a, b, time, drawn, k, np.int64(ask.friends), recent, m, common
            )
            if reverse != NIL and answer(s, reverse, BIT_REPLIED):
                write_row(s, out, n, b, reverse, time, i, kind, ask.ingested_at, OUTCOME)
                n += 1
            if ask.mutual >= 0:
                mutual = np.int64(ask.mutual)
            before = ask.friend != 0 and ask.friend != FRIENDS_SINCE
            if ask.friend == FRIENDS_SINCE:
                friend = False
            stranger = not friend and not before and reverse == NIL and mutual == 0
            suspicion = np.int64(ask.suspicion)
            others, suspects, strong, again = call(s, b, ask.actor, time, suspicion, stranger, common)
            if exposes(suspicion, stranger, np.int64(s.accounts[b].age)):
                n = write_exposed(s, out, n, b, time, i, kind, ask.ingested_at, suspicion, others, suspects, strong)
            replies[r] = ask
            replies[r].callers = others
            replies[r].suspects = suspects
            replies[r].hashes_at = h
            replies[r].drawn = 0
            if stranger and not again:
                replies[r].drawn = others
                copy(common, 0, others, met, h)
                h += others
            replies[r].recent = 0
            replies[r].links_of = m
            replies[r].links = links
            replies[r].mutual = mutual
            replies[r].friend = FRIENDS_BEFORE if before else friend
            replies[r].reverse = reverse != NIL
            replies[r].answered = answered
            replies[r].target_age = s.accounts[b].age
            r += 1
            continue
        a = intern_account(s, ask.actor, text, ask.actor_at, ask.actor_len)
        learn_foreign_age(s, a, ask.actor_age)
        if kind in (REQUEST_ACCEPTED, FRIENDSHIP_CREATED) and not is_friend(s, b, a):
            get_rows(s, hashes, ask.hashes_at, k, drawn)
            closed = common_friends(s, b, drawn, k, common)
            for j in range(closed):
                r = put_triangles(replies, r, ask, s.accounts[common[j]].hash, 1)
            closed = scaled(closed, k, np.int64(ask.friends))
            shift_triangles(s, b, closed)
            r = put_triangles(replies, r, ask, ask.actor, closed)
            add_friend(s, b, a)
        if kind != FRIENDSHIP_CREATED:
            p = note_outcome(s, b, a, kind, time, ask.late != 0)
            if p != NIL:
                write_row(s, out, n, b, p, time, i, kind, ask.ingested_at, OUTCOME)
                n += 1
    return len(asks), n, r, h, DONE
