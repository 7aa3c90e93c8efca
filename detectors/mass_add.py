"""`mass_add`: an account that reaches out to strangers in numbers.

Statistics
----------
For each window (1 h, 24 h, 7 d), the **outreach** is the number of distinct strangers first contacted in it, less
those who are friends of the account's other recent targets (`linked`: someone who imports contacts or meets a new
class reaches people who know one another), and in the longer windows less the contacts that were answered (accepted,
or replied to; the larger of the two): who is welcome is not flooding anybody. The evidence is -ln P(X >= outreach) for
X negative binomial with the cohort's mean and shape (`detectors.baseline`), for the most surprising window,
with a Bonferroni correction for having looked at three, and no more than experience bears out
(`detectors.experience`). A plain policy limit, once reached, gives at least the evidence of `medium`,
growing with the logarithm of its multiple, unless the cohort itself gets there often.

Assumptions
-----------
The baseline's and those of experience; and that targets of a mass adder mostly do not know one another or answer.

Source
------
Gamma–Poisson counts: Greenwood and Yule (1920). Limits: Yang et al. (2014), as named in the policy.

What evades it
--------------
Staying near the cohort's ordinary rate in every window; picking targets inside one circle of friends;
being answered by accomplices; spreading the work over many accounts.
"""

from __future__ import annotations

import bisect
import math
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from detectors.baseline import Baseline, negative_binomial_tail
from detectors.cohorts import COHORTS, describe
from detectors.detector import Evidence, Scored
from detectors.experience import Experience, weaken
from detectors.policy import BaselinePolicy, MassAdd, Severities, role_bits
from detectors.table import WINDOW_NAMES, FeatureTable, answered_in, outreach_in
from detectors.tails import LIMIT, over_limit
from detectors.words import duration, listing, number
from graph.jit import njit
from graph.state import DAY, HOUR, STRANGER

__all__ = ["MassAddDetector"]

LENGTHS: Final = (HOUR, DAY, 7 * DAY)
TABLE: Final = 1024
"""Evidence is looked up; an outreach beyond this counts as much."""
WINDOWS: Final = 3


@njit
def counted(
    k: int, w: int, cohort: int, surprise: Any, limits: Any, low: Any, share: float, at: Any, scale: Any
) -> Any:
    """Return what an outreach of `k` in window `w` counts for, in nats; `low` holds min_count, medium, limit_nats."""
    if k < low[0]:
        return 0.0
    g = cohort // 4
    nats = weaken(surprise[w, cohort, min(k, TABLE - 1)], share, at[g], scale[g])
    if k >= limits[w] and nats >= low[2]:
        nats = max(nats, over_limit(low[1], k / limits[w]))
    return max(nats, 0.0)


@njit
def assess(
    rows: Any,
    cohort: Any,
    surprise: Any,
    limits: Any,
    low: Any,
    share: float,
    at: Any,
    scale: Any,
    exempt: int,
    nats: Any,
    window: Any,
    count: Any,
    raw: Any,
) -> None:
    """Write, for each row, the evidence, the window and outreach it lies in, and the raw evidence."""
    for i in range(len(rows)):
        r = rows[i]
        if r.roles & exempt:
            raw[i] = -1.0
            continue
        for w in range(WINDOWS):
            k = outreach_in(r.counts, w)
            raw[i] = max(raw[i], surprise[w, cohort[i], min(k, TABLE - 1)])
            found = counted(k, w, cohort[i], surprise, limits, low, share, at, scale)
            if found > nats[i]:
                nats[i] = found
                window[i] = w
                count[i] = k


class MassAddDetector:
    """Strangers contacted, against limits, the cohort and experience.

    Parameters
    ----------
    policy : MassAdd
    severities : Severities
    baseline : BaselinePolicy
    """

    STATE: ClassVar[tuple[str, ...]] = ("experience",)
    name = "mass_add"

    def __init__(self, policy: MassAdd, severities: Severities, baseline: BaselinePolicy) -> None:
        self.policy = policy
        self.shadow, self.weight = policy.shadow, policy.weight
        self.exempt = role_bits(policy.exempt_roles)
        self.limits = np.array(policy.limits.values())
        self.lowest, medium = severities.nats()[:2]
        self.settings = np.array([policy.min_count, medium, -math.log(policy.limit_p)])
        self.experience = Experience(baseline)
        self._fitted = np.full((2, WINDOWS, COHORTS), np.nan)
        self._surprise = np.zeros((WINDOWS, COHORTS, TABLE))

    def _look_up(self, baseline: Baseline) -> NDArray[np.float64]:
        """Return the raw evidence of each outreach in each window and cohort, shape (3, COHORTS, TABLE)."""
        fitted = np.stack([baseline.mean, baseline.shape])
        changed = (fitted != self._fitted).any(axis=0)
        if changed.any():
            mean, shape = fitted[:, changed]
            p = negative_binomial_tail(np.arange(TABLE)[None, :], mean[:, None], shape[:, None])
            self._surprise[changed] = np.clip(-np.log(np.maximum(WINDOWS * p, 1e-300)), 0.0, LIMIT)
            self._fitted = fitted
        return self._surprise

    def score(self, table: FeatureTable, baseline: Baseline) -> Scored:
        """Return the evidence in each row, and note what accounts reach for experience."""
        n, e = len(table), self.experience
        nats, raw = np.zeros(n), np.zeros(n)
        window, count = np.zeros(n, np.int64), np.zeros(n, np.int64)
        surprise, settings = self._look_up(baseline), self.settings
        assess(
            *(table.rows, table.cohort, surprise, self.limits, settings, e.share, e.at, e.scale, self.exempt),
            *(nats, window, count, raw),
        )
        e.note(table.rows, table.age_group, raw)
        return Scored(nats=nats, count=count, detail={"window": window})

    def explain(self, table: FeatureTable, scored: Scored, i: int, baseline: Baseline) -> Evidence:
        """Return the evidence of row `i`."""
        w = int(scored.detail["window"][i])
        name, count, length = WINDOW_NAMES[w], int(scored.count[i]), duration(LENGTHS[w])
        cohort = int(table.cohort[i])
        mean, shape = float(baseline.mean[w, cohort]), float(baseline.shape[w, cohort])
        counts = table.rows["counts"][i]
        strangers, linked = table.value(f"strangers_{name}", i), table.value(f"linked_{name}", i)
        answered = int(answered_in(counts, w))
        features: dict[str, float] = {
            **{f"outreach_{x}": int(outreach_in(counts, v)) for v, x in enumerate(WINDOW_NAMES)},
            **{f"{what}_{x}": table.value(f"{what}_{x}", i) for x in WINDOW_NAMES for what in ("strangers", "linked")},
            **{
                f"{what}_7d": table.value(f"{what}_7d", i)
                for what in ("targets", "accepted", "declined", "ignored", "replied")
            },
            "friends": int(table.rows["friends"][i]),
        }
        less = [f"{linked} who know others of them"] if linked else []
        less += [f"{answered} contacts that were answered"] if answered else []
        left = f", less {listing(less)}" if less else ""
        who = describe(cohort).split(",")[0].capitalize()
        p = float(negative_binomial_tail(np.array(count), np.array(mean), np.array(shape)))
        # the sentence is true only if it names every window that would have raised a flag alone
        least = [self._least(v, cohort, baseline) for v in range(WINDOWS)]
        reached = [v for v in range(WINDOWS) if features[f"outreach_{WINDOW_NAMES[v]}"] >= least[v]]
        return Evidence(
            features=features,
            thresholds={f"outreach_{WINDOW_NAMES[v]}": least[v] for v in reached}
            | {f"limit_{name}": float(self.limits[w]), "p_value": math.exp(-self.lowest)},
            baseline={"mean": round(mean, 4), "shape": round(shape, 4), "p_value": float(f"{p:.3g}")},
            window=LENGTHS[w],
            mask=STRANGER,
            explanation=(
                f"{who} contacted {strangers} strangers in {length}{left}; "
                f"{number(mean)} are usual for accounts like it."
            ),
            counterfactual="Would not have been raised below "
            + listing([f"{least[v]} such strangers in {duration(LENGTHS[v])}" for v in reached])
            + ".",
        )

    def _least(self, w: int, cohort: int, baseline: Baseline) -> int:
        """Return the smallest outreach that window `w` would flag at all."""
        e, surprise = self.experience, self._look_up(baseline)

        def flagged(k: int) -> bool:
            found = counted(k, w, cohort, surprise, self.limits, self.settings, e.share, e.at, e.scale)
            return bool(found >= self.lowest)

        return bisect.bisect_left(range(1 << 32), True, key=flagged)

    def learn(self, time: int) -> None:
        """Take what accounts reached until `time` as experience."""
        self.experience.learn(time)

    def forget(self, accounts: NDArray[np.uint32]) -> None:
        """Drop what was noted of these accounts."""
        self.experience.forget(accounts)
