"""Named scenarios: a kind of platform, a size, and who is on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from simulation.collegemsg import CollegeStream
from simulation.platform import Platform
from simulation.profile import DATING, GAMING, SOCIAL, Profile
from simulation.stream import Event, Stream

__all__ = ["NAMES", "START", "Labelled", "Scenario", "UnknownScenarioError", "build"]

START: Final = 1_791_158_400_000
"""Monday 2026-10-05, 00:00 UTC, in epoch milliseconds: where every scenario's first day begins."""


class Labelled(Protocol):
    """A labelled stream, whatever made it."""

    def events(self) -> Iterator[Event]:
        """Yield the events in time order."""

    def lines(self) -> Iterator[bytes]:
        """Yield the events as lines of JSON."""

    def labels(self) -> Iterator[Event]:
        """Yield a label for each account."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One named scenario.

    Attributes
    ----------
    profile : the kind of platform.
    accounts, days : size, unless the caller wants another.
    attackers : factor on the profile's share of harmful accounts.
    """

    profile: Profile
    accounts: int
    days: float
    attackers: float = 1.0


_SCENARIOS: Final = {
    "social": Scenario(SOCIAL, 20_000, 28),
    "gaming": Scenario(GAMING, 20_000, 28),
    "dating": Scenario(DATING, 20_000, 28),
    "quiet": Scenario(SOCIAL, 6_000, 21, attackers=0.0),
    "demo": Scenario(SOCIAL, 3_000, 3, attackers=1.5),
}
NAMES: Final = (*_SCENARIOS, "collegemsg")


class UnknownScenarioError(ValueError):
    """There is no scenario of that name."""


def build(name: str, seed: int, accounts: int | None = None, days: float | None = None) -> Labelled:
    """Return the stream of a named scenario.

    Parameters
    ----------
    name : one of NAMES.
    seed : of all randomness; the same seed gives the same bytes.
    accounts, days : size; the scenario's own by default. `collegemsg` is as large as it is and takes neither.

    Raises
    ------
    UnknownScenarioError
        For a name that is not in NAMES.
    simulation.collegemsg.CollegeMsgMissingError
        If the data set's package is not installed.

    Examples
    --------
    >>> stream = build("demo", seed=1, accounts=300, days=1)
    >>> next(iter(stream.events()))["type"]
    'account.updated'
    """
    if name == "collegemsg":
        return CollegeStream(seed)
    scenario = _SCENARIOS.get(name)
    if scenario is None:
        raise UnknownScenarioError(f"there is no scenario {name!r}; choose one of: {', '.join(NAMES)}")
    size, length = accounts or scenario.accounts, days or scenario.days
    live = START if name == "demo" else None
    return Stream(
        lambda: Platform(
            scenario.profile, seed, size, length, start=START, attackers=scenario.attackers, harm_from=live
        )
    )
