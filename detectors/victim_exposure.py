"""`victim_exposure`: a minor whom several suspect accounts reach for. It protects the minor, and accuses nobody.

Statistics
----------
At the target's shard, of the strangers whose first contacts with a minor came last (9 at most, within 7 days,
`graph.callers`): how many were under suspicion when they came, and how many under strong suspicion, against the shares
of all such contacts with minors at the last tick. The binomial probability of so many or more, of either count,
times two since there are two; the evidence is minus its log. An account is under suspicion when its own evidence stood
at `low` or above at the last tick, and under strong suspicion from `medium` on.

Assumptions
-----------
That those who reach for a minor are, but for those who agree on it, a random draw from those who reach for minors.
Minors on whom three suspects and more have called are left out of what is ordinary.

Source
------
Children who were victimised once are reached for by others too ("poly-victimisation"): Finkelhor et al. (2007). The
binomial test.

What evades it
--------------
Being the only one who reaches for a child; reaching for it before anything is known of one: suspicion is that of the
moment of the contact.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final

import numpy as np

from detectors.counterfactual import Account
from detectors.detector import Story, digits
from detectors.policy import Policy
from detectors.words import number
from graph.callers import count_calls
from graph.shard import Shard
from graph.state import DAY

__all__ = ["NAME", "Exposure", "binomial_tail"]

NAME: Final = "victim_exposure"
PRIOR: Final = (0.1, 0.02)
"""Shares of suspects, and of strong suspects, among those who reach for minors as strangers, before any were seen."""


def binomial_tail(k: int, n: int, share: float) -> float:
    """Return the probability of `k` or more of `n`.

    Examples
    --------
    >>> round(binomial_tail(2, 3, 0.5), 3), binomial_tail(0, 3, 0.5)
    (0.5, 1.0)
    """
    return min(sum(math.comb(n, i) * share**i * (1.0 - share) ** (n - i) for i in range(k, n + 1)), 1.0)


class Exposure:
    """What is ordinary among those who reach for minors, and what is said of a minor for whom suspects reach.

    Parameters
    ----------
    policy : Policy

    Attributes
    ----------
    shares : ndarray, shape (2,)
        Of all contacts of strangers with minors in the last 7 days: made under suspicion, under strong suspicion.
    """

    STATE: ClassVar = ("shares",)

    def __init__(self, policy: Policy) -> None:
        settings = policy.detectors.victim_exposure
        self.enabled, self.shadow, self.least = settings.enabled, settings.shadow, settings.suspects
        self.weight = policy.baseline.prior_contacts
        self.lines = policy.severities.nats()
        self.shares = np.array(PRIOR)

    def learn(self, shard: Shard) -> None:
        """Learn what is ordinary, as of a tick."""
        if self.enabled:
            calls, *found = count_calls(shard.state)
            self.shares = (np.array(found) + self.weight * np.array(PRIOR)) / (calls + self.weight)

    def weigh(self, callers: int, suspects: int, strong: int) -> float:
        """Return the evidence, in nats, of so many suspects among so many who called."""
        if suspects < self.least:
            return 0.0
        both = (
            binomial_tail(k, callers, share) for k, share in zip((suspects, strong), self.shares.tolist(), strict=True)
        )
        return max(-math.log(max(2.0 * min(both), 1e-300)), 0.0)

    def level(self, nats: float) -> int:
        """Return the severity of evidence, an index into `detectors.policy.SEVERITIES`; -1 below the lowest."""
        return sum(nats >= line for line in self.lines) - 1

    def judge(self, row: Any) -> tuple[int, float]:
        """Return severity and evidence of the row of a minor on whom a suspect has called; -1 for none."""
        nats = self.weigh(*_counts(row))
        return self.level(nats) if self.enabled else -1, nats

    def explain(self, row: Any) -> Story:
        """Say how many reached for the minor, and how many suspects among them are usual."""
        callers, suspects, strong = _counts(row)
        some, more = (callers * self.shares).tolist()
        who = "account" if suspects == 1 else "accounts"
        return Story(
            explanation=(
                f"This minor may need protection: {number(callers)} strangers contacted it within 7 days, "
                f"{number(suspects)} of them {who} under suspicion and {number(strong)} under strong suspicion; "
                f"{number(some)} and {number(more)} were expected."
            ),
            features={"callers": callers, "suspects": suspects, "strong_suspects": strong},
            baseline={"suspects": digits(float(self.shares[0])), "strong_suspects": digits(float(self.shares[1]))},
            length=7 * DAY,
            mask=0,
        )

    def account_for(self, row: Any, nats: float) -> Account:
        """Say what the line was, and below how many suspects, of as many strangers, it would not have been raised."""
        callers, suspects, strong = _counts(row)
        # the fewest that would do; those under strong suspicion are the last to be left out
        enough = next(k for k in range(suspects + 1) if self.level(self.weigh(callers, k, min(strong, k))) >= 0)
        sentence = f"Would not have been raised below {enough} suspects among these {callers} strangers."
        thresholds = {"nats": round(self.lines[0], 3), "p_value": math.exp(-self.lines[0]), "below_suspects": enough}
        return Account({"nats": round(nats, 3)}, thresholds, "", sentence)


def _counts(row: Any) -> tuple[int, int, int]:
    return int(row["callers"]), int(row["suspects"]), int(row["strong"])
