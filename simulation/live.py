"""An endless stream for demonstrations, to be paced against a wall clock by whoever shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from simulation.kinds import SOCIAL
from simulation.platform import Platform
from simulation.rows import DAY, HOUR
from simulation.stream import Event, Stream

__all__ = ["live"]

_EVENING: Final = 17


def live(
    *, start: int, seed: int = 0, accounts: int = 3_000, history_days: float = 1.0, days: float = 3.0
) -> Iterator[tuple[int, Event]]:
    """Yield events and their times, without end.

    Events before `start` are history: accounts, friendships and some days without attacks, so that the graph is warm;
    send them as fast as you can. From `start` on attackers act, the first within minutes of event time; send an event
    when its time has come, `start + speed × elapsed`. After `days` another platform with other accounts takes over,
    its ids marked `r1-`, `r2-`, …;
    its accounts and friendships are sent in the two hours between.

    Parameters
    ----------
    start : epoch milliseconds. It is early evening then, where most people live, whatever the clock says.
    seed : of all randomness.
    accounts : size of the platform.
    history_days : length of the history.
    days : length of one round.

    Yields
    ------
    tuple of int and dict
        Event time in epoch milliseconds, and the event.
    """
    shift = _EVENING - start // HOUR % 24
    turn = 0
    while True:
        first = start - int(history_days * DAY) if turn == 0 else start

        def make(first: int = first, number: int = seed + 1_000_003 * turn, harm_from: int = start) -> Platform:
            length = (harm_from + int(days * DAY) - first) / DAY
            platform = Platform(SOCIAL, number, accounts, length, start=first, harm_from=harm_from)
            platform.people.zone += shift
            return platform

        for event in Stream(make, f"r{turn}-" if turn else "").events():
            yield event["occurred_at"], event
        turn += 1
        start += int(days * DAY) + 2 * HOUR
