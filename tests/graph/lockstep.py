"""Several shards beside one, event by event: `agree`."""

from __future__ import annotations

from typing import Any

import numpy as np

from graph.batch import EventKind
from graph.check import problems
from graph.message import owner_of
from graph.shard import Rows, Settings, Shard
from graph.state import SIGNED, SILENCE
from tests.graph.build import Event, hash_of
from tests.graph.shards import NAMES, Cluster, local_rows, rows_of

__all__ = ["agree"]

K = EventKind
KIND, COUNTS, WHAT, TARGET_AGE = (NAMES.index(name) for name in ("kind", "counts", "what", "target_age"))


def visible(rows: list[tuple[Any, ...]], shards: int) -> list[tuple[Any, ...]]:
    """Leave out the mark of an erased account that never did anything, and ages that were not told."""
    told = (
        (*row[:TARGET_AGE], 0, *row[TARGET_AGE + 1 :]) if shards > 1 and row[WHAT] in (SILENCE, SIGNED) else row
        for row in rows
    )
    return [row for row in told if row[KIND] != K.ACCOUNT_DELETED or any(row[COUNTS])]


def passing(shard: Shard, upto: int) -> list[tuple[Any, ...]]:
    """Move a shard's clock to the last tick before `upto`; return the rows on the way."""
    return [row for step in shard.pass_ticks(upto) if isinstance(step, Rows) for row in rows_of(step.table)]


def suspect(name: str, value: int, one: Shard, several: list[Shard]) -> None:
    """Put an account under suspicion, as its own shard does with those of whom it has seen something."""
    own = several[int(owner_of(np.array([hash_of(name)], np.uint64), len(several))[0])]
    if own.find(hash_of(name)) is not None:
        for shard in (one, own):
            row = shard.find(hash_of(name))
            assert row is not None
            shard.set_suspicion(np.array([row], np.uint32), np.array([value], np.uint8))


def agree(events: list[Event], shards: int, how: Settings) -> None:
    """Compare lockstep with one shard by function calls: rows, and at the end all that is held."""
    one, several = Shard(how), Cluster(shards, how)
    silences: tuple[list[tuple[Any, ...]], ...] = ([], [])
    for number, event in enumerate(events):
        suspect(event.actor, number % 3, one, [node.shard for node in several.nodes])
        want = local_rows(one, [event])
        several.rows = []
        several.lockstep([event])
        for rows, silent in zip((several.rows, want), silences, strict=True):
            silent += [row for row in rows if row[WHAT] == SILENCE]
        got = [row for row in several.rows if row[WHAT] != SILENCE]
        assert visible(got, shards) == visible([row for row in want if row[WHAT] != SILENCE], shards), event
    silences[0].extend(row for node in several.nodes for row in passing(node.shard, one.clock + how.tick))
    silences[1].extend(passing(one, one.clock + how.tick))
    assert sorted(visible(silences[0], shards)) == sorted(visible(silences[1], shards))
    for node in several.nodes:
        # a shard lists the friends of its own accounts only
        assert [found for found in problems(node.shard) if shards == 1 or "does not know it" not in found] == []
