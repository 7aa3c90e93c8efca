"""`association`: an account whose targets are those of accounts under suspicion.

Statistics
----------
`suspects`: of the strangers contacted of late, the share whom an account under suspicion had reached for in the week
before, against the cohort's share (beta-binomial). An account is under suspicion when its own evidence stood at
`low` or above at the last tick.

Assumptions
-----------
That those who harm the same children have something in common. It never decides alone: its curve ends like that
of every family, and `low` is as far as it gets by itself.

Source
------
Guilt by association on graphs, damped: Chau et al., "Polonium" (2011).

What evades it
--------------
Targets of one's own.
"""

from __future__ import annotations

from detectors.detector import Case, Story, digits, recent
from detectors.sums import Sum
from detectors.words import number
from graph.state import DAY, STRANGER

__all__ = ["Association"]


class Association:
    """Targets shared with accounts under suspicion."""

    name = "association"

    def explain(self, case: Case) -> Story:
        """Say how many targets were those of suspects, and how many usually are."""
        suspects, strangers, share = case.share("suspects")
        return Story(
            explanation=(
                f"{case.who} contacted {number(strangers)} strangers of late, {number(suspects)} of whom other "
                f"accounts under suspicion had reached for in the week before; {number(strangers * share)} were "
                f"expected."
            ),
            features=recent(case, Sum.SUSPECTS, Sum.STRANGERS),
            baseline={"suspects": digits(share)},
            length=7 * DAY,
            mask=STRANGER,
        )
