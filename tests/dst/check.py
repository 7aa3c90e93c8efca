"""What must hold after every schedule, and one run from a seed to a verdict.

Exactly, whatever happened (`docs/decisions/0016-what-two-runs-may-differ-in.md`):

1. Every event of the platform stands in a log, and is counted once (a second delivery within a day of event time).
   Every decision of a reviewer's stands in one, in the order in which they were made.
2. Each shard is, array for array, what one uninterrupted reading of its log gives.
3. Each log holds every message that such readings of all logs give rise to, the first of each in order; all others are
   second sendings of the same bytes.
4. Flags: every record of the uninterrupted reading was sent, no other, and the last of each `flag_id` is its last.

Against a run without faults, of the same events in the platform's own order, on one shard:

5. Contacts with their times and outcomes, friendships, facts and counts of targets and outcomes are equal. (Checked on
   streams in which the order of what two accounts do is given by the platform, as keys by actor or pair give it.)
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from graph.message import Kind
from graph.shard import Settings, Shard
from graph.state import Var
from streams.live import LiveShard
from streams.wire import unpack
from tests.deep import differences
from tests.dst.parts import TOPICS, fresh_shard
from tests.dst.world import World
from tests.graph.build import Event
from tests.graph.compare import events_from
from tests.graph.shards import content, local_rows
from tests.graph.test_exchange import sensible, steady
from tests.newest import flags_wrong

__all__ = ["problems_of", "run"]

STEPS = 400


def stream(seed: int) -> tuple[list[Event], bool]:
    """Return a stream, and whether the order of arrival leaves contacts and counts alone."""
    chance = random.Random(seed ^ 0x5EED)
    if seed % 3:
        return sensible(chance, chance.choice((4, 6, 9))), True
    return events_from(chance.randrange, chance.choice((4, 8, 16)), chance.choice((30, 90))), False


def run(seed: int, make: Callable[..., World] = World) -> tuple[World, list[str]]:
    """Run one schedule; return the world and what is wrong with it, one line each."""
    events, steady_order = stream(seed)
    world = make(seed, events, keyed=steady_order)
    try:
        for _ in range(STEPS):
            world.step()
        world.settle()
    except AssertionError as problem:
        return world, [f"in the middle: {problem}"]
    return world, problems_of(world, events, steady_order)


def again(world: World) -> list[tuple[LiveShard, list[tuple[int, bytes]], list[bytes]]]:
    """Read every log once from its beginning, without second sendings: the shard, what it sends, and its flags."""
    found = []
    for index, log in enumerate(world.logs):
        shard = fresh_shard(index, world.how.shards)
        sent, flags = [], []
        highest: dict[int, tuple[int, int]] = {}
        for offset, value in enumerate(log):
            message = unpack(value)
            at = (message.offset, message.part)
            if message.source >= 0:
                if at <= highest.get(message.source, (-1, -1)):
                    continue
                highest[message.source] = at
            for topic, out, where in shard.take(value, offset, aloud=True):
                if topic == TOPICS.exchange:
                    sent.append((where["partition"], out))
                else:
                    flags.append(out)
        found.append((shard, sent, flags))
    return found


def problems_of(world: World, events: list[Event], steady_order: bool) -> list[str]:
    """Return what is wrong after a schedule has come to its end."""
    wrong: list[str] = []
    clean = again(world)
    shards = world.shards()
    for index, (shard, (anew, _, _)) in enumerate(zip(shards, clean, strict=True)):
        for part in ("node", "engine"):
            paths = [p for p in differences(getattr(shard, part), getattr(anew, part)) if p != ".repeats"]
            if paths:
                wrong.append(f"shard {index} is not what its log gives: {part}{', '.join(paths[:4])}")
    ids = {event.id for event in events}
    counted = sum(shard.node.shard.counter(Var.N_EVENTS) for shard in shards)
    # an id may come again, in a wild stream, after it was forgotten: as a late event, which no window counts
    if counted != len(ids) if steady_order else counted < len(ids):
        wrong.append(f"{len(ids)} events were sent, {counted} counted")
    wrong += _decisions(world)
    wrong += _logs(world, clean)
    wrong += flags_wrong(world.flags, [flag for _, _, flags in clean for flag in flags])
    if steady_order and not wrong:
        wrong += _beside_one(events, shards)
    return wrong


def _decisions(world: World) -> list[str]:
    """Each log holds the decisions that concern it, in order; what is there twice goes back over what was there."""
    wrong = []
    due: dict[int, list[bytes]] = {}
    for shard, message in world.messages(("reviews", 0), world.decisions):
        due[shard] = [row.tobytes() for row in message.rows]
    for index, log in enumerate(world.logs):
        rows = [row.tobytes() for value in log if (m := unpack(value)).kind == Kind.REVIEWS for row in m.rows]
        expected = due.get(index, [])
        done = 0
        for row in rows:
            if done < len(expected) and row == expected[done]:
                done += 1
            elif row not in expected[:done]:
                wrong.append(f"log {index} holds a decision out of its order")
        if done < len(expected):
            wrong.append(f"log {index} lacks {len(expected) - done} decisions")
    return wrong


def _logs(world: World, clean: list[Any]) -> list[str]:
    wrong = []
    due: list[dict[int, list[bytes]]] = [{} for _ in world.logs]
    for source, (_, sent, _) in enumerate(clean):
        for to, value in sent:
            due[to].setdefault(source, []).append(value)
    for index, log in enumerate(world.logs):
        got: dict[int, list[bytes]] = {}
        highest: dict[int, tuple[int, int]] = {}
        for value in log:
            message = unpack(value)
            at = (message.offset, message.part)
            if message.source < 0:
                continue
            if at > highest.get(message.source, (-1, -1)):
                highest[message.source] = at
                got.setdefault(message.source, []).append(value)
            elif value not in got[message.source]:
                wrong.append(f"log {index}: a second sending from shard {message.source} that is not the first")
        if got != due[index]:
            missing = sum(len(values) for values in due[index].values()) - sum(len(values) for values in got.values())
            wrong.append(f"log {index} holds {-missing:+} messages, or others, than follow from all logs")
    return wrong


def _beside_one(events: list[Event], shards: list[LiveShard]) -> list[str]:
    one = Shard(Settings())
    local_rows(one, events)
    end = max(one.clock, *(shard.node.shard.clock for shard in shards))
    several = [shard.node.shard for shard in shards]
    for shard in (one, *several):  # all clocks to the same time, so that windows can be compared
        for _ in shard.pass_ticks(end + shard.settings.tick):
            pass
    ours, theirs = steady(content(several)), steady(content([one]))
    names = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
    return [f"{len(names)} accounts are not what one shard without faults finds"] if names else []
