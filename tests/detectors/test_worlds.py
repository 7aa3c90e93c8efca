"""Whom it flags and whom it spares: timelines on a small platform that has lived for two weeks.

::

    day     0                        14                   24
            | 300 people, in circles |  x0 does something |
            | nothing is learned yet |
"""

from __future__ import annotations

import random

import pytest

from detectors.episodes import FlagRecord
from detectors.policy import Policy, load_policy
from detectors.sums import SUMS
from graph.state import HOUR
from tests.detectors.world import START, World, crowd, raised

NOON = 24.0 * 14
"""Hours until `x0` begins."""
SEVERITIES = ("low", "medium", "high", "critical")
PEOPLE = crowd(random.Random(5))


def world(count: int, band: str = "21_plus", own: str = "21_plus", **more: object) -> tuple[World, list[str]]:
    """Return `x0`, an account of some age, and so many whom it may reach for."""
    made = World()
    made.people("x", 1, own, **more)
    return made, made.people("t", count, band)


def flags_of(made: World, policy: Policy | None = None) -> list[FlagRecord]:
    """Return the flags of `x0`, while everybody else lives on beside it."""
    flags = World().with_(PEOPLE).with_(made).flags(policy)
    return [flag for flag in flags if flag.account_id == "x0"]


def severity(flags: list[FlagRecord]) -> int:
    """Return the highest severity reached, -1 for none."""
    return max((SEVERITIES.index(flag.severity) for flag in flags), default=-1)


def detectors(flags: list[FlagRecord]) -> set[str]:
    return {flag.detector for flag in flags}


def test_ordinary_people_are_left_in_peace() -> None:
    flags = World().with_(PEOPLE).flags()
    assert len({flag.account_id for flag in flags if flag.severity != "low"}) <= 1
    assert len(raised(flags)) <= 24  # of 300, in four weeks; a hint is 1 in 50 account-days


def test_a_mass_adder_is_flagged_while_it_is_at_it() -> None:
    made, targets = world(60)
    flags = flags_of(made.asks("x0", targets, NOON, 24))
    assert severity(flags) >= 1
    assert {"mass_add", "scattered_targets"} <= detectors(flags)
    assert min(flag.raised_at for flag in flags) < START + (NOON + 24) * HOUR


def test_people_whom_the_platform_knows_to_have_mutual_friends_may_be_asked_in_numbers() -> None:
    made, targets = world(60)
    assert flags_of(made.asks("x0", targets, NOON, 24, mutual_friends=1)) == []


def test_people_with_mutual_friends_in_the_graph_may_be_asked_in_numbers() -> None:
    made, targets = world(60)
    for target in targets:
        made.add("friendship.created", 1, "anchor", target)
    made.add("friendship.created", 2, "x0", "anchor")
    assert flags_of(made.asks("x0", targets, NOON, 24)) == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_newcomer_who_asks_people_who_know_one_another_is_not_flagged(seed: int) -> None:
    """An import of contacts, or a new class: each knows a third of the others, and none knows the newcomer."""
    made, targets = world(60)
    for i, one in enumerate(targets):
        for step in range(1, 11):
            made.add("friendship.created", 1, one, targets[(i + step) % len(targets)])
    assert severity(flags_of(made.asks("x0", random.Random(seed).sample(targets, 60), NOON, 2))) <= 0


def test_somebody_who_is_welcome_is_not_flagged_over_a_week() -> None:
    made, targets = world(45)
    assert severity(flags_of(made.asks("x0", targets, NOON, 7 * 24, welcome=0.8))) <= 0


def test_to_be_answered_speaks_for_an_account() -> None:
    """The same sixty strangers: of one account nobody wants to know, of another most do."""
    nats, levels = [], []
    for welcome in (0.0, 0.8):
        made, targets = world(60)
        flags = flags_of(made.asks("x0", targets, NOON, 48, welcome=welcome))
        nats.append(max((flag.features["nats"] for flag in flags), default=0.0))
        levels.append(severity(flags))
    assert nats[1] < nats[0] - 0.5
    assert levels[0] >= 1 > levels[1]


def test_a_minor_targeter_is_flagged() -> None:
    made, children = world(25, "13_15")
    flags = flags_of(made.asks("x0", children, NOON, 5 * 24))
    first = [flag for flag in flags if flag.updated_at == flags[0].updated_at]
    assert "minor_targeting" in detectors(first)  # what it is about is said at once
    assert severity(flags) >= 1
    assert min(flag.raised_at for flag in flags) < START + (NOON + 24) * HOUR


def test_a_slow_groomer_is_flagged() -> None:
    """One child a day for four weeks, and now and then an adult: never many in one window."""
    made, children = world(24, "13_15")
    others = made.people("o", 6, "21_plus")
    flags = flags_of(made.asks("x0", children, 24, 24 * 24).asks("x0", others, 30, 24 * 24))
    assert "minor_targeting" in detectors(flags)
    told = next(flag for flag in flags[::-1] if flag.detector == "minor_targeting")
    assert told.features["minors_7d"] <= 7 < 15 < told.features["minors_accumulated"]


@pytest.mark.parametrize(("band", "flagged"), [("16_17", False), ("13_15", True), ("under_13", True)])
def test_an_18_to_20_is_a_near_peer_of_16_and_17_and_of_nobody_younger(band: str, flagged: bool) -> None:
    made, minors = world(20, band, own="18_20")
    flags = flags_of(made.asks("x0", minors, NOON, 5 * 24, welcome=0.5))
    assert ("minor_targeting" in detectors(flags)) == flagged
    assert (severity(flags) >= 1) == flagged


@pytest.mark.parametrize(("roles", "flagged"), [([], True), (["educator"], False), (["business"], True)])
def test_of_educators_minors_say_nothing_below_a_limit_of_their_own(roles: list[str], flagged: bool) -> None:
    made, pupils = world(30, "13_15", roles=roles)
    made.asks("x0", pupils, NOON, 5 * 24, welcome=0.5)
    flags = flags_of(made)
    assert ("minor_targeting" in detectors(flags)) == flagged
    assert (severity(flags) >= 1) == flagged
    strict = flags_of(made, load_policy("detectors: {minor_targeting: {exempt_limit_7d: 20}}"))
    assert "minor_targeting" in detectors(strict)
    assert severity(strict) >= 1


def test_a_vouched_account_over_its_limit_is_flagged_whatever_else_speaks_for_it() -> None:
    """A teacher of a class, whom all answer: nothing speaks against it but the limit, and the flag says so."""
    made, pupils = world(30, "13_15", roles=["educator"])
    for i, pupil in enumerate(pupils):
        for other in pupils[:i]:
            made.add("friendship.created", 1, pupil, other)
        made.add("message.sent", NOON + 4 * i, "x0", pupil)
        made.add("message.sent", NOON + 4 * i + 1, pupil, "x0")
    assert flags_of(made) == []
    (flag, *more) = flags_of(made, load_policy("detectors: {minor_targeting: {exempt_limit_7d: 20}}"))
    assert more == []
    assert (flag.detector, flag.severity) == ("minor_targeting", "medium")
    assert flag.features["minors_7d"] == flag.thresholds["limit_minors_7d"] == 20
    assert flag.counterfactual == "Would not have been raised below 20 minors in 7 days."


def test_a_childs_own_account_is_no_groomers() -> None:
    made, peers = world(25, "13_15", own="13_15")
    flags = flags_of(made.asks("x0", peers, NOON, 5 * 24, welcome=0.6))
    assert "minor_targeting" not in detectors(flags)
    assert severity(flags) <= 0


def test_a_declared_minor_who_reaches_for_other_ages_is_told_apart() -> None:
    nats = {}
    for band in ("13_15", "under_13", "18_20"):
        made, others = world(25, band, own="13_15")
        found = flags_of(made.asks("x0", others, NOON, 5 * 24))
        nats[band] = max(flag.features.get("nats_age_impostor", 0.0) for flag in found)
    assert nats["13_15"] <= 0.5
    assert nats["18_20"] >= 1.0


def test_signs_of_grooming_are_told_of_and_ordinary_talk_says_little() -> None:
    """An adult who writes to eight children, all of whom answer; what it writes makes the difference."""
    said = {}
    for deep in (False, True):
        made, children = world(8, "13_15")
        for i, child in enumerate(children):
            hour = NOON + 12 * i
            made.add("message.sent", hour, "x0", child)
            made.add("message.sent", hour + 1, child, "x0")
            signs = ("secrecy", "image_request", "off_platform") if deep else ("meet_up",) * (i == 3)
            for step, sign in enumerate(signs):
                made.add("message.sent", hour + 2 + step, "x0", child, signs=[sign])
        flags = flags_of(made)
        said[deep] = max(flag.features.get("nats_grooming_progression", 0.0) for flag in flags)
    assert said[False] < 2.0 < 4.5 < said[True]
    told = next(flag for flag in flags[::-1] if flag.detector == "grooming_progression")
    assert told.features["recent_deep_minors"] > 1.0
    assert "signs of luring in" in told.explanation


def test_those_who_block_count_if_they_were_contacted_and_a_mob_does_not() -> None:
    made, others = world(20)
    for i, other in enumerate(others):
        made.add("friend_request.sent", NOON + 8 * i, "x0", other)
        if i < 12:
            made.add("friend_request.accepted", NOON + 8 * i + 1, other, "x0")
    mobbed = World().with_(made)
    before = flags_of(made)
    for i, name in enumerate(mobbed.people("m", 200, "21_plus")):
        mobbed.add("account.blocked", NOON + 24 + i / 10, name, "x0").add(
            "account.reported", NOON + 25 + i / 10, name, "x0"
        )
    # what is ordinary for everybody is learned from people in the mob, too; nothing is held against the account
    after = flags_of(mobbed)
    assert detectors(after) == detectors(before)
    assert severity(after) == severity(before)
    assert "reported_by_minors" not in detectors(after)
    first, second = ([f.features["nats"] for f in flags if f.type == "flag.raised"] for flags in (before, after))
    assert second == pytest.approx(first, abs=0.2)
    for i, other in enumerate(others):
        made.add("account.blocked", NOON + 8 * i + 3, other, "x0")
    blocked = flags_of(made)
    assert "reported_by_minors" in detectors(blocked)


def test_a_detector_speaks_up_when_its_own_evidence_is_enough_or_it_leads() -> None:
    made, children = world(25, "13_15")
    for flag in flags_of(made.asks("x0", children, NOON, 5 * 24)):
        own = flag.features[f"nats_{flag.detector}"]
        said = {name: v for name, v in flag.features.items() if name.startswith("nats_")}
        assert own >= 0.99 or own == max(said.values())
        assert sum(said.values()) == pytest.approx(flag.features["nats"], abs=0.06 * len(SUMS))


def test_of_one_account_at_one_event_all_detectors_say_the_same_score_and_sum() -> None:
    made, children = world(25, "13_15")
    flags = flags_of(made.asks("x0", children, NOON, 5 * 24))
    together: dict[int, list[FlagRecord]] = {}
    for flag in flags:
        together.setdefault(flag.updated_at, []).append(flag)
    assert max(len(some) for some in together.values()) > 1
    for some in together.values():
        assert len({flag.features["nats"] for flag in some}) == 1
        assert len({flag.score for flag in some}) == 1
        assert len({flag.severity for flag in some}) == 1
        assert len({flag.thresholds["nats"] for flag in some}) == 1


def test_a_plain_limit_makes_a_hint_a_case_and_makes_nothing_of_nothing() -> None:
    made, targets = world(60)
    made.asks("x0", targets, NOON, 2, mutual_friends=1)
    strict = load_policy("detectors: {mass_add: {limits: {1h: 1, 24h: 1, 7d: 1}}}")
    assert flags_of(made, strict) == []
    made, targets = world(25)
    made.asks("x0", targets, NOON, 5 * 24, welcome=0.3)
    hint, case = flags_of(made), flags_of(made, strict)
    assert (severity(hint), severity(case)) == (0, 1)
    limits = {name for flag in case for name in flag.thresholds if name.startswith("limit_")}
    assert limits <= {"limit_outreach_1h", "limit_outreach_24h", "limit_outreach_7d"}
    assert limits
    assert not any(name.startswith("limit_") for flag in hint for name in flag.thresholds)
