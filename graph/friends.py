"""Friendships: sorted neighbour lists in one pool, mutual friends, triangles.

Local clustering is kept up as friendships come and go: a new one with m mutual friends closes m
triangles, at both ends and once at each of the m. The clustering coefficient of an account with d
friends is then triangles / (d (d - 1) / 2), as in Watts and Strogatz (1998).

An account with more than `SAMPLE` friends is compared through a sample of about that many: those whose
hash falls below a share of the hash space (a bottom sketch), so that the same friends are drawn on every
shard. Counts found through a sample are scaled back up.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from graph.accounts import unref
from graph.jit import copy, inlined, njit
from graph.state import NIL, Var

__all__ = ["SAMPLE", "add_friend", "befriend", "draw_friends", "is_friend", "pool_need", "unfriend"]

SAMPLE: Final = 256


@njit
def lower_bound(pool: Any, at: int, count: int, value: int) -> Any:
    """Return the position in `pool[at : at + count]` (sorted) of the first entry not below `value`."""
    low, high = at, at + count
    while low < high:
        middle = (low + high) >> 1
        if pool[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@njit
def is_friend(s: Any, row: int, other: int) -> Any:
    """Tell whether `other` stands in the neighbour list of `row`."""
    account = s.accounts[row]
    at, count = np.int64(account.friends_at), np.int64(account.friends)
    found = lower_bound(s.pool, at, count, other)
    return found < at + count and s.pool[found] == other


@njit
def pool_need(s: Any, row: int) -> Any:
    """Return how many new pool entries one more friend of `row` may take."""
    account = s.accounts[row]
    if account.friends_class == 255:
        return 4
    room = 4 << account.friends_class
    return 2 * room if account.friends >= room else 0


@njit
def take_list(s: Any, size_class: int) -> Any:
    """Return the start of a free list with room for `4 << size_class` entries."""
    at = np.int64(s.pool_free[size_class])
    if at != NIL:
        s.pool_free[size_class] = s.pool[at]
        return at
    at = s.vars[Var.POOL_TOP]
    s.vars[Var.POOL_TOP] = at + (4 << size_class)
    return at


@njit
def give_list(s: Any, at: int, size_class: int) -> Any:
    """Hand a neighbour list back."""
    s.pool[at] = s.pool_free[size_class]
    s.pool_free[size_class] = at


@njit
def add_friend(s: Any, row: int, other: int) -> Any:
    """Insert `other` into the list of `row`; return False if it stood there already."""
    account = s.accounts[row]
    at, count = np.int64(account.friends_at), np.int64(account.friends)
    found = lower_bound(s.pool, at, count, other)
    if found < at + count and s.pool[found] == other:
        return False
    size_class = np.int64(account.friends_class)
    if size_class == 255 or count == 4 << size_class:
        bigger = 0 if size_class == 255 else size_class + 1
        moved = take_list(s, bigger)
        copy(s.pool, at, count, s.pool, moved)  # of two lists
        if size_class != 255:
            give_list(s, at, size_class)
        found += moved - at
        at = moved
        account.friends_at = at
        account.friends_class = bigger
    for i in range(at + count, found, -1):
        s.pool[i] = s.pool[i - 1]
    s.pool[found] = other
    account.friends = count + 1
    s.accounts[other].refs += 1
    s.vars[Var.FRIENDSHIPS] += 1
    return True


@njit
def remove_friend(s: Any, row: int, other: int) -> Any:
    """Take `other` out of the list of `row`; return False if it was not there. Frees an empty list."""
    account = s.accounts[row]
    at, count = np.int64(account.friends_at), np.int64(account.friends)
    found = lower_bound(s.pool, at, count, other)
    if found >= at + count or s.pool[found] != other:
        return False
    for i in range(found, at + count - 1):
        s.pool[i] = s.pool[i + 1]
    account.friends = count - 1
    if count == 1:
        give_list(s, at, np.int64(account.friends_class))
        account.friends_class = 255
    s.vars[Var.FRIENDSHIPS] -= 1
    unref(s, other)
    return True


@njit
def draw_friends(s: Any, row: int, drawn: Any) -> Any:
    """Write the friends of `row`, or a sample of about `SAMPLE`, into `drawn`; return how many."""
    account = s.accounts[row]
    at, count = np.int64(account.friends_at), np.int64(account.friends)
    if count <= SAMPLE:
        copy(s.pool, at, count, drawn, 0)
        return count
    limit = np.uint64(np.float64(SAMPLE) / np.float64(count) * 18446744073709551615.0)
    n = 0
    for i in range(at, at + count):
        if n < len(drawn) and s.accounts[s.pool[i]].hash < limit:
            drawn[n] = s.pool[i]
            n += 1
    return n


@njit
def common_friends(s: Any, row: int, drawn: Any, n: int, common: Any) -> Any:
    """Write those of `drawn[:n]` that are friends of `row` into `common`; return how many.

    Two sorted lists of like length are merged: what is drawn on the same shard is sorted, what was sent may not be.
    """
    account = s.accounts[row]
    at, count = np.int64(account.friends_at), np.int64(account.friends)
    found = 0
    rising = count < 8 * n
    for i in range(1, n):
        rising &= drawn[i - 1] < drawn[i]
    if rising:
        i = 0
        j = at
        while i < n and j < at + count:
            mine, other = drawn[i], s.pool[j]
            common[found] = mine  # written over if it is not: which list to follow cannot be foreseen, so do not branch
            found += mine == other
            i += mine <= other
            j += other <= mine
        return found
    for i in range(n):
        if is_friend(s, row, drawn[i]):
            common[found] = drawn[i]
            found += 1
    return found


@njit
def scaled(found: int, drawn: int, friends: int) -> Any:
    """Return a count found among `drawn` of `friends` as one for all of them."""
    if drawn == friends or drawn == 0:
        return found
    return np.int64(found * friends / drawn + 0.5)


@njit
def shift_triangles(s: Any, row: int, by: int) -> Any:
    """Add to an account's triangle count, which sampling may not take below zero."""
    account = s.accounts[row]
    account.triangles = max(np.int64(account.triangles) + by, 0)


@inlined
def befriend(s: Any, a: int, b: int, drawn: Any, common: Any) -> Any:
    """Make `a` and `b`, both of this shard, friends; return False if they were."""
    if a == b or is_friend(s, a, b):
        return False
    n = draw_friends(s, a, drawn)
    closed = common_friends(s, b, drawn, n, common)
    for i in range(closed):
        shift_triangles(s, common[i], 1)
    closed = scaled(closed, n, np.int64(s.accounts[a].friends))
    shift_triangles(s, a, closed)
    shift_triangles(s, b, closed)
    add_friend(s, a, b)
    add_friend(s, b, a)
    return True


@njit
def unfriend(s: Any, a: int, b: int, drawn: Any, common: Any) -> Any:
    """End the friendship of `a` and `b`, both of this shard; return False if there was none."""
    if not is_friend(s, a, b):
        return False
    s.accounts[a].refs += 1  # held until both ends are done
    s.accounts[b].refs += 1
    remove_friend(s, a, b)
    remove_friend(s, b, a)
    n = draw_friends(s, a, drawn)
    opened = common_friends(s, b, drawn, n, common)
    for i in range(opened):
        shift_triangles(s, common[i], -1)
    opened = scaled(opened, n, np.int64(s.accounts[a].friends))
    shift_triangles(s, a, -opened)
    shift_triangles(s, b, -opened)
    unref(s, a)
    unref(s, b)
    return True
