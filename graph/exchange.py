"""What the three steps on several shards have in common: probe, resolve, assess, each over a whole message.

What a step does to one event is `graph.contacts`, as on a single shard (`graph.local`). The steps themselves are in
`graph.probe`, `graph.resolve` and `graph.assess`.

Everything between two shards comes in the order in which it was sent. So what follows a request takes the request's
own way, and cannot overtake it: a cancellation goes to the target's shard and back. An answer comes from another log
than its request and can overtake it, by far after a crash; it is then held (see `graph.contacts`).
"""

from __future__ import annotations

from typing import Any, Final

from graph.accounts import find_account
from graph.batch import EventKind
from graph.calendar import place_cursors
from graph.clock import WITNESSES
from graph.jit import njit
from graph.local import FLUSH
from graph.rows import pass_time
from graph.state import NIL, Var

__all__ = [
    *("ANSWERS_FULL", "FRIENDS_BEFORE", "FRIENDS_SINCE"),
    *("follow_time", "get_rows", "learn_foreign_age", "put_hashes"),
]

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
FRIENDS_SINCE: Final = 3  # in `friend` of an ask: if they are friends, it is by the acceptance of this very contact
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
def learn_foreign_age(s: Any, row: int, age: int) -> Any:
    """Take what an account's own shard knows of its age, unless this is that shard and it has facts."""
    if row != NIL and s.accounts[row].age_source == 0:
        s.accounts[row].age = age


@njit
def follow_time(s: Any, time: int, out: Any, n: int, source: int) -> Any:
    """Let the clock follow a time that another shard has guarded; return what `graph.rows.pass_time` returns."""
    v = s.vars
    if v[Var.CLOCK] < 0:
        place_cursors(s, time)
        v[Var.SUPPORT] = 1
        return n, True
    if time > v[Var.CLOCK] or v[Var.SILENT] != NIL:
        n, done = pass_time(s, time, out, n, source)
        if not done:
            return n, False
    v[Var.SUPPORT] = min(v[Var.SUPPORT] + 1, WITNESSES)
    return n, True
