"""A shard that is told nothing keeps its clock still: what comes late by it is not wrong, and is not late by much."""

from __future__ import annotations

import numpy as np

from graph.batch import EventKind
from graph.message import owner_of
from graph.shard import Settings
from graph.state import DAY, HOUR
from simulation.scenarios import build
from streams.hashing import hash_id
from tests.graph.build import START, Event
from tests.graph.shards import Cluster, content

K = EventKind
SHARDS = 4


def told(events: list[Event]) -> Cluster:
    cluster = Cluster(SHARDS)
    cluster.lockstep(events)
    return cluster


def test_what_a_shard_finds_does_not_depend_on_how_often_it_was_told_the_time() -> None:
    """
    requests   r r r                                  m      everybody else:  . . . . . . . . .
    clock      0 ---------------- 12 h: no answer -- 36 h    one is told all the time, the other once
    """
    asked = [Event(K.REQUEST_SENT, START + i * HOUR // 10, f"r{i}", "a", f"b{i}") for i in range(12)]
    last = Event(K.MESSAGE_SENT, START + 36 * HOUR, "m", "a", "b0")
    # the account's own facts, again and again: they say nothing but the time
    ticking = [Event(K.ACCOUNT_UPDATED, START + i * HOUR, f"t{i}", "a", "a") for i in range(2, 36)]
    still, moving = told([*asked, last]), told([*asked, *ticking, last])
    assert sorted(map(str, still.rows)) == sorted(map(str, moving.rows))
    held = content(node.shard for node in still.nodes)["a"]
    assert held["counts"] == content(node.shard for node in moving.nodes)["a"]["counts"]
    assert held["counts"]["ignored_7d"] == 12


def test_no_shard_of_a_small_platform_is_idle_for_long_beside_the_time_an_answer_has() -> None:
    events = [
        (event["occurred_at"], hash_id(event["actor_id"]))
        for event in build("social", 1, accounts=1000, days=4).events()
    ]
    time, actor = (np.array(column, np.uint64) for column in zip(*events, strict=True))
    time = time.astype(np.int64)
    live = time > time.max() - 3 * DAY  # what came before is history, loaded at once
    owner = owner_of(actor, SHARDS)
    longest = max(int(np.diff(time[live & (owner == shard)]).max()) for shard in range(SHARDS))
    assert longest < Settings().answer_time / 6
