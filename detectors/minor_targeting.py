"""`minor_targeting`: an adult, or an account of unknown age, whose strangers are children.

Statistics
----------
Three views of the same contacts. `minors`: minors across an age gap among the strangers of known age, against the
cohort's share and the spread of its people (beta-binomial); where the account's acquaintances are children, a higher
share is ordinary for it (`detectors.evidence`). `age_gap`: by how many years the account is older than its strangers,
20 years counting as one, which says more than the word minor. `minor_sum`: a sequential test (CUSUM,
`detectors.cusum`) of meeting minors more often than the cohort does in the same time, carried over weeks, so that a
few a day add up. An 18-20 is a near-peer of a 16-17 and is judged by the gap. Plain limits on minors in 1 h, 24 h and
7 d raise a flag that stands for any reason to `medium`. Of accounts with a role that the policy vouches for, minors say
nothing below a limit of their own.

Assumptions
-----------
That ages are mostly what they are said to be. A child who says that it is an adult looks like an adult who knows
children only; that its acquaintances are children speaks for it, and that its contacts answer (`rejected_outreach`).

Source
------
Beta-binomial: Skellam (1948). CUSUM: Page, "Continuous inspection schemes" (1954).

What evades it
--------------
An adult who says that it is a minor (see `age_impostor`); children whose age is unknown; children with whom the account
has a mutual friend; staying at the cohort's own share and pace.
"""

from __future__ import annotations

from detectors.detector import LENGTHS, Case, Story, digits, recent, windows
from detectors.evidence import own_share
from detectors.sums import Sum
from detectors.words import duration, number
from graph.state import HOUR, MINOR

__all__ = ["MinorTargeting"]


class MinorTargeting:
    """Minors among strangers contacted."""

    name = "minor_targeting"

    def explain(self, case: Case) -> Story:
        """Say how many minors were contacted among how many strangers, and how many were to be expected."""
        _, _, usual = case.share("minors")
        share = float(own_share(case.sums, usual))
        w = case.best_window("minors")
        minors, strangers = case.window("minors", w), case.window("strangers", w)
        length, carried = LENGTHS[w], case.cusum
        features = windows(case, "minors", "strangers")
        features |= recent(case, Sum.MINORS, Sum.AGED, Sum.GAP, Sum.KNOWN, Sum.KNOWN_MINORS)
        if int(carried["minors"]) > minors:
            minors, strangers = int(carried["minors"]), int(carried["strangers"])
            length = max(int(carried["at"] - carried["since"]), HOUR)
            features |= {
                "minors_accumulated": minors,
                "strangers_accumulated": strangers,
                "cusum": round(float(carried["value"]), 3),
            }
        expected = strangers * share
        return Story(
            explanation=(
                f"{case.who} contacted {minors} minors with no mutual friend in {duration(length)}; "
                f"{number(expected)} were expected of {strangers} stranger contacts."
            ),
            features=features,
            baseline={"minor_share": digits(usual), "own_share": digits(share), "expected": digits(expected)},
            length=max(length, LENGTHS[w]),
            mask=MINOR,
        )
