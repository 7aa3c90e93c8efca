"""All measures of flags against labels, as plain values: what `kithwatch evaluate` prints, plots and writes as JSON."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from detectors.evaluation import (
    HARM_SHARES,
    Interval,
    at_budget,
    average_precision,
    bootstrap,
    class_recall,
    false_flags_per_10k_weeks,
    harm_before,
    limit_for_share,
    wilson,
)
from streams.labelled import Contacts, Flags, Labels

__all__ = ["BANDS", "CURVE", "RECALL_SHARE", "report", "tally"]

RECALL_SHARE: Final = 0.01
"""The share of innocent accounts flagged at which recall is reported."""
BANDS: Final = ("under_13", "13_15", "16_17", "18_20", "21_plus", "unknown")
CURVE: Final = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02)
"""The shares of innocent accounts flagged at which the harm curve is drawn."""


def report(
    labels: Labels, flags: Flags, contacts: Contacts | None, *, budget: float, seed: int, rounds: int
) -> dict[str, Any]:
    """Return all measures as plain values, ready for JSON; NaN and infinity become null.

    Parameters
    ----------
    labels, flags : what is true, and what was said.
    contacts : from the events, if there are any: for harm, delay and rates.
    budget : share of active accounts that a team reviews (of all labelled accounts without events).
    seed, rounds : of the bootstrap over accounts.
    """
    score, harmful = flags.score, labels.harmful
    n = len(score)
    active = len(contacts.active) if contacts else n
    reviews = max(1, round(budget * active))

    def interval(statistic: Any) -> dict[str, float]:
        return _plain(bootstrap(statistic, n, seed=seed, rounds=rounds))

    spent = at_budget(score, harmful, reviews)
    limit = limit_for_share(score, harmful, RECALL_SHARE)
    found: dict[str, Any] = {
        "accounts": n,
        "harmful": int(harmful.sum()),
        "active": active,
        "flags": int(flags.count.sum()),
        "flagged_accounts": int((score > 0).sum()),
        "average_precision": interval(lambda at: average_precision(score[at], harmful[at])),
        "budget": {
            "share": budget,
            "accounts": reviews,
            "reviewed": spent.reviewed,
            "limit": spent.limit,
            "precision": interval(lambda at: at_budget(score[at], harmful[at], reviews).precision),
            "recall": interval(lambda at: at_budget(score[at], harmful[at], reviews).recall),
        },
        "at_share": {
            "share": RECALL_SHARE,
            "limit": limit,
            "innocent": float((score[~harmful] >= limit).mean()) if (~harmful).any() else None,
            "recall": interval(lambda at: _recall(score[at], harmful[at])),
        },
        "classes": _classes(labels, flags, spent.limit, limit),
    }
    if contacts is not None:
        found |= _over_time(labels, flags, contacts, seed=seed, rounds=rounds)
        found["cohorts"] = {
            kind: {name: _errors(counts) for name, counts in cohorts.items()}
            for kind, cohorts in tally(labels, flags, contacts).items()
        }
    return cast(dict[str, Any], _finite(found))


def _recall(score: NDArray[np.float64], harmful: NDArray[np.bool_]) -> float:
    limit = limit_for_share(score, harmful, RECALL_SHARE)
    return float((score[harmful] >= limit).mean()) if harmful.any() else float("nan")


def _classes(labels: Labels, flags: Flags, budget: float, limit: float) -> dict[str, dict[str, Any]]:
    """Return the shares of each class that are flagged at several limits, two of them with intervals."""
    score, names = flags.score, labels.label
    in_budget, flagged = class_recall(score, names, budget), class_recall(score, names, 0.0)
    medium = class_recall(np.where(flags.severe, 1.0, 0.0), names, 1.0)
    at_share = class_recall(score, names, limit)

    def around(share: float, accounts: int) -> list[float]:
        found = wilson(share, accounts)
        return [found.low, found.high]

    return {
        name: {
            "accounts": accounts,
            "harmful": bool(labels.harmful[labels.label.index(name)]),
            "in_budget": in_budget[name][0],
            "flagged": share,
            "medium_or_above": medium[name][0],
            "medium_or_above_interval": around(medium[name][0], accounts),
            "at_share": at_share[name][0],
            "at_share_interval": around(at_share[name][0], accounts),
        }
        for name, (share, accounts) in sorted(flagged.items())
    }


def tally(labels: Labels, flags: Flags, contacts: Contacts) -> dict[str, dict[str, Counter[str]]]:
    """Return, by age band and by role as the platform tells them, what is needed for error rates.

    Only accounts that reached out count. Of innocent and of harmful accounts: how many there are, how many have any
    flag, and how many one of `medium` or above.
    """
    found: dict[str, dict[str, Counter[str]]] = {"age_band": {band: Counter() for band in BANDS}, "role": {}}
    for account in sorted(contacts.active):
        who = "harmful" if labels.harmful[account] else "innocent"
        for kind, name in (
            ("age_band", contacts.band.get(account, "unknown")),
            ("role", contacts.role.get(account, "none")),
        ):
            counts = found[kind].setdefault(name, Counter())
            counts[who] += 1
            counts[f"{who}_flagged"] += bool(flags.score[account] > 0)
            counts[f"{who}_medium"] += bool(flags.severe[account])
    return {kind: {name: counts for name, counts in own.items() if counts} for kind, own in found.items()}


def _errors(counts: Counter[str]) -> dict[str, Any]:
    """Return the error rates of a cohort, with 95 % intervals (Wilson)."""
    found: dict[str, Any] = {}
    for who in ("innocent", "harmful"):
        found[who] = counts[who]
        for how in ("flagged", "medium"):
            share = counts[f"{who}_{how}"] / counts[who] if counts[who] else float("nan")
            around = wilson(share, counts[who]) if counts[who] else Interval(share, share, share)
            found[f"{who}_{how}"] = _plain(around)
    return cast(dict[str, Any], _finite(found))


def _over_time(labels: Labels, flags: Flags, contacts: Contacts, *, seed: int, rounds: int) -> dict[str, Any]:
    """Return what needs the events: delay, contacts before the flag, false flags a week, harm."""
    n = len(labels.label)
    who, when = np.array(contacts.account, np.int64), np.array(contacts.time, np.float64)
    first = np.full(n, np.inf)
    np.minimum.at(first, who, when)
    crossed = flags.steps.crossed(0.0, n)
    caught = np.flatnonzero(np.isfinite(first) & np.isfinite(crossed) & labels.harmful)
    delay = (crossed[caught] - first[caught]) / 3_600_000.0
    before = np.bincount(who, weights=when <= crossed[who], minlength=n).astype(np.float64)[caught]
    false = int(flags.count[~labels.harmful].sum())
    children = np.array(contacts.child, np.float64).reshape(-1, 2)
    curve = {}
    for share in sorted({*HARM_SHARES, *CURVE}):
        limit = limit_for_share(flags.score, labels.harmful, share)
        harm = harm_before(children[:, 0].astype(np.int64), children[:, 1], flags.steps.crossed(limit, n))
        each = harm[labels.harmful & ~np.isnan(harm)]
        curve[f"{share:g}"] = _mean(each, seed, rounds)
    return {
        "days": contacts.days,
        "false_flags_per_10k_weeks": false_flags_per_10k_weeks(false, int((~labels.harmful).sum()), contacts.days),
        "delay_hours": _spread(delay),
        "contacts_before_flag": _spread(before),
        "harm": {f"{share:g}": curve[f"{share:g}"] for share in HARM_SHARES},
        "harm_curve": curve,
    }


def _mean(values: NDArray[np.float64], seed: int, rounds: int) -> dict[str, float] | None:
    if not len(values):
        return None
    return _plain(bootstrap(lambda at: float(values[at].mean()), len(values), seed=seed, rounds=rounds))


def _spread(values: NDArray[np.float64]) -> dict[str, float] | None:
    if not len(values):
        return None
    middle, high = np.quantile(values, [0.5, 0.9])
    return {"median": float(middle), "p90": float(high), "accounts": len(values)}


def _plain(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _finite(value: Any) -> Any:
    """Return a value with NaN and infinity as None: JSON has neither."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value
