"""Why a flag was raised, in numbers: what spoke for and against, and what would have had to be otherwise.

The raw evidence of every family is linear in its count (`detectors.evidence`), other things equal, and what it is worth
never falls with it, so the count below which the sum would have stayed below the line is arithmetic, and the sentence
that names it is true.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from detectors.detector import Case
from detectors.evidence import DETECTORS, FAMILIES, MINOR_SUM, VOLUME, family_numbers, rate_of, share_terms
from detectors.policy import Policy
from detectors.table import MASS_LIMIT, MINOR_LIMIT, VOUCHED_LIMIT, WINDOW_NAMES
from detectors.words import at_most, listing, number

if TYPE_CHECKING:
    from detectors.judge import Judge

__all__ = ["Account", "account_for"]

NOUNS: Final = {
    "strangers": "strangers among the people contacted",
    "scattered": "strangers who know none of the others",
    "minors": "minors among the strangers",
    "age_gap": "years of age between the account and its strangers",
    "refused": "refusals",
    "refused_by_minors": "refusals by minors",
    "unanswered": "unanswered messages to strangers",
    "blocked": "blocks and reports",
    "luring": "pairs with signs of luring",
    "severe": "pairs with severe signs",
    "deep": "pairs with signs of three kinds",
    "luring_minors": "pairs with minors that show signs of luring",
    "severe_minors": "pairs with minors that show severe signs",
    "deep_minors": "pairs with minors that show signs of three kinds",
    "suspects": "targets of suspects",
    "shared": "targets shared with one other account",
    "not_peers": "strangers of another age",
    "volume": "strangers contacted",
    "minor_sum": "minors met over time",
}
"""What the count of a family is a number of."""
_TOLD: Final = [(f, family.detector, NOUNS[family.name]) for f, family in enumerate(FAMILIES)]
_OWN: Final = {name: family_numbers(name) for name in DETECTORS}
LEAST: Final = 0.25
"""Evidence that is worth naming, in nats."""
LEAST_COUNT: Final = 0.01
"""Fewer of anything of late is none."""


class Account(Struct, frozen=True):
    """What is told beside a detector's story.

    Attributes
    ----------
    features : dict of str to float
        `nats`, and `nats_<detector>` for each that says anything.
    thresholds : dict of str to float
        `nats`: the line; `below_<family>`: the count below which the flag would not have been raised; a plain limit.
    contributions, counterfactual : str
        One sentence each; the first begins with a space, or is empty.
    """

    features: dict[str, float]
    thresholds: dict[str, float]
    contributions: str
    counterfactual: str


def account_for(case: Case, name: str, nats: float, judge: Judge, policy: Policy, limit: int) -> Account:
    """Account for a flag of detector `name`, raised at `nats`.

    Parameters
    ----------
    case : Case
    name : str
    nats : float
        The sum that was compared with the line.
    judge : Judge
    policy : Policy
    limit : int
        The plain limit that raised the severity, as in `Judged.limit`.
    """
    line = judge.line(case.cohort // 4)
    own: dict[str, float] = {}
    spoke: list[tuple[float, str]] = []
    evidence, counts, families = case.evidence_list, judge.counts.tolist(), _OWN.get(name, [])
    for f, detector, noun in _TOLD:
        said = evidence[f]
        # what is in the sum, and nothing else: of detectors in shadow, that which is told of
        if abs(said) >= 0.05 and (counts[f] or detector == name):
            own[detector] = own.get(detector, 0.0) + said
            if abs(said) >= LEAST:
                spoke.append((said, noun))
    features = {"nats": round(nats, 3)} | {f"nats_{d}": round(x, 3) for d, x in own.items()}
    thresholds: dict[str, float] = {"nats": round(line, 3), "p_value": policy.severities.low}
    thresholds |= _limit(limit, policy)
    sentence = ""
    if limit == VOUCHED_LIMIT and name == "minor_targeting":
        least = policy.detectors.minor_targeting.exempt_limit_7d
        sentence = f"Would not have been raised below {least} minors in 7 days."
        return Account(features, thresholds, _contributions(spoke), sentence)
    for f in sorted(families, key=lambda f: -evidence[f]):
        below = _count_at_line(case, f, nats - line, judge)
        if below is not None:
            noun = _TOLD[f][2]
            thresholds[f"below_{FAMILIES[f].name}"] = round(below, 3)
            late = "" if f == MINOR_SUM else " of late"
            sentence = f"Would not have been raised below {at_most(below)} {noun}{late}, all else equal."
            break
    if not sentence:
        together = sum(evidence[f] for f in families)
        enough = f"all evidence together is {number(nats)} nats, {number(line)} suffice."
        if nats - together < line <= nats:
            sentence = f"Would not have been raised without these {number(together)} nats: {enough}"
        else:
            sentence = f"Would have been raised without this, too: {enough}"
    return Account(features, thresholds, _contributions(spoke), sentence)


def _contributions(spoke: list[tuple[float, str]]) -> str:
    """Return what spoke for and against, in words, the strongest first."""
    against = [f"{noun} (+{x:.1f})" for x, noun in sorted(spoke, reverse=True)[:5] if x > 0]
    favour = [f"{noun} ({x:.1f})".replace("(-", "(−") for x, noun in sorted(spoke)[:3] if x < 0]
    said = f" Evidence, in nats: {listing(against)}" if against else ""
    if said and favour:
        said += f"; in its favour, {listing(favour)}"
    return said + "." if said else ""


def _limit(limit: int, policy: Policy) -> dict[str, float]:
    """Return the plain limit that was reached, if one was, under its name."""
    mass, minors = policy.detectors.mass_add, policy.detectors.minor_targeting
    if limit == VOUCHED_LIMIT:
        return {"limit_minors_7d": float(minors.exempt_limit_7d)}
    if limit >= MINOR_LIMIT:
        w = limit - MINOR_LIMIT
        return {f"limit_minors_{WINDOW_NAMES[w]}": minors.limits.values()[w]}
    if limit >= MASS_LIMIT:
        w = limit - MASS_LIMIT
        return {f"limit_outreach_{WINDOW_NAMES[w]}": mass.limits.values()[w]}
    return {}


def _count_at_line(case: Case, f: int, surplus: float, judge: Judge) -> float | None:
    """Return the count of family `f` at which the sum meets the line; None if it alone cannot bring it there."""
    p, c = judge.params, case.cohort
    goal = judge.curves.reach(f, (case.evidence_list[f] - surplus) / p.weight.item(f))
    about_minors, about_volume = judge.limits.roles.tolist()
    roles = int(case.row["roles"])
    exempt = (p.about_minors.item(f) and roles & about_minors) or (f == VOLUME and roles & about_volume)
    if goal is None or not p.applies.item(f, c) or exempt:
        return None
    if f == MINOR_SUM:
        if goal < 0.0:
            return None  # the test says nothing in anybody's favour
        # a minor who is a friend of other targets counts half, and may be the one whom the account had left alone
        needed = (float(case.cusum["value"]) * p.per_sum - goal) / (judge.cusum.log_odds * p.per_sum)
        linked = int(case.cusum["linked"])
        fewer = math.ceil(2.0 * needed) if 2.0 * needed <= linked else linked + math.ceil(needed - 0.5 * linked)
        left = int(case.cusum["minors"]) - fewer
        return float(left + 1) if left >= 0 else None
    if f == VOLUME:
        count, minus, slope = float(rate_of(case.sums)), p.offset.item(c), p.slope.item(c)
    else:
        count, n, _ = case.share(FAMILIES[f].name)
        goal *= 1.0 + max(n - 1.0, 0.0) * p.rho.item(f, c)
        one, other = (float(x) for x in share_terms(p, f, c, case.sums))
        minus, slope = n * other, one - other
    if slope <= 0.0:
        return None  # odds of 1: a policy that does not want to hear of it
    found = (goal - minus) / slope
    if FAMILIES[f].name == "shared":  # one shared target is everybody's, and there are no halves of them
        return float(math.ceil(found + 1.0)) if 0.0 < found <= count else None
    return found if LEAST_COUNT <= found <= count else None
