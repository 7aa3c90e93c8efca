"""The shard's clock: the highest event time seen, guarded, and the memory of event ids.

* An event older than the clock by more than the allowed lateness is *late*.
* An event ahead of the clock by more than `max_jump` does not move it, until three such events in a row bear
  it out, each within `max_jump` of the earliest of them and of another account than the one before: a wrong
  stamp must not expire the graph, a true gap must not stop it. The clock then moves to the earliest of the
  three. Until then they count as if they had come at the clock. An event in range breaks the row; a late one,
  such as a platform hands over after an outage, does not.
* A clock that fewer than three events have borne out goes back when an event contradicts it, so that a
  wrong stamp at the very start does no harm either.

Event ids are remembered in two tables that take turns at every multiple of the allowed lateness: for at least that
time and at most twice that. A second delivery after that is late, and late contacts are kept out, so that forgetting
an id can count nothing twice. (An event stamped ahead, counted at the clock then, and delivered again when the clock
has come to its stamp, is one contact more of a known pair at most, unless its pair was forgotten between.)
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from graph.buckets import link_first, link_last
from graph.calendar import add_targets, place_cursors, step_bit
from graph.callers import forget_callers
from graph.jit import inlined, njit
from graph.state import CONTACT, COUNTED_BITS, IGNORED, LIVE, NIL, Var

__all__ = [
    "IN_TIME",
    "LATE",
    "WITNESSES",
    "has_to_stop",
    "is_known",
    "jump",
    "keep_time",
    "landing",
    "refill",
    "remember",
]

IN_TIME: Final = 0
LATE: Final = 1
WITNESSES: Final = 3


@njit
def rebase(s: Any, clock: int) -> Any:
    """Set the clock back to `clock`: the few contacts held are taken to have happened then, meetings are forgotten."""
    v = s.vars
    s.buckets[:] = NIL
    s.in_order[:] = False
    s.counts[:] = 0
    place_cursors(s, clock)
    v[Var.PAIRS_FREE] = NIL
    v[Var.PAIRS] = 0
    for p in range(v[Var.PAIRS_TOP]):
        pair = s.pairs[p]
        if pair.activity == NIL:  # free, or waiting in a calendar that is no more
            pair.last_next = v[Var.PAIRS_FREE]
            v[Var.PAIRS_FREE] = p
            continue
        v[Var.PAIRS] += 1
        pair.first = clock
        pair.last = clock
        pair.flags &= 0xFFFF ^ IGNORED
        link_first(s, p)
        link_last(s, p)
        if pair.flags & CONTACT:
            add_targets(s, p, 1)
        for bit in range(COUNTED_BITS):
            if pair.flags & (1 << bit):
                step_bit(s, p, bit, 1)
    for row in range(v[Var.ACCOUNTS_TOP]):
        account = s.accounts[row]
        if account.state == LIVE and account.seen > clock // 1000:
            account.seen = clock // 1000
    forget_callers(s)
    v[Var.AHEAD] = v[Var.AHEAD_ACTOR] = 0


@njit
def bear_out(s: Any, time: int, actor: Any) -> Any:
    """Return how many witnesses in a row an event too far ahead makes, and the earliest of their times."""
    v = s.vars
    if v[Var.AHEAD] == 0 or abs(time - v[Var.AHEAD_MIN]) > v[Var.MAX_JUMP]:
        return np.int64(1), np.int64(time)
    if v[Var.AHEAD_ACTOR] == np.int64(actor):
        return v[Var.AHEAD], v[Var.AHEAD_MIN]
    return v[Var.AHEAD] + 1, np.int64(min(v[Var.AHEAD_MIN], time))


@njit
def landing(s: Any, time: int, actor: Any) -> Any:
    """Return where the clock would move before, or with, an event; the clock itself if it would not move."""
    clock = s.vars[Var.CLOCK]
    if time > clock + s.vars[Var.MAX_JUMP]:
        witnesses, earliest = bear_out(s, time, actor)
        return max(clock, earliest) if witnesses >= WITNESSES else clock
    return max(clock, np.int64(time))


@njit
def has_to_stop(s: Any, time: int, goal: int) -> Any:
    """Tell whether the clock has to stop on its way to `goal` for an event: at a tick, or before a gap borne out."""
    v = s.vars
    return goal >= v[Var.TICK] or (goal > v[Var.CLOCK] and time > v[Var.CLOCK] + v[Var.MAX_JUMP])


@njit
def jump(s: Any) -> Any:
    """Take a gap as borne out by enough witnesses; the clock stands behind it."""
    s.vars[Var.AHEAD] = s.vars[Var.AHEAD_ACTOR] = 0
    s.vars[Var.SUPPORT] = WITNESSES


@inlined
def keep_time(s: Any, time: int, actor: Any) -> Any:
    """Note an event's time; return the time to take for it, and whether it is late.

    The clock stands at `landing` already, unless this is the first event of all.
    """
    v = s.vars
    if v[Var.CLOCK] < 0:
        place_cursors(s, time)
        v[Var.SUPPORT] = 1
        return time, IN_TIME
    if time > v[Var.CLOCK] + v[Var.MAX_JUMP]:
        v[Var.AHEAD], v[Var.AHEAD_MIN] = bear_out(s, time, actor)
        v[Var.AHEAD_ACTOR] = np.int64(actor)
        v[Var.N_AHEAD] += 1
        return v[Var.CLOCK], IN_TIME
    if time < v[Var.CLOCK] - v[Var.LATENESS]:
        if v[Var.SUPPORT] >= WITNESSES:
            return time, LATE
        rebase(s, time)
        v[Var.SUPPORT] = 1
        return time, IN_TIME
    if v[Var.SUPPORT] < WITNESSES:
        v[Var.SUPPORT] += 1
    v[Var.AHEAD] = v[Var.AHEAD_ACTOR] = 0
    return time, IN_TIME


@njit
def holds(table: Any, key: Any) -> Any:
    """Return the slot of `key` in a table of event ids, or the empty slot where it would go."""
    mask = len(table) - 1
    slot = np.int64(key >> np.uint64(7)) & mask
    while table[slot] != 0 and table[slot] != key:
        slot = (slot + 1) & mask
    return slot


@njit
def refill(old: Any, new: Any) -> Any:
    """Enter all event ids of two tables into two larger, empty ones."""
    for generation in range(2):
        for i in range(old.shape[1]):
            key = old[generation, i]
            if key != 0:
                new[generation, holds(new[generation], key)] = key


@njit
def rotate(s: Any) -> Any:
    """Forget the older table of event ids if all in it are late by now, and the other one too if so.

    What is remembered thus depends on the clock alone, not on where it stopped on the way.
    """
    v = s.vars
    if v[Var.CLOCK] < v[Var.ROTATE_AT]:
        return
    width = v[Var.LATENESS]
    for _ in range(1 if v[Var.CLOCK] < v[Var.ROTATE_AT] + width else 2):
        v[Var.GENERATION] ^= 1
        s.seen[v[Var.GENERATION], :] = 0
        v[Var.SEEN_BEFORE] = v[Var.SEEN_CURRENT]
        v[Var.SEEN_CURRENT] = 0
    v[Var.ROTATE_AT] = (v[Var.CLOCK] // width + 1) * width


@njit
def is_known(s: Any, key: Any) -> Any:
    """Tell whether an event id (not 0) is remembered, so that the event is a second delivery."""
    v = s.vars
    rotate(s)
    table = s.seen[v[Var.GENERATION]]
    if table[holds(table, key)] == key:
        return True
    if v[Var.SEEN_BEFORE] == 0:
        return False
    table = s.seen[v[Var.GENERATION] ^ 1]
    return table[holds(table, key)] == key


@njit
def remember(s: Any, key: Any) -> Any:
    """Note an event id (not 0) that is not known; the clock stands where the event has moved it."""
    v = s.vars
    rotate(s)
    table = s.seen[v[Var.GENERATION]]
    table[holds(table, key)] = key
    v[Var.SEEN_CURRENT] += 1
