"""Named scenarios: a kind of platform, a size, and who is on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from simulation.collegemsg import CollegeStream
from simulation.kinds import CLASSROOM, DATING, FORUM, GAMING, SOCIAL, TEENCHAT
from simulation.platform import Platform
from simulation.profile import Burst, Profile
from simulation.stream import Event, Stream

__all__ = ["NAMES", "START", "Labelled", "Scenario", "UnknownScenarioError", "build"]

START: Final = 1_791_158_400_000
"""Monday 2026-10-05, 00:00 UTC, in epoch milliseconds: where every scenario's first day begins."""


class Labelled(Protocol):
    """A labelled stream, whatever made it."""

    def events(self, reached: Callable[[Event], object] | None = None) -> Iterator[Event]:
        """Yield the events in time order; hand over attackers' first contacts with children as they come."""

    def lines(self, reached: Callable[[Event], object] | None = None) -> Iterator[bytes]:
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
    burst : a time in which everybody reaches out more than usual, if there is one.
    """

    profile: Profile
    accounts: int
    days: float
    attackers: float = 1.0
    burst: Burst | None = None


_LAUNCH: Final = Burst(begin=9.0, length=5.0, factor=4.0, strangers=0.8)
_SCHOOL_YEAR: Final = Burst(begin=9.0, length=7.0, factor=4.0, strangers=0.1)
_SCENARIOS: Final = {
    "social": Scenario(SOCIAL, 20_000, 28),
    "gaming": Scenario(GAMING, 20_000, 28),
    "dating": Scenario(DATING, 20_000, 28),
    "classroom": Scenario(CLASSROOM, 20_000, 28),
    "teenchat": Scenario(TEENCHAT, 20_000, 28),
    "forum": Scenario(FORUM, 20_000, 28),
    "launch": Scenario(GAMING, 20_000, 28, burst=_LAUNCH),
    "school_year": Scenario(SOCIAL, 20_000, 28, burst=_SCHOOL_YEAR),
    "quiet": Scenario(SOCIAL, 6_000, 21, attackers=0.0),
    "quiet_launch": Scenario(GAMING, 6_000, 21, attackers=0.0, burst=_LAUNCH),
    "demo": Scenario(SOCIAL, 3_000, 3),
}
NAMES: Final = (*_SCENARIOS, "collegemsg")


class UnknownScenarioError(ValueError):
    """There is no scenario of that name."""


def build(
    name: str,
    seed: int,
    accounts: int | None = None,
    days: float | None = None,
    *,
    intensity: float = 1.0,
    missing: tuple[str, ...] = (),
) -> Labelled:
    """Return the stream of a named scenario.

    Parameters
    ----------
    name : one of NAMES.
    seed : of all randomness; the same seed gives the same bytes.
    accounts, days : size; the scenario's own by default. `collegemsg` is as large as it is and takes neither.
    intensity : factor on how many contacts a day attackers make; not for `collegemsg`.
    missing : what the platform does not send, of `simulation.missing.MISSING`.

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
        return CollegeStream(seed, missing)
    scenario = _SCENARIOS.get(name)
    if scenario is None:
        raise UnknownScenarioError(f"there is no scenario {name!r}; choose one of: {', '.join(NAMES)}")
    size, length = accounts or scenario.accounts, days or scenario.days
    live = START if name == "demo" else None
    return Stream(
        lambda: Platform(
            scenario.profile,
            seed,
            size,
            length,
            start=START,
            attackers=scenario.attackers,
            harm_from=live,
            intensity=intensity,
            burst=scenario.burst,
        ),
        missing=missing,
    )
