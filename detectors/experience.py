"""Experience: how much evidence ordinary accounts reach on this platform, and what a new amount is worth beside it.

A fitted distribution is thinner in the tail than people are: they have parties, new jobs and lonely winters, and
they are looked at many times a day. So each detector keeps the highest raw evidence that each account it scored
reached in a day, and evidence counts for no more than the share of account-days that reach as much. Beyond what
that share can be read from, excesses over a threshold are taken as exponential in nats, a power law in p (peaks
over threshold: Pickands, 1975; on streams: Siffer et al., "Anomaly detection in streams with extreme value
theory", KDD 2017). This weakens evidence, and never strengthens it.

Assumptions: attackers are fewer than the trimmed share of the account-days of an age group.
Cost: one comparison a row; once a day, a pass over the accounts scored that day.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from detectors.policy import BaselinePolicy
from graph.jit import njit
from graph.state import DAY, grown

__all__ = ["GROUPS", "Experience", "weaken"]

GROUPS: Final = 4
BINS: Final = 400
WIDTH: Final = 0.25
"""Nats a bin of the histogram; the last bin holds all above."""
PRIOR: Final = 300.0
"""Account-days for which the fitted distributions are believed, before there is experience."""
POOL: Final = 1000.0
"""Account-days of all age groups that an age group without its own leans on."""
SPREAD: Final = 3.0
"""The threshold lies where this many times the trimmed share of account-days are above."""


@njit
def weaken(nats: float, share: float, at: float, scale: float) -> Any:
    """Return what raw evidence counts: `share` nats at `at`, and from there on one for each `scale`."""
    known = nats * share / at if nats < at else share + (nats - at) / scale
    return min(nats, known)


@njit
def keep_peaks(rows: Any, group: Any, raw: Any, peaks: Any, groups: Any) -> None:
    """Raise each account's highest raw evidence of the day."""
    for i in range(len(rows)):
        if raw[i] >= 0.0:
            account = rows[i].account
            groups[account] = group[i]
            if raw[i] > peaks[account]:
                peaks[account] = raw[i]


class Experience:
    """What one detector found in ordinary accounts, by age group.

    Parameters
    ----------
    policy : BaselinePolicy

    Attributes
    ----------
    at, scale : ndarray, shape (GROUPS,)
        The threshold, in raw nats, and the raw nats beyond it that count for one.
    share : float
        What the threshold counts for, in nats.
    """

    STATE: ClassVar = ("peaks", "groups", "histogram", "at", "scale", "last")

    def __init__(self, policy: BaselinePolicy) -> None:
        self.half_life = policy.half_life_days * DAY
        self.trim = max(policy.trim_share, 0.001)
        self.share = -math.log(SPREAD * self.trim)
        self.peaks = np.full(1024, -1.0, np.float32)
        self.groups = np.zeros(1024, np.uint8)
        self.histogram = np.zeros((GROUPS, BINS))
        self.at = np.full(GROUPS, self.share)
        self.scale = np.ones(GROUPS)
        self.last = -1
        edges = np.exp(-WIDTH * np.arange(BINS))
        self._prior = PRIOR * np.append(edges[:-1] - edges[1:], edges[-1])

    def note(self, rows: NDArray[np.void], group: NDArray[np.int64], raw: NDArray[np.float64]) -> None:
        """Note the raw evidence of rows; a negative one is of an account that the detector does not judge."""
        top = int(rows["account"].max(initial=0)) + 1
        if top > len(self.peaks):
            before = len(self.peaks)
            self.peaks, self.groups = grown(self.peaks, top), grown(self.groups, top)
            self.peaks[before:] = -1.0
        keep_peaks(rows, group, raw, self.peaks, self.groups)

    def learn(self, time: int) -> None:
        """Take the peaks of the day that ends at `time`, epoch ms, into account; between days, do nothing."""
        if time % DAY:
            return
        if self.last >= 0:
            self.histogram *= 0.5 ** ((time - self.last) / self.half_life)
        self.last = time
        scored = np.flatnonzero(self.peaks >= 0.0)
        bins = np.minimum(self.peaks[scored] / WIDTH, BINS - 1).astype(np.int64)
        cells = self.groups[scored].astype(np.int64) * BINS + bins
        self.histogram += np.bincount(cells, minlength=GROUPS * BINS).reshape(GROUPS, BINS)
        self.peaks[scored] = -1.0
        self._fit()

    def _fit(self) -> None:
        pooled = self.histogram.sum(axis=0)
        total = pooled.sum()
        lean = pooled * (min(total, POOL) / total) if total else pooled
        mixed = self.histogram + lean + self._prior
        above = mixed[:, ::-1].cumsum(axis=1)[:, ::-1]
        above /= above[:, :1]
        for g in range(GROUPS):
            self.at[g] = max(self._reach(above[g], SPREAD * self.trim), self.share)
            top = self._reach(above[g], self.trim)
            self.scale[g] = max(1.0, (top - self.at[g]) / math.log(SPREAD))

    @staticmethod
    def _reach(above: NDArray[np.float64], share: float) -> float:
        """Return the nats that `share` of account-days reach, on a line of log shares between bins."""
        i = int(np.searchsorted(-above, -share))  # the first bin that fewer reach
        if i >= BINS:
            return BINS * WIDTH
        high, low = math.log(above[i - 1]), math.log(max(above[i], 1e-300))
        return WIDTH * (i - 1 + (high - math.log(share)) / (high - low))

    def needed(self, group: int, nats: float) -> float:
        """Return the raw evidence that counts for `nats`."""
        at, scale = float(self.at[group]), float(self.scale[group])
        known = nats * at / self.share if nats < self.share else at + (nats - self.share) * scale
        return max(nats, known)

    def forget(self, accounts: NDArray[np.uint32]) -> None:
        """Drop today's peaks of these accounts."""
        self.peaks[accounts[accounts < len(self.peaks)]] = -1.0
