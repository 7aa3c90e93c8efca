"""What reviewers' decisions say of the weight of each detector.

Statistics
----------
A case that reviewers decided has evidence of x_d nats from detector d. That they confirm it has log odds
a + s · Σ w_d x_d. The weights w_d are what is looked for; s, positive, is how far nats are nats; a is how strict the
reviewers are. The fit is the mode of the posterior: ln w_d is normal around 0 with standard deviation `SPREAD`, so that
few decisions move little, and ln s and a are wide. Where a detector hardly ever spoke, its weight stays 1.

Assumptions
-----------
Decisions are right, on the whole, and cases are decided without regard to which detector spoke. Only what was flagged
is ever decided: the fit is of decisions given the evidence, which that leaves valid, but it cannot tell of what no
detector sees.

Bounds
------
Weights are positive: more evidence never makes a case less likely (monotone). One fit moves each by a factor of
`STEP` at most, and a policy takes 0.25 to 4. `line_factor` moves the lines by 2 or not at all.

Source
------
Penalised logistic regression: le Cessie and van Houwelingen (1992), "Ridge estimators in logistic regression".
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betainc, expit

__all__ = ["LEAST", "STEP", "line_factor", "weights_of"]

SPREAD: Final = 0.3
"""Of the logarithm of a weight, before any decision: two in three weights are within a third of 1."""
STEP: Final = 1.5
"""The most that one fit changes a weight by, as a factor."""
LEAST: Final = 20
"""Decisions of either kind below which nothing is learned."""
USUAL: Final = 0.2
"""What a nat adds to the log odds of a confirmation, before any decision, about."""
SURE: Final = 0.95
"""How sure it must be that precision is on one side of what is wanted for a line to move."""


def weights_of(evidence: NDArray[np.float64], confirmed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return what a nat of each detector should count, beside what it counted.

    Parameters
    ----------
    evidence : ndarray, shape (cases, detectors)
        Nats, as they were counted.
    confirmed : ndarray of bool, shape (cases,)
        True: confirmed; False: dismissed.

    Returns
    -------
    ndarray, shape (detectors,)
        Factors from 1 / `STEP` to `STEP`.

    Raises
    ------
    ValueError
        If there are fewer than `LEAST` decisions of either kind.
    """
    if min(confirmed.sum(), (~confirmed).sum()) < LEAST:
        raise ValueError(f"at least {LEAST} confirmed and {LEAST} dismissed cases are needed")
    detectors = evidence.shape[1]
    sign = np.where(confirmed, 1.0, -1.0)

    def loss(p: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the negative log posterior and its gradient, in the offset, ln s, and ln w."""
        offset, slope, weight = p[0], np.exp(p[1]), np.exp(p[2:])
        margin = sign * (offset + slope * (evidence @ weight))
        pull = -sign * expit(-margin)
        value = np.logaddexp(0.0, -margin).sum()
        value += p[0] ** 2 / 200.0 + (p[1] - np.log(USUAL)) ** 2 / 2.0 + (p[2:] ** 2).sum() / (2.0 * SPREAD**2)
        spoken = slope * (pull @ evidence) * weight
        by_weight = spoken + p[2:] / SPREAD**2
        by_rest = [pull.sum() + p[0] / 100.0, spoken.sum() + p[1] - np.log(USUAL)]
        return float(value), np.concatenate((by_rest, by_weight))

    start = np.concatenate(([0.0, np.log(USUAL)], np.zeros(detectors)))
    most = float(np.log(STEP))
    bounds = [(-50.0, 50.0), (-6.0, 2.0), *[(-most, most)] * detectors]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    weights: NDArray[np.float64] = np.exp(found.x[2:])
    return weights


def line_factor(confirmed: int, dismissed: int, wanted: float) -> float:
    """Return by what to multiply the probability that stands for a severity, for precision as `wanted`.

    Precision is Beta(1 + confirmed, 1 + dismissed). Where it is below what is wanted with probability `SURE`, flags
    shall be rarer: 0.5. Where it is above, there is room for more: 2. Else 1.

    Parameters
    ----------
    confirmed, dismissed : int
        Decided cases of that severity or a higher one.
    wanted : float
        Between 0 and 1.

    Examples
    --------
    >>> line_factor(2, 40, 0.3), line_factor(20, 40, 0.3), line_factor(40, 20, 0.3)
    (0.5, 1.0, 2.0)
    """
    below = float(betainc(1 + confirmed, 1 + dismissed, wanted))
    return 0.5 if below >= SURE else 2.0 if below <= 1.0 - SURE else 1.0
