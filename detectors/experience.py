"""Experience: how much evidence ordinary accounts reach on this platform, and how rare a new amount is beside it.

A sum of evidence is only so good a model of people: they have parties, new jobs and lonely winters, they are looked at
many times a day, and families of evidence are not quite independent. So what a sum is worth is read from the stream.
The highest sum that each account reached in a day is kept, by age group. Where the strongest 5 % of account-days begin,
and how fast the share of account-days falls on the way there, is read from the histogram; beyond, the fall is taken as
exponential (peaks over threshold: Pickands, 1975; on streams: Siffer et al., "Anomaly detection in streams with extreme
value theory", KDD 2017). On simulated platforms innocent sums do fall so, as fast beyond 1 in 20 as before it
(`benchmarks/calibration.py` measures it); attackers, who are among the strongest, make it look slower. The part of the
histogram in which they may be many is not used at all: they do not teach what is ordinary.

Assumptions: attackers are well under 5 % of the account-days of an age group.
Cost: one comparison a row; once a day, a pass over the accounts that moved that day.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from detectors.policy import BaselinePolicy
from graph.jit import njit
from graph.state import DAY, WITHDRAWN, grown

__all__ = ["GROUPS", "Experience", "weaken"]

GROUPS: Final = 4
BINS: Final = 400
WIDTH: Final = 0.25
"""Nats a bin of the histogram; the last bin holds all above."""
PRIOR: Final = 150.0
"""Account-days for which the prior is believed, before there is experience."""
PRIOR_SCALE: Final = 1.25
"""Nats of evidence that make innocent account-days e times as rare, before there is experience. Were nats exactly what
they are worth it would be 1; it is a little more, since no platform is quite like another."""
FLOOR: Final = -20.0
"""The lowest evidence that the histogram tells apart, in nats."""
POOL: Final = 1000.0
"""Account-days of all age groups that an age group without its own leans on."""
LEAST: Final = 0.75
"""The least scale, in nats: not much more is believed of a nat than that it makes innocent account-days e times as
rare, which is what it promises."""
UNSEEN: Final = -1e9
UPPER: Final = 0.05
LOWER: Final = 0.2
"""The shares of account-days between which the fall is read."""
STRETCH: Final = 0.8
"""How much of the fall that is seen there is people's: attackers are among the strongest 5 % and stretch it."""


@njit
def weaken(nats: float, share: float, at: float, scale: float) -> Any:
    """Return minus the log of the share of account-days that reach `nats`: `share` at `at`, one more each `scale`."""
    return max(share + (nats - at) / scale, 0.0)


@njit
def keep_peaks(rows: Any, group: Any, raw: Any, peaks: Any, groups: Any) -> None:
    """Raise each account's highest raw evidence of the day."""
    for i in range(len(rows)):
        if rows[i].what >= WITHDRAWN:
            continue  # nobody did anything
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
        The evidence that `UPPER` of the account-days reach, and how much more makes them e times as rare, in nats.
    share : float
        Minus the log of the share of account-days that reach the threshold.
    """

    STATE: ClassVar = ("peaks", "groups", "histogram", "at", "scale", "last")

    def __init__(self, policy: BaselinePolicy) -> None:
        self.half_life = policy.half_life_days * DAY
        self.share = -math.log(UPPER)
        self.peaks = np.full(1024, UNSEEN, np.float32)
        self.groups = np.zeros(1024, np.uint8)
        self.histogram = np.zeros((GROUPS, BINS))
        self.at, self.scale = np.empty(GROUPS), np.empty(GROUPS)
        self.last = -1
        edges = np.exp(-np.maximum(FLOOR + WIDTH * np.arange(BINS), 0.0) / PRIOR_SCALE)
        self._prior = PRIOR * np.append(edges[:-1] - edges[1:], edges[-1])
        self._fit()

    def note(self, rows: NDArray[np.void], group: NDArray[np.int64], raw: NDArray[np.float64]) -> None:
        """Note the evidence of rows."""
        top = int(rows["account"].max(initial=0)) + 1
        if top > len(self.peaks):
            before = len(self.peaks)
            self.peaks = grown(self.peaks, top)
            self.groups = grown(self.groups, len(self.peaks))  # theirs grows in other steps, being smaller
            self.peaks[before:] = UNSEEN
        keep_peaks(rows, group, raw, self.peaks, self.groups)

    def noted(self) -> NDArray[np.int64]:
        """Return the accounts of which something was noted since the last day ended, by row."""
        found: NDArray[np.int64] = np.flatnonzero(self.peaks > UNSEEN)
        return found

    def learn(self, time: int) -> None:
        """Take the peaks of the day that ends at `time`, epoch ms, into account; between days, do nothing."""
        if time % DAY:
            return
        if self.last >= 0:
            self.histogram *= 0.5 ** ((time - self.last) / self.half_life)
        self.last = time
        scored = self.noted()
        bins = np.clip((self.peaks[scored] - FLOOR) / WIDTH, 0, BINS - 1).astype(np.int64)
        cells = self.groups[scored].astype(np.int64) * BINS + bins
        self.histogram += np.bincount(cells, minlength=GROUPS * BINS).reshape(GROUPS, BINS)
        self.peaks[scored] = UNSEEN
        self._fit()

    def _fit(self) -> None:
        pooled = self.histogram.sum(axis=0)
        total = pooled.sum()
        lean = pooled * (min(total, POOL) / total) if total else pooled
        mixed = self.histogram + lean + self._prior
        above = mixed[:, ::-1].cumsum(axis=1)[:, ::-1]
        above /= above[:, :1]
        for g in range(GROUPS):
            self.at[g] = self._reach(above[g], UPPER)
            fall = (self.at[g] - self._reach(above[g], LOWER)) / math.log(LOWER / UPPER)
            self.scale[g] = max(STRETCH * fall, LEAST)

    @staticmethod
    def _reach(above: NDArray[np.float64], share: float) -> float:
        """Return the nats that `share` of account-days reach, on a line of log shares between bins."""
        i = int(np.searchsorted(-above, -share))  # the first bin that fewer reach
        if i >= BINS:
            return FLOOR + BINS * WIDTH
        high, low = math.log(above[i - 1]), math.log(max(above[i], 1e-300))
        return FLOOR + WIDTH * (i - 1 + (high - math.log(share)) / (high - low))

    def needed(self, group: int, nats: float) -> float:
        """Return the evidence that is as rare as `nats` says."""
        at, scale = float(self.at[group]), float(self.scale[group])
        return at + (nats - self.share) * scale

    def forget(self, accounts: NDArray[np.uint32]) -> None:
        """Drop today's peaks of these accounts."""
        self.peaks[accounts[accounts < len(self.peaks)]] = UNSEEN
