"""What is ordinary: shares and rates of a cohort's people, learned on the stream, robustly.

Each family of evidence compares an account's fading sums (`detectors.sums`) with those of its cohort in one of two
ways:

* a **share**, k of n (minors of strangers, refusals of answers): beta-binomial, with the cohort's share q and the
  intra-class correlation rho by which people differ from one another;
* a **rate**, k alone (strangers contacted): Gamma–Poisson, with the cohort's mean and shape. Sums that have only begun
  to fill (a stream's first weeks) hold less than they will: a sample counts as the part of a memory that it had time to
  fill.

Both are moment estimates over accounts that moved since the last tick, an account-tick one sample, without the
`trim_share` of samples that stand out most: attackers must not teach the reference. A cohort leans on all cohorts, and
these on the policy's priors, with the weight of so many contacts or samples. Samples fade with a half-life.

Assumptions: attackers are fewer than the trimmed share of active accounts; people of a cohort differ in degree, not
in kind; the first samples of a platform are its ordinary life.

Source: moment estimators of the beta-binomial and of the negative binomial: Kleinman, "Proportions with extraneous
variance" (1973); trimming: Huber, "Robust Statistics" (1981).
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from detectors.cohorts import COHORTS
from detectors.policy import BaselinePolicy
from graph.state import DAY

__all__ = ["Reference"]

CAP: Final = 30.0
"""Of one sample's n: nobody teaches more than so many contacts at once."""
RHO_BOUNDS: Final = (0.005, 0.5)
RHO_PRIOR: Final = 0.1
RHO_WEIGHT: Final = 50.0
"""Pairs of contacts for which the prior of rho is believed."""
SHAPE_BOUNDS: Final = (0.2, 10.0)
LEAST_MEAN: Final = 0.02


class Reference:
    """The learned shares and rates.

    Parameters
    ----------
    policy : BaselinePolicy
    prior : ndarray, shape (shares,)
        The share that is assumed before any was seen.
    prior_rate : ndarray, shape (rates,)
        And the mean of each rate.

    Attributes
    ----------
    share, rho : ndarray, shape (shares, COHORTS)
    mean, shape : ndarray, shape (rates, COHORTS)
        The mean is that of sums that are full.
    filled : float
        What part of that sums can hold until the next samples, 0 to 1.
    """

    STATE: ClassVar = (
        *("k", "n", "excess", "pairs", "count", "sum", "spread", "square"),
        *("last", "filled", "share", "rho", "mean", "shape"),
    )

    def __init__(self, policy: BaselinePolicy, prior: NDArray[np.float64], prior_rate: NDArray[np.float64]) -> None:
        shares, rates = len(prior), len(prior_rate)
        self.half_life = policy.half_life_days * DAY
        self.trim = policy.trim_share
        self.prior = prior
        self.prior_contacts = policy.prior_contacts
        self.prior_samples = policy.prior_samples
        self.prior_rate = prior_rate
        self.k, self.n, self.excess, self.pairs = (np.zeros((shares, COHORTS)) for _ in range(4))
        self.count, self.sum, self.spread, self.square = (np.zeros((rates, COHORTS)) for _ in range(4))
        self.last = -1
        self.filled = 1.0
        self.share, self.rho = np.empty((shares, COHORTS)), np.empty((shares, COHORTS))
        self.mean, self.shape = np.empty((rates, COHORTS)), np.empty((rates, COHORTS))
        self._fit()

    def learn(
        self,
        time: int,
        cohort: NDArray[np.int64],
        k: NDArray[np.float64],
        n: NDArray[np.float64],
        rate: NDArray[np.float64],
        filled: float = 1.0,
    ) -> None:
        """Take samples of accounts as of `time`, epoch ms, and fit.

        Parameters
        ----------
        time : int
        cohort : ndarray, shape (m,)
        k, n : ndarray, shape (m, shares)
            Where n is 0, the sample says nothing of that family.
        rate : ndarray, shape (m, rates)
        filled : float
            What part of a full sum the rates had time to reach.
        """
        if self.last >= 0:
            kept = 0.5 ** (max(time - self.last, 0) / self.half_life)
            for sums in (self.k, self.n, self.excess, self.pairs, self.count, self.sum, self.spread, self.square):
                sums *= kept
        self.last = time
        for f in range(k.shape[1]):
            self._learn_share(f, cohort, k[:, f], n[:, f])
        for f in range(rate.shape[1]):
            self._learn_rate(f, cohort, rate[:, f], filled)
        self._fit()

    def _learn_share(self, f: int, cohort: NDArray[np.int64], k: NDArray[Any], n: NDArray[Any]) -> None:
        seen = n > 0
        c, weight = cohort[seen], np.minimum(1.0, CAP / n[seen])
        n = n[seen] * weight
        k = np.minimum(k[seen] * weight, n)
        kept = self._ordinary(k - n * self.share[f, c])
        c, k, n = c[kept], k[kept], n[kept]
        self.k[f] += np.bincount(c, k, COHORTS)
        self.n[f] += np.bincount(c, n, COHORTS)
        more = n > 1.5  # with one contact there is no telling people from chance
        c, k, n = c[more], k[more], n[more]
        q = self._shares()[0][f, c]  # with what was just learned: a prior far off would pass for people who differ
        chance = q * (1.0 - q)
        self.excess[f] += np.bincount(c, (k - n * q) ** 2 - n * chance, COHORTS)
        self.pairs[f] += np.bincount(c, n * (n - 1.0) * chance, COHORTS)

    def usual(self, f: int) -> NDArray[np.float64]:
        """Return the mean of a rate as sums can hold it now, shape (COHORTS,)."""
        usual: NDArray[np.float64] = self.filled * self.mean[f]
        return usual

    def _learn_rate(self, f: int, cohort: NDArray[np.int64], x: NDArray[Any], filled: float) -> None:
        kept = self._ordinary(x)
        c, x = cohort[kept], x[kept]
        self.count[f] += filled * np.bincount(c, minlength=COHORTS)
        self.sum[f] += np.bincount(c, x, COHORTS)
        mean = filled * self._means()[0][f, c]
        self.spread[f] += np.bincount(c, (x - mean) ** 2 - x, COHORTS)
        self.square[f] += np.bincount(c, mean**2, COHORTS)

    def _ordinary(self, surplus: NDArray[Any]) -> NDArray[Any]:
        """Return which samples teach: exactly so many are left out, also where many stand out by the same."""
        dropped = int(np.ceil(self.trim * len(surplus))) if len(surplus) > 20 else 0
        kept: NDArray[Any] = np.sort(np.argsort(surplus, kind="stable")[: len(surplus) - dropped])
        return kept

    def _shares(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the shares, shape (shares, COHORTS), and those of all cohorts, shape (shares,)."""
        weight = self.prior_contacts
        pooled = (self.k.sum(axis=1) + weight * self.prior) / (self.n.sum(axis=1) + weight)
        return (self.k + weight * pooled[:, None]) / (self.n + weight), pooled

    def _means(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the means of the rates, shape (rates, COHORTS), and those of all cohorts, shape (rates,)."""
        weight = self.prior_samples
        pooled = (self.sum.sum(axis=1) + weight * self.prior_rate) / (self.count.sum(axis=1) + weight)
        return np.maximum((self.sum + weight * pooled[:, None]) / (self.count + weight), LEAST_MEAN), pooled

    def _fit(self) -> None:
        self.share, pooled = self._shares()
        lean = RHO_WEIGHT * np.maximum(pooled * (1.0 - pooled), 1e-6)
        all_excess, all_pairs = self.excess.sum(axis=1) + lean * RHO_PRIOR, self.pairs.sum(axis=1) + lean
        rho = all_excess / all_pairs
        self.rho = np.clip((self.excess + lean[:, None] * rho[:, None]) / (self.pairs + lean[:, None]), *RHO_BOUNDS)
        self.mean, pooled = self._means()
        weight = self.prior_samples * pooled[:, None] ** 2
        over = (self.spread + weight) / (self.square + weight)
        self.shape = 1.0 / np.clip(over, 1.0 / SHAPE_BOUNDS[1], 1.0 / SHAPE_BOUNDS[0])
