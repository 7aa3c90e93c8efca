"""The context of a flagged account: what its shard knows of it, as the console will draw it."""

from __future__ import annotations

import msgspec

from graph.shard import Shard
from streams.contexts import NEWEST, Context
from streams.decode import EventDecoder
from streams.surroundings import context_bytes

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
    value = context_bytes(shard, account)
    assert value is not None
    return msgspec.json.decode(value, type=Context)


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
    assert context_bytes(shard, "nobody") is None
