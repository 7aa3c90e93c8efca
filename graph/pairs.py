"""Contacts: one row a pair of actor and target, found through an index, chained by actor."""

from __future__ import annotations

from typing import Any

import numpy as np

from graph.accounts import erase_text, slot_of, text_length, unref
from graph.callers import drop_ties
from graph.jit import njit
from graph.state import CONTACT, NIL, Var

__all__ = ["add_pair", "detach_pair", "erase_event", "find_pair", "forget_pair", "index_pairs", "targets_shared"]


@njit
def pair_key(activity: int, target: int) -> Any:
    """Return the index key of a pair: the actor stands in it by its row of counts."""
    return (np.uint64(activity) << np.uint64(32)) | np.uint64(target)


@njit
def find_pair(s: Any, actor: int, target: int) -> Any:
    """Return the row of the contact from `actor` to `target`, or NIL."""
    activity = np.int64(s.accounts[actor].activity)
    if activity == NIL:
        return np.int64(NIL)
    mask = len(s.pair_index) - 1
    slot = slot_of(pair_key(activity, target), mask + 1)
    while True:
        row = np.int64(s.pair_index[slot])
        if row == NIL:
            return row
        pair = s.pairs[row]
        if pair.activity == activity and pair.target == target:
            return row
        slot = (slot + 1) & mask


@njit
def targets_shared(s: Any, one: int, other: int, most: int) -> Any:
    """Return how many accounts both `one` and `other` reached out to, `most` at most: looks no further."""
    found = 0
    activity = np.int64(s.accounts[other].activity)
    p = np.int64(NIL) if activity == NIL else np.int64(s.newest[activity])
    while p != NIL and found < most:
        if s.pairs[p].flags & CONTACT:
            same = find_pair(s, one, np.int64(s.pairs[p].target))
            if same != NIL and s.pairs[same].flags & CONTACT:
                found += 1
        p = np.int64(s.pairs[p].earlier)
    return found


@njit
def index_pair(s: Any, row: int) -> Any:
    """Enter a row in the index."""
    mask = len(s.pair_index) - 1
    slot = slot_of(pair_key(s.pairs[row].activity, s.pairs[row].target), mask + 1)
    while s.pair_index[slot] != NIL:
        slot = (slot + 1) & mask
    s.pair_index[slot] = row


@njit
def index_pairs(s: Any) -> Any:
    """Fill an empty index from the rows."""
    for row in range(s.vars[Var.PAIRS_TOP]):
        if s.pairs[row].activity != NIL:  # neither free nor waiting
            index_pair(s, row)


@njit
def unindex_pair(s: Any, row: int) -> Any:
    """Take a row out of the index, closing the gap (backward shift)."""
    index = s.pair_index
    mask = len(index) - 1
    hole = slot_of(pair_key(s.pairs[row].activity, s.pairs[row].target), mask + 1)
    while index[hole] != row:
        hole = (hole + 1) & mask
    probe = hole
    while True:
        probe = (probe + 1) & mask
        other = index[probe]
        if other == NIL:
            break
        home = slot_of(pair_key(s.pairs[other].activity, s.pairs[other].target), mask + 1)
        if ((probe - home) & mask) >= ((probe - hole) & mask):
            index[hole] = other
            hole = probe
    index[hole] = NIL


@njit
def add_pair(s: Any, actor: int, target: int, time: int, event: Any) -> Any:
    """Return a new row for the contact from `actor` to `target`; the actor gets a row of counts if it has none."""
    row = s.vars[Var.PAIRS_FREE]
    if row == NIL:
        row = s.vars[Var.PAIRS_TOP]
        s.vars[Var.PAIRS_TOP] = row + 1
    else:
        s.vars[Var.PAIRS_FREE] = s.pairs[row].last_next
    s.vars[Var.PAIRS] += 1
    s.vars[Var.HELD] += 1
    account = s.accounts[actor]
    activity = np.int64(account.activity)
    if activity == NIL:
        activity = s.vars[Var.ACTIVITY_FREE]
        if activity == NIL:
            activity = s.vars[Var.ACTIVITY_TOP]
            s.vars[Var.ACTIVITY_TOP] = activity + 1
        else:
            s.vars[Var.ACTIVITY_FREE] = s.owner[activity]
        s.vars[Var.ACTIVITY] += 1
        s.owner[activity] = actor
        s.newest[activity] = NIL
        s.ties_of[activity] = NIL
        s.counts[activity, :] = 0
        account.activity = activity
    pair = s.pairs[row]
    pair.first = time
    pair.last = time
    pair.event = event
    pair.activity = activity
    pair.target = target
    pair.flags = 0
    pair.signs = 0
    pair.later = NIL
    pair.earlier = s.newest[activity]
    if pair.earlier != NIL:
        s.pairs[pair.earlier].later = row
    s.newest[activity] = row
    s.accounts[target].refs += 1
    index_pair(s, row)
    return row


@njit
def erase_event(s: Any, row: int) -> Any:
    """Erase the event id that a contact refers to, if it does."""
    pair = s.pairs[row]
    if pair.event:
        s.vars[Var.TEXT_EVENTS] -= text_length(pair.event)
        erase_text(s, pair.event)
        pair.event = 0


@njit
def detach_pair(s: Any, row: int) -> Any:
    """Take a contact away from its actor and target; the row itself waits in the calendars."""
    pair = s.pairs[row]
    s.vars[Var.HELD] -= 1
    unindex_pair(s, row)
    activity = np.int64(pair.activity)
    if pair.later != NIL:
        s.pairs[pair.later].earlier = pair.earlier
    else:
        s.newest[activity] = pair.earlier
    if pair.earlier != NIL:
        s.pairs[pair.earlier].later = pair.later
    if s.newest[activity] == NIL:
        drop_ties(s, activity)
        s.accounts[s.owner[activity]].activity = NIL
        s.owner[activity] = s.vars[Var.ACTIVITY_FREE]
        s.vars[Var.ACTIVITY_FREE] = activity
        s.vars[Var.ACTIVITY] -= 1
    erase_event(s, row)
    target = np.int64(pair.target)
    pair.activity = NIL
    pair.target = NIL
    pair.flags = 0
    unref(s, target)


@njit
def forget_pair(s: Any, row: int) -> Any:
    """Free a contact's row at the horizon."""
    if s.pairs[row].activity != NIL:
        detach_pair(s, row)
    s.pairs[row].last_next = s.vars[Var.PAIRS_FREE]
    s.vars[Var.PAIRS_FREE] = row
    s.vars[Var.PAIRS] -= 1
