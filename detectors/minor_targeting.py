"""`minor_targeting`: an adult, or an account of unknown age, that reaches out to many minors who are strangers to it.

Statistics
----------
Three tests; the strongest counts, and no more than experience bears out (`detectors.experience`).

* **Surprise.** For each window (1 h, 24 h, 7 d), the evidence is -ln P(X >= m) of m minors among n strangers, where
  people of a cohort meet minors and others as Gamma–Poisson counts; given n, X is then beta-binomial, with the
  cohort's share and spread (`detectors.baseline`), and a Bonferroni correction for three windows. Contacts that
  were answered (accepted or replied to; the larger) count half: whom children know they answer.
* **Accumulation.** CUSUM of the log-likelihood ratio over all stranger contacts (`detectors.cusum`), carried
  across weeks, so that a few children a day add up. Answers make no difference here: grooming works by being answered.
* **Plain limits** on m, where the cohort itself gets there rarely.

A minor counts only across an age gap (`graph.contacts.CHILD_OF`): 18–20 and 16–17 are near-peers. Minors' own
accounts are not judged here. Accounts with a role that the platform vouches for (teachers) are judged by one
limit of their own.

Assumptions
-----------
The baseline's and those of experience; ages, where known, are mostly right; contacts with minors are independent
given a person's share.

Source
------
Greenwood and Yule (1920); Skellam (1948) for the beta-binomial; Page (1954); Wald (1947) for the bound on false alarms.

What evades it
--------------
Pretending to be a minor; a mutual friend with each child (befriending one of a group first); fewer contacts
with minors than the cohort has anyway.
"""

from __future__ import annotations

import bisect
import math
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from detectors.baseline import Baseline
from detectors.cohorts import MINOR as MINOR_GROUP
from detectors.cohorts import describe
from detectors.cusum import Cusum
from detectors.detector import Evidence, Scored
from detectors.experience import Experience, weaken
from detectors.policy import BaselinePolicy, MinorTargeting, Severities, role_bits
from detectors.table import WINDOW_NAMES, FeatureTable, answered_in, column
from detectors.tails import beta_binomial_nats, over_limit
from detectors.words import duration, listing, number
from graph.jit import njit
from graph.state import DAY, HOUR, MINOR

__all__ = ["MinorTargetingDetector"]

LENGTHS: Final = (HOUR, DAY, 7 * DAY)
WINDOWS: Final = 3
SURPRISE: Final = 0
ACCUMULATION: Final = 1
LIMIT: Final = 2
VOUCHED: Final = 3
BONFERRONI: Final = math.log(WINDOWS)
_MINORS: Final = column("minors")
_STRANGERS: Final = column("strangers")


@njit
def surprise_of(minors: int, strangers: int, answered: int, alpha: float, beta: float) -> Any:
    """Return the raw evidence, in nats, of so many minors among so many strangers."""
    weighed = minors - min(answered, minors) // 2
    return max(beta_binomial_nats(weighed, max(strangers, minors), alpha, beta) - BONFERRONI, 0.0)


@njit
def counted(raw: float, minors: int, w: int, limits: Any, settings: Any, share: float, at: float, scale: float) -> Any:
    """Return what raw evidence in window `w` counts for, and by which test."""
    nats = weaken(raw, share, at, scale)
    if minors >= limits[w] and nats >= settings[2]:
        limit = over_limit(settings[1], minors / limits[w])
        if limit > nats:
            return limit, LIMIT
    return nats, SURPRISE


@njit
def assess(
    rows: Any,
    cohort: Any,
    sums: Any,
    alpha: Any,
    beta: Any,
    limits: Any,
    settings: Any,
    share: float,
    at: Any,
    scale: Any,
    exempt: int,
    nats: Any,
    test: Any,
    window: Any,
    count: Any,
    raw: Any,
) -> None:
    """Write, for each row, the evidence, the test, window and count it lies in, and the raw evidence."""
    min_count, medium, _, per_sum, exempt_limit = settings
    for i in range(len(rows)):
        r = rows[i]
        c = cohort[i]
        g = c // 4
        week = np.int64(r.counts[_MINORS[WINDOWS - 1]])
        if g == MINOR_GROUP or r.roles & exempt:
            raw[i] = -1.0
            if g != MINOR_GROUP:
                window[i] = WINDOWS - 1
                test[i] = VOUCHED
                count[i] = week
                if week >= exempt_limit:
                    nats[i] = over_limit(medium, week / exempt_limit)
            continue
        if week >= min_count:
            for w in range(WINDOWS):
                m = np.int64(r.counts[_MINORS[w]])
                if m < min_count:
                    continue
                x = surprise_of(m, np.int64(r.counts[_STRANGERS[w]]), answered_in(r.counts, w), alpha[c], beta[c])
                raw[i] = max(raw[i], x)
                x, by = counted(x, m, w, limits, settings, share, at[g], scale[g])
                if x > nats[i]:
                    nats[i] = x
                    test[i] = by
                    window[i] = w
                    count[i] = m
        if sums[i].minors >= min_count:
            x = sums[i].value * per_sum
            raw[i] = max(raw[i], x)
            x = weaken(x, share, at[g], scale[g])
            if x > nats[i]:
                nats[i] = x
                test[i] = ACCUMULATION
                window[i] = WINDOWS - 1
                count[i] = sums[i].minors


class MinorTargetingDetector:
    """Minors among strangers contacted, against limits, the cohort, experience, and over weeks.

    Parameters
    ----------
    policy : MinorTargeting
    severities : Severities
    baseline : BaselinePolicy
    """

    STATE: ClassVar[tuple[str, ...]] = ("cusum", "experience")
    name = "minor_targeting"

    def __init__(self, policy: MinorTargeting, severities: Severities, baseline: BaselinePolicy) -> None:
        self.policy = policy
        self.shadow, self.weight = policy.shadow, policy.weight
        self.exempt = role_bits(policy.exempt_roles)
        self.limits = np.array(policy.limits.values())
        self.low, medium = severities.nats()[:2]
        # the policy's limit of the sum stands for `low`
        per_sum = self.low / policy.sequential.limit
        limit_nats = -math.log(policy.limit_p)
        self.settings = np.array([policy.min_count, medium, limit_nats, per_sum, policy.exempt_limit_7d])
        self.cusum = Cusum(policy.sequential.odds)
        self.experience = Experience(baseline)

    def score(self, table: FeatureTable, baseline: Baseline) -> Scored:
        """Return the evidence in each row, carry the accounts' sums along, note what accounts reach."""
        n, e, cohort = len(table), self.experience, table.cohort
        skip = (table.age_group == MINOR_GROUP) | ((table.rows["roles"] & self.exempt) != 0)
        sums = self.cusum.follow(table.rows, baseline.minor_share[cohort], baseline.minor_rate[cohort], skip)
        nats, raw = np.zeros(n), np.zeros(n)
        test, window, count = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
        assess(
            *(table.rows, cohort, sums, baseline.minor_alpha, baseline.minor_beta, self.limits, self.settings),
            *(e.share, e.at, e.scale, self.exempt, nats, test, window, count, raw),
        )
        e.note(table.rows, table.age_group, raw)
        return Scored(nats=nats, count=count, detail={"test": test, "window": window, "sums": sums})

    def explain(self, table: FeatureTable, scored: Scored, i: int, baseline: Baseline) -> Evidence:
        """Return the evidence of row `i`."""
        test, w, count = int(scored.detail["test"][i]), int(scored.detail["window"][i]), int(scored.count[i])
        cohort = int(table.cohort[i])
        share = float(baseline.minor_share[cohort])
        total = scored.detail["sums"][i]
        who = describe(cohort).split(",")[0].capitalize()
        n, length = table.value(f"strangers_{WINDOW_NAMES[w]}", i), LENGTHS[w]
        said = duration(length)
        features: dict[str, float] = {
            f"{what}_{x}": table.value(f"{what}_{x}", i) for x in WINDOW_NAMES for what in ("minors", "strangers")
        }
        features |= {
            f"{what}_{x}": table.value(f"{what}_{x}", i)
            for x in WINDOW_NAMES[1:]
            for what in ("accepted", "replied", "ignored", "blocked", "reported")
        }
        learned = {
            "minor_share": round(share, 4),
            "alpha": round(float(baseline.minor_alpha[cohort]), 4),
            "beta": round(float(baseline.minor_beta[cohort]), 4),
        }
        if test == VOUCHED:
            least = self.policy.exempt_limit_7d
            thresholds: dict[str, float] = {"minors_7d": least}
            parts = [f"{least} minors in {said}"]
        else:
            thresholds, parts = self._lines(table, total, i, baseline)
        expected = n * share
        if test == ACCUMULATION:
            expected, n = float(total["expected"]), int(total["strangers"])
            length = max(int(total["at"] - total["since"]), LENGTHS[2])
            said = duration(max(int(total["at"] - total["since"]), HOUR))
            features |= {
                "minors_accumulated": count,
                "strangers_accumulated": n,
                "cusum": round(float(total["value"]), 3),
            }
        return Evidence(
            features=features,
            thresholds=thresholds,
            baseline=learned | {"expected": round(expected, 3)},
            window=length,
            mask=MINOR,
            explanation=(
                f"{who} contacted {count} minors with no mutual friend in {said}; "
                f"{number(expected)} were expected of {n} stranger contacts."
            ),
            counterfactual=f"Would not have been raised below {listing(parts)}.",
        )

    def _lines(
        self, table: FeatureTable, total: np.void, i: int, baseline: Baseline
    ) -> tuple[dict[str, float], list[str]]:
        """Return every line that the row crosses: the smallest counts that would be flagged, other things equal."""
        thresholds: dict[str, float] = {"p_value": math.exp(-self.low)}
        parts: list[str] = []
        for w, name in enumerate(WINDOW_NAMES):
            least = self._least(table, i, w, baseline)
            if table.value(f"minors_{name}", i) >= least:
                thresholds[f"minors_{name}"] = least
                parts.append(f"{least} minors in {duration(LENGTHS[w])}")
        group = int(table.age_group[i])
        limit = self.experience.needed(group, self.low) / float(self.settings[3])
        value, minors = float(total["value"]), int(total["minors"])
        if minors >= self.policy.min_count and value >= limit:
            # had this many others been adults, the sum would lie below its limit
            fewer = int((value - limit) / self.cusum.log_odds)
            least = max(minors - fewer, self.policy.min_count)
            thresholds |= {"cusum": round(limit, 3), "minors_accumulated": least}
            since = duration(max(int(total["at"] - total["since"]), HOUR))
            parts.append(f"{least} of {int(total['strangers'])} stranger contacts over {since}")
        return thresholds, parts

    def _least(self, table: FeatureTable, i: int, w: int, baseline: Baseline) -> int:
        """Return the smallest number of minors, among as many strangers, that window `w` would flag at all."""
        e, cohort, group = self.experience, int(table.cohort[i]), int(table.age_group[i])
        strangers = table.value(f"strangers_{WINDOW_NAMES[w]}", i)
        answered = int(answered_in(table.rows["counts"][i], w))
        alpha, beta = float(baseline.minor_alpha[cohort]), float(baseline.minor_beta[cohort])
        at, scale = float(e.at[group]), float(e.scale[group])

        def flagged(minors: int) -> bool:
            raw = surprise_of(minors, strangers, answered, alpha, beta)
            nats, _ = counted(raw, minors, w, self.limits, self.settings, e.share, at, scale)
            return bool(minors >= self.policy.min_count and nats >= self.low)

        return bisect.bisect_left(range(strangers + 1), True, key=flagged)

    def learn(self, time: int) -> None:
        """Take what accounts reached until `time` as experience."""
        self.experience.learn(time)

    def forget(self, accounts: NDArray[np.uint32]) -> None:
        """Drop the sums of these accounts, and what was noted of them."""
        self.cusum.forget(accounts)
        self.experience.forget(accounts)
