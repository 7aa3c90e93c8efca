"""The three steps of an event as they run on several shards: probe, resolve, assess, each over a whole message.

What a step does to one event is `graph.contacts`, as on a single shard (`graph.local`).

Everything between two shards comes in the order in which it was sent. So what follows a request takes the request's
own way, and cannot overtake it: a cancellation goes to the target's shard and back, and an answer for which no contact
is there goes once more to where it came from and back (`BOUNCED`).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from graph.accounts import find_account, intern_account, learn_age
from graph.batch import NOT_GIVEN, EventKind
from graph.calendar import advance, place_cursors
from graph.clock import LATE, WITNESSES, is_known, keep_time, landing, remember
from graph.contacts import (
    BIT_REPLIED,
    answer,
    assess_contact,
    cancel_contact,
    draw_recent,
    erase_account,
    note_outcome,
    open_contact,
    resolve_contact,
    touch,
    write_row,
)
from graph.friends import (
    add_friend,
    common_friends,
    draw_friends,
    is_friend,
    pool_need,
    remove_friend,
    scaled,
    shift_triangles,
)
from graph.jit import njit
from graph.local import DONE, FLUSH, POOL_FULL, TICK, update_facts
from graph.pairs import detach_pair, find_pair
from graph.state import ACCEPTED, CONTACT, NIL, PENDING, Var

__all__ = ["ANSWERS_FULL", "assess_rows", "probe_events", "resolve_rows"]

REQUEST_SENT: Final = int(EventKind.REQUEST_SENT)
REQUEST_ACCEPTED: Final = int(EventKind.REQUEST_ACCEPTED)
REQUEST_DECLINED: Final = int(EventKind.REQUEST_DECLINED)
REQUEST_CANCELLED: Final = int(EventKind.REQUEST_CANCELLED)
FRIENDSHIP_CREATED: Final = int(EventKind.FRIENDSHIP_CREATED)
FRIENDSHIP_REMOVED: Final = int(EventKind.FRIENDSHIP_REMOVED)
MESSAGE_SENT: Final = int(EventKind.MESSAGE_SENT)
ACCOUNT_UPDATED: Final = int(EventKind.ACCOUNT_UPDATED)
ACCOUNT_DELETED: Final = int(EventKind.ACCOUNT_DELETED)

FRIENDS_BEFORE: Final = 2  # in `friend` of an answer: the actor's shard knew of the friendship when it asked
BOUNCED: Final = 1  # in `answered` of an outcome: it has been sent round once, to let its contact pass
ANSWERS_FULL: Final = FLUSH + 1  # the buffer of asks or answers must grow before the next row


@njit
def put_hashes(s: Any, rows: Any, n: int, hashes: Any, at: int) -> Any:
    """Write the hashes of accounts `rows[:n]`."""
    for i in range(n):
        hashes[at + i] = s.accounts[rows[i]].hash
    return at + n


@njit
def get_rows(s: Any, hashes: Any, at: int, n: int, rows: Any) -> Any:
    """Find the accounts of hashes; NIL for those that this shard has never heard of."""
    for i in range(n):
        rows[i] = find_account(s, hashes[at + i])


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
def learn_foreign_age(s: Any, row: int, age: int) -> Any:
    """Take what an account's own shard knows of its age, unless this is that shard and it has facts."""
    if row != NIL and s.accounts[row].age_source == 0:
        s.accounts[row].age = age


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
        Room for one row; only an erased account has one at this step.
    asks : ndarray of ASK
        Written from `n` on.
    hashes : ndarray of uint64
        Written from `h` on.

    Returns
    -------
    position, rows, n, h, code : int
        The code is `ANSWERS_FULL` when `asks` or `hashes` must grow.
    """
    drawn, recent = scratch[0], scratch[1]
    v = s.vars
    for i in range(start, len(events)):
        e = events[i]
        kind = e.kind
        if kind in (REQUEST_ACCEPTED, FRIENDSHIP_CREATED):
            row = find_account(s, e.actor)
            if v[Var.POOL_TOP] + (4 if row == NIL else pool_need(s, row)) > len(s.pool):
                return i, 0, n, h, POOL_FULL
        room: Any = 1
        if kind == ACCOUNT_DELETED:
            row = find_account(s, e.actor)
            if row != NIL:
                room = np.int64(s.accounts[row].friends) + 1
        if n + room > len(asks) or h + room * 1024 > len(hashes):
            return i, 0, n, h, ANSWERS_FULL
        passes = e.time >= v[Var.TICK] and v[Var.CLOCK] >= 0
        if passes and landing(s, e.time, e.actor) >= v[Var.TICK] and not is_known(s, e.event):
            return i, 0, n, h, TICK
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
            if a == NIL:  # others may hold its name
                start_ask(asks[n], e, time, late, 0)
                n += 1
                continue
            write_row(s, out, 0, a, e, time, i, NIL, False)
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
            return i + 1, 1, n + 1, h, DONE
        a = intern_account(s, e.actor, text, e.actor_at, e.actor_len)
        s.accounts[a].seen = max(np.int64(s.accounts[a].seen), time // 1000)
        if kind == ACCOUNT_UPDATED:
            update_facts(s, a, e)
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
            ask.friend = b != NIL and is_friend(s, a, b)
            # held from now on, so that answers find it, however soon; assessed once the target's shard was heard
            b = intern_account(s, e.target, text, e.target_at, e.target_len)
            p = open_contact(s, a, b, time, kind == REQUEST_SENT)
            s.pairs[p].flags |= PENDING
        ask.drawn = k
        ask.recent = m
        ask.hashes_at = h
        h = put_hashes(s, drawn, k, hashes, h)
        h = put_hashes(s, recent, m, hashes, h)
        n += 1
    return len(events), 0, n, h, DONE


@njit
def follow_time(s: Any, time: int) -> Any:
    """Let the clock follow a time that another shard has guarded."""
    clock = s.vars[Var.CLOCK]
    if clock < 0:
        place_cursors(s, time)
        s.vars[Var.ROTATE_AT] = time + s.vars[Var.LATENESS]
        s.vars[Var.SUPPORT] = 1
        return
    s.vars[Var.SUPPORT] = min(s.vars[Var.SUPPORT] + 1, WITNESSES)
    if time > clock:
        advance(s, time)


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
    s: Any, asks: Any, text: Any, hashes: Any, start: int, out: Any, replies: Any, r: int, scratch: Any
) -> Any:
    """Take asks at the target's shard.

    Parameters
    ----------
    out : ndarray of FEATURES
        One row at most an ask, written from 0 on.
    replies : ndarray of ASK
        Answers, written from `r` on.

    Returns
    -------
    position, rows, r, code : int
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
                return i, n, r, POOL_FULL
        if r + k + 2 > len(replies):
            return i, n, r, ANSWERS_FULL
        if 0 <= s.vars[Var.TICK] <= ask.time:
            return i, n, r, TICK
        if kind == ACCOUNT_DELETED and n > 0:
            return i, n, r, FLUSH
        time = np.int64(ask.time)
        follow_time(s, time)
        if kind == ACCOUNT_DELETED:
            a = find_account(s, ask.actor)
            if a != NIL:
                erase_account(s, a, drawn, common)
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
                write_row(s, out, n, b, ask, time, i, reverse, False)
                n += 1
            replies[r] = ask
            replies[r].drawn = 0
            replies[r].recent = 0
            replies[r].links_of = m
            replies[r].links = links
            replies[r].mutual = ask.mutual if ask.mutual >= 0 else mutual
            replies[r].friend = FRIENDS_BEFORE if ask.friend else friend
            replies[r].reverse = reverse != NIL
            replies[r].answered = answered
            replies[r].target_age = s.accounts[b].age
            r += 1
            continue
        a = intern_account(s, ask.actor, text, ask.actor_at, ask.actor_len)
        learn_foreign_age(s, a, ask.actor_age)
        bounced = ask.answered == BOUNCED
        if kind in (REQUEST_ACCEPTED, FRIENDSHIP_CREATED) and not bounced and not is_friend(s, b, a):
            get_rows(s, hashes, ask.hashes_at, k, drawn)
            closed = common_friends(s, b, drawn, k, common)
            for j in range(closed):
                r = put_triangles(replies, r, ask, s.accounts[common[j]].hash, 1)
            closed = scaled(closed, k, np.int64(ask.friends))
            shift_triangles(s, b, closed)
            r = put_triangles(replies, r, ask, ask.actor, closed)
            add_friend(s, b, a)
        if kind in (REQUEST_ACCEPTED, REQUEST_DECLINED) and not bounced:
            p = find_pair(s, b, a)
            if p == NIL or not s.pairs[p].flags & CONTACT:
                replies[r] = ask
                replies[r].drawn = 0
                replies[r].recent = 0
                replies[r].answered = BOUNCED
                r += 1
                continue
        if kind != FRIENDSHIP_CREATED:
            p = note_outcome(s, b, a, kind, time, ask.late != 0)
            if p != NIL:
                write_row(s, out, n, b, ask, time, i, p, False)
                n += 1
    return len(asks), n, r, DONE


@njit
def assess_rows(s: Any, replies: Any, text: Any, start: int, out: Any, asks: Any, h: int) -> Any:
    """Take answers back at the actor's shard.

    Parameters
    ----------
    out : ndarray of FEATURES
        One row at most an answer, written from 0 on.
    asks : ndarray of ASK
        Written from `h` on, one at most an answer: outcomes on their way round.

    Returns
    -------
    position, rows, h, code : int
        The code is `FLUSH` when the rows so far must be read before a contact is taken away.
    """
    n = 0
    for i in range(start, len(replies)):
        reply = replies[i]
        if 0 <= s.vars[Var.TICK] <= reply.time:
            return i, n, h, TICK
        if reply.kind == REQUEST_CANCELLED and n > 0:
            return i, n, h, FLUSH
        time = np.int64(reply.time)
        follow_time(s, time)
        if reply.kind in (REQUEST_ACCEPTED, REQUEST_DECLINED):
            asks[h] = reply
            h += 1
            continue
        a = find_account(s, reply.actor)
        if a == NIL:
            continue
        if reply.kind == 0:
            shift_triangles(s, a, np.int64(reply.triangles))
            continue
        if reply.kind == REQUEST_CANCELLED:
            b = find_account(s, reply.target)
            if b != NIL:
                cancel_contact(s, a, b, time)
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
        write_row(s, out, n, a, reply, time, i, p, True)
        out[n].mutual = reply.mutual
        n += 1
    return len(replies), n, h, DONE
