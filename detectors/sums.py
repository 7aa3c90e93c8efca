"""What an account did of late: sums over its contacts and their outcomes that fade with time.

A window forgets all at once, and a slow attacker lives below it. A fading sum (an exponentially weighted moving count)
has no edge to stay under: each event counts one, and less and less with its age. It is the count over an exponential
window of mean length `memory`, costs one row of floats an account, and moves with the account's own rows alone, so
that it does not matter how the stream was cut.

What is counted of a contact and of its outcome is what the row of features says; an outcome that comes after the
contact had counted as ignored takes that back, as far as it has not faded. The first row of a contact tells whatever
is known of it by then, also when it came late or its target's shard was slow to answer.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graph.batch import EventKind, Sign
from graph.fetch import fetch
from graph.jit import njit
from graph.state import (
    ACCEPTED,
    BLOCKED,
    CONTACT,
    DECLINED,
    FIRST,
    IGNORED,
    LINKED,
    LONE,
    MINOR,
    NIL,
    OUTCOME,
    PENDING,
    REPLIED,
    REPORTED,
    SILENCE,
    STRANGER,
    WITHDRAWN,
    grown,
)

__all__ = ["LURING", "SEVERE", "SUMS", "Sum", "Sums"]


class _Sum(NamedTuple):
    FIRST: int = 0  # first contacts
    STRANGERS: int = 1  # ... with strangers
    LINKED: int = 2  # ... who are friends of other recent targets
    AGED: int = 3  # strangers of known age
    MINORS: int = 4  # strangers who are minors across an age gap
    GAP: int = 5  # years by which the account is older than such strangers, 20 count as one
    FAR: int = 6  # strangers of known age who are no peers of the account, by its own age
    WELCOME: int = 7  # adults, or people of unknown age, who accepted or replied; but for those who were written to
    REFUSED: int = 8  # ... who declined, blocked, or did not answer in time
    WELCOME_MINORS: int = 9  # minors who accepted or replied
    REFUSED_MINORS: int = 10
    COLD_ANSWERED: int = 11  # of the others, strangers whom the account wrote to, and who answered
    COLD: int = 12  # ... and who did not
    BLOCKED: int = 13  # blocks and reports by those whom the account had contacted
    BLOCKED_MINORS: int = 14  # ... by minors
    LURING: int = 15  # pairs with signs of luring, but for those with minors across an age gap
    SEVERE: int = 16  # ... with severe signs
    DEEP: int = 17  # ... with signs of three kinds and more
    FIRST_MINORS: int = 18  # first contacts with minors across an age gap, strangers or not
    LURING_MINORS: int = 19  # ... with signs of luring
    SEVERE_MINORS: int = 20  # ... with severe signs
    DEEP_MINORS: int = 21  # ... with signs of three kinds and more
    SUSPECTS: int = 22  # strangers whom accounts under suspicion had reached for
    SHARED: int = 23  # targets beyond the first shared with one other account, as of the last row
    KNOWN: int = 24  # first contacts of known age with whom the account has a tie: no strangers
    KNOWN_MINORS: int = 25  # ... who are minors across an age gap
    SIZE: int = 26


Sum: Final = _Sum()
"""Columns of the sums."""
SUMS: Final = tuple(name.lower() for name in Sum._fields if name != "SIZE")

LURING: Final = int(Sign.SECRECY | Sign.PROBING | Sign.PERSONAL_INFO | Sign.OFF_PLATFORM | Sign.MEET_UP)
SEVERE: Final = int(Sign.SEXUAL | Sign.BLACKMAIL | Sign.IMAGE_REQUEST)
DECLINING: Final = int(EventKind.REQUEST_DECLINED)
BLOCKING: Final = int(EventKind.ACCOUNT_BLOCKED)
REPORTING: Final = int(EventKind.ACCOUNT_REPORTED)
YEARS: Final = (0.0, 11.0, 14.0, 16.5, 19.0, 30.0)
PEER_GAP: Final = 3.5
SIGN_KINDS: Final = 8
DEPTH: Final = 3
"""Kinds of signs in one pair from which on it has gone deep."""
AHEAD: Final = 8
"""Rows between asking for memory and using it."""
DUST: Final = 1e-4
"""What is left of a contact that was uncounted, by rounding, at most."""
GAP_TOP: Final = 20.0
"""Years between two accounts beyond which a gap does not count for more."""


@njit
def kinds(signs: int) -> Any:
    """Return how many kinds of signs there are; an age claim alone leads nowhere and does not count."""
    count = 0
    for bit in range(SIGN_KINDS):
        count += (signs >> bit) & 1
    return count


@njit
def is_child(r: Any) -> Any:
    """Tell whether the row's contact is with a minor across an age gap; an account of unknown age counts as adult."""
    years = YEARS[r.age] if r.age else YEARS[5]
    return 0 < r.target_age <= 3 and years - YEARS[r.target_age] >= PEER_GAP


@njit
def welcome_column(r: Any) -> Any:
    """Return the column that counts a welcome of the row's contact; the one after it counts refusals.

    They are for a minor; an adult, or somebody of unknown age, who was written to as a stranger; one who was asked, or
    known.
    """
    if 0 < r.target_age <= 3:
        return Sum.WELCOME_MINORS
    return Sum.COLD_ANSWERED if r.flags & STRANGER and not r.flags & LONE else Sum.WELCOME


@njit
def count_blocked(v: Any, r: Any) -> Any:
    """Count somebody who blocked or reported the account."""
    v[Sum.BLOCKED] += 1.0
    if 0 < r.target_age <= 3:
        v[Sum.BLOCKED_MINORS] += 1.0


@njit
def count_first(v: Any, r: Any, one: float) -> Any:
    """Count a first contact, as `one`, and what has come of it already: it can be heard of later than its answer."""
    v[Sum.FIRST] += one
    if is_child(r):
        v[Sum.FIRST_MINORS] += one
    if r.flags & (ACCEPTED | REPLIED):
        v[welcome_column(r)] += one
    elif r.flags & (DECLINED | IGNORED | BLOCKED | REPORTED):
        v[welcome_column(r) + 1] += one
    if r.flags & (BLOCKED | REPORTED):
        count_blocked(v, r)
    if not r.flags & STRANGER:
        if r.target_age:
            v[Sum.KNOWN] += one
            if is_child(r):
                v[Sum.KNOWN_MINORS] += one
        return
    v[Sum.STRANGERS] += one
    if r.flags & LINKED:
        v[Sum.LINKED] += one
    if r.flags & MINOR:
        v[Sum.MINORS] += one
    if r.suspects:
        v[Sum.SUSPECTS] += one
    if r.target_age:
        v[Sum.AGED] += one
        gap = (YEARS[r.age] if r.age else YEARS[5]) - YEARS[r.target_age]
        if gap >= PEER_GAP:
            v[Sum.GAP] += one * min(gap, GAP_TOP) / GAP_TOP
        if abs(gap) >= PEER_GAP:
            v[Sum.FAR] += one


@njit
def take_back(v: Any, r: Any, now: int, memory: float) -> Any:
    """Uncount a request that was withdrawn, as far as it has not faded by `now`, to which the sums have moved."""
    age = now - np.int64(r.time) + 1000 * np.int64(r.waited)  # ms, but for less than a second
    count_first(v, r, -math.exp(-age / memory) if age > 0 else -1.0)
    for j in range(Sum.SIZE):
        if v[j] < DUST:
            v[j] = 0.0


@njit
def count_outcome(v: Any, r: Any, now: int, answer_s: int, memory: float) -> Any:
    """Count what came of a contact; `now`, to which the sums have moved, is at or after the row's time."""
    if not r.flags & CONTACT or r.flags & PENDING:
        return  # a crowd that the account never met must not convict it; a contact not yet counted tells it itself
    welcome = welcome_column(r)
    refused = welcome + 1
    if r.what == SILENCE:
        v[refused] += 1.0
        return
    answers = r.flags & (ACCEPTED | DECLINED | REPLIED | BLOCKED | REPORTED)
    alone = answers & (answers - 1) == 0  # nothing was known of it before
    # Once the account's sums have moved past a contact's answer time, it has counted as ignored, also when the answer
    # bears an earlier time and was only read now. `waited` is in whole seconds.
    silent = now - np.int64(r.time) + 1000 * (np.int64(r.waited) - answer_s)  # for how long, ms
    overdue = alone and silent > -1000
    if r.kind == BLOCKING or r.kind == REPORTING:
        if not (r.flags & BLOCKED and r.flags & REPORTED):
            count_blocked(v, r)
        if alone and not overdue:
            v[refused] += 1.0
    elif r.kind == DECLINING:
        if alone and not overdue:
            v[refused] += 1.0
    else:
        both = r.flags & (ACCEPTED | REPLIED)
        if both & (both - 1) == 0:
            v[welcome] += 1.0
            if overdue:
                left = math.exp(-silent / memory) if silent > 0 else 1.0
                v[refused] = max(v[refused] - left, 0.0)


@njit
def count_signs(v: Any, r: Any) -> Any:
    """Count the first sign of each sort in a pair."""
    before = r.signs & ~r.new_signs
    shift = Sum.LURING_MINORS - Sum.LURING if is_child(r) else 0
    if r.new_signs & LURING and not before & LURING:
        v[Sum.LURING + shift] += 1.0
    if r.new_signs & SEVERE and not before & SEVERE:
        v[Sum.SEVERE + shift] += 1.0
    if kinds(before) < DEPTH <= kinds(r.signs):
        v[Sum.DEEP + shift] += 1.0


@njit
def follow(
    rows: Any, slots: Any, last: Any, owner: Any, free: Any, sums: Any, memory: float, answer_s: int, out: Any
) -> Any:
    """Move the sums along the rows, in order; write each row's sums, as they then stand, into `out`."""
    count = len(rows)
    for i in range(count):
        # accounts come in any order: ask for their memory while others are worked on
        if i + 2 * AHEAD < count:
            fetch(slots, np.int64(rows[i + 2 * AHEAD].account))
        if i + AHEAD < count:
            soon = np.int64(slots[rows[i + AHEAD].account])
            if soon != NIL:
                fetch(sums, soon)
                fetch(last, soon)
        r = rows[i]
        slot = np.int64(slots[r.account])
        if slot == NIL:
            slot = free[0]
            if slot == NIL:
                slot = free[1]
                free[1] += 1
            else:
                free[0] = owner[slot]
            slots[r.account] = slot
            owner[slot] = r.account
            last[slot] = r.time
            for j in range(Sum.SIZE):
                sums[slot, j] = 0.0
        v = sums[slot]
        if r.time > last[slot]:
            kept = np.float32(math.exp((last[slot] - r.time) / memory))
            for j in range(Sum.SIZE):
                v[j] *= kept
            last[slot] = r.time
        if r.what == FIRST:
            count_first(v, r, 1.0)
        elif r.what == WITHDRAWN:
            take_back(v, r, last[slot], memory)
        elif r.what == OUTCOME or r.what == SILENCE:
            count_outcome(v, r, last[slot], answer_s, memory)
        if r.new_signs:
            count_signs(v, r)
        v[Sum.SHARED] = max(np.int64(r.shared) - 1, 0)
        for j in range(Sum.SIZE):
            out[i, j] = v[j]


class Sums:
    """The sums of all accounts of a shard that reached out or were answered of late.

    Parameters
    ----------
    memory : int
        Mean length of the exponential window, ms.
    answer_time : int
        After which a contact counts as ignored, ms.

    Attributes
    ----------
    values : ndarray of float32, shape (slots, Sum.SIZE)
    last : ndarray of int64, shape (slots,)
        Event time to which each row has faded, ms.
    owner : ndarray of uint32, shape (slots,)
        The account of each row; in a free row, the next free one.
    """

    STATE: ClassVar = ("slots", "values", "last", "owner", "free")

    def __init__(self, memory: int, answer_time: int) -> None:
        self.memory = memory
        self.answer_s = answer_time // 1000
        self.slots = np.full(1024, NIL, np.uint32)
        self.values = np.zeros((256, Sum.SIZE), np.float32)
        self.last = np.zeros(256, np.int64)
        self.owner = np.full(256, NIL, np.uint32)
        self.free = np.array([NIL, 0], np.int64)  # head of the free rows, rows ever used

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(array.nbytes for array in (self.slots, self.values, self.last, self.owner))

    def follow(self, rows: NDArray[np.void]) -> NDArray[np.float32]:
        """Count rows, in order; return the sums of each row's account after it, shape (n, Sum.SIZE)."""
        top = int(rows["account"].max(initial=0)) + 1
        if top > len(self.slots):
            before = len(self.slots)
            self.slots = grown(self.slots, top)
            self.slots[before:] = NIL
        need = int(self.free[1]) + len(rows)
        self.values, self.last, self.owner = (grown(a, need) for a in (self.values, self.last, self.owner))
        out = np.empty((len(rows), Sum.SIZE), np.float32)
        follow(
            *(rows, self.slots, self.last, self.owner, self.free, self.values),
            *(float(self.memory), self.answer_s, out),
        )
        return out

    def moved_since(self, time: int) -> NDArray[np.int64]:
        """Return the slots in use that moved at or after `time`, epoch ms."""
        top = int(self.free[1])
        found: NDArray[np.int64] = np.flatnonzero(self.last[:top] >= max(time, 0))  # -1: a free one
        return found

    def forget(self, accounts: NDArray[np.uint32]) -> None:
        """Drop the sums of these accounts."""
        known = accounts[accounts < len(self.slots)]
        for account in np.unique(known).tolist():
            slot = int(self.slots[account])
            if slot != NIL:
                self.slots[account] = NIL
                self.values[slot] = 0.0
                self.last[slot] = -1
                self.owner[slot] = self.free[0]
                self.free[0] = slot

    def drop_faded(self, time: int) -> None:
        """Drop, as of `time` (epoch ms), what has faded to less than one part in 400."""
        top = int(self.free[1])
        old = np.flatnonzero((self.last[:top] >= 0) & (self.last[:top] < time - 6 * self.memory))
        self.forget(self.owner[old])
