"""Memory follows what is held, not how long a shard has been at work: a small and short run of `benchmarks.week`."""

from __future__ import annotations

from benchmarks.week import ACTIVE, Held, replay
from graph.shard import Settings
from graph.state import DAY

SHORT = Settings(horizon=9 * DAY, friend_horizon=10 * DAY)
FADED = 84
"""Days after which detectors have forgotten an account's sums and episodes."""
SETTLED = ACTIVE[1] + FADED
MORE = 40


def before_and_after(settings: Settings) -> tuple[list[Held], list[Held]]:
    days = list(replay(SETTLED + MORE, 16, 1.0, settings))
    return days[SETTLED - MORE : SETTLED], days[SETTLED:]


def test_arrays_grow_no_more_once_all_horizons_are_passed():
    before, after = before_and_after(SHORT)
    assert max(day.shard for day in after) <= max(day.shard for day in before)
    assert max(day.engine for day in after) <= max(day.engine for day in before)


def test_and_until_then_they_do():
    before, after = before_and_after(Settings())
    assert max(day.shard for day in after) > max(day.shard for day in before)
    assert after[-1].friendships > before[-1].friendships
