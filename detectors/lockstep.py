"""`lockstep`: accounts that reach for the same targets.

Statistics
----------
`shared`: the highest number of targets that the account shares with any one other account within days, beyond the one
that chance gives everybody, over its strangers, against the cohort's share (beta-binomial). Targets that everybody
reaches for, such as the popular, raise the cohort's share and so count for little.

Assumptions
-----------
That innocent accounts choose their strangers independently of one another, given their circles.

Source
------
Beutel et al., "CopyCatch" (2013); Cao et al., "Uncovering large groups of active malicious accounts" (SynchroTrap,
2014).

What evades it
--------------
Dividing the targets among the accounts of a ring so that none is reached for twice.
"""

from __future__ import annotations

from detectors.detector import Case, Story, digits, windows
from detectors.words import number
from graph.state import DAY, STRANGER

__all__ = ["Lockstep"]


class Lockstep:
    """Targets shared with other accounts."""

    name = "lockstep"

    def explain(self, case: Case) -> Story:
        """Say how many targets are shared, and how many usually are."""
        _, strangers, share = case.share("shared")
        shared, sharers = int(case.row["shared"]), int(case.row["sharers"])
        others = f", and at least 3 with each of {sharers} accounts" if sharers > 1 else ""
        return Story(
            explanation=(
                f"{case.who} shares {shared} of its targets with one other account{others}; "
                f"{number(1 + strangers * share)} are usual among {number(strangers)} strangers."
            ),
            features=windows(case, "strangers") | {"shared": shared, "sharers": sharers},
            baseline={"shared": digits(share)},
            length=7 * DAY,
            mask=STRANGER,
        )
