"""`grooming_progression`: conversations that move on towards secrecy, a private place, images or blackmail.

Statistics
----------
Signs come with messages from an upstream classifier or a report; content is never seen. `luring` (secrecy, probing,
personal information, another platform, a meeting), `severe` (sexual, image requests, blackmail) and `deep` (three kinds
of signs and more in one pair): of the account's first contacts of late, the share of pairs in which its messages
showed such a sign, each pair once, against the cohort's share (beta-binomial). Pairs with minors across an age gap
(`luring_minors` and so on) are counted apart from others. Classifiers err, and teenagers and couples say such things
too: the cohort's share holds that. How far the latest pair went is told beside it.

Assumptions
-----------
That signs are found about as often in what innocent people of a cohort write, whoever they write to.

Source
------
Stages: Winters and Jeglic, "Stages of sexual grooming" (2017); O'Connell (2003). Signs: Childline's six.

What evades it
--------------
Talk that the classifier does not know; moving to another platform at once.
"""

from __future__ import annotations

from detectors.detector import Case, Story, digits, recent
from detectors.sums import Sum
from detectors.words import listing, number
from graph.batch import Sign
from graph.state import CONTACT, DAY

__all__ = ["GroomingProgression"]


class GroomingProgression:
    """Signs in messages."""

    name = "grooming_progression"

    def explain(self, case: Case) -> Story:
        """Say in how many conversations there were signs, and which the latest one showed."""
        counts = [(case.share(sort), case.share(f"{sort}_minors")) for sort in ("luring", "severe", "deep")]
        luring, severe, deep = (number(others[0] + minors[0]) for others, minors in counts)
        usual = [sum(n * q for _, n, q in part) for part in counts]
        (_, others, _), (_, minors, _) = counts[0]
        shown = [str(sign.name).lower().replace("_", " ") for sign in Sign if int(case.row["signs"]) & sign]
        latest = f"; the pair of this event showed {listing(shown)}" if shown else ""
        return Story(
            explanation=(
                f"{case.who} showed signs of luring in {luring}, severe signs in {severe} and three kinds of signs in "
                f"{deep} of {number(others + minors)} contacts of late, {number(minors)} of them minors much younger, "
                f"where {listing([number(x) for x in usual])} were expected{latest}."
            ),
            features=recent(
                case,
                *(Sum.LURING, Sum.SEVERE, Sum.DEEP, Sum.FIRST),
                *(Sum.LURING_MINORS, Sum.SEVERE_MINORS, Sum.DEEP_MINORS, Sum.FIRST_MINORS),
            )
            | {"pair_signs": int(case.row["signs"]).bit_count(), "pair_messages": int(case.row["messages"])},
            baseline={sort: digits(x) for sort, x in zip(("luring", "severe", "deep"), usual, strict=True)},
            length=7 * DAY,
            mask=CONTACT,
        )
