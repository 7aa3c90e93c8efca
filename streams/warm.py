"""Compile the kernels ahead of time: `python -m streams.warm`, called by `make setup`.

A handful of events of every type goes through the whole product, on one shard and on two, so that every kernel is
compiled for the very types it meets at work and lies in the cache (`graph.jit`) when the first real event comes.
"""

from __future__ import annotations

import json
import time
from collections import deque
from typing import Final

from detectors.engine import Engine
from detectors.policy import default_policy
from graph.message import Message, Reviews, split_events
from graph.node import Node
from graph.shard import Rows, Tick
from graph.views import in_common, rows_of
from streams.decode import EventDecoder
from streams.replay import Replay
from streams.surroundings import context_bytes
from streams.wire import pack, unpack

__all__ = ["exercise"]

START: Final = 1_767_225_600_000
HOUR: Final = 3_600_000
SHARDS: Final = 2


def lines() -> list[bytes]:
    """Return some events of every type, over ten days, with every answer a contact can get."""
    events: list[dict[str, object]] = []

    def add(kind: str, actor: str, target: str | None, hours: float, **more: object) -> None:
        event = {"type": kind, "event_id": f"warm-{len(events)}", "occurred_at": START + int(hours * HOUR)}
        events.append(event | {"actor_id": actor} | ({} if target is None else {"target_id": target}) | more)

    for i in range(40):
        band = ("13_15", "21_plus")[i % 2]
        add("account.updated", f"a{i}", None, 0, age_band=band, age_source="declared", roles=[], created_at=START)
    for i in range(0, 36, 3):
        for a, b in ((i, i + 1), (i + 1, i + 2), (i, i + 2)):
            add("friendship.created", f"a{a}", f"a{b}", 1)
    for i in range(0, 38, 2):
        add("friend_request.sent", "a39", f"a{i}", 20 + i / 10)
    for i, kind in enumerate(("friend_request.accepted", "friend_request.declined", "account.blocked")):
        add(kind, f"a{2 * i}", "a39", 25)
    add("message.sent", "a6", "a39", 26, signs=["secrecy"])
    add("message.sent", "a39", "a8", 27, target_age_band="13_15")
    add("account.reported", "a8", "a39", 28, reason="warm")
    add("friend_request.cancelled", "a39", "a10", 29)
    add("friendship.removed", "a0", "a1", 30)
    add("account.deleted", "a3", None, 60)
    add("message.sent", "a1", "a2", 250)
    return [json.dumps(event).encode() for event in events]


def exercise() -> None:
    """Run the events through replay and through two shards."""
    records = lines()
    run = Replay(default_policy(), not_after=2 * START)
    for _ in run.feed(b"\n".join(records)):
        pass
    nodes = [Node(i, SHARDS) for i in range(SHARDS)]
    engines = [Engine(node.shard, default_policy()) for node in nodes]
    logs: list[deque[bytes]] = [deque() for _ in nodes]
    decoded = EventDecoder().decode(records, not_after=2 * START, ingested_at=[START] * len(records))
    outgoing: list[tuple[int, Message]] = list(split_events(decoded.batch, SHARDS))
    offset = 0
    while outgoing or any(logs):
        for to, message in outgoing:
            logs[to].append(pack(message))
        outgoing = []
        for node, engine, log in zip(nodes, engines, logs, strict=True):
            while log:
                offset += 1
                for step in node.handle(unpack(log.popleft()), offset):
                    if isinstance(step, (Rows, Tick, Reviews)):
                        list(engine.take(step))
                    else:
                        outgoing.extend(step)
    for node in nodes:
        context_bytes(node.shard, ["a39"])
        in_common(node.shard, 0, 0, 1)
        rows_of(node.shard, [1])


if __name__ == "__main__":
    begun = time.perf_counter()
    exercise()
    print(f"compiled kernels are ready ({time.perf_counter() - begun:.0f} s)")
