"""Tails of count distributions, in nats, for kernels."""

from __future__ import annotations

import math
from typing import Any, Final

from graph.jit import njit

__all__ = ["LIMIT", "beta_binomial_nats", "over_limit"]

LIMIT: Final = 690.0
"""Nats beyond which evidence does not grow: probabilities end at 1e-300."""

MOST: Final = 1 << 14
"""Among more than this, shares are what counts; and a sum must end."""


@njit
def beta_binomial_nats(count: int, total: int, alpha: float, beta: float) -> Any:
    """Return -ln P(X >= count) for beta-binomial X of `total`, by summing the mass upwards.

    If the minors and the others whom people meet are Gamma–Poisson counts of one scale, then minors among a known total
    are beta-binomial. Unlike a Gamma–Poisson count with that mean, it knows that there are no more than `total`.
    """
    if count <= 0:
        return 0.0
    k = min(count, total)
    if total > MOST:
        k, total = k * MOST // total, MOST
    log_mass = (
        math.lgamma(total + 1.0)
        - math.lgamma(k + 1.0)
        - math.lgamma(total - k + 1.0)
        + math.lgamma(k + alpha)
        + math.lgamma(total - k + beta)
        - math.lgamma(total + alpha + beta)
        + math.lgamma(alpha + beta)
        - math.lgamma(alpha)
        - math.lgamma(beta)
    )
    term = mass = 1.0
    for j in range(k, total):
        term *= (total - j) * (j + alpha) / ((j + 1.0) * (total - j - 1.0 + beta))
        mass += term
    return min(max(-log_mass - math.log(mass), 0.0), LIMIT)


@njit
def over_limit(base: float, multiple: float) -> Any:
    """Return the evidence of having reached a plain limit `multiple` times: `base`, and half of it more each e times.

    A limit is a convention and says nothing of how rare it is to pass it: twice a limit is not twice the evidence.
    """
    return base * (1.0 + 0.5 * math.log(multiple))
