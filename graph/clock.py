"""The shard's clock: the highest event time seen, guarded, and the memory of event ids.

* An event older than the clock by more than the allowed lateness is *late*.
* An event ahead of the clock by more than `max_jump` does not move it, until three such events in a row,
  not all of one account, bear it out: a wrong stamp must not expire the graph, a true gap must not stop it.
  Until then it counts as if it had come at the clock.
* A clock that fewer than three events have borne out goes back when an event contradicts it, so that a
  wrong stamp at the very start does no harm either.

Event ids are remembered in two tables that take turns, for at least the allowed lateness. A second delivery
after that is late, and late contacts are kept out, so that forgetting an id can count nothing twice.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from graph.calendar import add_targets, advance, link_first, link_last, place_cursors, step_bit
from graph.jit import njit
from graph.state import CONTACT, COUNTED_BITS, NIL, Var

__all__ = ["IN_TIME", "LATE", "keep_time", "refill", "remember"]

IN_TIME: Final = 0
LATE: Final = 1
WITNESSES: Final = 3


@njit
def rebase(s: Any, clock: int) -> Any:
    """Set the clock back to `clock`; the few contacts held so far are taken to have happened then."""
    s.buckets[:] = NIL
    s.counts[:] = 0
    place_cursors(s, clock)
    for p in range(s.vars[Var.PAIRS_TOP]):
        pair = s.pairs[p]
        if pair.activity == NIL:
            continue
        pair.first = clock
        pair.last = clock
        link_first(s, p)
        link_last(s, p)
        if pair.flags & CONTACT:
            add_targets(s, p, 1)
        for bit in range(COUNTED_BITS):
            if pair.flags & (1 << bit):
                step_bit(s, p, bit, 1)
    s.vars[Var.ROTATE_AT] = clock + s.vars[Var.LATENESS]


@njit
def keep_time(s: Any, time: int, actor: Any) -> Any:
    """Let an event move the clock; return the time to take for it, and whether it is late."""
    v = s.vars
    clock = v[Var.CLOCK]
    if clock < 0:
        place_cursors(s, time)
        v[Var.ROTATE_AT] = time + v[Var.LATENESS]
        v[Var.SUPPORT] = 1
        return time, IN_TIME
    if time > clock + v[Var.MAX_JUMP]:
        who = np.int64(actor)
        if v[Var.AHEAD] == 0 or v[Var.AHEAD_ACTOR] != who:
            v[Var.AHEAD_MIN] = min(v[Var.AHEAD_MIN], time) if v[Var.AHEAD] > 0 else time
            v[Var.AHEAD] += 1
            v[Var.AHEAD_ACTOR] = who
        if v[Var.AHEAD] < WITNESSES:
            v[Var.N_AHEAD] += 1
            return clock, IN_TIME
        v[Var.AHEAD] = 0
        clock = v[Var.AHEAD_MIN]
        advance(s, clock)
        v[Var.SUPPORT] = WITNESSES
        if time > clock + v[Var.MAX_JUMP]:
            v[Var.N_AHEAD] += 1
            return clock, IN_TIME
    if time < clock - v[Var.LATENESS]:
        if v[Var.SUPPORT] >= WITNESSES:
            return time, LATE
        rebase(s, time)
        v[Var.SUPPORT] = 1
        return time, IN_TIME
    if v[Var.SUPPORT] < WITNESSES:
        v[Var.SUPPORT] += 1
    v[Var.AHEAD] = 0
    if time > clock:
        advance(s, time)
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
def remember(s: Any, key: Any) -> Any:
    """Note an event id; return False if it was known, so that the event is a second delivery."""
    v = s.vars
    if v[Var.CLOCK] >= v[Var.ROTATE_AT]:
        v[Var.GENERATION] ^= 1
        s.seen[v[Var.GENERATION], :] = 0
        v[Var.SEEN_BEFORE] = v[Var.SEEN_CURRENT]
        v[Var.SEEN_CURRENT] = 0
        v[Var.ROTATE_AT] = v[Var.CLOCK] + v[Var.LATENESS]
    current = s.seen[v[Var.GENERATION]]
    slot = holds(current, key)
    if current[slot] == key:
        return False
    before = s.seen[v[Var.GENERATION] ^ 1]
    if v[Var.SEEN_BEFORE] and before[holds(before, key)] == key:
        return False
    current[slot] = key
    v[Var.SEEN_CURRENT] += 1
    return True
