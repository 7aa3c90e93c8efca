"""The engine: the same flags for every cut of the stream, evidence from the row that was judged, and what a flag is."""

from __future__ import annotations

import itertools
import json
import random
from collections import defaultdict
from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.engine import ALL_DETECTORS
from detectors.episodes import FlagRecord
from detectors.policy import SEVERITIES, CircuitBreaker, Policy, default_policy, load_policy
from detectors.victim_exposure import NAME as EXPOSURE
from graph.state import DAY, HOUR
from simulation.scenarios import build
from streams.outflow import flag_bytes
from streams.replay import Replay
from tests.detectors.world import NEVER, START, World, crowd, encode, replayed
from tests.strategies import event_streams

TOUCHY = load_policy(
    """
    severities: {low: 0.6, medium: 0.4, high: 0.2, critical: 0.1}
    episodes: {cool_down_days: 0.2, update_nats: 0.2}
    evidence: {speak: 0.1}
    detectors:
      mass_add: {limits: {1h: 1, 24h: 2, 7d: 3}}
      minor_targeting: {limits: {1h: 1, 24h: 1, 7d: 2}, exempt_limit_7d: 1}
      scattered_targets: {shadow: true}
      cold_messaging: {shadow: true}
    """
)
"""A policy that flags nearly everybody, so that short streams say much."""
NOON = 24.0 * 14


def run(lines: list[bytes], cuts: list[int], policy: Policy, raise_after: int = 0) -> list[bytes]:
    return [flag_bytes(flag) for flag in replayed(lines, policy, cuts=cuts, raise_after=raise_after)]


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


# what a flag is


@pytest.fixture(scope="module")
def touched(platform: list[bytes]) -> list[FlagRecord]:
    """The flags of a platform under a policy that flags nearly everybody, half its detectors in shadow."""
    return replayed(platform, TOUCHY)


def test_flags_come_in_the_order_of_events_and_name_the_policy(touched: list[FlagRecord]) -> None:
    assert {flag.policy_version for flag in touched} == {TOUCHY.version}
    assert {(flag.role, flag.detector == EXPOSURE) for flag in touched} == {("actor", False), ("target", True)}
    assert {flag.detector for flag in touched} <= {*ALL_DETECTORS, EXPOSURE}
    assert len({flag.detector for flag in touched}) >= 6
    assert all(flag.severity in SEVERITIES and 0.0 <= flag.score < 1.0 for flag in touched)
    assert all(flag.window[0] < flag.window[1] == flag.updated_at for flag in touched)


def test_there_is_one_flag_an_account_detector_and_episode(touched: list[FlagRecord]) -> None:
    told: dict[str, FlagRecord] = {}
    lives = defaultdict(list)
    for flag in touched:
        before = told.get(flag.flag_id)
        assert (flag.type == "flag.raised") == (before is None)
        if before is None:
            assert flag.raised_at == flag.updated_at
            lives[flag.account_id, flag.detector].append(flag.raised_at)
        else:
            same = ("account_id", "detector", "raised_at", "shadow")
            assert [getattr(flag, name) for name in same] == [getattr(before, name) for name in same]
            assert SEVERITIES.index(flag.severity) >= SEVERITIES.index(before.severity)
            assert flag.score >= before.score
            assert flag.updated_at >= before.updated_at
        told[flag.flag_id] = flag
    assert all(b - a > 0.2 * DAY for times in lives.values() for a, b in itertools.pairwise(times))
    assert len(touched) > len(told) > len(lives) > 50


def test_live_detectors_say_the_same_of_one_account_at_one_event(touched: list[FlagRecord]) -> None:
    """An update keeps the highest score; the sum, the line and what each detector said are those of the event."""
    together = defaultdict(list)
    for flag in touched:
        if flag.role == "actor" and not TOUCHY.detectors.named(flag.detector).shadow:
            together[flag.account_id, flag.updated_at, flag.features["nats"]].append(flag)
    several = [some for some in together.values() if len(some) > 1]
    assert len(several) > 50
    for some in several:
        assert len({flag.thresholds["nats"] for flag in some}) == 1
        said = [{name: v for name, v in flag.features.items() if name.startswith("nats")} for flag in some]
        assert all(one == said[0] for one in said)
        fresh = [flag for flag in some if flag.type == "flag.raised"]
        assert len({(flag.score, flag.severity) for flag in fresh}) <= 1


def test_sentences_and_numbers_hold_for_every_flag(touched: list[FlagRecord]) -> None:
    for flag in (flag for flag in touched if flag.role == "actor"):
        line, nats = flag.thresholds["nats"], flag.features["nats"]
        assert flag.explanation.startswith(("Adult account ", "18–20 account ", "Minor's account ", "Account of unk"))
        parts = [v for name, v in flag.features.items() if name.startswith("nats_")]
        assert sum(parts) == pytest.approx(nats, abs=0.05 * 20)
        if "limit_minors_7d" in flag.thresholds and flag.counterfactual.endswith("minors in 7 days."):
            continue
        assert nats >= line - 0.002
        assert flag.counterfactual.startswith("Would ")
        assert flag.counterfactual.endswith((".", "suffice."))
        for name, value in flag.thresholds.items():
            if name.startswith("below_"):
                assert value > 0.0


def without_version(flags: list[FlagRecord]) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(flag) | {"policy_version": ""} for flag in flags]


@pytest.mark.parametrize("name", ["minor_targeting", "mass_add", "grooming_progression"])
def test_a_detector_in_shadow_is_marked_and_changes_nothing_that_is_live(platform: list[bytes], name: str) -> None:
    """Live flags are those of a policy that has it off, word by word; its own say what it would have added."""
    # on a small platform in its first days
    often = "severities: {low: 0.2, medium: 0.01}\ncircuit_breaker: {flags_per_day: 1000}\n"
    hidden = replayed(platform, load_policy(f"{often}detectors: {{{name}: {{shadow: true}}}}"))
    off = replayed(platform, load_policy(f"{often}detectors: {{{name}: {{enabled: false}}}}"))
    live = [flag for flag in hidden if flag.detector != name]
    assert without_version(live) == without_version(off)
    assert not any(flag.shadow for flag in live)
    shadow = [flag for flag in hidden if flag.detector == name]
    assert shadow
    assert all(flag.shadow for flag in shadow)
    assert all(flag.features[f"nats_{name}"] >= 0.99 for flag in shadow)
    assert not any(f"nats_{name}" in flag.features for flag in live)


def test_a_detector_that_is_off_says_nothing(platform: list[bytes]) -> None:
    nothing = "\n".join(f"  {name}: {{enabled: false}}" for name in (*ALL_DETECTORS, EXPOSURE))
    assert replayed(platform, load_policy(f"detectors:\n{nothing}")) == []
    everything_hidden = "\n".join(f"  {name}: {{shadow: true}}" for name in (*ALL_DETECTORS, EXPOSURE))
    assert all(flag.shadow for flag in replayed(platform, load_policy(f"detectors:\n{everything_hidden}")))


def test_the_circuit_breaker_marks_what_is_beyond_a_days_flags(platform: list[bytes]) -> None:
    few = msgspec.structs.replace(TOUCHY, circuit_breaker=CircuitBreaker(1, 0.0))
    trial = {name for name in ALL_DETECTORS if TOUCHY.detectors.named(name).shadow}
    flags = [f for f in replayed(platform, few) if f.type == "flag.raised" and f.detector not in trial]
    assert any(flag.shadow for flag in flags)
    days = defaultdict(list)
    for flag in flags:
        days[flag.detector, flag.raised_at // DAY].append(flag.shadow)
    # each detector has one a day of its own, and it is the first
    assert all(not marks[0] and all(marks[1:]) for marks in days.values())
    free = msgspec.structs.replace(TOUCHY, circuit_breaker=CircuitBreaker(10**6, 0.0))
    assert {flag.detector for flag in replayed(platform, free) if flag.shadow} == trial


# evidence and deletion


def test_evidence_is_read_from_the_row_that_was_judged() -> None:
    """Targets, events and counts of a flag are those up to its event, though the block goes on."""
    made = crowd(random.Random(5))
    made.people("x", 1, "21_plus")
    own = World()
    own.asks("x0", made.people("t", 25, "13_15"), NOON, 3 * 24)
    flags = [flag for flag in made.with_(own).flags() if (flag.account_id, flag.detector) == ("x0", "minor_targeting")]
    assert len(flags) > 1
    for flag in flags:
        seen = [e for e in own.events if int(e["occurred_at"]) <= flag.updated_at]
        assert flag.features["minors_7d"] == flag.features["strangers_7d"] == len(seen)
        inside = [e["target_id"] for e in reversed(seen) if int(e["occurred_at"]) > flag.window[0]]
        assert flag.targets == inside[:20]
        assert len(flag.event_ids) == len(flag.targets)
    assert len({flag.flag_id for flag in flags}) == 1
    assert [flag.type for flag in flags] == ["flag.raised"] + ["flag.updated"] * (len(flags) - 1)


@settings(max_examples=60)
@given(events=event_streams(names=5, max_size=80, step_ms=8 * HOUR))
def test_of_a_deleted_account_nothing_is_told_until_it_is_heard_of_again(events: list[dict[str, Any]]) -> None:
    replay = Replay(TOUCHY, not_after=NEVER)
    gone: set[str] = set()
    for event, line in zip(events, encode(events), strict=True):
        flags = list(replay.feed(line))
        assert all(flag.account_id for flag in flags)
        if event["type"] == "account.deleted":
            gone.add(event["actor_id"])
        else:
            gone -= {event["actor_id"], event.get("target_id")}
            assert not gone & {flag.account_id for flag in flags}
        assert not any("" in flag.targets or gone - {event["actor_id"]} & set(flag.targets) for flag in flags)


def test_an_account_that_is_deleted_when_flags_begin_to_be_told_is_not_told_of() -> None:
    """It asks 60 strangers while flags are held back, and goes at the very moment when they would be told."""
    made = crowd(random.Random(5), days=18)
    made.people("x", 1, "21_plus")
    made.asks("x0", made.people("t", 60, "21_plus"), NOON, 24).add("account.deleted", NOON + 30.1, "x0")
    after = START + int((NOON + 30.1) * HOUR)
    assert "x0" in {flag.account_id for flag in replayed(made.lines())}
    assert not {"x0", ""} & {flag.account_id for flag in replayed(made.lines(), raise_after=after)}


def test_an_account_that_comes_back_after_deletion_begins_anew() -> None:
    made = crowd(random.Random(5))
    made.people("x", 1, "21_plus")
    children = made.people("t", 25, "13_15")
    made.asks("x0", children[:20], NOON, 48).add("account.deleted", NOON + 60, "x0")
    made.add("account.updated", NOON + 61, "x0", age_band="21_plus").asks("x0", children[20:22], NOON + 62, 4)
    flags = [flag for flag in made.flags() if flag.account_id == "x0"]
    assert flags
    assert max(flag.updated_at for flag in flags) < START + (NOON + 60) * HOUR
