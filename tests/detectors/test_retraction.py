"""What is taken back takes back the flags that rested on it, and nothing else."""

from __future__ import annotations

import itertools
import random

import pytest

from detectors.episodes import FlagRecord
from detectors.evidence import DETECTORS
from detectors.policy import Policy, default_policy, load_policy
from graph.state import HOUR
from tests.detectors.world import START, World, replayed

OFF = ", ".join(f"{name}: {{enabled: false}}" for name in (*DETECTORS, "victim_exposure"))
RULE = load_policy(f"{{rules: {{own: {{when: minors_24h >= 8, severity: medium}}}}, detectors: {{{OFF}}}}}")
MINUTE = 1 / 60


def asking(children: int) -> World:
    """An adult asks so many children, a minute apart, on a platform that has seen nothing."""
    made = World()
    made.people("x", 1, "21_plus")
    return made.asks("x0", made.people("t", children, "13_15"), 1, children * MINUTE)


def crossing(policy: Policy) -> tuple[int, list[FlagRecord]]:
    """Return with how many children the first flag is raised, and what is raised then."""
    for children in range(1, 40):
        if told := asking(children).flags(policy):
            return children, told
    raise AssertionError("never flagged")


def withdrawn(children: int, which: int, after: float) -> World:
    """The same, and then the request to one of the children is taken back, so many minutes after the last."""
    made = asking(children)
    return made.add("friend_request.cancelled", 1 + (children - 1 + after) * MINUTE, "x0", f"t{which}")


@pytest.mark.parametrize("policy", [default_policy(), RULE], ids=["evidence", "rule"])
def test_a_withdrawn_request_takes_back_the_flags_that_it_raised(policy: Policy) -> None:
    children, told = crossing(policy)
    flags = withdrawn(children, children - 1, 1.0).flags(policy)
    assert [flag.flag_id for flag in flags[: len(told)]] == [flag.flag_id for flag in told]
    back = flags[len(told) :]
    assert sorted(flag.flag_id for flag in back) == sorted(flag.flag_id for flag in told)
    for flag in back:
        raised = next(each for each in told if each.flag_id == flag.flag_id)
        assert flag.type == "flag.retracted"
        assert (flag.detector, flag.account_id, flag.role) == (raised.detector, "x0", "actor")
        assert flag.raised_at == raised.raised_at
        assert flag.updated_at == START + round((1 + children * MINUTE) * HOUR)
        assert "withdrawn" in flag.explanation
        assert not flag.targets
        assert not flag.event_ids


@pytest.mark.parametrize("policy", [default_policy(), RULE], ids=["evidence", "rule"])
def test_what_was_raised_before_the_request_was_sent_stands(policy: Policy) -> None:
    children, _ = crossing(policy)
    flags = withdrawn(children + 2, children + 1, 1.0).flags(policy)
    assert flags == asking(children + 2).flags(policy)


@pytest.mark.parametrize("policy", [default_policy(), RULE], ids=["evidence", "rule"])
def test_what_would_be_raised_without_the_request_stands(policy: Policy) -> None:
    """The one that crossed the line is taken back when another has come in its place."""
    children, _ = crossing(policy)
    made = withdrawn(children + 3, children - 1, 0.5)
    assert made.flags(policy) == asking(children + 3).flags(policy)


def test_too_late_or_answered_it_takes_nothing_back() -> None:
    children, told = crossing(RULE)
    late = withdrawn(children, children - 1, 11.0)
    assert late.flags(RULE) == told
    answered = withdrawn(children, children - 1, 2.0)
    answered.add("friend_request.declined", 1 + children * MINUTE, f"t{children - 1}", "x0")
    assert "flag.retracted" not in {flag.type for flag in answered.flags(RULE)}


def test_the_next_finding_after_a_retraction_is_another_flag() -> None:
    children, told = crossing(RULE)
    made = withdrawn(children, children - 1, 1.0)
    made.asks("x0", made.people("n", 2, "13_15"), 2, 0.1)
    flags = made.flags(RULE)
    names = {flag.detector for flag in told}
    for name in names:
        types = [flag.type for flag in flags if flag.detector == name]
        assert types[:3] == ["flag.raised", "flag.retracted", "flag.raised"]
        assert len({flag.flag_id for flag in flags if flag.detector == name}) == 2


@pytest.mark.parametrize(("band", "back"), [("13_15", True), ("unknown", False), ("21_plus", False)])
def test_a_corrected_age_takes_back_what_does_not_hold_of_others_of_that_age(band: str, back: bool) -> None:
    children, told = crossing(default_policy())
    made = asking(children).add("account.updated", 1.8, "x0", age_band=band, age_source="verified")
    flags = made.flags()
    assert flags[: len(told)] == told
    assert {flag.flag_id for flag in flags[len(told) :]} == ({flag.flag_id for flag in told} if back else set())
    for flag in flags[len(told) :]:
        assert flag.type == "flag.retracted"
        assert flag.updated_at == START + round(1.8 * HOUR)
        assert "age" in flag.explanation


def test_of_the_teams_rules_a_corrected_age_takes_nothing_back() -> None:
    children, _ = crossing(RULE)
    made = asking(children).add("account.updated", 1.8, "x0", age_band="13_15", age_source="verified")
    assert [(flag.type, flag.detector) for flag in made.flags(RULE)] == [("flag.raised", "rules.own")]


def platform() -> World:
    """Many adults who ask children, take some requests back, and whose ages are corrected at times."""
    chance = random.Random(5)
    made = World()
    made.people("x", 30, "21_plus")
    children = made.people("t", 60, "13_15")
    for i in range(30):
        hour = 1 + 10 * chance.random()
        for target in chance.sample(children, chance.randrange(4, 16)):
            hour += chance.random() / 4
            made.add("friend_request.sent", hour, f"x{i}", target)
            if chance.random() < 0.5:
                made.add("friend_request.cancelled", hour + chance.random() / 5, f"x{i}", target)
            if chance.random() < 0.05:
                made.add("account.updated", hour + 0.01, f"x{i}", age_band=chance.choice(["13_15", "21_plus"]))
    return made


@pytest.mark.parametrize("policy", [default_policy(), RULE], ids=["evidence", "rule"])
def test_any_cut_of_the_stream_takes_back_the_same(policy: Policy) -> None:
    lines = platform().lines()
    whole = replayed(lines, policy)
    assert {"flag.raised", "flag.retracted"} <= {flag.type for flag in whole}
    chance = random.Random(6)
    for _ in range(5):
        assert replayed(lines, policy, cuts=[chance.randrange(len(lines)) for _ in range(30)]) == whole
    for flag_id, records in itertools.groupby(sorted(whole, key=lambda flag: flag.flag_id), lambda flag: flag.flag_id):
        types = [flag.type for flag in records]
        assert types[0] == "flag.raised", flag_id
        assert "flag.retracted" not in types[:-1]
