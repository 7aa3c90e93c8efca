"""What a kind of platform is: who is on it, how they find each other and how they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

__all__ = ["Burst", "Profile"]


@dataclass(frozen=True, slots=True)
class Burst:
    """A time in which everybody reaches out more than usual: a game launch, a new school year.

    Attributes
    ----------
    begin, length : days from the stream's start.
    factor : on everybody's requests and conversations begun.
    strangers : share of what comes on top that goes to strangers; the rest goes to the own school and groups.
    """

    begin: float
    length: float
    factor: float
    strangers: float


@dataclass(frozen=True, slots=True)
class Profile:
    """One platform's parameters; rates are means over accounts, each account draws its own.

    Attributes
    ----------
    kind : the name of the platform's kind.
    ages : share of accounts under 13, 13–15, 16–17, 18–20, 21 and older.
    unknown_age, false_age : share of accounts with no age, share of children who say they are older.
    degree : mean friendships at the start.
    circles : share of friendships at the start from class or workplace, school, family, hobby group, guild; the rest
        comes from people of the own age and from friends of friends.
    guilds : share of accounts in a group that brings ages together (a guild, a fandom, a forum's circle).
    requests, sessions : friend requests and conversations begun, a day and account.
    stranger_requests, stranger_sessions : share of these that an account aims at strangers.
    accept, reply : log-odds that a stranger of the same age is accepted, is answered.
    age_spread : standard deviation, in years, of the age difference of strangers looked for.
    flirt : share of messages between adults that an upstream classifier puts a sign on.
    joiners : share of ordinary accounts that join during the stream.
    mutual_known : share of requests that carry the platform's own count of mutual friends.
    reach : factor on how many contacts a day attackers make here.
    messages : how far attackers and others with a campaign write instead of asking: factor on the odds.
    conversation_ids : whether messages carry a `conversation_id`.
    offline : whether people bring their class, workplace and family along.
    shares : share of accounts in each attack and hard-negative class.
    """

    kind: str
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
    circles: tuple[float, float, float, float, float] = (0.42, 0.10, 0.08, 0.14, 0.02)
    guilds: float = 0.05
    reach: float = 1.0
    messages: float = 1.0
    conversation_ids: bool = False
    offline: bool = True
    shares: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
