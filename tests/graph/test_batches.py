"""How a stream is cut into batches, and how small the arrays begin, changes nothing of what comes out."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import graph.shard
from graph.batch import EventBatch
from graph.check import problems
from graph.rows import ROOM
from graph.shard import Rows, Settings, Shard
from graph.state import FEATURES, WINDOWS
from graph.views import callers_of, evidence, ties_of
from tests.graph.build import Event, batch_of, hash_of
from tests.graph.compare import SETTINGS, events_from

NAMES = [name for name in FEATURES.names or () if name not in ("source", "account", "pair")]


def outcome(
    events: list[Event], sizes: list[int], settings: Settings, rows: int
) -> tuple[list[Any], dict[str, Any], Shard]:
    """Return what a shard yields, ticks in between, with the evidence as it stands then, and what it holds."""
    shard = Shard(settings, rows=rows)
    found: list[Any] = []
    at = 0
    for size in [*sizes, len(events)]:
        for step in shard.process(batch_of(events[at : at + size])):
            if not isinstance(step, Rows):
                found.append(("tick", step.time))
                suspect(shard, step.time)
                continue
            since = shard.next_tick - WINDOWS["7d"]
            for row in step.table:
                shown = evidence(shard, int(row["account"]), int(row["pair"]), since=since, mask=7, limit=5)
                found.append((at + int(row["source"]), [row[name].tolist() for name in NAMES], shown))
        at += size
    return found, held(shard), shard


def suspect(shard: Shard, time: int) -> None:
    """Put some accounts under suspicion, and take it from others, by their names and the time."""
    rows = np.flatnonzero(shard.state.accounts["state"] == 1)
    values = [(hash_of(shard.name(row)) ^ time // 1000) % 3 for row in rows.tolist()]
    shard.set_suspicion(rows.astype(np.uint32), np.array(values, np.uint8))


def held(shard: Shard) -> dict[str, Any]:
    """Return what a shard holds of each account."""
    rows = np.flatnonzero(shard.state.accounts["state"] == 1).tolist()
    facts = ("seen", "created", "friends", "triangles", "roles", "age", "age_source", "suspicion")
    return {
        shard.name(row): (
            shard.counts(row),
            [int(shard.state.accounts[name][row]) for name in facts],
            callers_of(shard, row),
            ties_of(shard, row),
        )
        for row in rows
    }


@pytest.mark.parametrize("seed", range(30))
def test_the_same_for_any_cut_and_any_size_at_the_start(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    settings = SETTINGS[seed % 3]
    events = events_from(chance.randrange, chance.choice((4, 12, 60)), 600)
    whole, state, _ = outcome(events, [], settings, 4096)
    for slice_, rows, room in ((4096, 1, 4096), (7, 1, ROOM + 1), (64, 16, 9)):
        monkeypatch.setattr(graph.shard, "SLICE", slice_)
        monkeypatch.setattr(graph.shard, "ROWS", room)
        sizes = [chance.choice((0, 1, 2, 3, 17, 100)) for _ in range(chance.choice((3, 50, 400)))]
        cut, cut_state, shard = outcome(events, sizes, settings, rows)
        assert cut == whole
        assert cut_state == state
        assert problems(shard) == []


def test_a_run_repeats_byte_for_byte() -> None:
    events = events_from(random.Random(5).randrange, 40, 2000)
    first, second = (outcome(events, [], SETTINGS[0], 8)[2].state for _ in range(2))
    assert [np.asarray(array).tobytes() for array in first] == [np.asarray(array).tobytes() for array in second]


def test_rows_are_freed_and_used_again() -> None:
    shard = Shard(SETTINGS[1], rows=1)
    sizes = set()
    for generation in range(12):
        events = events_from(random.Random(generation).randrange, 30, 300)
        later = [
            event._replace(
                time=event.time + generation * 3000 * 86_400_000,
                id=f"{generation}-{event.id}",
                actor=f"{generation}-{event.actor}",
                target=event.target and f"{generation}-{event.target}",
            )
            for event in events
        ]
        list(shard.process(batch_of(later)))
        shard.forget_silent()
        assert problems(shard) == []
        if generation > 3:
            sizes.add((len(shard.state.pairs), len(shard.state.accounts), len(shard.state.text)))
    assert len(sizes) <= 2


def test_an_empty_batch_does_nothing() -> None:
    shard = Shard()
    assert list(shard.process(EventBatch.empty())) == []
    assert (shard.clock, shard.next_tick, shard.accounts) == (-1, -1, 0)


@pytest.mark.parametrize(
    "wrong",
    [{"horizon": 8 * 86_400_000}, {"lateness": 0}, {"answer_time": 7 * 86_400_000}, {"max_jump": 1}, {"tick": 0}],
)
def test_settings_that_do_not_fit_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        Shard(Settings(**wrong))
