"""The kinds of platform, and who is on each of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from simulation.classes import ATTACKS
from simulation.profile import Profile

__all__ = ["CLASSROOM", "DATING", "FORUM", "GAMING", "KINDS", "SOCIAL", "TEENCHAT"]

_ATTACK_SHARES: Final = dict.fromkeys(ATTACKS, 0.001)
_NEGATIVE_SHARES: Final = {
    "teacher": 0.004,
    "teacher_no_role": 0.002,
    "coach": 0.004,
    "youth_worker": 0.002,
    "newcomer": 0.005,
    "newcomer_import": 0.005,
    "teen_new_school": 0.004,
    "teen_explorer": 0.003,
    "teen_couple": 0.004,
    "recruiter": 0.003,
    "seller": 0.003,
    "streamer": 0.0015,
    "celebrity": 0.0007,
    "party_host": 0.003,
    "guild_leader": 0.002,
    "guild_mate": 0.003,
    "teen_gamer": 0.003,
    "family_hub": 0.004,
    "near_peer": 0.004,
    "lonely_adult": 0.003,
    "fan_club": 0.005,
    "brigaded": 0.001,
    "brigader": 0.006,
}


def _shares(**other: float) -> Mapping[str, float]:
    """Return the usual shares of all classes, some of them changed."""
    return MappingProxyType(_ATTACK_SHARES | _NEGATIVE_SHARES | other)


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
    shares=_shares(),
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
    circles=(0.30, 0.08, 0.06, 0.14, 0.20),
    guilds=0.30,
    shares=_shares(
        teacher=0.001,
        teacher_no_role=0.0005,
        guild_leader=0.006,
        guild_mate=0.010,
        teen_gamer=0.010,
        streamer=0.003,
        lonely_adult=0.002,
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
    flirt=0.008,
    joiners=0.12,
    mutual_known=0.1,
    circles=(0.0, 0.0, 0.0, 0.4, 0.0),
    guilds=0.0,
    reach=1.4,
    conversation_ids=True,
    offline=False,
    shares=_shares(
        teacher=0.0,
        teacher_no_role=0.0,
        coach=0.0,
        youth_worker=0.0,
        teen_new_school=0.0,
        teen_couple=0.002,
        party_host=0.0,
        guild_leader=0.0,
        guild_mate=0.0,
        teen_gamer=0.0,
        family_hub=0.0,
        lonely_adult=0.012,
        recruiter=0.004,
        seller=0.006,
    ),
)

CLASSROOM: Final = Profile(
    kind="classroom",
    ages=(0.22, 0.30, 0.20, 0.06, 0.22),
    unknown_age=0.03,
    false_age=0.02,
    degree=22.0,
    requests=0.20,
    sessions=0.55,
    stranger_requests=0.06,
    stranger_sessions=0.03,
    accept=-1.0,
    reply=-0.5,
    age_spread=3.0,
    flirt=0.002,
    joiners=0.06,
    mutual_known=0.5,
    circles=(0.50, 0.16, 0.03, 0.12, 0.01),
    guilds=0.03,
    messages=2.0,
    conversation_ids=True,
    shares=_shares(
        teacher=0.03,
        teacher_no_role=0.006,
        coach=0.008,
        youth_worker=0.004,
        family_hub=0.008,
        teen_new_school=0.008,
        recruiter=0.001,
        streamer=0.0005,
        celebrity=0.0,
        guild_leader=0.001,
        guild_mate=0.001,
        teen_gamer=0.001,
        lonely_adult=0.001,
    ),
)

TEENCHAT: Final = Profile(
    kind="teenchat",
    ages=(0.06, 0.28, 0.26, 0.22, 0.18),
    unknown_age=0.22,
    false_age=0.18,
    degree=4.0,
    requests=0.20,
    sessions=0.70,
    stranger_requests=0.60,
    stranger_sessions=0.55,
    accept=-0.6,
    reply=-0.1,
    age_spread=3.0,
    flirt=0.005,
    joiners=0.15,
    mutual_known=0.0,
    circles=(0.35, 0.10, 0.02, 0.12, 0.05),
    guilds=0.10,
    reach=1.4,
    messages=3.0,
    conversation_ids=True,
    shares=_shares(
        teacher=0.0,
        teacher_no_role=0.0,
        coach=0.001,
        youth_worker=0.003,
        teen_explorer=0.012,
        near_peer=0.012,
        recruiter=0.001,
        family_hub=0.001,
        lonely_adult=0.006,
    ),
)

FORUM: Final = Profile(
    kind="forum",
    ages=(0.04, 0.16, 0.14, 0.21, 0.45),
    unknown_age=0.30,
    false_age=0.12,
    degree=6.0,
    requests=0.10,
    sessions=0.45,
    stranger_requests=0.50,
    stranger_sessions=0.45,
    accept=-0.8,
    reply=0.1,
    age_spread=9.0,
    flirt=0.004,
    joiners=0.10,
    mutual_known=0.0,
    circles=(0.12, 0.04, 0.02, 0.30, 0.30),
    guilds=0.40,
    messages=4.0,
    shares=_shares(
        teacher=0.001,
        teacher_no_role=0.001,
        coach=0.002,
        teen_new_school=0.001,
        guild_leader=0.006,
        guild_mate=0.008,
        teen_gamer=0.006,
        family_hub=0.001,
        fan_club=0.010,
        seller=0.006,
    ),
)

KINDS: Final = MappingProxyType(
    {profile.kind: profile for profile in (SOCIAL, GAMING, DATING, CLASSROOM, TEENCHAT, FORUM)}
)
