"""What must hold of the arrays at any time, in plain Python: for tests, and for a snapshot that is doubted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from graph.accounts import PACKED, find_account
from graph.buckets import CURSORS, FIRST_7D, HORIZON, LAST_1H
from graph.pairs import find_pair
from graph.shard import Shard
from graph.state import ALL_SIGNS, BUCKET_BITS, BUCKETS, DELETED, FREE, LIVE, LONE, NIL, SIGN_BITS, SLOTS, Var

__all__ = ["problems"]


def problems(shard: Shard) -> list[str]:
    """Return what is wrong with a shard's arrays, one line each; empty if nothing is.

    Takes time in proportion to all that the shard holds, and is slow.

    Examples
    --------
    >>> problems(Shard())
    []
    """
    return [*_accounts(shard), *_pairs(shard), *_pool(shard), *_calendars(shard), *_text(shard), *_callers(shard)]


def _walk(head: int, following: Iterator[int] | list[int]) -> list[int]:
    """Return a chain of rows; it ends early where it runs in a circle."""
    links, found, seen = list(following), [], set()
    while head != NIL and head not in seen:
        seen.add(head)
        found.append(head)
        head = int(links[head])
    return found


def _accounts(shard: Shard) -> Iterator[str]:
    s, v = shard.state, shard.state.vars
    top = int(v[Var.ACCOUNTS_TOP])
    state = s.accounts["state"][:top]
    free = _walk(int(v[Var.ACCOUNTS_FREE]), s.accounts["activity"].tolist())
    if sorted(free) != np.flatnonzero(state == FREE).tolist():
        yield "the free accounts are not those in the free list"
    if int(v[Var.ACCOUNTS]) != top - len(free):
        yield "the count of accounts is wrong"
    live = np.flatnonzero(state == LIVE).tolist()
    for row in live:
        if find_account(s, s.accounts["hash"][row]) != row:
            yield f"account {row} is not in the index"
    if int((s.account_index != NIL).sum()) != len(live):
        yield "the index of accounts holds more than the accounts"
    refs: Counter[int] = Counter()
    for row in live:
        refs.update(_friends(shard, row))
    pairs = s.pairs[: int(v[Var.PAIRS_TOP])]
    refs.update(pairs["target"][pairs["activity"] != NIL].tolist())
    for row in np.flatnonzero(state != FREE).tolist():
        if int(s.accounts["refs"][row]) != refs[row]:
            yield f"account {row} has {s.accounts['refs'][row]} references noted, {refs[row]} in truth"
    for row in np.flatnonzero(state == DELETED).tolist():
        account = s.accounts[row]
        if account["friends"] or account["activity"] != NIL or account["text"] or not account["refs"]:
            yield f"deleted account {row} still holds something, or nothing holds it"
    if any(state[row] == FREE for row in refs):
        yield "a free account is referred to"


def _friends(shard: Shard, row: int) -> list[int]:
    account = shard.state.accounts[row]
    at = int(account["friends_at"])
    return [int(other) for other in shard.state.pool[at : at + int(account["friends"])]]


def _pool(shard: Shard) -> Iterator[str]:
    s, v = shard.state, shard.state.vars
    used = np.zeros(int(v[Var.POOL_TOP]), np.int64)
    entries = 0
    for row in np.flatnonzero(s.accounts["state"] == LIVE).tolist():
        friends = _friends(shard, row)
        entries += len(friends)
        if friends != sorted(set(friends)):
            yield f"the friends of account {row} are not in order"
        if any(row not in _friends(shard, other) for other in friends):
            yield f"a friend of account {row} does not know it"
        size = int(s.accounts["friends_class"][row])
        if (size == 255) != (not friends) or (size != 255 and len(friends) > 4 << size):
            yield f"the list of account {row} does not fit it"
        if size != 255:
            at = int(s.accounts["friends_at"][row])
            used[at : at + (4 << size)] += 1
    for size, head in enumerate(s.pool_free.tolist()):
        for at in _walk(head, s.pool.tolist()):
            used[at : at + (4 << size)] += 1
    if (used != 1).any():
        yield "the pool has entries that are in no list or in two"
    if entries != int(v[Var.FRIENDSHIPS]):
        yield "the count of friendships is wrong"


def _pairs(shard: Shard) -> Iterator[str]:
    s, v = shard.state, shard.state.vars
    top = int(v[Var.PAIRS_TOP])
    pairs = s.pairs[:top]
    free = _walk(int(v[Var.PAIRS_FREE]), s.pairs["last_next"].tolist())
    if len(free) != top - int(v[Var.PAIRS]):
        yield "the count of rows of contacts is wrong"
    held = np.flatnonzero(pairs["activity"] != NIL).tolist()
    if len(held) != int(v[Var.HELD]):
        yield "the count of contacts held is wrong"
    if set(free) & set(held):
        yield "a contact that is held is in the free list"
    if int((s.pair_index != NIL).sum()) != len(held):
        yield "the index of contacts holds more than the contacts"
    for p in held:
        if find_pair(s, int(s.owner[pairs["activity"][p]]), int(pairs["target"][p])) != p:
            yield f"contact {p} is not in the index"
    signs, messages = pairs["signs"][held] & ALL_SIGNS, pairs["signs"][held] >> SIGN_BITS
    if signs[messages == 0].any() or messages[pairs["flags"][held] & LONE != 0].any():
        yield "a contact has signs, but no message, or messages, but is one lone request"
    chained = []
    idle = _walk(int(v[Var.ACTIVITY_FREE]), s.owner.tolist())
    rows = sorted(set(range(int(v[Var.ACTIVITY_TOP]))) - set(idle))
    if len(rows) != int(v[Var.ACTIVITY]):
        yield "the count of activity rows is wrong"
    for activity in rows:
        if s.accounts["activity"][s.owner[activity]] != activity:
            yield f"activity row {activity} has no owner"
        chain = _walk(int(s.newest[activity]), s.pairs["earlier"].tolist())
        chained += chain
        back = [int(pairs["later"][p]) for p in chain]
        if not chain or back != [NIL, *chain[:-1]] or any(pairs["activity"][p] != activity for p in chain):
            yield f"the contacts of activity row {activity} are not well chained"
    if sorted(chained) != held:
        yield "a contact is in no account's chain or in two"


def _callers(shard: Shard) -> Iterator[str]:
    s, v = shard.state, shard.state.vars
    free = _walk(int(v[Var.CALLERS_FREE]), s.callers["target"].tolist())
    held = np.flatnonzero(s.accounts["callers"][: int(v[Var.ACCOUNTS_TOP])] != NIL)
    held = held[s.accounts["state"][held] == LIVE]
    blocks = s.accounts["callers"][held].tolist()
    if sorted([*free, *blocks]) != list(range(int(v[Var.CALLERS_TOP]))):
        yield "a block of callers is in no list or in two"
    if s.callers["target"][blocks].tolist() != held.tolist():
        yield "a block of callers does not know its target"
    for b in [*free, *blocks]:
        actors = s.callers["actor"][b].tolist()
        known = [actor for actor in actors if actor]
        if actors != known + [0] * (SLOTS - len(known)) or len(known) != len(set(known)) or (b in free and known):
            yield f"the callers of block {b} do not stand as they should"
    idle = _walk(int(v[Var.ACTIVITY_FREE]), s.owner.tolist())
    rows = sorted(set(range(int(v[Var.ACTIVITY_TOP]))) - set(idle))
    free = _walk(int(v[Var.TIES_FREE]), s.ties["since"].tolist())
    tables = [int(table) for table in s.ties_of[rows] if table != NIL]
    if sorted([*free, *tables]) != list(range(int(v[Var.TIES_TOP]))):
        yield "a table of ties is in no list or in two"
    for b in tables:
        others = s.ties["other"][b][s.ties["count"][b] > 0].tolist()
        if len(others) != len(set(others)):
            yield f"table {b} of ties names an account twice"
    if s.ties["count"][free].any():
        yield "a free table of ties counts something"


def _calendars(shard: Shard) -> Iterator[str]:
    s, v = shard.state, shard.state.vars
    pairs = s.pairs
    top = int(v[Var.PAIRS_TOP])
    free = set(_walk(int(v[Var.PAIRS_FREE]), pairs["last_next"].tolist()))
    there = sorted(set(range(top)) - free)
    for calendar, name, last in ((0, "first", FIRST_7D), (1, "last", HORIZON)):
        links = pairs[f"{name}_next"].tolist()
        times = pairs[name].tolist()
        entered = []
        for slot in np.flatnonzero(s.buckets[calendar] != NIL).tolist():
            chain = _walk(int(s.buckets[calendar, slot]), links)
            entered += chain
            if any((times[p] >> BUCKET_BITS) & (BUCKETS - 1) != slot for p in chain):
                yield f"the calendar of {name} contacts has one in the wrong bucket"
            if calendar and [int(pairs["last_prev"][p]) for p in chain] != [NIL, *chain[:-1]]:
                yield "the calendar of last contacts is not well chained backwards"
        # a contact that every cursor has passed may have left the calendar of first contacts
        due = [p for p in there if calendar or times[p] > int(s.cursor_at[last])]
        if len(entered) != len(set(entered)) or not set(due) <= set(entered) or not set(entered) <= set(there):
            yield f"the calendar of {name} contacts does not hold what it should"
        for c in range(LAST_1H * calendar, LAST_1H + (CURSORS - LAST_1H) * calendar):
            yield from _cursor(shard, c, calendar, links, times)


def _cursor(shard: Shard, c: int, calendar: int, links: list[int], times: list[int]) -> Iterator[str]:
    s = shard.state
    at, bucket = int(s.cursor_at[c]), int(s.cursor_bucket[c])
    if shard.clock < 0:
        return
    if at != shard.clock - int(s.cursor_width[c]) or bucket != at >> BUCKET_BITS:
        yield f"cursor {c} does not stand where it should"
    chain = _walk(int(s.buckets[calendar, bucket & (BUCKETS - 1)]), links)
    ahead = [p for p in chain if times[p] > at]
    if int(s.cursor_next[c]) != (ahead[0] if ahead else NIL):
        yield f"cursor {c} does not point at what comes next"
    if [times[p] for p in chain] != sorted(times[p] for p in chain):
        yield f"the bucket of cursor {c} is not in order"


def _text(shard: Shard) -> Iterator[str]:
    s, v = shard.state, shard.state.vars
    live = s.accounts["state"] == LIVE
    held = s.pairs["activity"][: int(v[Var.PAIRS_TOP])] != NIL
    names = (s.accounts["text"][live] & np.uint64(PACKED - 1)).sum()
    events = (s.pairs["event"][: int(v[Var.PAIRS_TOP])][held] & np.uint64(PACKED - 1)).sum()
    if int(names + events) != int(v[Var.TEXT_TOP] - v[Var.TEXT_DEAD]):
        yield "the text arena holds bytes that nothing refers to, uncounted"
    if int(events) != int(v[Var.TEXT_EVENTS]):
        yield "the bytes of event ids are miscounted"
