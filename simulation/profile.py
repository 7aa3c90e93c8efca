"""What kind of platform it is: who is on it, how they find each other and how they answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["ATTACKS", "DATING", "GAMING", "NEGATIVES", "SOCIAL", "Profile"]

ATTACKS: Final = ("mass_adder", "minor_targeter", "slow_groomer")
"""Classes of accounts that do harm."""
NEGATIVES: Final = ("teacher", "coach", "newcomer", "teen_new_school", "recruiter", "streamer")
"""Classes of innocent accounts that look like it (hard negatives)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One platform's parameters; rates are means over accounts, each account draws its own.

    Attributes
    ----------
    kind : the name of the platform's kind.
    ages : share of accounts under 13, 13–15, 16–17, 18–20, 21 and older.
    unknown_age, false_age : share of accounts with no age, share of children who say they are older.
    degree : mean friendships at the start.
    requests, sessions : friend requests and conversations begun, a day and account.
    stranger_requests, stranger_sessions : share of these that an account aims at strangers.
    accept, reply : log-odds that a stranger of the same age is accepted, is answered.
    age_spread : standard deviation, in years, of the age difference of strangers looked for.
    flirt : share of messages between adults that an upstream classifier puts a sign on.
    joiners : share of ordinary accounts that join during the stream.
    mutual_known : share of requests that carry the platform's own count of mutual friends.
    conversation_ids : whether messages carry a `conversation_id`.
    shares : share of accounts in each attack and hard-negative class.
    """

    kind: Literal["social", "gaming", "dating"]
    ages: tuple[float, float, float, float, float]
    unknown_age: float
    false_age: float
    degree: float
    requests: float
    sessions: float
    stranger_requests: float
    stranger_sessions: float
    accept: float
    reply: float
    age_spread: float
    flirt: float
    joiners: float
    mutual_known: float
    conversation_ids: bool = False
    shares: MappingProxyType[str, float] = field(default_factory=lambda: MappingProxyType({}))


SOCIAL: Final = Profile(
    kind="social",
    ages=(0.03, 0.14, 0.12, 0.16, 0.55),
    unknown_age=0.12,
    false_age=0.10,
    degree=18.0,
    requests=0.22,
    sessions=0.30,
    stranger_requests=0.16,
    stranger_sessions=0.06,
    accept=-1.5,
    reply=-0.9,
    age_spread=6.0,
    flirt=0.004,
    joiners=0.05,
    mutual_known=0.25,
    shares=MappingProxyType(
        {
            "mass_adder": 0.0025,
            "minor_targeter": 0.0035,
            "slow_groomer": 0.0035,
            "teacher": 0.006,
            "coach": 0.006,
            "newcomer": 0.012,
            "teen_new_school": 0.006,
            "recruiter": 0.005,
            "streamer": 0.0015,
        }
    ),
)

GAMING: Final = Profile(
    kind="gaming",
    ages=(0.10, 0.22, 0.15, 0.18, 0.35),
    unknown_age=0.25,
    false_age=0.20,
    degree=12.0,
    requests=0.35,
    sessions=0.35,
    stranger_requests=0.55,
    stranger_sessions=0.35,
    accept=0.0,
    reply=0.3,
    age_spread=7.0,
    flirt=0.003,
    joiners=0.08,
    mutual_known=0.0,
    shares=MappingProxyType(
        {
            "mass_adder": 0.0025,
            "minor_targeter": 0.0035,
            "slow_groomer": 0.0035,
            "teacher": 0.001,
            "coach": 0.006,
            "newcomer": 0.012,
            "teen_new_school": 0.003,
            "recruiter": 0.004,
            "streamer": 0.003,
        }
    ),
)

DATING: Final = Profile(
    kind="dating",
    ages=(0.0, 0.025, 0.05, 0.205, 0.72),
    unknown_age=0.06,
    false_age=0.2,
    degree=3.0,
    requests=0.28,
    sessions=0.24,
    stranger_requests=0.88,
    stranger_sessions=0.80,
    accept=-1.2,
    reply=-0.7,
    age_spread=4.0,
    flirt=0.012,
    joiners=0.12,
    mutual_known=0.1,
    conversation_ids=True,
    shares=MappingProxyType(
        {
            "mass_adder": 0.003,
            "minor_targeter": 0.003,
            "slow_groomer": 0.003,
            "newcomer": 0.01,
            "recruiter": 0.008,
            "streamer": 0.003,
        }
    ),
)
