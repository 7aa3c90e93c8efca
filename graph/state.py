"""The flat arrays of one shard: dtypes, what each column means, and how they grow.

Nothing here holds Python objects. Rows are addressed by dense indices (`account`, `pair`, `activity`),
freed rows are chained into free lists, and every array grows (see `grown`) when the next slice of events
might not fit. Sizes on one line each, since memory is a promise (see `benchmarks/memory.py`):

* an account is 55 bytes, its id's text (16 for a UUID), and 4 bytes a slot of the index;
* an account with contacts has an activity row besides, of 108 bytes; one that met others at its targets, 52 more;
* a contact (a pair: one actor, one target) is 56 bytes, its event id's text while that may be shown
  as evidence, and 4 bytes a slot of the index;
* a target whom strangers contacted in the last 7 days has 76 bytes more;
* a friendship is two 4-byte entries in sorted neighbour lists.
"""

from __future__ import annotations

from sys import getrefcount
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    *("ACCOUNT", "COLUMNS", "FEATURES", "NIL", "PAIR", "STRANGER_BITS", "WINDOWS", "State", "Var"),
    *("CORRECTED", "EXPOSED", "FIRST", "OUTCOME", "SIGNED", "SILENCE", "WITHDRAWN"),
]

NIL: Final = 0xFFFFFFFF
"""No row."""

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR

WINDOWS: Final = {"1h": HOUR, "24h": DAY, "7d": 7 * DAY}
"""The sliding windows, in milliseconds."""

# Pair flags. The first nine are counted, in this order, in the columns of each window.
STRANGER: Final = 1  # first contact was with a stranger
LINKED: Final = 2  # ... who is a friend of enough of the actor's other recent targets
MINOR: Final = 4  # ... who is a minor, and the actor is not a peer of theirs
ACCEPTED: Final = 8
DECLINED: Final = 16
IGNORED: Final = 32  # no answer within the answer time
BLOCKED: Final = 64
REPORTED: Final = 128
REPLIED: Final = 256
COUNTED_BITS: Final = 9
STRANGER_BITS: Final = 3  # the 1 h window counts only these: an answer within the hour says little
CANCELLED: Final = 512  # the actor withdrew the request
CONTACT: Final = 1024  # the actor reached out (otherwise only an outcome is known, or it was withdrawn)
PENDING: Final = 4096  # ... and its target's shard has not been heard yet; never set on a single shard
LONE: Final = 2048  # ... with one request and nothing else so far, which can be withdrawn
EARLY_ACCEPTED: Final = 8192  # an acceptance came before the contact, and waits for it
EARLY_DECLINED: Final = 16384  # ... a refusal
EARLY: Final = EARLY_ACCEPTED | EARLY_DECLINED
ANSWERED: Final = ACCEPTED | DECLINED | BLOCKED | REPORTED | REPLIED

_COUNTED: Final = (
    "strangers",
    "linked",
    "minors",
    "accepted",
    "declined",
    "ignored",
    "blocked",
    "reported",
    "replied",
)
COLUMNS: Final = tuple(
    f"{name}_{window}"
    for window in WINDOWS
    for name in ("targets", *(_COUNTED[:STRANGER_BITS] if window == "1h" else _COUNTED))
)
"""The count columns of an account, in the order in which they are stored."""
FIRST_COLUMN: Final = (0, 4, 14)
"""Where each window's columns begin (its `targets`; the counted bits follow)."""

ACCOUNT: Final = np.dtype(
    [
        ("hash", "<u8"),  # 0: a free row, or a deleted account that contacts still name
        ("text", "<u8"),  # offset << 16 | length, in the text arena (see `graph.accounts.put_text`)
        ("seen", "<u4"),  # last sign of life, epoch seconds
        ("created", "<u4"),  # epoch seconds, 0: unknown
        ("friends_at", "<u4"),  # where the sorted neighbour list begins in the pool
        ("friends", "<u4"),  # how many
        ("triangles", "<u4"),  # pairs of friends that are friends of one another
        ("refs", "<u4"),  # contacts and friendships of others that name this row
        ("activity", "<u4"),  # row of counts, or NIL; in a free row: the next free one
        ("roles", "<u2"),
        ("friends_class", "u1"),  # the list has room for 4 << class entries; 255: none
        ("age", "u1"),  # AgeBand
        ("age_source", "u1"),  # AgeSource; 0: a hint carried by another event
        ("state", "u1"),  # FREE, LIVE or DELETED
        ("suspicion", "u1"),  # as detectors see it (see `graph.shard.Shard.set_suspicion`)
        ("callers", "<u4"),  # block of callers, or NIL
    ],
    align=False,
)
SIGN_BITS: Final = 9
ALL_SIGNS: Final = (1 << SIGN_BITS) - 1
MOST_MESSAGES: Final = 127
FREE: Final = 0
LIVE: Final = 1
DELETED: Final = 2

PAIR: Final = np.dtype(
    [
        ("first", "<i8"),  # time of the first contact, ms
        ("last", "<i8"),  # time of the latest contact, ms
        ("event", "<u8"),  # text of the first contact's event id, as in ACCOUNT; 0: none held
        ("activity", "<u4"),  # the actor's row of counts; NIL: the actor was deleted, the row waits for the horizon
        ("target", "<u4"),
        ("earlier", "<u4"),  # the actor's contact before this one, in order of arrival
        ("later", "<u4"),
        ("first_next", "<u4"),  # next in the calendar of first contacts
        ("last_next", "<u4"),  # next in the calendar of latest contacts; in a free row: the next free one
        ("last_prev", "<u4"),
        ("flags", "<u2"),
        ("signs", "<u2"),  # low SIGN_BITS: Sign bits of its messages so far; above: how many, MOST_MESSAGES at most
    ],
    align=False,
)


SLOTS: Final = 8
CALLERS: Final = np.dtype(
    [
        ("actor", "<u4", (SLOTS,)),  # lower half of the hash, the newest call first; 0: none from here on
        ("at", "<u4", (SLOTS,)),  # epoch seconds
        ("suspicion", "u1", (SLOTS,)),  # of the actor, when it called
        ("target", "<u4"),  # whose callers; in a free block: the next free one
    ],
    align=False,
)
TIES: Final = np.dtype(
    [
        ("other", "<u4", (SLOTS,)),  # lower half of another actor's hash
        ("count", "<u2", (SLOTS,)),  # targets shared, a lower bound; 0: an empty place
        ("since", "<u4"),  # the last halving, epoch seconds; in a free table: the next free one
    ],
    align=False,
)


class _Vars(NamedTuple):
    CLOCK: int = 0  # highest event time seen, guarded, ms; -1: no event yet
    DUE: int = 1  # the clock at which the next calendar entry or bucket is due
    LATENESS: int = 2  # ms; an older contact is late
    MAX_JUMP: int = 3  # ms; a longer step of the clock wants several witnesses
    WITHDRAWAL: int = 4  # ms in which a cancelled request counts as withdrawn
    SUPPORT: int = 5  # events in range since the clock was first set
    AHEAD: int = 6  # events in a row that were too far ahead
    AHEAD_MIN: int = 7
    AHEAD_ACTOR: int = 8
    ACCOUNTS_TOP: int = 9  # rows ever used
    ACCOUNTS_FREE: int = 10  # head of the free list, or NIL
    ACCOUNTS: int = 11  # rows in use
    PAIRS_TOP: int = 12
    PAIRS_FREE: int = 13
    PAIRS: int = 14
    ACTIVITY_TOP: int = 15
    ACTIVITY_FREE: int = 16
    ACTIVITY: int = 17
    TEXT_TOP: int = 18
    TEXT_DEAD: int = 19  # bytes of the arena that nothing refers to
    POOL_TOP: int = 20
    FRIENDSHIPS: int = 21  # neighbour list entries
    GENERATION: int = 22  # which dedupe table is current
    ROTATE_AT: int = 23  # the clock at which the older dedupe table is forgotten: a multiple of the lateness
    SEEN_CURRENT: int = 24  # ids in the current dedupe table
    SEEN_BEFORE: int = 25  # ids in the other one
    N_EVENTS: int = 26  # counters from here on
    N_DUPLICATE: int = 27
    N_LATE: int = 28
    N_AHEAD: int = 29
    N_FIRST: int = 30
    N_UNMATCHED: int = 31  # outcomes of contacts that the graph did not hold when they came
    N_ERASED: int = 32
    TICK: int = 33  # the next time, ms, that the clock does not pass unseen
    TICK_WIDTH: int = 34
    TEXT_EVENTS: int = 35  # bytes of event ids in the arena that contacts refer to
    SILENT: int = 36  # the contact whose row of silence is to be written next, or NIL
    CALLERS_TOP: int = 37
    CALLERS_FREE: int = 38
    TIES_TOP: int = 39
    TIES_FREE: int = 40
    ERASED: int = 41  # accounts that callers and ties are still to forget
    HELD: int = 42  # pairs that stand among an actor's contacts: not those that only wait in the calendars
    SIZE: int = 48


Var: Final = _Vars()
"""Indices into `State.vars`, the shard's scalars (int64); a named tuple, since the kernels can read one."""


# what a row of features is about
OUTCOME: Final = 0  # an answer to a contact, or that the account is erased
FIRST: Final = 1  # a first contact by the account
SILENCE: Final = 2  # a contact that nobody has answered within the answer time
SIGNED: Final = 3  # a message of a known pair that showed signs which the pair had not shown before
EXPOSED: Final = (
    4  # a first contact by a stranger under suspicion with a minor, whom the row is about: see `graph.callers`
)
WITHDRAWN: Final = 5  # a request that the actor took back in time: the row is as if it had never been
CORRECTED: Final = 6  # another age of the account than was known

FEATURES: Final = np.dtype(
    [
        ("counts", "<u4", (len(COLUMNS),)),
        ("time", "<i8"),  # of the event that led to the row, ms; of a silence, when the answer time was over
        ("ingested_at", "<i8"),  # of that event; NO_TIME in the row of a silence
        ("hash", "<u8"),  # of the account that the row is about
        ("account", "<u4"),
        ("pair", "<u4"),  # the account's newest contact as of this row; NIL: none in the last 7 days
        ("source", "<u4"),  # index in its batch of the event; of a silence, of the one that moved the clock
        ("friends", "<u4"),
        ("triangles", "<u4"),
        ("created", "<u4"),  # epoch seconds, 0: unknown
        ("mutual", "<i4"),  # mutual friends with the target; -1 but in the row of a first contact
        ("waited", "<u4"),  # seconds since that contact, in a row about a pair
        ("roles", "<u2"),
        ("flags", "<u2"),  # of the contact that the row is about; 0 where it is about none; WITHDRAWN: what they were
        ("signs", "<u2"),  # Sign bits that the account's messages to this target have shown so far
        ("new_signs", "<u2"),  # ... and no row before this one
        ("kind", "u1"),  # EventKind of the event; 0 in the row of a silence
        ("age", "u1"),
        ("target_age", "u1"),  # as the account's shard knows it; CORRECTED: the account's own until now
        ("what", "u1"),  # OUTCOME, FIRST, SILENCE, SIGNED, EXPOSED, WITHDRAWN or CORRECTED
        ("messages", "u1"),  # the account's to this target so far, MOST_MESSAGES at most
        # others who reach for the same targets (see `graph.callers`)
        ("callers", "u1"),  # first contact: others who called on the target in the last 7 days, SLOTS at most
        ("suspects", "u1"),  # ... of whom were under suspicion; EXPOSED: with the one who calls, here and above
        ("strong", "u1"),  # EXPOSED: ... of whom were under strong suspicion
        ("shared", "u1"),  # the most targets that the account shares with one other actor, at least; 255 at most
        ("sharers", "u1"),  # others with whom it shares three or more
    ],
    align=False,
)
"""A row of features as of one event, or of one moment at which an answer time was over: counts include that."""


class State(NamedTuple):
    """All arrays of a shard, as the kernels take them."""

    vars: NDArray[np.int64]  # (Var.SIZE,)
    accounts: NDArray[np.void]  # ACCOUNT
    account_index: NDArray[np.uint32]  # (power of two,), open addressing by hash
    text: NDArray[np.uint8]
    counts: NDArray[np.uint32]  # (activity rows, len(COLUMNS))
    owner: NDArray[np.uint32]  # activity row -> account; in a free row: the next free one
    newest: NDArray[np.uint32]  # activity row -> newest contact
    ties_of: NDArray[np.uint32]  # activity row -> table of ties, or NIL
    ties: NDArray[np.void]  # TIES
    callers: NDArray[np.void]  # CALLERS
    erased: NDArray[np.uint32]  # the first Var.ERASED: lower halves of hashes
    pairs: NDArray[np.void]  # PAIR
    pair_index: NDArray[np.uint32]  # (power of two,)
    pool: NDArray[np.uint32]  # neighbour lists
    pool_free: NDArray[np.uint32]  # (32,) free list a size class
    seen: NDArray[np.uint64]  # (2, power of two): event hashes, current and previous generation
    buckets: NDArray[np.uint32]  # (2, BUCKETS): heads of the calendars of first and latest contacts
    in_order: NDArray[np.bool_]  # (2, BUCKETS): the bucket's chain stands in order of time
    cursor_width: NDArray[np.int64]  # (8,) ms
    cursor_at: NDArray[np.int64]  # (8,) everything up to here has passed
    cursor_bucket: NDArray[np.int64]  # (8,) the bucket that `cursor_at` falls into
    cursor_next: NDArray[np.uint32]  # (8,) the next entry to pass in that bucket, or NIL
    cursor_due: NDArray[np.int64]  # (8,) the clock before which there is nothing to pass


BUCKET_BITS: Final = 16  # a bucket is 65.5 s
BUCKETS: Final = 1 << 16  # 49.7 days

MAX_HORIZON: Final = 45 * DAY
LARGE: Final = 1 << 18
HOLDERS: Final = 3
"""References to an array that only its owner holds, as `grown` sees them: the owner's, its own, and the count's."""


def create(
    *, answer_time: int, horizon: int, lateness: int, max_jump: int, withdrawal: int, tick: int, accounts: int = 1024
) -> State:
    """Return the arrays of an empty shard.

    Parameters
    ----------
    answer_time : int
        A contact with no answer for this long counts as ignored, ms.
    horizon : int
        A contact is held until this long after the latest message or request of its pair, ms.
    lateness : int
        A contact this much older than the clock is kept out, ms.
    max_jump : int
        A longer step of the clock is believed only once several accounts bear it out, ms.
    withdrawal : int
        A request cancelled within this time and unanswered is uncounted, ms.
    tick : int
        The clock stops at every multiple of this, ms.
    accounts : int
        Rows to begin with.

    Raises
    ------
    ValueError
        If the times do not fit one another or the calendar.
    """
    week = WINDOWS["7d"]
    if not week + 2 * DAY <= horizon <= MAX_HORIZON:
        raise ValueError("horizon must lie between 9 and 45 days")
    if not 0 < lateness <= DAY:
        raise ValueError("lateness must be positive and at most 24 hours")
    if not 0 < answer_time < week:
        raise ValueError("answer_time must be positive and less than 7 days")
    if max_jump < lateness or withdrawal < 0:
        raise ValueError("max_jump must be at least lateness, and withdrawal not negative")
    if not 0 < tick <= DAY:
        raise ValueError("tick must be positive and at most 24 hours")
    scalars = np.zeros(Var.SIZE, np.int64)
    scalars[Var.CLOCK] = scalars[Var.TICK] = -1
    scalars[Var.TICK_WIDTH] = tick
    scalars[Var.LATENESS], scalars[Var.MAX_JUMP], scalars[Var.WITHDRAWAL] = lateness, max_jump, withdrawal
    frees = (Var.ACCOUNTS_FREE, Var.PAIRS_FREE, Var.ACTIVITY_FREE, Var.CALLERS_FREE, Var.TIES_FREE)
    for head in (*frees, Var.SILENT):
        scalars[head] = NIL
    widths = [HOUR, answer_time, DAY, week, HOUR, DAY, week, horizon]
    slots = 1 << (4 * accounts - 1).bit_length()
    return State(
        vars=scalars,
        accounts=np.zeros(accounts, ACCOUNT),
        account_index=np.full(slots, NIL, np.uint32),
        text=np.zeros(16 * accounts, np.uint8),
        counts=np.zeros((accounts, len(COLUMNS)), np.uint32),
        owner=np.zeros(accounts, np.uint32),
        newest=np.zeros(accounts, np.uint32),
        ties_of=np.zeros(accounts, np.uint32),
        ties=np.zeros(1, TIES),
        callers=np.zeros(1, CALLERS),
        erased=np.zeros(1, np.uint32),
        pairs=np.zeros(accounts, PAIR),
        pair_index=np.full(slots, NIL, np.uint32),
        pool=np.zeros(8 * accounts, np.uint32),
        pool_free=np.full(32, NIL, np.uint32),
        seen=np.zeros((2, slots), np.uint64),
        buckets=np.full((2, BUCKETS), NIL, np.uint32),
        in_order=np.zeros((2, BUCKETS), np.bool_),
        cursor_width=np.array(widths, np.int64),
        cursor_at=np.zeros(8, np.int64),
        cursor_bucket=np.zeros(8, np.int64),
        cursor_next=np.full(8, NIL, np.uint32),
        cursor_due=np.zeros(8, np.int64),
    )


def grown(array: NDArray[Any], needed: int) -> NDArray[Any]:
    """Return `array` with room for `needed` rows: itself, or a longer one with what it holds; new rows are zeros.

    A small array grows by half, one of `LARGE` bytes and more by a sixteenth. It is lengthened in place, which for a
    large one moves pages and copies nothing, unless others hold it or a view of it, or its memory is not its own.
    """
    have = len(array)
    if needed <= have:
        return array
    room = max(needed, have + have // (2 if array.nbytes < LARGE else 16))
    if array.flags.owndata and getrefcount(array) <= HOLDERS:
        array.resize((room, *array.shape[1:]), refcheck=False)
        return array
    longer = np.zeros((room, *array.shape[1:]), array.dtype)
    longer[:have] = array
    return longer
