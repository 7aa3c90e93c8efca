"""How good flags are, measured over accounts: ranking, precision at a review budget, harm before the first flag.

The area under the ROC curve is left out on purpose: with one attacker in hundreds of accounts it stays near one for
rankings that no team could work with. Average precision follows Davis & Goadrich, "The relationship between
precision-recall and ROC curves" (ICML 2006), without interpolation; accounts with equal scores are one step.
Intervals are percentiles of a bootstrap over accounts (Efron, 1979).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "HARM_SHARES",
    "Budget",
    "Interval",
    "Steps",
    "at_budget",
    "average_precision",
    "bootstrap",
    "class_recall",
    "false_flags_per_10k_weeks",
    "harm_before",
    "harm_curve",
    "limit_for_share",
    "wilson",
]

HARM_SHARES: Final = (0.001, 0.002, 0.005, 0.01)
"""Shares of innocent accounts flagged at which harm is reported."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a team finds that reviews so many accounts.

    Attributes
    ----------
    reviewed : accounts reviewed; those with no flag at all are never reviewed, so it may be less than the budget.
    found : harmful accounts among them, as expected if ties at the edge are broken at random.
    precision : share of those reviewed who are harmful; NaN if none were.
    recall : share of all harmful accounts found; NaN if there are none.
    limit : the lowest score reviewed; infinity if nothing was.
    """

    reviewed: int
    found: float
    precision: float
    recall: float
    limit: float


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the interval around it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Steps:
    """Scores of accounts over time, so that one can ask when a limit was crossed.

    Attributes
    ----------
    account : ndarray of int64, shape (m,)
    time : ndarray of float64, shape (m,)
        Epoch milliseconds.
    score : ndarray of float64, shape (m,)
        Higher is more suspicious; above 0.
    """

    account: NDArray[np.int64]
    time: NDArray[np.float64]
    score: NDArray[np.float64]

    def highest(self, accounts: int) -> NDArray[np.float64]:
        """Return the highest score of each of so many accounts; 0 for those with none."""
        found = np.zeros(accounts)
        np.maximum.at(found, self.account, self.score)
        return found

    def crossed(self, limit: float, accounts: int) -> NDArray[np.float64]:
        """Return when each account first scored at a limit or above; infinity for never.

        Examples
        --------
        >>> steps = Steps(np.array([0, 0, 1]), np.array([5.0, 7.0, 6.0]), np.array([0.2, 0.9, 0.4]))
        >>> steps.crossed(0.5, 2).tolist()
        [7.0, inf]
        """
        found = np.full(accounts, np.inf)
        over = self.score >= limit
        np.minimum.at(found, self.account[over], self.time[over])
        return found


def average_precision(score: ArrayLike, harmful: ArrayLike) -> float:
    """Return the average precision of a ranking of accounts.

    Parameters
    ----------
    score : array_like of float, shape (n,)
        Higher is more suspicious.
    harmful : array_like of bool, shape (n,)

    Returns
    -------
    float
        Sum over distinct scores of precision times the gain in recall; NaN without harmful accounts.

    Examples
    --------
    >>> round(average_precision([0.9, 0.8, 0.7], [True, False, True]), 4)
    0.8333
    >>> average_precision([0.5, 0.5], [True, False])
    0.5
    """
    scores, truth = np.asarray(score, np.float64), np.asarray(harmful, np.bool_)
    total = int(truth.sum())
    if not total:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(truth[order])
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    found = hits[ends]
    gained = np.diff(found, prepend=0)
    return float(np.sum(found / (ends + 1) * gained) / total)


def at_budget(score: ArrayLike, harmful: ArrayLike, accounts: int) -> Budget:
    """Return precision and recall when the `accounts` highest-ranked of the flagged accounts are reviewed.

    Parameters
    ----------
    score : array_like of float, shape (n,)
        0 means no flag.
    harmful : array_like of bool, shape (n,)
    accounts : int
        The review budget.

    Examples
    --------
    >>> at_budget([0.9, 0.8, 0.0], [True, False, True], 2).precision
    0.5
    """
    scores, truth = np.asarray(score, np.float64), np.asarray(harmful, np.bool_)
    flagged, total = scores > 0, int(truth.sum())
    reviewed = min(int(flagged.sum()), max(0, accounts))
    if not reviewed:
        return Budget(0, 0.0, float("nan"), 0.0 if total else float("nan"), float("inf"))
    limit = float(np.sort(scores[flagged])[-reviewed])
    above, level = scores > limit, scores == limit
    share = (reviewed - int(above.sum())) / int(level.sum())
    found = float(truth[above].sum() + truth[level].sum() * share)
    return Budget(reviewed, found, found / reviewed, found / total if total else float("nan"), limit)


def class_recall(score: ArrayLike, labels: ArrayLike, limit: float) -> dict[str, tuple[float, int]]:
    """Return, for each label, the share of its accounts that are flagged at `limit` or above, and their number."""
    scores, names = np.asarray(score, np.float64), np.asarray(labels, np.str_)
    hit = (scores >= limit) & (scores > 0)
    return {str(name): (float(hit[names == name].mean()), int((names == name).sum())) for name in np.unique(names)}


def false_flags_per_10k_weeks(flags: int, innocent: int, days: float) -> float:
    """Return the flags on innocent accounts for each 10,000 weeks that innocent accounts lived.

    Parameters
    ----------
    flags : int
        Flags on innocent accounts; several on one account count each.
    innocent : int
        Innocent accounts.
    days : float
        Length of the stream.

    Examples
    --------
    >>> false_flags_per_10k_weeks(4, 20_000, 14)
    1.0
    """
    weeks = innocent * days / 7.0
    return 10_000.0 * flags / weeks if weeks > 0 else float("nan")


def limit_for_share(score: ArrayLike, harmful: ArrayLike, share: float) -> float:
    """Return the lowest limit at which no more than a share of innocent accounts score at it or above.

    Returns
    -------
    float
        A score above 0; infinity if even the highest is shared by too many innocent accounts.

    Examples
    --------
    >>> limit_for_share([0.9, 0.4, 0.2, 0.1], [True, False, False, False], 1 / 3)
    0.4
    """
    scores, truth = np.asarray(score, np.float64), np.asarray(harmful, np.bool_)
    innocent = np.sort(scores[~truth])[::-1]
    allowed = int(np.floor(share * len(innocent) + 1e-9))
    # the lowest score that anybody has, such that at most `allowed` innocent accounts reach it
    steps = np.unique(scores[scores > 0])
    reach = len(innocent) - np.searchsorted(innocent[::-1], steps, side="left")
    good = steps[reach <= allowed]
    return float(good[0]) if len(good) else float("inf")


def harm_before(account: ArrayLike, time: ArrayLike, crossed: ArrayLike) -> NDArray[np.float64]:
    """Return the share of each account's contacts that took place before it was flagged.

    Parameters
    ----------
    account : array_like of int, shape (m,)
        The account of each contact.
    time : array_like, shape (m,)
        When it took place, epoch milliseconds. A contact at the time of the flag still counts: it led to the flag.
    crossed : array_like, shape (n,)
        When each account was first flagged; infinity for never.

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN for accounts with no contact.
    """
    who, when = np.asarray(account, np.int64), np.asarray(time, np.float64)
    flagged = np.asarray(crossed, np.float64)
    contacts = np.bincount(who, minlength=len(flagged)).astype(np.float64)
    before = np.bincount(who, weights=when <= flagged[who], minlength=len(flagged))
    contacts[contacts == 0] = np.nan
    share: NDArray[np.float64] = before / contacts
    return share


def harm_curve(
    score: ArrayLike,
    harmful: ArrayLike,
    account: ArrayLike,
    time: ArrayLike,
    crossings: Callable[[float], ArrayLike],
    shares: tuple[float, ...] = HARM_SHARES,
) -> dict[float, float]:
    """Return the share of attackers' contacts with distinct minors that took place before their first flag.

    Parameters
    ----------
    score : array_like of float, shape (n,)
        Highest score of each account.
    harmful : array_like of bool, shape (n,)
    account : array_like of int, shape (m,)
        The attacker of each first contact with a distinct minor, an index into `score`.
    time : array_like, shape (m,)
        When it took place, epoch milliseconds.
    crossings : callable
        Given a limit, the time at which each account first scored at it or above, shape (n,); infinity for never.
    shares : tuple of float
        Shares of innocent accounts flagged that set the limit.

    Returns
    -------
    dict
        For each share, the mean over attackers with such contacts; NaN if there are none.
    """
    scores, truth = np.asarray(score, np.float64), np.asarray(harmful, np.bool_)
    who, when = np.asarray(account, np.int64), np.asarray(time, np.float64)
    curve = {}
    for share in shares:
        limit = limit_for_share(scores, truth, share)
        harm = harm_before(who, when, crossings(limit))
        known = harm[~np.isnan(harm)]
        curve[share] = float(known.mean()) if len(known) else float("nan")
    return curve


def bootstrap(
    statistic: Callable[[NDArray[np.int64]], float],
    accounts: int,
    *,
    seed: int = 0,
    rounds: int = 200,
    level: float = 0.95,
) -> Interval:
    """Return a statistic with its percentile bootstrap interval over accounts.

    Parameters
    ----------
    statistic : callable
        Given indices of accounts, drawn with replacement, the statistic.
    accounts : int
        Number of accounts.
    seed : int
        Of the drawing; the same seed gives the same interval.
    rounds : int
        Number of drawings.
    level : float
        Coverage.

    Examples
    --------
    >>> values = np.arange(100.0)
    >>> found = bootstrap(lambda drawn: float(values[drawn].mean()), 100)
    >>> found.low < found.value < found.high
    True
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    value = statistic(np.arange(accounts))
    drawn: list[Any] = [statistic(rng.integers(0, accounts, accounts)) for _ in range(rounds if accounts else 0)]
    known = np.array(drawn, np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def wilson(share: float, accounts: int) -> Interval:
    """Return a share of so many accounts with its 95 % interval.

    By Wilson (JASA 22, 1927), which also says something where the share is 0 or 1 and the accounts are few; a bootstrap
    does not.

    Examples
    --------
    >>> found = wilson(0.0, 20)
    >>> found.low, round(found.high, 3)
    (0.0, 0.161)
    """
    z = 1.959964
    if not accounts:
        return Interval(share, 0.0, 1.0)
    middle = (share + z * z / (2 * accounts)) / (1 + z * z / accounts)
    reach = z / (1 + z * z / accounts) * float(np.sqrt(share * (1 - share) / accounts + (z / accounts) ** 2 / 4))
    return Interval(share, max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach)))
