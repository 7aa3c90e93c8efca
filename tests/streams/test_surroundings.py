"""The context of a flagged account: what its shard knows of it, as the console will draw it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from detectors.policy import default_policy
from graph.message import split_events
from graph.shard import Shard
from graph.views import rows_of
from streams import surroundings
from streams.contexts import NEWEST, Context
from streams.decode import EventDecoder
from streams.hashing import hash_id
from streams.live import LiveShard
from streams.metrics import Metrics
from streams.settings import TopicNames
from streams.surroundings import context_bytes
from streams.wire import pack

MINUTE = 60_000
START = 1_795_321_320_000


def shard_of(*events: dict[str, object]) -> Shard:
    shard = Shard()
    lines = [
        msgspec.json.encode({"event_id": f"e{number}", "occurred_at": START + number * MINUTE} | event)
        for number, event in enumerate(events)
    ]
    decoded = EventDecoder().decode(lines, not_after=START * 2)
    assert not decoded.rejected
    for _ in shard.process(decoded.batch):
        pass
    return shard


def context(shard: Shard, account: str) -> Context:
    return msgspec.json.decode(context_bytes(shard, [account])[account], type=Context)


def test_it_tells_ages_outcomes_and_times_of_contacts_newest_first() -> None:
    shard = shard_of(
        {"type": "account.updated", "actor_id": "a", "age_band": "21_plus", "created_at": START - 9_000_000},
        {"type": "friendship.created", "actor_id": "a", "target_id": "f"},
        {"type": "friend_request.sent", "actor_id": "a", "target_id": "t1", "target_age_band": "13_15"},
        {"type": "message.sent", "actor_id": "a", "target_id": "t2"},
        {"type": "friend_request.accepted", "actor_id": "t1", "target_id": "a"},
        {"type": "account.blocked", "actor_id": "t2", "target_id": "a"},
        {"type": "message.sent", "actor_id": "a", "target_id": "t2"},
    )
    found = context(shard, "a")
    assert (found.age_band, found.friends, found.at) == ("21_plus", 2, "2026-11-22T04:28:00.000Z")
    assert found.created_at == "2026-11-22T01:52:00.000Z"
    second, first = found.contacts
    assert (first.target, first.age_band, first.outcomes) == ("t1", "13_15", ["stranger", "accepted"])
    assert (second.target, second.age_band, second.outcomes) == ("t2", "unknown", ["stranger", "blocked"])
    assert (second.first, second.last) == ("2026-11-22T04:25:00.000Z", "2026-11-22T04:28:00.000Z")


def test_it_is_bounded() -> None:
    many = [{"type": "message.sent", "actor_id": "a", "target_id": f"t{i}"} for i in range(NEWEST + 30)]
    found = context(shard_of(*many), "a")
    assert [one.target for one in found.contacts] == [f"t{NEWEST + 29 - i}" for i in range(NEWEST)]


def test_an_account_without_contacts_or_unknown_has_little_or_none() -> None:
    shard = shard_of({"type": "account.updated", "actor_id": "a", "age_band": "16_17"})
    assert context(shard, "a").contacts == []
    assert context_bytes(shard, ["nobody"]) == {}


def ring_of(names: str, targets: int, *more: dict[str, object]) -> Shard:
    """Return a shard where each of a ring's members, one after the other, writes to the same targets."""
    sent = [
        {"type": "friend_request.sent", "actor_id": name, "target_id": f"t{target}"}
        for name in names
        for target in range(targets)
    ]
    return shard_of(*sent, *more)


def group(shard: Shard, account: str) -> list[tuple[str, int]]:
    return [(one.account, one.shared) for one in context(shard, account).group]


def test_it_names_who_reaches_for_the_same_targets_the_closest_first() -> None:
    once = [{"type": "friend_request.sent", "actor_id": "late", "target_id": f"t{target}"} for target in range(4)]
    twice = [{"type": "friend_request.sent", "actor_id": "c", "target_id": f"t{target}"} for target in range(5, 8)]
    shard = ring_of("ab", 5, *once, *twice, {"type": "friend_request.sent", "actor_id": "last", "target_id": "t0"})
    assert group(shard, "a") == [], "it was there first"
    assert group(shard, "b") == [("a", 5)]
    assert sorted(group(shard, "late")) == [("a", 4), ("b", 4)]
    assert [group(shard, name) for name in ("c", "last")] == [[], []], "fewer than three in common"
    assert context(shard, "late").group_size == 2


def test_of_a_group_only_those_are_named_whom_the_shard_knows() -> None:
    shard = ring_of("abc", 4, {"type": "account.deleted", "actor_id": "b"})
    found = context(shard, "c")
    assert [one.account for one in found.group] == ["a"]
    assert found.group_size == 2, "until the next tick"


def test_nobody_is_named_for_another_shards_account_of_the_same_half(monkeypatch: pytest.MonkeyPatch) -> None:
    shard = ring_of("abc", 4, {"type": "friend_request.sent", "actor_id": "bystander", "target_id": "t0"})
    assert sorted(name for name, _ in group(shard, "c")) == ["a", "b"]
    one, bystander = (shard.find(hash_id(name)) for name in ("a", "bystander"))
    assert bystander is not None

    def collides(shard: Shard, halves: Iterable[int]) -> dict[int, int]:
        return {half: bystander if row == one else row for half, row in rows_of(shard, halves).items()}

    monkeypatch.setattr(surroundings, "rows_of", collides)
    found = context(shard, "c")
    assert [one.account for one in found.group] == ["b"]
    assert found.group_size == 2


def sent_by(live: LiveShard, *events: dict[str, object]) -> list[tuple[str, Any]]:
    """Return what a worker's only shard sends for events, one message each hour: topics and values."""
    sent: list[tuple[str, Any]] = []
    lines = [
        msgspec.json.encode({"event_id": f"e{number}", "occurred_at": START + number * MINUTE} | event)
        for number, event in enumerate(events)
    ]
    offset = 0
    for at in range(0, len(lines), 60):
        batch = EventDecoder().decode(lines[at : at + 60], not_after=START * 2).batch
        log = deque(pack(message) for _, message in split_events(batch, 1))
        while log:
            for topic, value, _ in live.take(log.popleft(), offset, aloud=True):
                if topic == live.topics.exchange:
                    log.append(value)
                else:
                    sent.append((topic, msgspec.json.decode(value)))
            offset += 1
    return sent


def test_the_contexts_beside_flags_name_the_ring() -> None:
    names = [f"ring{number}" for number in range(5)]
    sent = [
        {"type": "message.sent", "actor_id": name, "target_id": f"t{target}", "target_age_band": "13_15"}
        for target in range(30)
        for name in names
    ]
    told = [{"type": "account.updated", "actor_id": name, "age_band": "21_plus"} for name in names]
    policy = default_policy()
    live = LiveShard(0, 1, policy, 0, TopicNames(), Metrics(policy.version))
    outgoing = sent_by(live, *told, *sent)
    flagged = {value["account_id"] for topic, value in outgoing if topic == live.topics.flags}
    last = {value["account_id"]: value for topic, value in outgoing if topic == live.topics.contexts}
    assert set(last) == flagged
    assert set(names[1:]) <= flagged
    for place, name in enumerate(names):
        if name in last:  # each meets those who were there before it
            assert {one["account"] for one in last[name]["group"]} == set(names[:place])
            assert last[name]["group_size"] == place
