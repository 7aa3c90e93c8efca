"""`cold_messaging`: messages to strangers who do not answer.

Statistics
----------
`unanswered`: of the strangers whom the account has written to, the share that did not reply within the answer time,
against the cohort's (beta-binomial). A late reply takes the silence back; replies speak for the account.

Assumptions
-----------
That people whose messages are welcome are answered about as often as others of their cohort.

Source
------
One-sided contact as a mark of unwanted approaches: Childline's signs of an online groomer name the volume of messages;
reply rates: Backstrom and Leskovec, "Supervised random walks" (2011), use reciprocity as a mark of real ties.

What evades it
--------------
Requests alone (see `rejected_outreach`); being answered.
"""

from __future__ import annotations

from detectors.detector import Case, Story, digits, recent, windows
from detectors.sums import Sum
from detectors.words import number, percent
from graph.state import DAY, STRANGER

__all__ = ["ColdMessaging"]


class ColdMessaging:
    """Strangers written to, who did not answer."""

    name = "cold_messaging"

    def explain(self, case: Case) -> Story:
        """Say how many strangers did not answer, and how many usually do not."""
        cold, known, share = case.share("unanswered")
        return Story(
            explanation=(
                f"{case.who} wrote to {number(known)} strangers of late, of whom {number(cold)} did not answer; "
                f"{percent(share)} usually do not."
            ),
            features=windows(case, "strangers", "replied", "ignored") | recent(case, Sum.COLD, Sum.COLD_ANSWERED),
            baseline={"unanswered": digits(share)},
            length=7 * DAY,
            mask=STRANGER,
        )
