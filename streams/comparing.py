"""What several policies flagged in the same history, side by side, as plain values."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.episodes import FlagRecord
from detectors.evaluation import Steps, wilson
from detectors.policy import SEVERITIES
from graph.state import DAY
from streams.labelled import Flags, Labels
from streams.measures import report

__all__ = ["Decisions", "Run", "compare"]

MEDIUM: Final = 1


@dataclass(slots=True)
class _Account:
    """What a policy says of an account: the highest severity, when a flag first came, and when one of `medium` did."""

    severity: int
    first: int
    case: int | None


@dataclass(slots=True)
class Run:
    """What one policy flagged; fed with its records in order.

    Attributes
    ----------
    name, version : str
        Of the policy.
    flags : dict of str to FlagRecord
        The last record of each flag.
    severity : dict of str to int
        The highest severity of each.
    steps : dict of str to list of (int, float)
        Times, epoch ms, and scores of each flag's records.
    """

    name: str
    version: str
    flags: dict[str, FlagRecord] = field(default_factory=dict)
    severity: dict[str, int] = field(default_factory=dict)
    steps: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    def take(self, record: FlagRecord) -> None:
        """Take one record."""
        key = record.flag_id
        self.flags[key] = record
        self.severity[key] = max(self.severity.get(key, 0), SEVERITIES.index(record.severity))
        self.steps.setdefault(key, []).append((record.updated_at, record.score))

    def accusing(self) -> dict[str, FlagRecord]:
        """Return flags that a team would review: live, standing, about the account under suspicion."""
        return {
            key: flag
            for key, flag in self.flags.items()
            if flag.role == "actor" and not flag.shadow and flag.type != "flag.retracted"
        }

    def accounts(self) -> dict[str, _Account]:
        """Return what is said of each account that a team would review."""
        found: dict[str, _Account] = {}
        for key, flag in self.accusing().items():
            severity, raised = self.severity[key], flag.raised_at
            case = raised if severity >= MEDIUM else None
            known = found.get(flag.account_id)
            if known is None:
                found[flag.account_id] = _Account(severity, raised, case)
                continue
            known.severity, known.first = max(known.severity, severity), min(known.first, raised)
            if case is not None:
                known.case = case if known.case is None else min(known.case, case)
        return found

    def labelled(self, labels: Labels) -> Flags:
        """Return them as `kithwatch evaluate` measures them.

        Raises
        ------
        KeyError
            If an account has no label.
        """
        n = len(labels.label)
        severe, count = np.zeros(n, np.bool_), np.zeros(n, np.int64)
        steps: list[tuple[int, int, float]] = []
        for key, flag in self.accusing().items():
            account = labels.place[flag.account_id]
            severe[account] |= self.severity[key] >= MEDIUM
            count[account] += 1
            steps += [(account, time, min(score, flag.score)) for time, score in self.steps[key]]
        table = np.array(steps, np.float64).reshape(-1, 3)
        over_time = Steps(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])
        return Flags(over_time.highest(n), severe, over_time, count)


@dataclass(frozen=True, slots=True)
class Decisions:
    """What reviewers decided about accounts: of each, the last decision that settled it."""

    confirmed: frozenset[str]
    dismissed: frozenset[str]


def compare(
    runs: list[Run], *, labels: Labels | None, decisions: Decisions | None, rounds: int, seed: int
) -> dict[str, Any]:
    """Return flag volume, overlap, and precision and recall where somebody knows, ready for JSON."""
    told = [run.accounts() for run in runs]
    found: dict[str, Any] = {
        "policies": [
            _volume(run, accounts)
            | (_against_labels(run, labels, rounds=rounds, seed=seed) if labels is not None else {})
            | (_against_decisions(accounts, decisions) if decisions is not None else {})
            for run, accounts in zip(runs, told, strict=True)
        ],
        "overlap": [
            _overlap(runs[a].name, told[a], runs[b].name, told[b])
            for a, b in itertools.combinations(range(len(runs)), 2)
        ],
    }
    return found


def _volume(run: Run, accounts: dict[str, _Account]) -> dict[str, Any]:
    accusing = run.accusing()
    days = Counter(flag.raised_at // DAY for key, flag in accusing.items() if run.severity[key] >= MEDIUM)
    reached = Counter(SEVERITIES[account.severity] for account in accounts.values())
    return {
        "name": run.name,
        "policy_version": run.version,
        "flags": len(accusing),
        "accounts": len(accounts),
        "accounts_by_severity": {name: reached[name] for name in SEVERITIES},
        "flags_by_detector": dict(sorted(Counter(flag.detector for flag in accusing.values()).items())),
        "shadow_by_detector": dict(
            sorted(Counter(flag.detector for flag in run.flags.values() if flag.shadow).items())
        ),
        "retracted": sum(flag.type == "flag.retracted" for flag in run.flags.values()),
        "minors_at_risk": len({flag.account_id for flag in run.flags.values() if flag.role == "target"}),
        "cases_by_day": {str(np.datetime64(day, "D")): count for day, count in sorted(days.items())},
    }


def _overlap(one: str, a: dict[str, _Account], other: str, b: dict[str, _Account]) -> dict[str, Any]:
    """Return which accounts both flag, at all and as a case, and how much sooner the second does."""
    shares = {}
    for name, least in (("flagged", 0), ("case", MEDIUM)):
        first = {account for account, told in a.items() if told.severity >= least}
        second = {account for account, told in b.items() if told.severity >= least}
        union = len(first | second)
        shares[name] = {
            "both": len(first & second),
            "only_first": len(first - second),
            "only_second": len(second - first),
            "jaccard": len(first & second) / union if union else None,
        }
    sooner = [a[account].first - b[account].first for account in a.keys() & b.keys()]
    hours = float(np.median(sooner)) / 3_600_000 if sooner else None
    return {"first": one, "second": other, **shares, "second_sooner_hours_median": hours}


def _against_labels(run: Run, labels: Labels, *, rounds: int, seed: int) -> dict[str, Any]:
    flags = run.labelled(labels)
    measured = report(labels, flags, None, budget=0.01, seed=seed, rounds=rounds)
    return {
        "labels": {
            **{name: measured[name] for name in ("average_precision", "at_share", "classes")},
            "flagged": _rates(flags.score > 0, labels.harmful),
            "case": _rates(flags.severe, labels.harmful),
            "curve": _curve(flags.score, labels.harmful),
        }
    }


def _rates(hit: NDArray[np.bool_], harmful: NDArray[np.bool_]) -> dict[str, Any]:
    """Return precision, recall and the share of innocent accounts, each with its interval (Wilson)."""
    both = int((hit & harmful).sum())
    return {
        "precision": _share(both, int(hit.sum())),
        "recall": _share(both, int(harmful.sum())),
        "innocent": _share(int((hit & ~harmful).sum()), int((~harmful).sum())),
    }


def _share(part: int, whole: int) -> dict[str, Any]:
    if not whole:
        return {"value": None, "low": None, "high": None, "of": 0}
    around = wilson(part / whole, whole)
    return {"value": around.value, "low": around.low, "high": around.high, "of": whole}


def _curve(score: NDArray[np.float64], harmful: NDArray[np.bool_]) -> list[list[float]]:
    """Return recall and precision at every score that an account has, the highest first."""
    order = np.argsort(-score, kind="stable")
    order = order[score[order] > 0]
    if not len(order) or not harmful.any():
        return []
    hits = np.cumsum(harmful[order])
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    return [[float(hits[i] / harmful.sum()), float(hits[i] / (i + 1))] for i in ends.tolist()]


def _against_decisions(accounts: dict[str, _Account], decisions: Decisions) -> dict[str, Any]:
    """Return how far a policy agrees with what reviewers decided; of accounts that nobody decided it says nothing."""
    found = {}
    for name, least in (("flagged", 0), ("case", MEDIUM)):
        hit = {account for account, told in accounts.items() if told.severity >= least}
        right, wrong = len(hit & decisions.confirmed), len(hit & decisions.dismissed)
        found[name] = {
            "precision": _share(right, right + wrong),
            "recall": _share(right, len(decisions.confirmed)),
            "undecided": len(hit) - right - wrong,
        }
    return {"decisions": found}
