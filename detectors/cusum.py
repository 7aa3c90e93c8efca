"""CUSUM of the log-likelihood ratio of meeting minors, carried per account for as long as it stands above zero.

Page (1954). Under the baseline an account meets minors among strangers as a Poisson process; under the
alternative, `odds` times as often. Each contact with a minor adds ln(odds), and what was to be expected
in the meantime takes away (odds - 1) per minor expected. What was expected is the larger of two: the
cohort's share of the strangers contacted, and the cohort's rate over the time that went by. An account must thus
exceed both what its own reach explains and what its cohort does in the same time.

Only accounts above zero hold a row; most never do.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from graph.jit import njit
from graph.state import FIRST, LINKED, MINOR, NIL, STRANGER, WITHDRAWN, grown

__all__ = ["SUM", "Cusum"]

SUM: Final = np.dtype(
    [
        ("account", "<u4"),  # in a free row: the next free one
        ("minors", "<u4"),  # contacts with minors since the sum last left zero
        ("linked", "<u4"),  # ... of whom are friends of other targets, and count half
        ("strangers", "<u4"),
        ("value", "<f8"),  # nats
        ("expected", "<f8"),  # minors expected since then
        ("since", "<i8"),  # when it left zero, ms
        ("at", "<i8"),  # when it was last moved, ms
    ]
)
DAY: Final = 86_400_000.0


@njit
def follow(
    rows: Any,
    share: Any,
    rate: Any,
    skip: Any,
    slots: Any,
    sums: Any,
    free: Any,
    log_odds: float,
    drift: float,
    out: Any,
) -> Any:
    """Move the sums along the rows, in order; write each row's sum, as it then stands, into `out`."""
    for i in range(len(rows)):
        r = rows[i]
        slot = np.int64(slots[r.account])
        if r.what == FIRST and not skip[i] and r.flags & STRANGER:
            minor = r.flags & MINOR != 0
            if slot == NIL:
                if not minor:
                    continue
                slot = free[0]
                if slot == NIL:
                    slot = free[1]
                    free[1] += 1
                else:
                    free[0] = sums[slot].account
                slots[r.account] = slot
                s = sums[slot]
                s.account = r.account
                s.minors = 0
                s.linked = 0
                s.strangers = 0
                s.value = 0.0
                s.expected = 0.0
                s.since = r.time
                s.at = r.time
            s = sums[slot]
            expected = max(share[i], rate[i] * max(r.time - s.at, 0) / DAY)
            weight = 0.5 if r.flags & LINKED else 1.0
            s.value += (weight * log_odds if minor else 0.0) - drift * expected
            s.expected += expected
            s.minors += minor
            s.linked += minor and r.flags & LINKED != 0
            s.strangers += 1
            s.at = max(s.at, r.time)
            if s.value <= 0.0:
                s.account = free[0]
                free[0] = slot
                slots[r.account] = NIL
                continue
        elif r.what == WITHDRAWN and slot != NIL and not skip[i] and r.flags & STRANGER:
            s = sums[slot]  # what was to be expected in the meantime stays: it is little, and in the account's favour
            s.strangers -= min(s.strangers, 1)
            if r.flags & MINOR:
                s.minors -= min(s.minors, 1)
                s.linked -= min(s.linked, 1) if r.flags & LINKED else 0
                s.value -= log_odds * (0.5 if r.flags & LINKED else 1.0)
                if s.value <= 0.0:
                    s.account = free[0]
                    free[0] = slot
                    slots[r.account] = NIL
                    continue
        if slot != NIL:
            out[i] = sums[slot]


class Cusum:
    """The sums of all accounts of a shard.

    Parameters
    ----------
    odds : float
        How many times as often the alternative meets minors.
    """

    STATE: ClassVar = ("slots", "sums", "free")

    def __init__(self, odds: float) -> None:
        self.log_odds = math.log(odds)
        self.drift = odds - 1.0
        self.slots = np.full(1024, NIL, np.uint32)
        self.sums = np.zeros(256, SUM)
        self.free = np.array([NIL, 0], np.int64)

    def follow(
        self, rows: NDArray[np.void], share: NDArray[np.float64], rate: NDArray[np.float64], skip: NDArray[np.bool_]
    ) -> NDArray[np.void]:
        """Move along a table of rows and return the account's sum as of each row.

        Parameters
        ----------
        rows : ndarray of FEATURES, shape (n,)
        share, rate : ndarray, shape (n,)
            The cohort's share of minors among strangers, and minors a day.
        skip : ndarray of bool, shape (n,)
            Rows that do not count.
        """
        top = int(rows["account"].max(initial=0)) + 1
        if top > len(self.slots):
            before = len(self.slots)
            self.slots = grown(self.slots, top)
            self.slots[before:] = NIL
        self.sums = grown(self.sums, int(self.free[1]) + len(rows))
        out = np.zeros(len(rows), SUM)
        follow(rows, share, rate, skip, self.slots, self.sums, self.free, self.log_odds, self.drift, out)
        return out

    def forget(self, accounts: NDArray[np.uint32]) -> None:
        """Drop the sums of these accounts."""
        for account in accounts[accounts < len(self.slots)]:
            slot = self.slots[account]
            if slot != NIL:
                self.sums["account"][slot] = self.free[0]
                self.free[0] = slot
                self.slots[account] = NIL
