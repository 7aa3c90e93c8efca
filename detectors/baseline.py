"""What is ordinary: counts of strangers and minors per cohort, learned on the stream.

Two Gamma–Poisson models. A person's rate is Gamma distributed over the people of a cohort, and their
count in a window is Poisson given the rate, so that the count is negative binomial:

* **strangers** contacted in a window: mean and shape fitted by maximum likelihood to a histogram of counts over
  all active accounts, truncated above a high quantile (attackers must not teach the baseline) and mixed
  with the histogram of all cohorts and with a prior, which matter less the more a cohort was seen;
* **minors** among n stranger contacts: mean n × q, with q the cohort's share and the shape its spread.
  Both are moment estimates over all accounts but those with the largest surplus (trimmed). If minors and others are
  Gamma–Poisson counts of one scale, minors among a known n are beta-binomial, whose parameters follow from these two.

Samples are taken at ticks of event time from every account active in the window. Those of one window overlap, so each
counts as the share of the window between two ticks: an account-week is one sample, not twenty-eight that agree, and
nobody becomes what is ordinary by being looked at often. Fading with a half-life keeps samples recent. Fits go
over a fixed grid, so that they are deterministic and cost one matrix product.

Assumptions: attackers are fewer than the trimmed share; accounts of a cohort differ in rate, not in kind;
the tail beyond the trimmed quantile falls like the fitted one (heavier tails flag more innocents: the
severities leave room for it).
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from detectors.cohorts import COHORTS, MINOR
from detectors.policy import BaselinePolicy
from graph.state import DAY, WINDOWS

__all__ = ["Baseline", "negative_binomial_tail"]

TOP: Final = 256
"""Counts at and above this share one bin of the histogram."""
POOL_WEIGHT: Final = 200.0
"""A cohort's own samples outweigh those of all cohorts from this many on."""
WEIGHT: Final = 20.0
"""Stranger contacts of one account that count at most for the share of minors."""
CONCENTRATION: Final = (10.0, 200.0)
"""Bounds for how alike people's shares of minors are believed to be. Below the lower bound shares would pile up at 0
and 1, and no number of minors among strangers could be evidence: a few children who say that they are adults bring
a moment estimate there. `detectors.experience` holds the tail to what accounts really reach."""
LEAST_ALPHA: Final = 0.05
"""A cohort that was never seen with a minor still has some chance of meeting one."""

_MEANS: Final = np.geomspace(0.005, 500.0, 96)
_SHAPES: Final = np.geomspace(0.03, 30.0, 25)


def _log_pmf(counts: NDArray[Any], mean: NDArray[Any], shape: NDArray[Any]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = (
        special.gammaln(counts + shape)
        - special.gammaln(shape)
        - special.gammaln(counts + 1.0)
        + shape * np.log(shape / (shape + mean))
        + counts * np.log(mean / (shape + mean))
    )
    return result


_GRID_MEAN, _GRID_SHAPE = (axis.ravel() for axis in np.meshgrid(_MEANS, _SHAPES, indexing="ij"))
# counts from 24 on are fitted in bins that widen: a fit costs a third, and loses nothing that one could see
_STARTS: Final = np.unique(np.concatenate([np.arange(24), np.geomspace(24, TOP - 1, 40).astype(np.int64)]))
BINS: Final = len(_STARTS)
_GRID_PMF: Final = np.add.reduceat(
    np.exp(_log_pmf(np.arange(TOP)[None, :], _GRID_MEAN[:, None], _GRID_SHAPE[:, None])), _STARTS, axis=1
)
_GRID_LOG_PMF: Final = np.log(np.maximum(_GRID_PMF, 1e-300))
_GRID_LOG_CDF: Final = np.log(np.clip(np.cumsum(_GRID_PMF, axis=1), 1e-300, 1.0))


def negative_binomial_tail(count: NDArray[Any], mean: NDArray[Any], shape: NDArray[Any]) -> NDArray[np.float64]:
    """Return P(X >= count) for negative binomial X of the given mean and shape, elementwise.

    Examples
    --------
    >>> float(negative_binomial_tail(np.array([0]), np.array([1.0]), np.array([1.0]))[0])
    1.0
    >>> round(float(negative_binomial_tail(np.array([3]), np.array([1.0]), np.array([1.0]))[0]), 6)
    0.125
    """
    k = np.maximum(np.asarray(count, np.float64), 1e-300)
    tail: NDArray[np.float64] = special.betainc(k, shape, mean / (mean + shape))
    return np.where(np.asarray(count) <= 0, 1.0, tail)


class Baseline:
    """The learned state: histograms and sums per cohort, and the parameters fitted to them.

    Parameters
    ----------
    policy : BaselinePolicy
    tick : int
        Time between two samples, ms.

    Attributes
    ----------
    mean, shape : ndarray, shape (3, COHORTS)
        Strangers per active account in each window (1 h, 24 h, 7 d).
    minor_share, minor_shape : ndarray, shape (COHORTS,)
        Share of minors among stranger contacts, and its spread.
    minor_alpha, minor_beta : ndarray, shape (COHORTS,)
        The same as parameters of the beta distribution of people's shares.
    minor_rate : ndarray, shape (COHORTS,)
        Minors among strangers contacted per active account and day.
    """

    STATE: ClassVar = (
        *("histogram", "exposure", "minors", "excess", "square", "active", "last_fade", "fitted"),
        *("mean", "shape", "minor_share", "minor_shape", "minor_alpha", "minor_beta", "minor_rate"),
    )

    def __init__(self, policy: BaselinePolicy, tick: int = DAY // 4) -> None:
        self.policy = policy
        self.weight = [min(1.0, tick / length) for length in WINDOWS.values()]
        self.histogram = np.zeros((3, COHORTS, TOP))
        self.exposure = np.zeros(COHORTS)  # stranger contacts seen, each account counted up to its cap
        self.minors = np.zeros(COHORTS)  # minors among them
        self.excess = np.zeros(COHORTS)  # sum of (m - n q)^2 - n q
        self.square = np.zeros(COHORTS)  # sum of (n q)^2
        self.active = np.zeros(COHORTS)  # account-weeks sampled
        self.mean = np.empty((3, COHORTS))
        self.shape = np.empty((3, COHORTS))
        self.minor_share = np.empty(COHORTS)
        self.minor_shape = np.empty(COHORTS)
        self.minor_alpha = np.empty(COHORTS)
        self.minor_beta = np.empty(COHORTS)
        self.minor_rate = np.empty(COHORTS)
        self.last_fade = -1
        self.fitted = 0.0  # account-weeks sampled, at the last fit
        prior = np.array(policy.prior_mean.values())
        pmf = np.exp(_log_pmf(np.arange(TOP)[None, :], prior[:, None], np.array(policy.prior_shape)))
        self._prior = policy.prior_weight * pmf
        self.fit()

    def fade(self, time: int) -> None:
        """Let all samples fade to `time` (epoch ms)."""
        if self.last_fade >= 0:
            kept = 0.5 ** ((time - self.last_fade) / (self.policy.half_life_days * DAY))
            for sums in (self.histogram, self.exposure, self.minors, self.excess, self.square, self.active):
                sums *= kept
        self.last_fade = time

    def learn(
        self,
        cohort: NDArray[Any],
        active: NDArray[Any],
        strangers: NDArray[Any],
        all_strangers: NDArray[Any],
        minors: NDArray[Any],
    ) -> None:
        """Take one sample of accounts.

        Parameters
        ----------
        cohort : ndarray, shape (n,)
        active : ndarray of bool, shape (n, 3)
            Whether the account contacted anybody in the window.
        strangers : ndarray, shape (n, 3)
            Strangers contacted in the window that count for `mass_add`.
        all_strangers, minors : ndarray, shape (n,)
            Strangers contacted in 7 days, and minors among them.
        """
        for w in range(3):
            chosen = active[:, w]
            cells = cohort[chosen] * TOP + np.minimum(strangers[chosen, w], TOP - 1)
            self.histogram[w] += np.bincount(cells, minlength=COHORTS * TOP).reshape(COHORTS, TOP) * self.weight[w]
        week = active[:, 2]
        c = cohort[week]
        n = np.minimum(all_strangers[week], WEIGHT)
        m = minors[week] * np.divide(n, all_strangers[week], out=np.zeros(len(c)), where=all_strangers[week] > 0)
        expected = n * self.minor_share[c]
        # Only so many accounts are left out, however far they stand out: with a limit in standard deviations of the
        # share learned so far, a share that was once too low would leave out everybody who meets a minor.
        excess = m - expected
        judged = c // 4 != MINOR
        exposed = np.sort(excess[(n > 0) & judged])
        dropped = int(self.policy.trim_share * min(judged.sum(), 2 * len(exposed)))
        kept = excess <= exposed[-1 - dropped] if dropped else np.ones(len(c), np.bool_)
        weight = self.weight[2]
        self.active += weight * np.bincount(c, minlength=COHORTS)
        c, n, m, expected = c[kept], n[kept], m[kept], expected[kept]
        self.exposure += weight * np.bincount(c, n, COHORTS)
        self.minors += weight * np.bincount(c, m, COHORTS)
        self.excess += weight * np.bincount(c, (m - expected) ** 2 - expected, COHORTS)
        self.square += weight * np.bincount(c, expected**2, COHORTS)

    def fit_if_due(self, time: int) -> None:
        """Fit at the end of a day (of event time, epoch ms), and before that once there is a tenth more to fit to."""
        if time % DAY == 0 or self.active.sum() > 1.1 * self.fitted:
            self.fit()

    def fit(self) -> None:
        """Fit the parameters to what was learned."""
        self.fitted = float(self.active.sum())
        pooled = self.histogram.sum(axis=1)
        pooled_n = pooled.sum(axis=1, keepdims=True)
        share = np.divide(pooled, pooled_n, out=np.zeros_like(pooled), where=pooled_n > 0)
        weight = np.minimum(pooled_n, POOL_WEIGHT)
        mixed = self.histogram + (weight * share)[:, None, :] + self._prior[:, None, :]
        cells = np.add.reduceat(mixed.reshape(-1, TOP), _STARTS, axis=1)
        cumulative = np.cumsum(cells, axis=1)
        total = cumulative[:, -1]
        limit = (1.0 - self.policy.trim_share) * total
        cut = np.clip((cumulative < limit[:, None]).sum(axis=1), 4, BINS - 2)
        width = int(cut.max()) + 1
        kept = np.where(np.arange(width)[None, :] <= cut[:, None], cells[:, :width], 0.0)
        likelihood = kept @ _GRID_LOG_PMF[:, :width].T - kept.sum(axis=1)[:, None] * _GRID_LOG_CDF[:, cut].T
        best = np.argmax(likelihood, axis=1)
        self.mean = _GRID_MEAN[best].reshape(3, COHORTS)
        self.shape = _GRID_SHAPE[best].reshape(3, COHORTS)
        self._fit_minors()

    def _fit_minors(self) -> None:
        p = self.policy
        # all other cohorts: a cohort's own contacts must not count for it twice
        pooled_n, pooled_m = self.exposure.sum() - self.exposure, self.minors.sum() - self.minors
        prior_n = p.prior_minor_weight
        pooled_share = (pooled_m + prior_n * p.prior_minor_share) / (pooled_n + prior_n)
        # a cohort leans on all cohorts as it does on the prior: with the weight of so many contacts
        self.minor_share = (self.minors + prior_n * pooled_share) / (self.exposure + prior_n)
        # method of moments for 1 / shape, leaning on the prior with the weight of twenty accounts' squares
        lean = 20.0 * (5.0 * self.minor_share) ** 2
        overdispersion = (self.excess + lean / p.prior_minor_shape) / (self.square + lean)
        self.minor_shape = 1.0 / np.clip(overdispersion, 0.05, 20.0)
        # equal variance: (n q)^2 / shape is n^2 q (1 - q) / (concentration + 1) for large n
        odds = (1.0 - self.minor_share) / self.minor_share
        concentration = np.clip(self.minor_shape * odds - 1.0, *CONCENTRATION)
        self.minor_alpha = np.maximum(self.minor_share * concentration, LEAST_ALPHA)
        self.minor_beta = (1.0 - self.minor_share) * concentration
        daily_prior = 0.1 * p.prior_minor_share
        self.minor_rate = (self.minors / 7.0 + 20.0 * daily_prior) / (self.active + 20.0)
