"""Replay, JSON text to flags, beside its peers in one run: `python -m benchmarks.replay [ACCOUNTS] [DAYS]`.

The stream is the simulated social platform, its events written as a platform would: RFC 3339 times and UUIDs as event
ids. All start from the same bytes in memory and run on one core:

- `msgspec`: the bare typed decode of the lines into objects, which are thrown away; times typed as `datetime`;
- `as text`: the same with times left as text, as `streams.events` has them, since it checks them in another place;
- `kithwatch`: decode, graph, detectors, flags as JSON;
- `networkx`: the same features with networkx as the store (`networkx_peer`), `json.loads`, no detectors;
- `python`: the same with deques, counters and dicts of its own (`plain_peer`), networkx for friendships only.

msgspec and kithwatch take turns; medians count. CPU time of the process is the measure, since other programs may run.
The garbage collector is off for msgspec and the peers, which gains them something.

What was tried for the graph (nanoseconds an event, the live part of the social stream, one shared core): arrays handed
with reference counts 9,700; without 3,400; recent targets only looked at for strangers 2,400; a bucket of the calendar
sorted once and each cursor left alone until something is due, with memory asked for ahead of use 1,100; what every
event does compiled into its callers, and friends merged without branching, a third less again.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import random
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Union, get_args, get_type_hints

import msgspec

from benchmarks.networkx_peer import NetworkxPeer
from benchmarks.plain_peer import PlainPeer
from detectors.policy import default_policy
from simulation.scenarios import build
from streams.collector import spare
from streams.events import Event
from streams.outflow import flag_bytes
from streams.replay import Replay
from streams.timestamps import rfc3339

BLOCK = 1 << 20
ROUNDS = 3
LATEST = 4_000_000_000_000


def blocks(accounts: int, days: float) -> tuple[list[bytes], int]:
    """Return the stream as blocks of whole lines, and the number of events."""
    ids = random.Random(1)  # no secret
    made, held, size, count = [], [], 0, 0
    for event in build("social", 1, accounts=accounts, days=days).events():
        event["event_id"] = str(uuid.UUID(int=ids.getrandbits(128), version=4))
        event["occurred_at"] = rfc3339(event["occurred_at"])
        line = msgspec.json.encode(event)
        held.append(line)
        size += len(line) + 1
        count += 1
        if size >= BLOCK:
            made.append(b"\n".join(held) + b"\n")
            held, size = [], 0
    made.append(b"\n".join(held) + b"\n")
    return made, count


def with_datetimes() -> Any:
    """Return the union of event types with `occurred_at` as an aware datetime or milliseconds."""
    when = Annotated[datetime, msgspec.Meta(tz=True)] | int
    made: list[Any] = []
    for kind in get_args(Event):
        fields = [
            (field.name, when if field.name == "occurred_at" else hint, *_default(field))
            for field, hint in zip(
                msgspec.structs.fields(kind), get_type_hints(kind, include_extras=True).values(), strict=True
            )
        ]
        fields.sort(key=lambda field: len(field))
        made.append(
            msgspec.defstruct(
                kind.__name__, fields, tag_field="type", tag=kind.__struct_config__.tag, frozen=True, gc=False
            )
        )
    return Union[tuple(made)]  # noqa: UP007  # the members are known at run time only


def _default(field: msgspec.structs.FieldInfo) -> tuple[Any, ...]:
    return () if field.required else (field.default,)


def timed(work: Callable[[], None], *, collect: bool) -> float:
    """Return the CPU seconds of one call."""
    gc.collect()
    if not collect:
        gc.disable()
    began = time.process_time()
    work()
    spent = time.process_time() - began
    gc.enable()
    return spent


def main() -> None:
    """Run everything and print the table."""
    accounts = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    days = float(sys.argv[2]) if len(sys.argv) > 2 else 4.0
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # what it leaves behind would lie in everybody's way
        stream, count = pool.apply(blocks, (accounts, days))
    as_text, typed = msgspec.json.Decoder(Event), msgspec.json.Decoder(with_datetimes())
    found = {"flags": 0, "accounts": 0}

    def bare(decoder: msgspec.json.Decoder[Any]) -> None:
        for block in stream:
            decoder.decode_lines(block)

    def ours() -> None:
        run = Replay(default_policy(), not_after=LATEST)
        sent = [flag_bytes(flag) for block in stream for flag in run.feed(block)]
        found["flags"], found["accounts"] = len(sent), run.shard.accounts

    def peer(made: NetworkxPeer | PlainPeer) -> Callable[[], None]:
        def work() -> None:
            for block in stream:
                for line in block.splitlines():
                    made.process(json.loads(line))

        return work

    warm = Replay(default_policy(), not_after=LATEST)
    timed(lambda: list(warm.feed(stream[0])), collect=True)  # loads what is compiled
    spare()  # as the command does
    turns = [
        (
            timed(lambda: bare(typed), collect=False),
            timed(lambda: bare(as_text), collect=False),
            timed(ours, collect=True),
        )
        for _ in range(ROUNDS)
    ]
    seconds = {
        "msgspec": statistics.median(turn[0] for turn in turns),
        "as text": statistics.median(turn[1] for turn in turns),
        "kithwatch": statistics.median(turn[2] for turn in turns),
        "networkx": timed(peer(NetworkxPeer()), collect=False),
        "python": timed(peer(PlainPeer()), collect=False),
    }
    size = sum(map(len, stream)) / 1e6
    print(f"{count:,} events of {found['accounts']:,} accounts, {size:,.0f} MB, {found['flags']:,} flag records")
    print(f"{'':10} {'CPU s':>8} {'events/s':>12} {'µs each':>8}  kithwatch against it")
    for name, spent in seconds.items():
        ratio = spent / seconds["kithwatch"]
        print(f"{name:10} {spent:8.1f} {count / spent:12,.0f} {spent / count * 1e6:8.2f}  {ratio:.3g} ×")


if __name__ == "__main__":
    main()
