"""Timelines by hand: `World().people(...)`, `asks(...)`, and the flags that follow from them."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

from detectors.episodes import FlagRecord
from detectors.policy import Policy, default_policy
from graph.state import HOUR
from streams.replay import Replay

__all__ = ["NEVER", "START", "World", "crowd", "encode", "raised", "replayed"]

NEVER = 1 << 60
START = 1_767_225_600_000


def encode(events: list[dict[str, Any]]) -> list[bytes]:
    """Return events as lines."""
    return [json.dumps(event).encode() + b"\n" for event in events]


def replayed(
    lines: list[bytes], policy: Policy | None = None, *, cuts: list[int] | None = None, raise_after: int = 0
) -> list[FlagRecord]:
    """Return the flags of a stream that is fed in pieces, cut where `cuts` says."""
    replay = Replay(policy or default_policy(), raise_after=raise_after, not_after=NEVER)
    edges = [0, *sorted(cuts or []), len(lines)]
    return [flag for a, b in itertools.pairwise(edges) for flag in replay.feed(b"".join(lines[a:b]))]


class World:
    """A timeline of events; every account states its age first."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def add(self, kind: str, hours: float, actor: str, target: str | None = None, **more: Any) -> World:
        """Add an event, so many hours after the start."""
        event = {"type": kind, "occurred_at": START + int(hours * HOUR), "actor_id": actor, **more}
        self.events.append(event if target is None else {**event, "target_id": target})
        return self

    def people(self, prefix: str, count: int, band: str, **more: Any) -> list[str]:
        """Add accounts of an age."""
        names = [f"{prefix}{i}" for i in range(count)]
        for name in names:
            self.add("account.updated", 0, name, age_band=band, **more)
        return names

    def with_(self, other: World) -> World:
        """Add what happens in another world."""
        self.events += other.events
        return self

    def asks(
        self, actor: str, targets: list[str], begin: float, hours: float, welcome: float = 0.0, **more: Any
    ) -> World:
        """Ask targets one after another, evenly over some hours; a share of them accept an hour later."""
        for i, target in enumerate(targets):
            hour = begin + hours * i / len(targets)
            self.add("friend_request.sent", hour, actor, target, **more)
            if int((i + 1) * welcome) > int(i * welcome):
                self.add("friend_request.accepted", hour + 1, target, actor)
        return self

    def lines(self) -> list[bytes]:
        """Return the events in order of time."""
        events = sorted(self.events, key=lambda event: int(event["occurred_at"]))
        return encode([{**event, "event_id": f"e{i}"} for i, event in enumerate(events)])

    def flags(self, policy: Policy | None = None) -> list[FlagRecord]:
        """Return the flags."""
        return replayed(self.lines(), policy)


def raised(flags: list[FlagRecord], detector: str | None = None) -> set[str]:
    """Return whom a detector flagged, or whom any did."""
    return {flag.account_id for flag in flags if detector in (None, flag.detector)}


def crowd(chance: random.Random, size: int = 50, days: int = 26) -> World:
    """A small platform and its ordinary life: people in circles of ten, who reach for people of about their age.

    Most are answered; many contacts are with strangers. It begins with nothing learned.
    """
    world = World()
    bands = ("under_13", "13_15", "16_17", "18_20", "21_plus", "unknown")
    groups = [world.people(f"c{band}_", size, band) for band in bands]
    names = [name for group in groups for name in group]
    for group in groups:
        for k, name in enumerate(group):
            for other in group[k // 10 * 10 : k]:
                if chance.random() < 0.5:
                    world.add("friendship.created", 0, name, other)
            for day in range(days):
                other = chance.choice(group if chance.random() < 0.8 else names)
                if chance.random() < 0.3 and other != name:
                    _meet(world, chance, name, other, 24 * day + chance.random() * 20)
    return world


def _meet(world: World, chance: random.Random, name: str, other: str, hour: float) -> None:
    asks = chance.random() < 0.6
    world.add("friend_request.sent" if asks else "message.sent", hour, name, other)
    if chance.random() < 0.6:
        later = hour + 1 + 3 * chance.random()
        world.add("friend_request.accepted" if asks else "message.sent", later, other, name)
