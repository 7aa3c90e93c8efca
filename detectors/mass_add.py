"""`mass_add`: an account that reaches out to strangers in numbers.

Statistics
----------
`volume`: strangers contacted of late (a fading sum, `detectors.sums`), less those who are friends of the account's
other recent targets (`linked`: someone who imports contacts or meets a new class reaches people who know one another).
Its evidence is the log likelihood ratio of a negative binomial with `odds` times the cohort's mean against the
cohort's own. Volume alone decides nothing: recruiters and hosts have it too. Plain limits on the outreach of 1 h, 24 h
and 7 d (strangers, less linked, in the longer windows less the contacts that were answered) raise a flag that stands
for any reason to `medium`.

Assumptions
-----------
That targets of a mass adder mostly do not know one another; that a cohort's people differ in degree, not in kind.

Source
------
Gamma–Poisson counts: Greenwood and Yule (1920). Limits: Yang et al. (2014), as named in the policy.

What evades it
--------------
Staying near the cohort's ordinary rate; picking targets inside one circle of friends; spreading the work over many
accounts (see `lockstep`).
"""

from __future__ import annotations

from detectors.detector import LENGTHS, Case, Story, digits, recent, windows
from detectors.sums import Sum
from detectors.table import WINDOW_NAMES, answered_in, outreach_in
from detectors.words import duration, listing, number
from graph.state import STRANGER

__all__ = ["MassAdd"]


class MassAdd:
    """Strangers contacted."""

    name = "mass_add"

    def explain(self, case: Case) -> Story:
        """Say how many strangers were contacted, and how many are usual."""
        w = case.best_window("strangers")
        strangers, linked = case.window("strangers", w), case.window("linked", w)
        answered = int(answered_in(case.row["counts"], w))
        less = [f"{linked} of them know others of them"] if linked else []
        less += [f"{answered} contacts were answered"] if answered else []
        mean = float(case.reference.usual(0)[case.cohort])
        found = number(case.sum(Sum.STRANGERS) - case.sum(Sum.LINKED))
        return Story(
            explanation=(
                f"{case.who} contacted {strangers} strangers in {duration(LENGTHS[w])}"
                f"{' (' + listing(less) + ')' if less else ''}; {found} of late count, {number(mean)} are usual."
            ),
            features=windows(case, "strangers", "linked", "targets")
            | {f"outreach_{x}": int(outreach_in(case.row["counts"], v)) for v, x in enumerate(WINDOW_NAMES)}
            | recent(case, Sum.STRANGERS, Sum.LINKED)
            | {"friends": int(case.row["friends"])},
            baseline={"mean": digits(mean), "shape": digits(float(case.reference.shape[0, case.cohort]))},
            length=LENGTHS[w],
            mask=STRANGER,
        )
