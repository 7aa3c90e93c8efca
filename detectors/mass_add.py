"""`mass_add`: an account that reaches out to strangers in numbers.

Statistics
----------
For each window (1 h, 24 h, 7 d), k is the number of distinct strangers first contacted in it, less those
who are friends of the account's other recent targets (`linked`: someone who imports contacts or meets a new class
reaches people who know one another). The evidence is -ln P(X >= k) for X negative binomial with the
cohort's mean and shape (`detectors.baseline`), for the most surprising window, with a Bonferroni correction
for having looked at three. A plain policy limit, once reached, gives at least the evidence of `medium`,
growing with the multiple of the limit, unless the cohort itself gets there often.

Assumptions
-----------
The baseline's; and that targets of a mass adder mostly do not know one another.

Source
------
Gamma–Poisson counts: Greenwood and Yule (1920). Limits: Yang et al. (2014), as named in the policy.

What evades it
--------------
Staying near the cohort's ordinary rate in every window; picking targets inside one circle of friends;
spreading the work over many accounts.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.baseline import Baseline, negative_binomial_tail
from detectors.cohorts import describe
from detectors.detector import Evidence, Scored
from detectors.policy import MassAdd, Severities, role_bits
from detectors.table import WINDOW_NAMES, FeatureTable
from detectors.words import duration, number
from graph.state import DAY, HOUR, STRANGER

__all__ = ["MassAddDetector"]

LENGTHS: Final = (HOUR, DAY, 7 * DAY)


class MassAddDetector:
    """Strangers contacted, against limits and against the cohort.

    Parameters
    ----------
    policy : MassAdd
    severities : Severities
    """

    name = "mass_add"

    def __init__(self, policy: MassAdd, severities: Severities) -> None:
        self.policy = policy
        self.shadow = policy.shadow
        self.exempt = role_bits(policy.exempt_roles)
        self.limits = np.array(policy.limits.values())
        self.medium = severities.nats()[1]
        self.low = severities.nats()[0]

    def score(self, table: FeatureTable, baseline: Baseline) -> Scored:
        """Return the evidence in each row. Stateless."""
        scattered = table.windows("strangers") - table.windows("linked")
        mean, shape = baseline.mean[:, table.cohort].T, baseline.shape[:, table.cohort].T
        p = negative_binomial_tail(scattered, mean, shape)
        tail = -np.log(np.maximum(3.0 * p, 1e-300))
        over = scattered / self.limits
        limit = np.where((over >= 1.0) & (p <= self.policy.limit_p), self.medium * over, 0.0)
        nats = np.maximum(tail, limit)
        nats[scattered < self.policy.min_count] = 0.0
        nats[(table.rows["roles"] & self.exempt) != 0] = 0.0
        window = np.argmax(nats, axis=1)
        rows = np.arange(len(table))
        return Scored(
            nats=np.maximum(nats[rows, window], 0.0),
            count=scattered[rows, window],
            detail={"window": window, "by_limit": limit[rows, window] > tail[rows, window], "p": p[rows, window]},
        )

    def explain(self, table: FeatureTable, scored: Scored, i: int, baseline: Baseline) -> Evidence:
        """Return the evidence of row `i`."""
        w = int(scored.detail["window"][i])
        name, count = WINDOW_NAMES[w], int(scored.count[i])
        cohort = int(table.cohort[i])
        mean, shape = float(baseline.mean[w, cohort]), float(baseline.shape[w, cohort])
        linked = table.value(f"linked_{name}", i)
        limit = float(self.limits[w])
        features: dict[str, float] = {
            f"scattered_{name}": count,
            **{f"{what}_{x}": table.value(f"{what}_{x}", i) for x in WINDOW_NAMES for what in ("strangers", "linked")},
            "targets_7d": table.value("targets_7d", i),
            "accepted_7d": table.value("accepted_7d", i),
            "declined_7d": table.value("declined_7d", i),
            "ignored_7d": table.value("ignored_7d", i),
            "friends": int(table.rows["friends"][i]),
        }
        known = f" ({linked} more know the others)" if linked else ""
        who = describe(cohort).split(",")[0].capitalize()
        explanation = (
            f"{who} contacted {count} strangers in {duration(LENGTHS[w])}{known}; "
            f"{number(mean)} are usual for accounts like it."
        )
        least = self._least(w, mean, shape)
        return Evidence(
            features=features,
            thresholds={f"strangers_{name}": limit, "p_value": float(np.exp(-self.low))},
            baseline={
                "mean": round(mean, 4),
                "shape": round(shape, 4),
                "p_value": float(f"{scored.detail['p'][i]:.3g}"),
            },
            window=LENGTHS[w],
            mask=STRANGER,
            explanation=explanation,
            counterfactual=f"Would not have been raised below {least} strangers in {duration(LENGTHS[w])}.",
        )

    def _least(self, w: int, mean: float, shape: float) -> int:
        """Return the smallest count that window `w` would flag at all."""
        counts = np.arange(self.policy.min_count, 4096)
        p = negative_binomial_tail(counts, np.array(mean), np.array(shape))
        enough = (3.0 * p <= np.exp(-self.low)) | ((counts >= self.limits[w]) & (p <= self.policy.limit_p))
        return int(counts[np.argmax(enough)]) if enough.any() else 4096

    def forget(self, accounts: NDArray[np.uint32]) -> None:
        """Do nothing: there is no state."""
