"""Who reaches for the same targets: the newest strangers to call on a target, and whom an account meets there.

**Callers**, at the target's shard: the actors whose first contacts with the target, as strangers, came last. There are
`SLOTS` places, the newest arrival first; who calls again moves to the front. A place counts for 7 days. A target
has a block of them from its first such contact until all have gone by.

**Ties**, at the actor's shard: for an account that contacted strangers, other actors who had called on the same targets
before it, with the number of such targets. Every first contact with a stranger notes each caller found there once.
Heavy hitters by Misra and Gries, "Finding repeated elements" (1982): a caller that is known counts one more, an unknown
one takes an empty place, and where there is none, every count goes down by one and it is not taken. So a count never
says too much, and what it lacks is at most a ninth (`SLOTS` + 1) of all that was noted: chance meetings on popular
targets wear one another out, and who shares more than that share of the targets stays. Once a week, at an hour of its
own, all counts of an account are halved. A table goes with the account's last contact.

**Exposure**: when a stranger under suspicion calls on a minor, the minor has a row of features of its own at its shard
(`EXPOSED`), with how many called on it of late, and how many of these were under suspicion. It is about a child who may
need protection, and is judged apart from all others.

Accounts stand in both by the lower half of their hash, since they may be another shard's. Of an account that is deleted
nothing is left after the next tick.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from graph.jit import njit
from graph.state import DAY, LIVE, NIL, SLOTS, Var

__all__ = [
    *("call", "count_calls", "drop_callers", "drop_ties", "exposes", "find_halves", "forget_callers", "forget_erased"),
    *("half", "halvings", "meet", "note_erased", "sweep", "tied"),
]

WEEK: Final = 7 * DAY
MOST: Final = 0xFFFF
STRONG: Final = 2
"""Suspicion from which on it counts as strong."""
CROWD: Final = 3
"""Suspects who call on one minor from which on that is not ordinary, whatever else is."""
SHARED: Final = 3
"""Targets shared with another actor from which on it counts as a sharer."""


@njit
def half(key: Any) -> Any:
    """Return the lower half of an account's hash, never 0."""
    low = np.int64(key & np.uint64(0xFFFFFFFF))
    return low if low else np.int64(1)


@njit
def call(s: Any, target: int, key: Any, time: int, suspicion: int, enter: bool, found: Any) -> Any:
    """Say who else has called on `target` as a stranger in the last 7 days, and enter a call.

    Parameters
    ----------
    target : int
    key : uint64
        The actor's hash.
    time : int
        Of the contact, ms.
    suspicion : int
        Of the actor, as of now.
    enter : bool
        The contact is one with a stranger.
    found : array
        Room for `SLOTS` lower halves of hashes, the newest call first.

    Returns
    -------
    n : int
        How many were found.
    suspects, strong : int
        How many of them were under suspicion when they called, and under strong suspicion.
    again : bool
        The actor has called on the target before, in that time.
    """
    me = half(key)
    since = (s.vars[Var.CLOCK] - WEEK) // 1000
    account = s.accounts[target]
    b = np.int64(account.callers)
    n = 0
    suspects = 0
    strong = 0
    again = False
    last = SLOTS - 1
    if b != NIL:
        block = s.callers[b]
        for i in range(SLOTS):
            other = np.int64(block.actor[i])
            if other == 0:
                break
            counts = block.at[i] > since
            if other == me:
                last = i
                again = counts
            elif counts:
                found[n] = other
                n += 1
                suspects += block.suspicion[i] > 0
                strong += block.suspicion[i] >= STRONG
    if not enter:
        return n, suspects, strong, again
    if b == NIL:
        b = s.vars[Var.CALLERS_FREE]
        if b == NIL:
            b = s.vars[Var.CALLERS_TOP]
            s.vars[Var.CALLERS_TOP] = b + 1
        else:
            s.vars[Var.CALLERS_FREE] = s.callers[b].target
        s.callers[b].target = target
        for i in range(SLOTS):
            s.callers[b].actor[i] = 0
        account.callers = b
    block = s.callers[b]
    for i in range(last, 0, -1):
        block.actor[i] = block.actor[i - 1]
        block.at[i] = block.at[i - 1]
        block.suspicion[i] = block.suspicion[i - 1]
    block.actor[0] = me
    block.at[0] = time // 1000
    block.suspicion[0] = suspicion
    return n, suspects, strong, again


@njit
def exposes(suspicion: int, stranger: bool, age: int) -> Any:
    """Tell whether a call is one that the target is to be protected from: a suspect's, as a stranger, on a minor."""
    return suspicion > 0 and stranger and 0 < age <= 3


@njit
def count_calls(s: Any) -> Any:
    """Return how many calls on minors count now, how many by suspects, and how many under strong suspicion.

    Those on a minor for whom `CROWD` suspects and more reach are left out: they are not what is ordinary.
    """
    since = (s.vars[Var.CLOCK] - WEEK) // 1000
    calls, suspects, strong = 0, 0, 0
    for b in range(s.vars[Var.CALLERS_TOP]):
        block = s.callers[b]
        target = np.int64(block.target)
        if target >= s.vars[Var.ACCOUNTS_TOP] or s.accounts[target].callers != b or not 0 < s.accounts[target].age <= 3:
            continue
        some, more, most = 0, 0, 0
        for i in range(SLOTS):
            if block.actor[i] != 0 and block.at[i] > since:
                some += 1
                more += block.suspicion[i] > 0
                most += block.suspicion[i] >= STRONG
        if more < CROWD:
            calls += some
            suspects += more
            strong += most
    return calls, suspects, strong


@njit
def drop_callers(s: Any, target: int) -> Any:
    """Free the block of a target's callers, if it has one."""
    b = np.int64(s.accounts[target].callers)
    if b != NIL:
        s.accounts[target].callers = NIL
        s.callers[b].target = s.vars[Var.CALLERS_FREE]
        for i in range(SLOTS):
            s.callers[b].actor[i] = 0
        s.vars[Var.CALLERS_FREE] = b


@njit
def last_halving(s: Any, activity: int) -> Any:
    """Return when the counts of a row's owner were to be halved last, epoch seconds."""
    now = s.vars[Var.CLOCK] // 1000
    return now - (now - half(s.accounts[s.owner[activity]].hash)) % (WEEK // 1000)


@njit
def halvings(s: Any, b: int) -> Any:
    """Return how many times the counts of a table are to be halved by now."""
    return min(max(s.vars[Var.CLOCK] // 1000 - np.int64(s.ties[b].since), 0) // (WEEK // 1000), 16)


@njit
def meet(s: Any, activity: int, found: Any, at: int, n: int) -> Any:
    """Note that the owner of a row of counts has met callers `found[at : at + n]` at one more target."""
    if n == 0:
        return
    b = np.int64(s.ties_of[activity])
    if b == NIL:
        b = s.vars[Var.TIES_FREE]
        if b == NIL:
            b = s.vars[Var.TIES_TOP]
            s.vars[Var.TIES_TOP] = b + 1
        else:
            s.vars[Var.TIES_FREE] = s.ties[b].since
        s.ties[b].since = last_halving(s, activity)
        for i in range(SLOTS):
            s.ties[b].count[i] = 0
        s.ties_of[activity] = b
    table = s.ties[b]
    times = halvings(s, b)
    if times:
        for i in range(SLOTS):
            table.count[i] >>= times
        table.since += times * (WEEK // 1000)
    for j in range(at, at + n):
        key = np.int64(found[j])
        known = -1
        room = -1
        for i in range(SLOTS):
            if table.count[i] == 0:
                room = i
            elif table.other[i] == key:
                known = i
        if known >= 0:
            table.count[known] = min(np.int64(table.count[known]) + 1, MOST)
        elif room >= 0:
            table.other[room] = key
            table.count[room] = 1
        else:
            for i in range(SLOTS):
                table.count[i] -= 1


@njit
def tied(s: Any, activity: int) -> Any:
    """Return the most targets shared with one other actor, and with how many `SHARED` targets or more are shared."""
    b = np.int64(s.ties_of[activity])
    shared: Any = 0
    sharers: Any = 0
    if b != NIL:
        times = halvings(s, b)
        for i in range(SLOTS):
            count = np.int64(s.ties[b].count[i]) >> times
            shared = max(shared, count)
            sharers += 1 if count >= SHARED else 0
    return shared, sharers


@njit
def drop_ties(s: Any, activity: int) -> Any:
    """Free the table of ties of a row of counts, if it has one."""
    b = np.int64(s.ties_of[activity])
    if b != NIL:
        s.ties_of[activity] = NIL
        s.ties[b].since = s.vars[Var.TIES_FREE]
        for i in range(SLOTS):
            s.ties[b].count[i] = 0
        s.vars[Var.TIES_FREE] = b


@njit
def note_erased(s: Any, key: Any) -> Any:
    """Note that the account with hash `key` is to be forgotten here too (see `forget_erased`)."""
    s.erased[s.vars[Var.ERASED]] = half(key)
    s.vars[Var.ERASED] += 1


@njit
def is_among(keys: Any, key: int) -> Any:
    """Tell whether `key` is one of `keys` (sorted)."""
    at = np.searchsorted(keys, key)
    return at < len(keys) and keys[at] == key


@njit
def forget_erased(s: Any, gone: Any) -> Any:
    """Take accounts `gone` (lower halves of hashes, sorted) out of all callers and ties."""
    for b in range(s.vars[Var.CALLERS_TOP]):
        block = s.callers[b]
        kept = 0
        for i in range(SLOTS):
            if block.actor[i] != 0 and not is_among(gone, block.actor[i]):
                block.actor[kept] = block.actor[i]
                block.at[kept] = block.at[i]
                block.suspicion[kept] = block.suspicion[i]
                kept += 1
        for i in range(kept, SLOTS):
            block.actor[i] = 0
    for b in range(s.vars[Var.TIES_TOP]):
        table = s.ties[b]
        for i in range(SLOTS):
            if table.count[i] and is_among(gone, table.other[i]):
                table.count[i] = 0
    s.vars[Var.ERASED] = 0


@njit
def find_halves(s: Any, keys: Any, marks: Any, rows: Any) -> Any:
    """Write which accounts stand as `keys` (lower halves of hashes, sorted, each once), in one pass over all.

    The index leads to an account by its whole hash only: where it begins to look depends on both halves.

    Parameters
    ----------
    marks : array of bool
        All false, a power of two in length: what most accounts are told apart by.
    rows : array
        Takes a row for each key: negative where no account stands as it, or more than one, for then none can be told.
    """
    mask = len(marks) - 1
    for i in range(len(keys)):
        marks[np.int64(keys[i]) & mask] = True
        rows[i] = -1
    for row in range(s.vars[Var.ACCOUNTS_TOP]):
        low = half(s.accounts[row].hash)
        if marks[low & mask] and s.accounts[row].state == LIVE and is_among(keys, low):
            at = np.searchsorted(keys, low)
            rows[at] = row if rows[at] == -1 else -2


@njit
def sweep(s: Any) -> Any:
    """Free blocks of callers that have all gone by, and tables of ties that have faded: it changes no answer."""
    since = (s.vars[Var.CLOCK] - WEEK) // 1000
    for b in range(s.vars[Var.CALLERS_TOP]):
        block = s.callers[b]
        target = np.int64(block.target)
        if target >= s.vars[Var.ACCOUNTS_TOP] or s.accounts[target].callers != b:
            continue  # free
        held = False
        for i in range(SLOTS):
            held |= block.actor[i] != 0 and block.at[i] > since
        if not held:
            drop_callers(s, target)
    for activity in range(s.vars[Var.ACTIVITY_TOP]):
        if s.ties_of[activity] != NIL and tied(s, activity)[0] == 0:
            drop_ties(s, activity)


@njit
def forget_callers(s: Any) -> Any:
    """Forget all calls and ties."""
    for row in range(s.vars[Var.ACCOUNTS_TOP]):
        if s.accounts[row].state == LIVE:
            drop_callers(s, row)
    for activity in range(s.vars[Var.ACTIVITY_TOP]):
        drop_ties(s, activity)
