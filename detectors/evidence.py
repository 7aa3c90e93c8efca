"""The families of evidence, each a log Bayes factor for or against an account, and the sum of what they are worth.

For each family there is what is ordinary in the account's cohort (`detectors.reference`) and an alternative in which
the odds of it are `odds` times as high; for families with rates of an attacker's own (`odds_against`), `odds` times the
prior's, so that what is common among all tells less. The evidence is the log of how much better the alternative
explains the account's own sums:

* share, k of n: [k ln(q1 / q0) + (n - k) ln((1 - q1) / (1 - q0))] / (1 + (n - 1) rho), which is the binomial log
  likelihood ratio over the design effect: contacts of one person resemble one another, and n of them are worth fewer;
* rate, k: the log likelihood ratio of two negative binomials of one shape, which is linear in k.

Of minors, what is ordinary is not the cohort's share alone: an account whose acquaintances are children (a child who
says to be grown up, a coach, an elder sister) meets children as strangers, too. Its own share leans from the cohort's
towards that among the people it knows, and never below the cohort's.

Each speaks for the person (negative) as well as against. Families are conditional on one another where that is
natural (minors *of* strangers, refusals *by* minors *of* their answers), so that a busy account is not counted five
times over.

What a family's model says is not what it is worth: models err, and families see the same contacts. Each therefore goes
through a **curve** of the policy, which rises and never falls, and says how many nats so much of this family is worth
beside all others (calibration of likelihood ratios; Brümmer and du Preez, "Application-independent evaluation of
speaker detection", 2006; `benchmarks/calibration.py`). Curves flatten, so that no family decides alone. The sum is the
**weight of evidence** (Good, 1950; 1985) in nats. What a sum is worth on this platform is read from the sums that its
accounts reach (`detectors.experience`), not from theory.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.cohorts import COHORTS, MINOR
from detectors.curves import Curves, worth
from detectors.reference import Reference
from detectors.sums import Sum
from graph.jit import njit

__all__ = [
    "DETECTORS",
    "FAMILIES",
    "MEMBER",
    "RATES",
    "SHARES",
    "SUM",
    "Family",
    "Params",
    "add_up",
    "family_numbers",
    "odds_against",
]


class Family(NamedTuple):
    """One family.

    Attributes
    ----------
    name : str
    detector : str
        The detector that speaks for it.
    prior : float
        The share (or the mean) that is assumed before anything was seen.
    groups : str
        Whom it is about: `all` accounts, `adults` (and those of unknown age), or `minors`.
    own_rate : bool
        An attacker's share does not rise with what is ordinary: see `odds_against`.
    """

    name: str
    detector: str
    prior: float
    groups: str = "all"
    own_rate: bool = False


SHARES: Final = (
    Family("strangers", "scattered_targets", 0.4),
    Family("scattered", "scattered_targets", 0.95),
    Family("minors", "minor_targeting", 0.05, "adults"),
    Family("age_gap", "minor_targeting", 0.1, "adults"),
    Family("refused", "rejected_outreach", 0.5),
    Family("refused_by_minors", "rejected_outreach", 0.4),
    Family("unanswered", "cold_messaging", 0.5),
    Family("blocked", "reported_by_minors", 0.02, own_rate=True),
    Family("luring", "grooming_progression", 0.02, own_rate=True),
    Family("severe", "grooming_progression", 0.005, own_rate=True),
    Family("deep", "grooming_progression", 0.002, own_rate=True),
    Family("luring_minors", "grooming_progression", 0.02, own_rate=True),
    Family("severe_minors", "grooming_progression", 0.005, own_rate=True),
    Family("deep_minors", "grooming_progression", 0.002, own_rate=True),
    Family("suspects", "association", 0.05),
    Family("shared", "lockstep", 0.03, own_rate=True),
    Family("not_peers", "age_impostor", 0.2, "minors"),
)
"""Families that compare a share; in the order of `share_counts`."""
RATES: Final = (Family("volume", "mass_add", 3.0),)
SUM: Final = Family("minor_sum", "minor_targeting", 0.0, "adults")
"""The sequential test (`detectors.cusum`)."""
FAMILIES: Final = (*SHARES, *RATES, SUM)
DETECTORS: Final = tuple(dict.fromkeys(family.detector for family in FAMILIES))

MEMBER: Final = np.array([[family.detector == name for name in DETECTORS] for family in FAMILIES], np.float64)
"""Which family speaks for which detector, shape (families, detectors)."""

N_SHARES: Final = len(SHARES)
VOLUME: Final = N_SHARES
MINOR_SUM: Final = N_SHARES + 1
N: Final = len(FAMILIES)
MINORS: Final = [family.name for family in SHARES].index("minors")
CIRCLE: Final = 3.0
"""Acquaintances for whom the cohort's share of minors is believed, beside those that the account has."""
MOST: Final = 0.9
"""The highest share of minors that an account's own acquaintances make ordinary."""


def family_numbers(detector: str) -> list[int]:
    """Return the numbers of the families that a detector speaks for."""
    return [i for i, family in enumerate(FAMILIES) if family.detector == detector]


def odds_against(share: NDArray[np.float64], odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many times the ordinary odds the alternative assumes, shape (shares, COHORTS).

    Most shares of attackers are taken to be higher than is ordinary: where all are refused more, so are they. But how
    often they show signs does not rise with how often a platform's classifier errs: where signs are ten times as common
    among all, a sign tells a tenth. Blocks and shared targets are like that, too. For such families (`own_rate`) the
    alternative's odds are `odds` times those of the *prior*, whatever is ordinary. Where that is as common among all,
    it tells nothing (1); where it hardly ever happens, the odds are no more than `odds` squared.
    """
    prior = np.array([family.prior for family in SHARES])[:, None]
    own = np.array([family.own_rate for family in SHARES])[:, None]
    fixed = odds[:, None] * prior / (1.0 - prior) * (1.0 - share) / share
    return np.where(own, np.clip(fixed, 1.0, odds[:, None] ** 2), odds[:, None])


@njit
def share_counts(v: Any, k: Any, n: Any) -> Any:
    """Write the counts that each share compares, in the order of `SHARES`."""
    strangers = v[Sum.STRANGERS]
    k[0], n[0] = strangers, v[Sum.FIRST]
    k[1], n[1] = strangers - v[Sum.LINKED], strangers
    k[2], n[2] = v[Sum.MINORS], v[Sum.AGED]
    k[3], n[3] = v[Sum.GAP], v[Sum.AGED]
    k[4], n[4] = v[Sum.REFUSED], v[Sum.REFUSED] + v[Sum.WELCOME]
    k[5], n[5] = v[Sum.REFUSED_MINORS], v[Sum.REFUSED_MINORS] + v[Sum.WELCOME_MINORS]
    k[6], n[6] = v[Sum.COLD], v[Sum.COLD] + v[Sum.COLD_ANSWERED]
    k[7], n[7] = v[Sum.BLOCKED], v[Sum.FIRST] + v[Sum.BLOCKED]
    others, children = v[Sum.FIRST] - v[Sum.FIRST_MINORS], v[Sum.FIRST_MINORS]
    k[8], n[8] = min(v[Sum.LURING], others), others
    k[9], n[9] = min(v[Sum.SEVERE], others), others
    k[10], n[10] = min(v[Sum.DEEP], others), others
    k[11], n[11] = min(v[Sum.LURING_MINORS], children), children
    k[12], n[12] = min(v[Sum.SEVERE_MINORS], children), children
    k[13], n[13] = min(v[Sum.DEEP_MINORS], children), children
    k[14], n[14] = v[Sum.SUSPECTS], strangers
    k[15], n[15] = min(v[Sum.SHARED], strangers), strangers
    k[16], n[16] = v[Sum.FAR], v[Sum.AGED]


@njit
def own_share(v: Any, share: float) -> Any:
    """Return the share of minors that is ordinary for an account in a cohort with such a share."""
    known = (CIRCLE * share + v[Sum.KNOWN_MINORS]) / (CIRCLE + v[Sum.KNOWN])
    return max(share, min(known, MOST))


@njit
def share_terms(p: Any, f: int, c: int, v: Any) -> Any:
    """Return the nats, before the design effect, for one of k and for one of n - k of a share."""
    if f != MINORS:
        return p.plus[f, c], p.minus[f, c]
    q = own_share(v, p.minors[c])
    alternative = p.minors_odds * q / (1.0 - q + p.minors_odds * q)
    return math.log(alternative / q), math.log((1.0 - alternative) / (1.0 - q))


@njit
def rate_of(v: Any) -> Any:
    """Return the count that the rate compares: strangers who do not know the account's other targets."""
    return v[Sum.STRANGERS] - v[Sum.LINKED]


@njit
def fill_counts(values: Any, k: Any, n: Any, rate: Any) -> None:
    """Write the counts of many accounts; the second rate is that of minors, for the sequential test."""
    for i in range(len(values)):
        share_counts(values[i], k[i], n[i])
        rate[i, 0] = rate_of(values[i])
        rate[i, 1] = values[i, Sum.MINORS]


@njit
def weigh(
    rows: Any, sums: Any, cusum: Any, cohort: Any, p: Any, masks: Any, k: Any, n: Any, out: Any, total: Any
) -> None:
    """Write the evidence of each row: what every family's is worth, weighed, and the sum of those that count.

    `masks[0]` and `masks[1]` hold the roles for which minor families and the volume say nothing.
    """
    for i in range(len(rows)):
        r = rows[i]
        v = sums[i]
        c = cohort[i]
        share_counts(v, k, n)
        for f in range(N_SHARES):
            x = 0.0
            if n[f] > 0.0 and p.applies[f, c]:
                plus, minus = share_terms(p, f, c, v)
                x = (k[f] * plus + (n[f] - k[f]) * minus) / (1.0 + max(n[f] - 1.0, 0.0) * p.rho[f, c])
            out[i, f] = x
        out[i, VOLUME] = rate_of(v) * p.slope[c] + p.offset[c]
        out[i, MINOR_SUM] = cusum[i].value * p.per_sum if p.applies[MINOR_SUM, c] else 0.0
        if r.roles & masks[0]:
            for f in range(N):
                if p.about_minors[f]:
                    out[i, f] = 0.0
        if r.roles & masks[1]:
            out[i, VOLUME] = 0.0
        whole = 0.0
        for f in range(N):
            out[i, f] = worth(out[i, f], p.at, p.zero, p.curves, f) * p.weight[f]
            whole += out[i, f] * p.counts[f]
        total[i] = whole


@njit
def add_up(nats: Any, rows: Any, weights: Any, out: Any) -> None:
    """Write the sums of evidence of some rows, by the weights of each sum, shape (families, sums), into `out`.

    A matrix product would do, but for its last bits, which depend on how many rows it is asked for.
    """
    for i in range(len(rows)):
        for d in range(weights.shape[1]):
            whole = 0.0
            for f in range(N):
                whole += nats[rows[i], f] * weights[f, d]
            out[i, d] = whole


class Params(NamedTuple):
    """What the kernel needs of reference and policy."""

    plus: NDArray[np.float64]  # (shares, COHORTS) nats for one of k
    minus: NDArray[np.float64]  # (shares, COHORTS) nats for one of n - k
    rho: NDArray[np.float64]  # (shares, COHORTS)
    minors: NDArray[np.float64]  # (COHORTS,) the share of minors
    minors_odds: float
    slope: NDArray[np.float64]  # (COHORTS,) nats for one stranger
    offset: NDArray[np.float64]  # (COHORTS,)
    applies: NDArray[np.bool_]  # (families, COHORTS)
    about_minors: NDArray[np.bool_]  # (families,)
    counts: NDArray[np.float64]  # (families,) 1 where it counts in the sum; 0 for a detector off or in shadow
    weight: NDArray[np.float64]  # (families,) what a nat counts, after its curve
    per_sum: float
    at: NDArray[np.float64]  # as in `Curves`
    zero: int
    curves: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        reference: Reference,
        odds: NDArray[np.float64],
        counts: NDArray[np.float64],
        curves: Curves,
        weight: NDArray[np.float64],
    ) -> Params:
        """Return the parameters that follow from a reference.

        Parameters
        ----------
        reference : Reference
        odds : ndarray, shape (families,)
            Of the alternative; for `SUM`, what a nat of the test counts.
        counts : ndarray, shape (families,)
        curves : Curves
        weight : ndarray, shape (families,)
            What a nat of it counts.
        """
        q = reference.share
        o = odds_against(q, odds[:N_SHARES])
        alternative = o * q / (1.0 - q + o * q)
        mean, shape, times = reference.usual(0), reference.shape[0], odds[VOLUME]
        more = times * mean
        applies = np.ones((N, COHORTS), np.bool_)
        minors = np.arange(COHORTS) // 4 == MINOR
        for f, family in enumerate(FAMILIES):
            if family.groups != "all":
                applies[f] = minors == (family.groups == "minors")
        return cls(
            plus=np.log(alternative / q),
            minus=np.log((1.0 - alternative) / (1.0 - q)),
            rho=reference.rho,
            minors=q[MINORS].copy(),
            minors_odds=float(odds[MINORS]),
            slope=np.log(times * (shape + mean) / (shape + more)),
            offset=shape * np.log((shape + mean) / (shape + more)),
            applies=applies,
            about_minors=np.array([family.detector == "minor_targeting" for family in FAMILIES]),
            counts=counts,
            weight=weight,
            per_sum=float(odds[MINOR_SUM]),
            at=curves.at,
            zero=curves.zero,
            curves=curves.worth,
        )
