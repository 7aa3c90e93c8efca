"""Arrays grow in place unless somebody else would see it."""

from __future__ import annotations

import numpy as np

from graph.shard import Shard
from graph.state import LARGE, grown


class Owner:
    """Holds an array as a shard does."""

    def __init__(self, rows: int) -> None:
        self.array = np.arange(rows)

    def grow(self, needed: int) -> None:
        self.array = grown(self.array, needed)


def test_an_array_that_only_its_owner_holds_is_lengthened_with_zeros() -> None:
    owner = Owner(LARGE)
    before = id(owner.array)
    owner.grow(LARGE + 1)
    assert id(owner.array) == before
    assert len(owner.array) == LARGE + LARGE // 16
    assert (owner.array[:LARGE] == np.arange(LARGE)).all()
    assert not owner.array[LARGE:].any()


def test_a_view_keeps_what_it_shows() -> None:
    owner = Owner(LARGE)
    view = owner.array[5:10]
    owner.grow(2 * LARGE)
    assert view.base is not owner.array
    owner.array[:] = 0
    assert view.tolist() == [5, 6, 7, 8, 9]


def test_memory_of_others_is_left_alone() -> None:
    owner = Owner(1)
    owner.array = np.frombuffer(bytes(80), np.int64)
    owner.grow(20)
    assert owner.array.tolist() == [0] * 20
    owner.array[0] = 1


def test_a_shard_grows_in_place_and_what_others_hold_stays() -> None:
    shard = Shard(rows=1)
    before = id(shard.state.pairs)
    shard.reserve_rows(accounts=10, pairs=1000, text=10, events=10)
    assert id(shard.state.pairs) == before
    shown = shard.state.pairs["target"][:3]
    shard.reserve_rows(accounts=10, pairs=100_000, text=10, events=10)
    assert id(shard.state.pairs) != before
    assert shown.tolist() == [0, 0, 0]
