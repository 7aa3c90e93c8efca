"""The policy: everything a team may set, as one validated YAML document.

The default, with the reason for every value, is `policy.yaml` beside this module. A policy given by a team
may leave out what it does not change.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from importlib import resources
from typing import Annotated, Any, Final, Literal

import msgspec
import yaml

from detectors.curves import problem_of
from graph.batch import Role

__all__ = ["SEVERITIES", "MassAdd", "MinorTargeting", "Policy", "PolicyError", "default_policy", "load_policy"]

SEVERITIES: Final = ("low", "medium", "high", "critical")
OWN: Final = {"lists", "rules", "suppress"}
"""Parts of a policy that a team fills itself."""
MOST_RULES: Final = 50
MOST_LISTS: Final = 20
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")

Probability = Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
Share = Annotated[float, msgspec.Meta(ge=0.0, lt=0.5)]
Positive = Annotated[float, msgspec.Meta(gt=0.0, le=1e9)]
Count = Annotated[int, msgspec.Meta(ge=1, le=10**9)]


class PolicyError(ValueError):
    """A policy that cannot be used; the message says where and why, in one line."""


class _Part(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    pass


class PerWindow(_Part, frozen=True, rename={"hour": "1h", "day": "24h", "week": "7d"}):
    """One positive number a window."""

    hour: Positive
    day: Positive
    week: Positive

    def values(self) -> tuple[float, float, float]:
        """Return them from the shortest window to the longest."""
        return self.hour, self.day, self.week


class Severities(_Part, frozen=True):
    """The probability that stands for each severity."""

    low: Probability
    medium: Probability
    high: Probability
    critical: Probability

    def nats(self) -> tuple[float, float, float, float]:
        """Return the evidence, in nats, at which each severity begins."""
        return -math.log(self.low), -math.log(self.medium), -math.log(self.high), -math.log(self.critical)


class Episodes(_Part, frozen=True):
    """When findings are one flag, and when a flag is sent again."""

    cool_down_days: Positive
    update_score_step: Probability
    update_nats: Positive
    renew_nats: Positive
    rest_days: Positive


class CircuitBreaker(_Part, frozen=True):
    """How many flags a detector may raise in a day."""

    flags_per_day: Count
    share_per_day: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class BaselinePolicy(_Part, frozen=True):
    """How cohorts learn what is ordinary."""

    half_life_days: Positive
    trim_share: Share
    prior_contacts: Positive
    prior_samples: Positive


class EvidencePolicy(_Part, frozen=True):
    """How evidence is summed."""

    memory_days: Annotated[float, msgspec.Meta(ge=0.5, le=365.0)]
    speak: Positive
    score_half: Positive
    curves: dict[str, list[float]]


MOST_ODDS: Final = 1000
Odds = Annotated[float, msgspec.Meta(gt=0.0, le=MOST_ODDS)]
LEAST_WEIGHT: Final = 0.25
MOST_WEIGHT: Final = 4.0
Weight = Annotated[float, msgspec.Meta(ge=LEAST_WEIGHT, le=MOST_WEIGHT)]


class Switches(_Part, frozen=True):
    """Whether a detector runs, and whether on trial."""

    enabled: bool
    shadow: bool


class DetectorPolicy(Switches, frozen=True):
    """Settings that every detector has whose evidence is part of the sum."""

    odds: dict[str, Odds]
    weight: Weight


class MassAdd(DetectorPolicy, frozen=True):
    """Settings of `mass_add`."""

    limits: PerWindow
    exempt_roles: list[str]


class MinorTargeting(DetectorPolicy, frozen=True):
    """Settings of `minor_targeting`."""

    limits: PerWindow
    sequential_odds: Annotated[float, msgspec.Meta(gt=1.0, le=100.0)]
    exempt_roles: list[str]
    exempt_limit_7d: Count


class VictimExposure(Switches, frozen=True):
    """Settings of `victim_exposure`."""

    suspects: Annotated[int, msgspec.Meta(ge=1, le=8)]


class Detectors(_Part, frozen=True):
    """Settings of each detector."""

    mass_add: MassAdd
    minor_targeting: MinorTargeting
    rejected_outreach: DetectorPolicy
    cold_messaging: DetectorPolicy
    scattered_targets: DetectorPolicy
    grooming_progression: DetectorPolicy
    reported_by_minors: DetectorPolicy
    lockstep: DetectorPolicy
    association: DetectorPolicy
    age_impostor: DetectorPolicy
    victim_exposure: VictimExposure

    def named(self, name: str) -> Switches:
        """Return the settings of a detector."""
        settings: Switches = getattr(self, name)
        return settings

    def summed(self, name: str) -> DetectorPolicy:
        """Return the settings of a detector whose evidence is part of the sum."""
        settings: DetectorPolicy = getattr(self, name)
        return settings


class Rule(_Part, frozen=True):
    """A rule of the team's own (see `detectors.rules`)."""

    when: str
    severity: Literal["low", "medium", "high", "critical"]
    enabled: bool = True
    shadow: bool = False
    text: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Suppression(_Part, frozen=True, rename={"whom": "list"}):
    """Whose flags rest: those on a list, of these detectors, up to a severity."""

    whom: str
    detectors: list[str]
    up_to: Literal["low", "medium", "high", "critical"] = "high"


class Policy(_Part, frozen=True):
    """A whole policy."""

    severities: Severities
    episodes: Episodes
    circuit_breaker: CircuitBreaker
    baseline: BaselinePolicy
    evidence: EvidencePolicy
    detectors: Detectors
    lists: list[str]
    rules: dict[str, Rule]
    suppress: list[Suppression]

    @property
    def version(self) -> str:
        """A hash of all values: the same values give the same version, whatever the comments or order."""
        canonical = msgspec.json.encode(self, order="deterministic")
        return hashlib.sha256(canonical).hexdigest()[:12]


def role_bits(names: list[str]) -> int:
    """Return the `Role` bits of role names.

    Raises
    ------
    PolicyError
        If a name is not one of the roles.
    """
    bits = 0
    for name in names:
        try:
            bits |= Role[name.upper()]
        except KeyError:
            known = ", ".join(str(role.name).lower() for role in Role)
            raise PolicyError(f"exempt_roles: unknown role {name!r}; known are {known}") from None
    return int(bits)


def _merge(base: Any, changes: Any, where: str) -> Any:
    if not isinstance(base, dict):
        return changes
    if not isinstance(changes, dict):
        raise PolicyError(f"{where or 'the document'}: expected a mapping")
    merged = dict(base)
    for key, value in changes.items():
        path = f"{where}.{key}" if where else str(key)
        if key not in base:
            raise PolicyError(f"{path}: unknown; expected one of {', '.join(map(str, base))}")
        # what a team names itself has no default to be merged with
        merged[key] = value if path in OWN else _merge(base[key], value, path)
    return merged


def _default_document() -> dict[str, Any]:
    text = resources.files("detectors").joinpath("policy.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    assert isinstance(document, dict)
    return document


def _check_odds(detectors: dict[str, dict[str, Any]]) -> None:
    """Refuse odds that are no number from 1 up: lower ones would turn the evidence of a family round."""
    for name, settings in detectors.items():
        for family, odds in settings.get("odds", {}).items():
            least = 0.01 if family == "minor_sum" else 1.0  # how much a nat of the test counts
            if type(odds) not in (int, float) or not least <= odds <= MOST_ODDS:
                raise PolicyError(f"detectors.{name}.odds.{family}: expected a number from {least:g} to {MOST_ODDS}")


def load_policy(text: str) -> Policy:
    """Read a policy; what it leaves out keeps its default.

    Parameters
    ----------
    text : str
        YAML.

    Raises
    ------
    PolicyError
        If it is not YAML, or has an unknown name, a value of the wrong type or out of range, or
        severities or windows out of order.
    """
    try:
        changes = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        at = f"line {mark.line + 1}: " if mark else ""
        raise PolicyError(f"{at}not YAML: {getattr(problem, 'problem', None) or 'cannot be read'}") from None
    except (RecursionError, ValueError) as problem:
        raise PolicyError(f"not YAML: {problem}") from None
    document = _merge(_default_document(), {} if changes is None else changes, "")
    _check_odds(document["detectors"])
    if wrong := problem_of(document["evidence"]["curves"]):
        raise PolicyError(f"evidence.curves.{wrong}")
    try:
        policy = msgspec.convert(document, Policy)
    except msgspec.ValidationError as problem:
        message, _, path = str(problem).partition(" - at `$.")
        raise PolicyError(f"{path.rstrip('`')}: {message}" if path else message) from None
    levels = policy.severities.nats()
    if any(low >= high for low, high in itertools.pairwise(levels)):
        raise PolicyError("severities: each must be rarer than the one before (low, medium, high, critical)")
    for name, settings in (
        ("mass_add", policy.detectors.mass_add),
        ("minor_targeting", policy.detectors.minor_targeting),
    ):
        hour, day, week = settings.limits.values()
        if not hour <= day <= week:
            raise PolicyError(f"detectors.{name}.limits: a longer window cannot have a lower limit")
        role_bits(settings.exempt_roles)
    _check_own(policy)
    return policy


def _check_own(policy: Policy) -> None:
    """Check what a team names itself: lists, rules, and what rests."""
    # they read what is computed with policies, and are imported where a policy is read
    from detectors.rules import PREFIX, check_rules

    for kind, names, most in (("lists", policy.lists, MOST_LISTS), ("rules", list(policy.rules), MOST_RULES)):
        if len(names) > most:
            raise PolicyError(f"{kind}: at most {most}")
        for name in names:
            if not NAME.fullmatch(name):
                raise PolicyError(f"{kind}: {name!r} is no name: letters a-z, digits and _, 40 at most")
    check_rules(policy)
    known = {*type(policy.detectors).__struct_fields__, *(PREFIX + name for name in policy.rules)}
    for i, rest in enumerate(policy.suppress):
        if rest.whom not in policy.lists:
            raise PolicyError(f"suppress.{i}.list: unknown list {rest.whom!r}; name it under `lists`")
        if unknown := sorted(set(rest.detectors) - known):
            raise PolicyError(f"suppress.{i}.detectors: unknown detector {unknown[0]!r}")


def default_policy() -> Policy:
    """Return the default policy."""
    return load_policy("")
