"""Whatever a shard carries is in its tree: one that is made again from it goes on as if nothing had happened.

The comparison looks at every attribute of every object, so a new detector or array that `STATE` does not name fails
here, as soon as a random stream makes it change.
"""

from __future__ import annotations

import copy
import random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.engine import Engine
from detectors.evidence import family_numbers
from detectors.policy import default_policy, load_policy
from graph.kept import LayoutError, restore, tree_of
from graph.message import split_events
from graph.node import Node
from graph.shard import Shard
from simulation.scenarios import build
from streams.decode import EventDecoder
from tests.deep import differences
from tests.graph.compare import events_from
from tests.graph.shards import Cluster


def cluster(seed: int, shards: int, length: int) -> tuple[Cluster, list[Any]]:
    chance = random.Random(seed)
    return Cluster(shards, detect=True), events_from(lambda n: chance.randrange(n), 12, length)


def kept(node: Node, engine: Engine) -> Any:
    """A tree that shares nothing with the shard it came from."""
    return copy.deepcopy((tree_of(node), tree_of(engine)))


def made_again(trees: Any, index: int, shards: int) -> tuple[Node, Engine]:
    node = Node(index, shards)
    engine = Engine(node.shard, default_policy())
    restore(node, trees[0])
    restore(engine, trees[1])
    return node, engine


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 3]), st.integers(1, 150), st.integers(0, 60))
def test_a_shard_made_again_from_its_tree_goes_on_byte_for_byte(
    seed: int, shards: int, before: int, after: int
) -> None:
    run, events = cluster(seed, shards, before + after)
    for start in range(0, before, 10):
        run.put(events[start : min(start + 10, before)])
        run.settle()
    trees = [kept(node, engine) for node, engine in zip(run.nodes, run.engines, strict=True)]
    again = Cluster(shards, detect=True)
    again.logs, again.at = [list(log) for log in run.logs], list(run.at)
    for index, tree in enumerate(trees):
        again.nodes[index], again.engines[index] = made_again(tree, index, shards)
    assert list(differences(again.nodes, run.nodes)) == []
    assert list(differences(again.engines, run.engines)) == []
    sent, flags = [len(each) for each in run.sent], len(run.flags)
    for one in (run, again):
        one.put(events[before:])
        one.settle()
    assert again.sent == [each[n:] for each, n in zip(run.sent, sent, strict=True)]
    assert again.flags == run.flags[flags:]
    assert list(differences(again.nodes, run.nodes)) == []
    assert list(differences(again.engines, run.engines)) == []


def test_random_streams_raise_flags_and_fill_what_detectors_carry() -> None:
    """Or the test above would compare empty arrays."""
    run, _ = cluster(7, 1, 1)
    node, engine = run.nodes[0], run.engines[0]
    fresh = Engine(node.shard, default_policy())
    lines = [msgspec.json.encode(event) for event in build("demo", 3, 300, 2).events()]
    decoded = EventDecoder().decode(lines, not_after=2**62, ingested_at=None)
    for _, message in split_events(decoded.batch, 1):
        for step in node.handle(message, 0):
            if not isinstance(step, list):
                list(engine.take(step))
    changed = set(differences(fresh, engine))
    for name in ("cusum.sums", "experience.peaks", "ledger.open", "sums.values", "reference.k"):
        assert any(name in path for path in changed), name
    other = made_again(kept(node, engine), 0, 1)
    assert list(differences(other, (node, engine))) == []


def test_a_policy_may_switch_detectors_on_and_off() -> None:
    node = Node(0, 1)
    everything = tree_of(Engine(node.shard, default_policy()))
    less = Engine(node.shard, load_policy("detectors: {mass_add: {enabled: false}}"))
    restore(less, everything)
    assert not less.judge.counts[family_numbers("mass_add")].any()
    more = Engine(node.shard, default_policy())
    restore(more, tree_of(less))
    assert more.judge.counts[family_numbers("mass_add")].all()


def test_a_tree_of_another_form_is_refused_by_name() -> None:
    tree = tree_of(Node(0, 1))
    with pytest.raises(LayoutError, match=r"Node\.shard has unknown more"):
        restore(Node(0, 1), {**tree, "shard": {**tree["shard"], "more": 1}})
    with pytest.raises(LayoutError, match=r"Node lacks seen"):
        restore(Node(0, 1), {name: part for name, part in tree.items() if name != "seen"})
    arrays = tree["shard"]["state"]
    with pytest.raises(LayoutError, match=r"Node\.shard\.state\.pairs is in another form"):
        restore(Node(0, 1), {**tree, "shard": {"state": {**arrays, "pairs": np.zeros(3, np.int32)}}})
    with pytest.raises(LayoutError, match=r"Node\.shard\.state\.counts has another shape"):
        restore(Node(0, 1), {**tree, "shard": {"state": {**arrays, "counts": np.zeros((3, 2), np.uint32)}}})
    with pytest.raises(LayoutError, match=r"Node\.seen is in another form"):
        restore(Node(0, 1), {**tree, "seen": msgspec.msgpack.encode({"a": 1})})


def test_what_cannot_be_kept_is_named() -> None:
    shard = Shard()
    shard.state = {1, 2}  # type: ignore[assignment]
    with pytest.raises(TypeError, match=r"Shard\.state: no state can be kept of a set"):
        tree_of(shard)
