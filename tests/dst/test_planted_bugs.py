"""The simulation finds the bugs it is there for: each is planted, and some seed of a few must complain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from detectors.episodes import Ledger
from graph.node import Node
from streams.live import LiveShard
from tests.dst.check import run
from tests.dst.parts import Batch, Worker
from tests.dst.world import World

Plant = Callable[[pytest.MonkeyPatch], None]
SEEDS = 250
BUGS: dict[str, Plant] = {}


def bug(plant: Plant) -> Plant:
    BUGS[plant.__name__] = plant
    return plant


@bug
def a_receiver_takes_a_message_twice(patch: pytest.MonkeyPatch) -> None:
    handle = Node.handle

    def forgetful(self: Node, message: Any, offset: int, *, aloud: bool) -> Iterator[Any]:
        self.seen.clear()
        return handle(self, message, offset, aloud=aloud)

    patch.setattr(Node, "handle", forgetful)


@bug
def input_is_acknowledged_before_it_stands_in_the_log(patch: pytest.MonkeyPatch) -> None:
    send = Worker.send

    def hasty(self: Worker, topic: str, partition: int, value: bytes, batch: Batch) -> None:
        send(self, topic, partition, value, batch)
        batch.open -= 1
        self.outgoing[topic, partition][-1].batch = None

    patch.setattr(Worker, "send", hasty)


@bug
def a_snapshot_is_shown_before_what_follows_has_arrived(patch: pytest.MonkeyPatch) -> None:
    show = World.show

    def hasty(self: World, worker: Worker) -> bool:
        with pytest.MonkeyPatch.context() as for_now:
            for_now.setattr(World, "sent_until", lambda _self, _shard: 1 << 60)
            return show(self, worker)

    patch.setattr(World, "show", hasty)


@bug
def what_was_read_is_committed_for_what_was_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(World, "sent_until", lambda _self, shard: shard.position)


@bug
def a_snapshot_names_the_record_before_its_own(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(World, "frozen_at", lambda _self, shard: shard.position - 1)
    # found by the anchor first, or it would hide what the state shows
    patch.setattr(LiveShard, "anchor", property(lambda self: b""))
    patch.setattr("tests.dst.world.anchor_of", lambda _value: b"")


@bug
def a_snapshot_leaves_out_what_was_taken_from_other_shards(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Node, "STATE", ("shard", "repeats"))


@bug
def a_snapshot_leaves_out_open_episodes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "STATE", ("dismissed", "raised_today", "day", "active"))


@bug
def a_snapshot_leaves_out_dismissals(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "STATE", ("open", "raised_today", "day", "active"))


@bug
def decisions_are_taken_while_reading_in_silence_but_not_kept(patch: pytest.MonkeyPatch) -> None:
    take = LiveShard.take

    def careless(self: LiveShard, value: Any, offset: int, *, aloud: bool) -> Any:
        before = dict(self.engine.ledger.dismissed)
        found = take(self, value, offset, aloud=aloud)
        if not aloud and len(self.engine.ledger.dismissed) > len(before):
            self.engine.ledger.dismissed = before
        return found

    patch.setattr(LiveShard, "take", careless)


@bug
def ids_of_events_are_forgotten_with_a_restart(patch: pytest.MonkeyPatch) -> None:
    go_on = LiveShard.go_on_from

    def forgetful(self: LiveShard, tree: Any, position: int, anchor: bytes) -> None:
        go_on(self, tree, position, anchor)
        self.node.shard.state.seen[:] = 0

    patch.setattr(LiveShard, "go_on_from", forgetful)


@bug
def a_shard_is_silent_for_too_long(patch: pytest.MonkeyPatch) -> None:
    join = Worker.join

    def shy(self: Worker) -> None:
        held = set(self.live)
        join(self)
        for index in set(self.live) - held:
            self.silent[index] = len(self.world.logs[index])

    patch.setattr(Worker, "join", shy)


@bug
def a_rebuilt_shard_keeps_its_silence_to_itself_but_not_its_place(patch: pytest.MonkeyPatch) -> None:
    restore = World.restore

    def lost(self: World, index: int) -> LiveShard:
        shard = restore(self, index)
        shard.position = max(shard.position, self.group.committed.get(("ex", index), 0))
        return shard

    patch.setattr(World, "restore", lost)


@pytest.mark.parametrize("name", BUGS)
def test_it_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BUGS[name](monkeypatch)
    monkeypatch.setattr("tests.dst.parts._MADE", {})
    assert any(run(seed)[1] for seed in range(SEEDS))
