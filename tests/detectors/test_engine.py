"""The engine: the same flags for every cut of the stream, evidence from the row that was scored, and whom it spares."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.episodes import FlagRecord
from detectors.policy import Policy, default_policy, load_policy
from graph.state import DAY, HOUR
from simulation.scenarios import build
from streams.outflow import flag_bytes
from streams.replay import Replay
from tests.strategies import event_streams

NEVER = 1 << 60
START = 1_767_225_600_000
TOUCHY = load_policy(
    """
    severities: {low: 0.6, medium: 0.4, high: 0.2, critical: 0.1}
    episodes: {cool_down_days: 0.2}
    detectors:
      mass_add: {min_count: 1, limit_p: 0.9, limits: {1h: 1, 24h: 2, 7d: 3}}
      minor_targeting: {min_count: 1, limit_p: 0.9, limits: {1h: 1, 24h: 1, 7d: 2}, sequential: {odds: 4, limit: 0.5}}
    """
)
"""A policy that flags nearly everybody, so that short streams say much."""


def run(lines: list[bytes], cuts: list[int], policy: Policy, raise_after: int = 0) -> list[bytes]:
    replay = Replay(policy, raise_after=raise_after, not_after=NEVER)
    edges = [0, *sorted(cuts), len(lines)]
    found: list[bytes] = []
    for a, b in itertools.pairwise(edges):
        found.extend(flag_bytes(flag) for flag in replay.feed(b"".join(lines[a:b])))
    return found


def encode(events: list[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(event).encode() + b"\n" for event in events]


@settings(max_examples=40)
@given(data=st.data(), events=event_streams(names=6, max_size=80, step_ms=6 * HOUR))
def test_any_cut_of_any_stream_gives_the_same_flags(data: st.DataObject, events: list[dict[str, Any]]) -> None:
    lines = encode(events)
    cuts = data.draw(st.lists(st.integers(0, len(lines)), max_size=8))
    assert run(lines, cuts, TOUCHY) == run(lines, [], TOUCHY)


@pytest.fixture(scope="module")
def platform() -> list[bytes]:
    return list(build("demo", 3, accounts=800, days=3).lines())


@pytest.mark.parametrize("policy", [default_policy(), TOUCHY], ids=["default", "touchy"])
def test_any_cut_of_a_platform_gives_the_same_flags(platform: list[bytes], policy: Policy) -> None:
    whole = run(platform, [], policy)
    assert whole
    chance = random.Random(1)
    for pieces in (1, 7, 300):
        cuts = [chance.randrange(len(platform)) for _ in range(pieces)]
        assert run(platform, cuts, policy) == whole


def test_flags_of_the_past_are_left_out_and_those_after_keep_their_episode(platform: list[bytes]) -> None:
    flags = [json.loads(flag) for flag in run(platform, [], default_policy())]
    middle = sorted(flag["raised_at"] for flag in flags)[len(flags) // 2]
    after = round(datetime.fromisoformat(middle).timestamp() * 1000)
    late = [json.loads(flag) for flag in run(platform, [], default_policy(), raise_after=after)]
    assert late
    assert all(flag["updated_at"] >= middle for flag in late)
    assert {flag["flag_id"] for flag in late} <= {flag["flag_id"] for flag in flags}
    assert [flag["type"] for flag in late[:1]] == ["flag.raised"]


class World:
    """A timeline of events, built by hand; every account states its age first."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def add(self, kind: str, hours: float, actor: str, target: str | None = None, **more: Any) -> World:
        event = {"type": kind, "occurred_at": START + int(hours * HOUR), "actor_id": actor, **more}
        self.events.append(event if target is None else {**event, "target_id": target})
        return self

    def people(self, prefix: str, count: int, band: str, **more: Any) -> list[str]:
        names = [f"{prefix}{i}" for i in range(count)]
        for name in names:
            self.add("account.updated", 0, name, age_band=band, **more)
        return names

    def asks(self, actor: str, targets: list[str], begin: float, hours: float, **more: Any) -> World:
        """Ask targets one after another, evenly over some hours."""
        for i, target in enumerate(targets):
            self.add("friend_request.sent", begin + hours * i / len(targets), actor, target, **more)
        return self

    def flags(self, policy: Policy | None = None) -> list[FlagRecord]:
        events = sorted(self.events, key=lambda event: int(event["occurred_at"]))
        lines = encode([{**event, "event_id": f"e{i}"} for i, event in enumerate(events)])
        replay = Replay(policy or default_policy(), not_after=NEVER)
        return list(replay.feed(b"".join(lines)))


def raised(flags: list[FlagRecord], detector: str) -> set[str]:
    return {flag.account_id for flag in flags if flag.detector == detector and flag.role == "actor"}


def adult_world(targets: int, band: str = "21_plus") -> tuple[World, list[str]]:
    world = World()
    world.people("x", 1, "21_plus")
    return world, world.people("t", targets, band)


def test_a_mass_adder_is_flagged() -> None:
    world, targets = adult_world(60)
    assert raised(world.asks("x0", targets, 24, 2).flags(), "mass_add") == {"x0"}


def test_of_an_account_that_is_deleted_nothing_is_told_any_more() -> None:
    # asks 60 strangers, of which flags are held back, and goes when they would be told
    world, targets = adult_world(60)
    world.asks("x0", targets, 24, 2).add("account.deleted", 30, "x0")
    lines = encode([{**event, "event_id": f"e{i}"} for i, event in enumerate(world.events)])
    assert list(Replay(default_policy(), not_after=NEVER).feed(b"".join(lines)))
    late = Replay(default_policy(), raise_after=START + 30 * HOUR, not_after=NEVER)
    assert list(late.feed(b"".join(lines))) == []


def test_people_whom_the_platform_knows_to_have_mutual_friends_may_be_asked_in_numbers() -> None:
    world, targets = adult_world(60)
    assert not world.asks("x0", targets, 24, 2, mutual_friends=1).flags()


def test_people_with_mutual_friends_in_the_graph_may_be_asked_in_numbers() -> None:
    world, targets = adult_world(60)
    for target in targets:
        world.add("friendship.created", 1, "anchor", target)
    world.add("friendship.created", 2, "x0", "anchor")
    assert not world.asks("x0", targets, 24, 2).flags()


def test_a_newcomer_who_asks_people_who_know_one_another_is_not_flagged() -> None:
    """An import of contacts, or a new class: each knows a third of the others, and none knows the newcomer."""
    world, targets = adult_world(60)
    for i, one in enumerate(targets):
        for step in range(1, 11):
            world.add("friendship.created", 1, one, targets[(i + step) % len(targets)])
    chance = random.Random(1)
    assert not raised(world.asks("x0", chance.sample(targets, 60), 24, 2).flags(), "mass_add")


def test_somebody_who_is_welcome_is_not_flagged_over_a_week() -> None:
    world, targets = adult_world(45)
    for i, target in enumerate(targets):
        world.add("friend_request.sent", 24 + 3 * i, "x0", target)
        if i % 5:
            world.add("friend_request.accepted", 25 + 3 * i, target, "x0")
    assert not raised(world.flags(), "mass_add")


def test_a_minor_targeter_is_flagged() -> None:
    world, children = adult_world(25, "13_15")
    flags = world.asks("x0", children, 24, 5 * 24).flags()
    assert raised(flags, "minor_targeting") == {"x0"}
    assert flags[-1].severity in ("medium", "high", "critical")


def test_a_slow_groomer_is_flagged() -> None:
    """One child a day for four weeks, and now and then an adult: never many in one window."""
    world, children = adult_world(28, "13_15")
    others = world.people("o", 7, "21_plus")
    world.asks("x0", children, 24, 28 * 24).asks("x0", others, 30, 28 * 24)
    assert raised(world.flags(), "minor_targeting") == {"x0"}


@pytest.mark.parametrize(("band", "flagged"), [("16_17", False), ("13_15", True), ("under_13", True)])
def test_an_18_to_20_is_a_near_peer_of_16_and_17_and_of_nobody_younger(band: str, flagged: bool) -> None:
    world = World()
    world.people("x", 1, "18_20")
    minors = world.people("t", 25, band)
    flags = world.asks("x0", minors, 24, 5 * 24).flags()
    assert (raised(flags, "minor_targeting") == {"x0"}) == flagged


@pytest.mark.parametrize(("roles", "flagged"), [([], True), (["educator"], False), (["business"], True)])
def test_educators_are_judged_by_a_limit_of_their_own(roles: list[str], flagged: bool) -> None:
    world = World()
    world.people("x", 1, "21_plus", roles=roles)
    pupils = world.people("t", 30, "13_15")
    flags = world.asks("x0", pupils, 24, 5 * 24).flags()
    assert bool(raised(flags, "minor_targeting")) == flagged
    strict = load_policy("detectors: {minor_targeting: {exempt_limit_7d: 20}}")
    assert raised(world.flags(strict), "minor_targeting") == {"x0"}


def test_a_childs_own_account_is_no_groomers() -> None:
    world = World()
    world.people("x", 1, "13_15")
    assert not raised(world.asks("x0", world.people("t", 25, "13_15"), 24, 5 * 24).flags(), "minor_targeting")


def test_a_deleted_account_is_forgotten() -> None:
    world, children = adult_world(25, "13_15")
    world.asks("x0", children[:20], 24, 48)
    world.add("account.deleted", 80, "x0")
    world.add("account.updated", 81, "x0", age_band="21_plus")
    world.asks("x0", children[20:22], 82, 4)
    flags = world.flags()
    assert flags
    assert max(flag.updated_at for flag in flags) < START + 80 * HOUR


def test_evidence_is_read_from_the_row_that_was_scored() -> None:
    """Targets, events and counts of a flag are those up to its event, though the block goes on."""
    world, children = adult_world(25, "13_15")
    world.asks("x0", children, 24, 3 * 24)
    flags = [flag for flag in world.flags() if flag.detector == "minor_targeting"]
    assert len(flags) > 1
    for flag in flags:
        seen = [e for e in world.events if e.get("target_id") and int(e["occurred_at"]) <= flag.updated_at]
        assert flag.features["minors_7d"] == flag.features["strangers_7d"] == len(seen)
        assert flag.targets[0] == seen[-1]["target_id"]
        assert flag.targets == [e["target_id"] for e in reversed(seen)][:20]
        assert len(flag.event_ids) == len(flag.targets)
        assert flag.window[1] == flag.updated_at
    assert len({flag.flag_id for flag in flags}) == 1
    assert [flag.type for flag in flags] == ["flag.raised"] + ["flag.updated"] * (len(flags) - 1)


def test_a_shadow_policy_marks_its_flags() -> None:
    world, children = adult_world(25, "13_15")
    world.asks("x0", children, 24, 5 * 24)
    hidden = world.flags(load_policy("detectors: {minor_targeting: {shadow: true}}"))
    assert all(flag.shadow for flag in hidden if flag.detector == "minor_targeting")
    off = world.flags(load_policy("detectors: {minor_targeting: {enabled: false}}"))
    assert not raised(off, "minor_targeting")


def ordinary(world: World, chance: random.Random, names: list[str], days: int) -> Iterator[None]:
    """A quiet crowd: each asks somebody now and then."""
    for name in names:
        for day in range(days):
            if chance.random() < 0.3:
                other = chance.choice(names)
                if other != name:
                    world.add("friend_request.sent", 24 * day + chance.random() * 24, name, other)
        yield


def test_a_quiet_crowd_is_left_in_peace() -> None:
    world, chance = World(), random.Random(5)
    names = [name for band in ("13_15", "16_17", "21_plus", "unknown") for name in world.people(band, 60, band)]
    for _ in ordinary(world, chance, names, 21):
        pass
    flags = [flag for flag in world.flags() if flag.severity != "low"]
    assert len({flag.account_id for flag in flags}) <= 1
    assert (START % DAY) == 0
