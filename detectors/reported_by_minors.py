"""`reported_by_minors`: an account that people block and report once it has contacted them.

Statistics
----------
`blocked`: blocks and reports of late by distinct people whom the account had contacted, over its first contacts,
against the cohort's share (beta-binomial). How many were minors is told beside it. All reporters weigh the same.

Assumptions
-----------
That people mostly block whom they have reason to. A crowd that the account never contacted does not count at all: a
coordinated campaign cannot convict whom its members were not approached by.

Source
------
Skilled reporters are rare (at most 2.4 % at LinkedIn): Freeman, "Can you spot the fakes?" (2017).

What evades it
--------------
Victims who are ashamed, or do not know that they can report.
"""

from __future__ import annotations

from detectors.detector import Case, Story, digits, recent, windows
from detectors.sums import Sum
from detectors.words import number
from graph.state import CONTACT, DAY

__all__ = ["ReportedByMinors"]


class ReportedByMinors:
    """Blocks and reports by those whom the account had contacted."""

    name = "reported_by_minors"

    def explain(self, case: Case) -> Story:
        """Say how many blocked or reported the account, and how many usually do."""
        blocked, contacts, share = case.share("blocked")
        minors = case.sum(Sum.BLOCKED_MINORS)
        return Story(
            explanation=(
                f"{case.who} was blocked or reported by {number(blocked)} people of late whom it had contacted, "
                f"{number(minors)} of them minors; {number(contacts * share)} were expected."
            ),
            features=windows(case, "blocked", "reported", "targets")
            | recent(case, Sum.BLOCKED, Sum.BLOCKED_MINORS, Sum.FIRST),
            baseline={"blocked": digits(share)},
            length=7 * DAY,
            mask=CONTACT,  # who of them blocked it may have been told since the row was written
        )
