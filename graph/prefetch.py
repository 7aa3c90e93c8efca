"""Asking for memory ahead of its use: hints to the processor that change no result.

An event touches a dozen places at random in arrays far larger than the caches, each a wait of some 100 ns if it comes
one after the other. Events are known in advance, so the places that the next ones will need are asked for while
the present one is worked on; the waits then overlap. Each stage looks at what the stage before has brought in.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from graph.accounts import slot_of
from graph.fetch import fetch
from graph.jit import inlined
from graph.pairs import pair_key
from graph.state import NIL

__all__ = ["AHEAD", "look_ahead"]

AHEAD: Final = 24
"""Events; a power of two would do no better."""
STEP: Final = 8


@inlined
def fetch_slots(s: Any, e: Any) -> Any:
    """First stage: where the event id and the two accounts are looked up."""
    mask = s.seen.shape[1] - 1
    slot = np.int64(e.event >> np.uint64(7)) & mask
    fetch(s.seen[0], slot)
    fetch(s.seen[1], slot)
    fetch(s.account_index, slot_of(e.actor, len(s.account_index)))
    if e.target != 0:
        fetch(s.account_index, slot_of(e.target, len(s.account_index)))


@inlined
def guess(s: Any, key: Any) -> Any:
    """Return the row in the home slot of an account, or NIL: mostly, but not always, the account's."""
    return np.int64(s.account_index[slot_of(key, len(s.account_index))])


@inlined
def look_ahead(s: Any, events: Any, i: int) -> Any:
    """Ask for what the events after `i` will need."""
    if i & 3 == 0:
        for c in range(len(s.cursor_next)):
            p = np.int64(s.cursor_next[c])
            if p != NIL and s.pairs[p].activity != NIL:
                fetch(s.counts[:, 0], np.int64(s.pairs[p].activity))
    n = len(events)
    if i + 3 * STEP < n:
        fetch_slots(s, events[i + 3 * STEP])
    if i + 2 * STEP < n:
        e = events[i + 2 * STEP]
        a = guess(s, e.actor)
        if a != NIL:
            fetch(s.accounts, a)
        b = guess(s, e.target)
        if b != NIL:
            fetch(s.accounts, b)
    if i + STEP < n:
        e = events[i + STEP]
        a = guess(s, e.actor)
        if a != NIL:
            account = s.accounts[a]
            fetch(s.pool, np.int64(account.friends_at))
            b = guess(s, e.target)
            if account.activity != NIL:
                fetch(s.counts[:, 0], np.int64(account.activity))
                fetch(s.newest, np.int64(account.activity))
                if b != NIL:
                    fetch(s.pair_index, slot_of(pair_key(np.int64(account.activity), b), len(s.pair_index)))
            if b != NIL:
                other = s.accounts[b]
                fetch(s.pool, np.int64(other.friends_at))
                if other.activity != NIL:
                    fetch(s.pair_index, slot_of(pair_key(np.int64(other.activity), a), len(s.pair_index)))
    if i + STEP // 2 < n:
        e = events[i + STEP // 2]
        a = guess(s, e.actor)
        b = guess(s, e.target)
        if a != NIL and b != NIL:
            account = s.accounts[a]
            if account.activity != NIL:
                p = np.int64(s.pair_index[slot_of(pair_key(np.int64(account.activity), b), len(s.pair_index))])
                if p != NIL:
                    fetch(s.pairs, p)
                p = np.int64(s.newest[np.int64(account.activity)])
                if p != NIL:
                    fetch(s.pairs, p)
