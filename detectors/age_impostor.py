"""`age_impostor`: an account that says it is a minor and does not live like one.

Statistics
----------
`not_peers`: of the strangers of known age that a declared minor contacts, the share outside its own age group, against
the cohort's share (beta-binomial). All that speaks of volume, refusal, scattered targets and signs is compared with
minors too, among whom an adult's ways stand out.

Assumptions
-----------
That children mostly look for children of their own age.

Source
------
Age homophily: McPherson et al., "Birds of a feather" (2001).

What evades it
--------------
Keeping to the age that one claims.
"""

from __future__ import annotations

from detectors.detector import Case, Story, digits, recent, windows
from detectors.sums import Sum
from detectors.words import number, percent
from graph.state import DAY, STRANGER

__all__ = ["AgeImpostor"]


class AgeImpostor:
    """Declared minors whose strangers are not their peers."""

    name = "age_impostor"

    def explain(self, case: Case) -> Story:
        """Say how many strangers were no peers, and how many usually are."""
        far, aged, share = case.share("not_peers")
        return Story(
            explanation=(
                f"{case.who} contacted {number(aged)} strangers of known age of late, {number(far)} of them "
                f"outside its own age group; {percent(share)} are usual."
            ),
            features=windows(case, "strangers") | recent(case, Sum.FAR, Sum.AGED),
            baseline={"not_peers": digits(share)},
            length=7 * DAY,
            mask=STRANGER,
        )
