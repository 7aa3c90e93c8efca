"""`rejected_outreach`: an account whose contacts are refused more than those of others like it.

Statistics
----------
`refused` and `refused_by_minors`: of the contacts of late that were answered or waited for in vain, the share that was
declined, blocked or left without an answer, among adults (and people of unknown age) and among minors, each against the
cohort's share (beta-binomial). Silence is an event: a contact that nobody answered within the answer time counts at
that moment, by a timer in event time, and is taken back if an answer comes after all. Acceptance and replies speak
for the account in the same measure.

Assumptions
-----------
That people answer whom they know or like, and refuse most strangers who want something from them.

Source
------
Acceptance of requests as the mark of Sybils: Yang et al., "Uncovering Social Network Sybils in the Wild" (2014).

What evades it
--------------
Being answered by accomplices; charm; choosing the lonely and the curious; contacts so few that nothing follows from
them.
"""

from __future__ import annotations

from detectors.detector import Case, Story, digits, recent, windows
from detectors.sums import Sum
from detectors.words import number, percent
from graph.state import CONTACT, DAY

__all__ = ["RejectedOutreach"]


class RejectedOutreach:
    """Contacts refused or left without an answer."""

    name = "rejected_outreach"

    def explain(self, case: Case) -> Story:
        """Say how many contacts came to nothing, and how many usually do."""
        refused, known, share = case.share("refused")
        by_minors, known_minors, share_minors = case.share("refused_by_minors")
        minors = f", {number(by_minors)} of {number(known_minors)} by minors" if known_minors else ""
        return Story(
            explanation=(
                f"{case.who} was refused or left without an answer in {number(refused + by_minors)} of "
                f"{number(known + known_minors)} contacts of late{minors}; {percent(share)} of adults and "
                f"{percent(share_minors)} of minors usually do so."
            ),
            features=windows(case, "targets", "accepted", "declined", "ignored", "replied")
            | recent(case, Sum.WELCOME, Sum.REFUSED, Sum.WELCOME_MINORS, Sum.REFUSED_MINORS),
            baseline={"refused": digits(share), "refused_by_minors": digits(share_minors)},
            length=7 * DAY,
            mask=CONTACT,
        )
