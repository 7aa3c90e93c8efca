"""Local and distributed agree.

In **lockstep**, each event taking its whole course before the next comes, shards find the very same rows of features
as one shard by function calls, however many they are; with one shard, so for any stream, and flags are the same. Only
when a silence is noticed may differ, since each shard has its own clock; not what its row says. And rows that take no
message from the target's shard say its age as last heard.

At work, many events are under way at once. What then still holds, and is tested: every contact, its times, whether it
was taken back, accepted, declined, blocked or reported, and every friendship are as one shard finds them, each once.
What may differ is what depends on which of two racing events came first: whether a target was a stranger while a
friendship with it or of its friends was being made, who of two reached out first (and so whether a contact counts
as replied to), how many friends of a target the actor had reached for a moment before; a friendship removed while it
is being made, and what others do to an account while it is being erased.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graph.message
from detectors.engine import Engine
from detectors.policy import default_policy
from graph.batch import NOT_GIVEN, EventKind
from graph.message import owner_of, split_events
from graph.shard import Settings, Shard
from graph.state import CANCELLED, CONTACT, DAY, HOUR
from simulation.scenarios import build
from streams.decode import EventDecoder
from streams.wire import pack, unpack
from tests.graph.build import START, Event, batch_of, hash_of
from tests.graph.compare import SETTINGS, events_from
from tests.graph.lockstep import agree
from tests.graph.shards import Cluster, content, local_rows

K = EventKind
SHARDS = (1, 2, 3, 5)
PATIENT = Settings(max_jump=5000 * DAY)


def in_order(events: list[Event]) -> list[Event]:
    """Put a stream in order of time, with one age an account in all hints of other events.

    What is late or far ahead goes by each shard's own clock, and which of two contradicting hints came last is
    known to one shard only.
    """

    def hint(account: str, given: int) -> int:
        return given if given == NOT_GIVEN else hash_of(account) % 6

    return [
        event
        if event.kind == K.ACCOUNT_UPDATED
        else event._replace(
            actor_age=hint(event.actor, event.actor_age), target_age=hint(event.target, event.target_age)
        )
        for event in sorted(events, key=lambda event: event.time)
    ]


def streams(accounts: int, length: int) -> st.SearchStrategy[list[Event]]:
    def build(choices: list[int]) -> list[Event]:
        rest = iter(choices)
        return events_from(lambda n: next(rest, 0) % n, accounts, length)

    return st.lists(st.integers(0, 839), max_size=8 * length).map(build)


@settings(max_examples=150, deadline=None)
@given(events=streams(5, 14), shards=st.sampled_from(SHARDS))
def test_rows_agree_on_short_streams(events: list[Event], shards: int) -> None:
    agree(in_order(events), shards, PATIENT)


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("seed", range(12))
def test_rows_agree_on_long_streams(seed: int, shards: int) -> None:
    chance = random.Random(seed)
    events = in_order(events_from(chance.randrange, chance.choice((6, 20, 60)), 400))
    agree(events, shards, PATIENT)


@pytest.mark.parametrize("seed", range(30))
def test_one_shard_agrees_on_any_stream(seed: int) -> None:
    chance = random.Random(seed)
    agree(events_from(chance.randrange, chance.choice((4, 12, 60)), 300), 1, SETTINGS[seed % 3])


# -- many events under way


def sensible(chance: random.Random, accounts: int) -> list[Event]:
    """Make what people do, one thing after another for any two of them, and many of them at once, within hours."""
    scripts = []
    for i in range(accounts):
        for j in chance.sample(range(accounts), min(accounts, 8)):
            if j == i:
                continue
            way: list[tuple[EventKind, int, int]] = [(K.REQUEST_SENT, i, j)]
            then = chance.choice((K.REQUEST_ACCEPTED, K.REQUEST_DECLINED, K.REQUEST_CANCELLED, K.ACCOUNT_BLOCKED, None))
            if then is not None:
                way.append((then, i, j) if then == K.REQUEST_CANCELLED else (then, j, i))
            if then not in (K.REQUEST_CANCELLED, K.REQUEST_DECLINED) and chance.random() < 0.5:
                way.append((K.MESSAGE_SENT, i, j))
            if chance.random() < 0.2:
                way = [(K.MESSAGE_SENT, i, j), (K.ACCOUNT_REPORTED, j, i)]
            if chance.random() < 0.2:
                way = [(K.FRIENDSHIP_CREATED, i, j)]
            scripts.append(way)
    pairs = set()
    chosen = []
    for way in scripts:
        pair = frozenset(way[0][1:])
        if pair not in pairs:
            pairs.add(pair)
            chosen.append(way)
    made = []
    while chosen:
        way = chance.choice(chosen)
        kind, actor, target = way.pop(0)
        time = START + len(made) * 8_000
        made.append(Event(kind, time, f"e{len(made)}", f"u{actor}", f"u{target}"))
        chosen = [way for way in chosen if way]
    return in_order(made)


STEADY = sum(1 << bit for bit in (3, 4, 6, 7))  # accepted, declined, blocked, reported


def steady(found: dict[str, Any]) -> dict[str, Any]:
    """Return what no race changes."""
    return {
        name: {
            "friends": held["friends"],
            "facts": [held[fact] for fact in ("age", "roles", "created")],
            "contacts": {
                target: (first, last, flags & (STEADY | CONTACT | CANCELLED))
                for target, (first, last, flags) in held["contacts"].items()
            },
            "counts": {
                name: count
                for name, count in held["counts"].items()
                if name.startswith(("targets", "accepted", "declined", "blocked", "reported"))
            },
        }
        for name, held in found.items()
        if held["friends"] or held["contacts"]
    }


def scattered(seed: int, shards: int, how: Settings) -> tuple[list[Event], Cluster]:
    """Run a stream through shards that take turns at random."""
    chance = random.Random(seed)
    events = sensible(chance, chance.choice((6, 20, 60)))
    cluster = Cluster(shards, how)
    at = 0
    while at < len(events):
        size = chance.choice((1, 5, 40))
        cluster.put(events[at : at + size])
        at += size
        for _ in range(chance.choice((0, 2, 30))):
            if waiting := cluster.waiting():
                cluster.step(chance.choice(waiting))
    cluster.settle(chance)
    return events, cluster


@pytest.mark.parametrize("shards", [2, 3, 5])
@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_or_counted_twice_whoever_is_first(seed: int, shards: int) -> None:
    events, cluster = scattered(seed, shards, PATIENT)
    one = Shard(PATIENT)
    local_rows(one, events)
    end = one.clock
    for shard in (one, *(node.shard for node in cluster.nodes)):
        list(shard.pass_ticks(end + PATIENT.tick))  # all clocks to the same time, so that windows can be compared
    assert steady(cluster.content()) == steady(content([one]))


@pytest.mark.parametrize("shards", [1, 2, 3])
@pytest.mark.parametrize("seed", range(6))
def test_a_second_delivery_changes_nothing(seed: int, shards: int) -> None:
    """A crash after sending and before the offset was committed: what was sent since comes again."""
    chance = random.Random(seed)
    _, cluster = scattered(seed, shards, SETTINGS[0])
    before, rows = states(cluster), len(cluster.rows)
    for sent in cluster.sent:
        for to, data in sent[chance.randrange(len(sent) + 1) :]:
            cluster.logs[to].append(data)
    repeated = sum(len(log) for log in cluster.logs) - sum(cluster.at)
    cluster.settle(chance)
    assert states(cluster) == before
    assert len(cluster.rows) == rows
    assert sum(node.repeats for node in cluster.nodes) == repeated


@pytest.mark.parametrize("shards", [1, 2, 3])
@pytest.mark.parametrize("seed", range(6))
def test_a_node_made_anew_from_its_log_is_the_same_and_says_the_same(seed: int, shards: int) -> None:
    _, cluster = scattered(seed, shards, SETTINGS[seed % 3])
    for index in range(shards):
        again = cluster.again(index)
        assert again.sent[index] == cluster.sent[index]
        assert states(again)[index] == states(cluster)[index]


def states(cluster: Cluster) -> list[list[bytes]]:
    """Return what nodes hold, byte for byte."""
    return [[np.asarray(array).tobytes() for array in node.shard.state] for node in cluster.nodes]


# -- flags, on one shard


@pytest.mark.parametrize("size", [1, 7, 500])
def test_on_one_shard_flags_are_those_of_replay_however_events_are_batched(size: int) -> None:
    decoder = EventDecoder()
    lines = b"".join(build("demo", seed=3, accounts=1000, days=2).lines())
    batch = decoder.decode_lines(lines, not_after=2 * START).batch
    shard = Shard()
    want = list(Engine(shard, default_policy()).process(batch))
    assert len(want) > 3
    cluster = Cluster(1, detect=True)
    for at in range(0, len(batch), size):
        for to, message in split_events(batch.select(slice(at, at + size)), 1):
            cluster.logs[to].append(pack(message))
        cluster.settle()
    assert cluster.flags == want


# -- messages


def test_what_is_too_large_for_one_record_is_sent_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph.message, "PART", 3000)
    chance = random.Random(1)
    events = in_order(events_from(chance.randrange, 20, 500))
    whole, parts = Cluster(3, PATIENT), Cluster(3, PATIENT)
    monkeypatch.setattr(graph.message, "PART", 400_000)
    whole.put(events)
    whole.settle()
    monkeypatch.setattr(graph.message, "PART", 3000)
    parts.put(events)
    parts.settle()
    sizes = [len(data) for sent in parts.sent for _, data in sent]
    assert len(sizes) > sum(len(sent) for sent in whole.sent)
    assert max(sizes) < 3000 + 300 * 8 * 2 + 1000, "one row more than a part at most"
    assert sum(node.repeats for node in parts.nodes) == 0
    assert parts.content().keys() == whole.content().keys()


@given(events=st.lists(st.tuples(st.text(min_size=1, max_size=128), st.text(min_size=1, max_size=128)), max_size=30))
@settings(deadline=None)
def test_events_are_split_by_actor_with_their_own_texts(events: list[tuple[str, str]]) -> None:
    made = [Event(K.MESSAGE_SENT, START + i * HOUR, f"e{i}", actor, target) for i, (actor, target) in enumerate(events)]
    seen = []
    for to, message in split_events(batch_of(made), 3):
        read = unpack(pack(message))
        assert (owner_of(read.rows["actor"], 3) == to).all()
        text = read.text.tobytes()
        assert len(text) == sum(int(read.rows[f"{name}_len"].sum()) for name in ("event", "actor", "target"))
        for row in read.rows:
            ids = [text[row[f"{n}_at"] :][: row[f"{n}_len"]].decode() for n in ("event", "actor", "target")]
            assert int(row["actor"]) == hash_of(ids[1])
            seen.append(ids)
    assert sorted(seen) == sorted([e.id, e.actor, e.target] for e in made)


def test_every_shard_owns_its_share() -> None:
    keys = np.random.default_rng(1).integers(0, 2**64, 100_000, np.uint64)
    for shards in (1, 2, 7, 64):
        counts = np.bincount(owner_of(keys, shards), minlength=shards)
        assert len(counts) == shards
        assert counts.min() > 0.8 * len(keys) / shards
