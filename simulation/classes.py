"""Every class of account that a stream labels: attacks, and innocent accounts that look like them (hard negatives).

The classes of attack follow what is known of how children are approached: bursts and floods of requests (Yang et al.,
"Uncovering social network Sybils in the wild", TKDD 2014), scattergun and slow contact with children followed by trust,
secrecy and a private place (Winters & Jeglic, "Stages of sexual grooming", Deviant Behavior 38, 2017), extortion with
images within hours (Wolak et al., "Sextortion of minors", J. Adolesc. Health 62, 2018), groups that share targets
(Cao et al., "Uncovering large groups of active malicious accounts", SynchroTrap, CCS 2014).
"""

from __future__ import annotations

from typing import Final

__all__ = ["ATTACKS", "CLASSES", "NEGATIVES", "is_harmful", "number_of"]

ATTACKS: Final = {
    "mass_adder": "asks strangers in bursts, hundreds in a few days",
    "steady_flooder": "asks strangers every day, always below a round limit such as 20 or 50",
    "burner": "a new account, one burst of hours at children, then silence or deletion",
    "ban_evader": "one person with one account after another, at the same children",
    "sleeper": "an old account that lived an ordinary life for weeks",
    "hijacked": "somebody's account, with its friends and its past, in other hands from one hour to the next",
    "minor_targeter": "reaches for many children in days or weeks",
    "hidden_age": "the same, with no age on the account or a false one near the children's",
    "slow_groomer": "a few children a week, over weeks, each followed up",
    "pair_groomer": "one or two children, step by step: contact, trust, volume, secrecy, images, meeting",
    "camouflaged": "befriends one child of a group, then comes with mutual friends",
    "ring": "several accounts that work through the same list of children within hours or days",
    "age_impostor": "says that it is a child",
    "cold_messenger": "writes to children without asking for friendship first",
    "sextortionist": "asks teenagers for images and blackmails them, within hours or days",
}
"""Classes of accounts that do harm, and what they do."""

NEGATIVES: Final = {
    "teacher": "adds and writes to pupils of the own school, with a role that says so",
    "teacher_no_role": "the same, and the platform knows of no role",
    "coach": "writes to the children of a club",
    "youth_worker": "reaches out to children of schools and clubs, partly to strangers",
    "newcomer": "joins and asks everybody they know, whom the graph does not know yet",
    "newcomer_import": "the same through an address book, with the platform's count of mutual friends",
    "teen_new_school": "asks a new class and a new school",
    "teen_explorer": "a teenager who adds teenagers from everywhere",
    "teen_couple": "two teenagers who write day and night, with all the signs of a romance",
    "recruiter": "asks and writes to grown-up strangers, few answer",
    "seller": "writes to strangers of all ages, few answer",
    "streamer": "writes to fans, many of them children",
    "celebrity": "is asked and written to by everybody, answers some",
    "party_host": "invites dozens within a day or two",
    "guild_leader": "recruits strangers of all ages for a group",
    "guild_mate": "a grown-up member of a group with many children",
    "teen_gamer": "a child with many grown-up friends from a group",
    "family_hub": "a parent or elder sibling who knows the children's friends",
    "near_peer": "18 to 20 and befriends those of 16 and 17",
    "lonely_adult": "asks grown-up strangers, whom hardly anybody answers",
    "fan_club": "many accounts that reach for the same stars and for one another",
    "wrong_age": "a child who says to be grown up, and lives like a child",
    "false_young": "a grown-up with a child's age on the account, and no harm in mind",
    "brigaded": "blocked and reported by a group that agreed to",
    "brigader": "one of that group",
}
"""Classes of innocent accounts that look like attackers, and why."""

CLASSES: Final = ("benign", *ATTACKS, *NEGATIVES)


def number_of(name: str) -> int:
    """Return the number that stands for a class in `People.label`."""
    return CLASSES.index(name)


def is_harmful(name: str) -> bool:
    """Tell whether accounts of a class do harm."""
    return name in ATTACKS
