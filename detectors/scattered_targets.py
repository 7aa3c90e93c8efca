"""`scattered_targets`: an account whose targets neither it nor one another know, where those of others do.

Statistics
----------
`strangers`: of first contacts of late, the share with strangers. `scattered`: of the strangers, the share who are not
friends of the account's other recent targets. Each against the cohort's share (beta-binomial). People who move, start
a school or join a club reach for people who know one another: that speaks for them.

Assumptions
-----------
That real acquaintance comes in circles (triadic closure), on this platform too: where it does not, the cohort's
share says so and the evidence is small.

Source
------
Granovetter, "The strength of weak ties" (1973); clustering as the mark of real accounts: Boshmaf et al., "Integro"
(2015).

What evades it
--------------
Entering one circle and staying in it (camouflage): befriending one child of a class first.
"""

from __future__ import annotations

from detectors.detector import Case, Story, digits, recent, windows
from detectors.sums import Sum
from detectors.words import number, percent
from graph.state import DAY, STRANGER

__all__ = ["ScatteredTargets"]


class ScatteredTargets:
    """Targets who do not know each other, nor the account."""

    name = "scattered_targets"

    def explain(self, case: Case) -> Story:
        """Say how many targets know nobody of the account's, and how many usually do."""
        strangers, contacts, share = case.share("strangers")
        scattered, _, usual = case.share("scattered")
        return Story(
            explanation=(
                f"{case.who} contacted {number(contacts)} people of late, {number(strangers)} of them strangers and "
                f"{number(scattered)} of these with no friend among its other targets; usual are {percent(share)} "
                f"and {percent(usual)}."
            ),
            features=windows(case, "targets", "strangers", "linked")
            | recent(case, Sum.FIRST, Sum.STRANGERS, Sum.LINKED)
            | {"friends": int(case.row["friends"])},
            baseline={"strangers": digits(share), "scattered": digits(usual)},
            length=7 * DAY,
            mask=STRANGER,
        )
