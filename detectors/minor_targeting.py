"""`minor_targeting`: an adult, or an account of unknown age, that reaches out to many minors who are strangers to it.

Statistics
----------
Three tests; the strongest counts.

* **Surprise.** For the windows of 24 h and 7 d, m minors among n strangers contacted, against a negative
  binomial with mean n q and the cohort's shape: what the cohort's exposure would give (`detectors.baseline`).
* **Accumulation.** CUSUM of the log-likelihood ratio over all stranger contacts (`detectors.cusum`), carried
  across weeks, so that a few children a day add up.
* **Plain limits** on m, where the cohort itself gets there rarely.

A minor counts only across an age gap (`graph.contacts.CHILD_OF`): 18–20 and 16–17 are near-peers. Minors' own
accounts are not judged here. Accounts with a role that the platform vouches for (teachers) are judged by one
limit of their own.

Assumptions
-----------
The baseline's; ages, where known, are mostly right; contacts with minors are independent given a person's rate.

Source
------
Greenwood and Yule (1920); Page (1954); Wald (1947) for the bound on false alarms.

What evades it
--------------
Pretending to be a minor; a mutual friend with each child (befriending one of a group first); fewer contacts
with minors than the cohort has anyway.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.baseline import Baseline, negative_binomial_tail
from detectors.cohorts import MINOR as MINOR_GROUP
from detectors.cohorts import describe
from detectors.cusum import Cusum
from detectors.detector import Evidence, Scored
from detectors.policy import MinorTargeting, Severities, role_bits
from detectors.table import WINDOW_NAMES, FeatureTable
from detectors.words import duration, number
from graph.state import DAY, HOUR, MINOR

__all__ = ["MinorTargetingDetector"]

LENGTHS: Final = (HOUR, DAY, 7 * DAY)
SURPRISE: Final = 0
ACCUMULATION: Final = 1
LIMIT: Final = 2
VOUCHED: Final = 3


class MinorTargetingDetector:
    """Minors among strangers contacted, against limits, the cohort, and over weeks.

    Parameters
    ----------
    policy : MinorTargeting
    severities : Severities
    """

    name = "minor_targeting"

    def __init__(self, policy: MinorTargeting, severities: Severities) -> None:
        self.policy = policy
        self.shadow = policy.shadow
        self.exempt = role_bits(policy.exempt_roles)
        self.limits = np.array(policy.limits.values())
        self.low, self.medium = severities.nats()[:2]
        self.cusum = Cusum(policy.sequential.odds)

    def score(self, table: FeatureTable, baseline: Baseline) -> Scored:
        """Return the evidence in each row, and carry the accounts' sums along."""
        n = len(table)
        rows = np.arange(n)
        cohort = table.cohort
        share, shape = baseline.minor_share[cohort], baseline.minor_shape[cohort]
        young = table.age_group == MINOR_GROUP
        vouched = (table.rows["roles"] & self.exempt) != 0
        minors, strangers = table.windows("minors"), table.windows("strangers")

        p = negative_binomial_tail(minors, np.maximum(strangers * share[:, None], 1e-9), shape[:, None])
        surprise = -np.log(np.maximum(3.0 * p, 1e-300))
        surprise[minors < self.policy.min_count] = 0.0
        over = minors / self.limits
        limit = np.where((over >= 1.0) & (p <= self.policy.limit_p), self.medium * over, 0.0)

        sums = self.cusum.follow(table.rows, share, baseline.minor_rate[cohort], young | vouched)
        # the policy's limit of the sum stands for `low`
        accumulated = sums["value"] * (self.low / self.policy.sequential.limit)
        accumulated[sums["minors"] < self.policy.min_count] = 0.0

        window = np.argmax(np.maximum(surprise, limit), axis=1)
        best = np.stack([surprise[rows, window], accumulated, limit[rows, window]])
        test = np.argmax(best, axis=0)
        nats = best[test, rows]
        week = minors[:, 2]
        nats[vouched] = 0.0
        many = vouched & (week >= self.policy.exempt_limit_7d)
        nats[many] = self.medium * week[many] / self.policy.exempt_limit_7d
        test[vouched] = VOUCHED
        window[vouched] = 2
        nats[young] = 0.0
        count = np.where(test == ACCUMULATION, sums["minors"].astype(np.int64), minors[rows, window])
        return Scored(
            nats=np.maximum(nats, 0.0),
            count=count,
            detail={"window": window, "test": test, "p": p[rows, window], "sums": sums},
        )

    def explain(self, table: FeatureTable, scored: Scored, i: int, baseline: Baseline) -> Evidence:
        """Return the evidence of row `i`."""
        test, w, count = int(scored.detail["test"][i]), int(scored.detail["window"][i]), int(scored.count[i])
        cohort = int(table.cohort[i])
        share, shape = float(baseline.minor_share[cohort]), float(baseline.minor_shape[cohort])
        total = scored.detail["sums"][i]
        who = describe(cohort).split(",")[0].capitalize()
        features: dict[str, float] = {
            f"{what}_{x}": table.value(f"{what}_{x}", i) for x in WINDOW_NAMES for what in ("minors", "strangers")
        }
        features |= {what: table.value(what, i) for what in ("accepted_7d", "ignored_7d", "blocked_7d", "reported_7d")}
        learned = {"minor_share": round(share, 4), "shape": round(shape, 4)}
        p_value = {"p_value": float(np.exp(-self.low))}
        if test == ACCUMULATION:
            length = max(int(total["at"] - total["since"]), HOUR)
            expected = float(total["expected"])
            features |= {
                "minors_accumulated": count,
                "strangers_accumulated": int(total["strangers"]),
                "cusum": round(float(total["value"]), 3),
            }
            least = max(count - int((total["value"] - self.policy.sequential.limit) / self.cusum.log_odds), 1)
            return Evidence(
                features=features,
                thresholds={"cusum": self.policy.sequential.limit},
                baseline=learned | {"expected": round(expected, 3)},
                window=max(length, LENGTHS[2]),
                mask=MINOR,
                explanation=(
                    f"{who} contacted {count} minors with no mutual friend over {duration(length)}; {number(expected)} "
                    f"were expected of its {int(total['strangers'])} stranger contacts in that time."
                ),
                counterfactual=f"Would not have been raised below {least} such minors in the same time.",
            )
        name, n = WINDOW_NAMES[w], table.value(f"strangers_{WINDOW_NAMES[w]}", i)
        limit = self.policy.exempt_limit_7d if test == VOUCHED else float(self.limits[w])
        floor = self.policy.exempt_limit_7d if test == VOUCHED else self._least(w, n, share, shape)
        return Evidence(
            features=features,
            thresholds={f"minors_{name}": limit} | p_value,
            baseline=learned | {"expected": round(n * share, 3), "p_value": float(f"{scored.detail['p'][i]:.3g}")},
            window=LENGTHS[w],
            mask=MINOR,
            explanation=(
                f"{who} contacted {count} minors with no mutual friend in {duration(LENGTHS[w])}; "
                f"{number(n * share)} were expected of {n} stranger contacts."
            ),
            counterfactual=f"Would not have been raised below {floor} minors in {duration(LENGTHS[w])}.",
        )

    def _least(self, w: int, n: int, share: float, shape: float) -> int:
        """Return the smallest number of minors among `n` strangers that window `w` would flag at all."""
        counts = np.arange(self.policy.min_count, n + 1)
        p = negative_binomial_tail(counts, np.array(max(n * share, 1e-9)), np.array(shape))
        enough = (3.0 * p <= np.exp(-self.low)) | ((counts >= self.limits[w]) & (p <= self.policy.limit_p))
        return int(counts[np.argmax(enough)]) if enough.any() else n

    def forget(self, accounts: NDArray[np.uint32]) -> None:
        """Drop the sums of these accounts."""
        self.cusum.forget(accounts)
