"""The names that the console stores and shows: severities, states, actions, reasons, policies, roles.

One word for one thing: the same in the database, the API, the topic of dispositions and on the pages.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ACTIONS",
    "AGE_BANDS",
    "CLOSED",
    "MINORS",
    "OPEN",
    "OUTCOMES",
    "POLICIES",
    "REASONS",
    "SEVERITIES",
    "SIGNS",
    "STATES",
    "STEPS",
    "level",
    "names_of",
]

SEVERITIES: Final = ("low", "medium", "high", "critical")
OPEN: Final = ("open", "held", "waiting", "escalated")
CLOSED: Final = ("confirmed", "dismissed", "withdrawn")
STATES: Final = {
    "open": "Open",
    "held": "On hold",
    "waiting": "Needs more",
    "escalated": "Escalated",
    "confirmed": "Confirmed",
    "dismissed": "Dismissed",
    "withdrawn": "Withdrawn",
}
AGE_BANDS: Final = {
    "under_13": "under 13",
    "13_15": "13–15",
    "16_17": "16–17",
    "18_20": "18–20",
    "21_plus": "21 and over",
    "unknown": "age unknown",
}
MINORS: Final = ("under_13", "13_15", "16_17")
OUTCOMES: Final = ("accepted", "declined", "ignored", "blocked", "reported", "replied", "stranger", "cancelled")
"""Bits of `contacts.outcomes`, from the lowest."""
SIGNS: Final = (
    "secrecy",
    "probing",
    "sexual",
    "personal_info",
    "blackmail",
    "meet_up",
    "off_platform",
    "image_request",
    "age_claim",
)
"""Bits of `contacts.signs`, from the lowest."""

ACTIONS: Final = {
    "take": "Take",
    "release": "Release",
    "hold": "Hold",
    "escalate": "Escalate",
    "hand_over": "Hand over",
    "need_more": "Need more",
    "confirm": "Confirm",
    "dismiss": "Dismiss",
    "reopen": "Reopen",
    "note": "Note",
}
REASONS: Final = {
    "confirm": {
        "minors_sought": "Seeks out minors",
        "grooming_signs": "Signs of grooming in contacts",
        "false_age": "Poses as a minor",
        "coordinated": "One of several working together",
        "mass_contact": "Contacts strangers in bulk",
    },
    "dismiss": {
        "known_role": "Role explains it (teacher, coach, youth worker)",
        "peer_group": "Contacts belong to its own circle",
        "newcomer": "New to a school, club or town",
        "commercial": "Sales or recruiting, not minors",
        "wrong_age": "Ages on record are wrong",
        "too_little": "Evidence does not hold",
    },
    "escalate": {
        "imminent_risk": "Somebody may be in danger now",
        "law_enforcement": "For law enforcement liaison",
        "unsure": "Needs an experienced reviewer",
        "insider": "Concerns somebody connected to us",
    },
    "hold": {"await_evidence": "Wait whether it goes on", "await_partner": "Wait for another team"},
    "need_more": {
        "account_history": "Account history from the platform",
        "content_review": "Review of messages by the platform",
        "age_check": "Check of ages",
    },
    "reopen": {"new_information": "New information", "decided_in_error": "Decided in error"},
    "hand_over": {"workload": "Balance of work", "expertise": "Expertise", "wellbeing": "Wellbeing"},
}
POLICIES: Final = {
    "child_safety.grooming": "Child safety: grooming",
    "child_safety.contact": "Child safety: unwanted contact with minors",
    "child_safety.sextortion": "Child safety: sextortion",
    "platform.spam": "Platform abuse: spam and bulk contact",
    "platform.fake_account": "Platform abuse: fake account",
    "none": "No policy applies",
}
STEPS: Final = {
    "safety_notice": "Safety notice shown",
    "contacts_limited": "Contact by strangers limited",
    "guardian_informed": "Guardian informed",
    "support_offered": "Support offered",
    "watched": "Watched, nothing done yet",
}


def level(severity: str) -> int:
    """Return a severity as a number, 0 for low to 3 for critical."""
    return SEVERITIES.index(severity)


def names_of(bits: int, names: tuple[str, ...]) -> list[str]:
    """Return the names of the bits that are set.

    Examples
    --------
    >>> names_of(5, SIGNS)
    ['secrecy', 'sexual']
    """
    return [name for bit, name in enumerate(names) if bits >> bit & 1]
