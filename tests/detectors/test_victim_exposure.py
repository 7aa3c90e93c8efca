"""`victim_exposure`: a minor for whom several suspects reach is shown to reviewers, for its protection, and only then.

::

    day     0                      14           14.5        15
            | people, in circles   | a0 .. a5   | tick: all | a0 .. a5
            |                      | ask 30     | suspects  | ask `kid0`
"""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.episodes import FlagRecord
from detectors.policy import PolicyError, default_policy, load_policy
from detectors.victim_exposure import NAME, Exposure, binomial_tail
from graph.state import DAY, EXPOSED, HOUR
from simulation.scenarios import build
from tests.detectors.rows import rows
from tests.detectors.world import START, World, crowd, replayed

POLICY = default_policy()
NOON = 24.0 * 14
PEOPLE = crowd(random.Random(5))


def world(suspects: int, band: str = "13_15") -> World:
    """So many attackers, who ask thirty children each, and then all the same one."""
    made = World().with_(PEOPLE)
    made.people("kid", 1, band)
    for k, actor in enumerate(made.people("a", suspects, "21_plus")):
        made.asks(actor, made.people(f"t{k}_", 30, "13_15"), NOON, 12)
        made.asks(actor, ["kid0"], NOON + 24 + k, 1)
    return made


def about_minors(flags: list[FlagRecord]) -> list[FlagRecord]:
    return [flag for flag in flags if flag.role == "target"]


def test_a_minor_for_whom_suspects_reach_is_flagged_as_a_target_and_nobody_is_accused_by_it() -> None:
    flags = world(6).flags()
    first, *more = about_minors(flags)
    assert {flag.account_id for flag in (first, *more)} == {"kid0"}
    assert (first.detector, first.role, first.type) == (NAME, "target", "flag.raised")
    assert first.raised_at < START + (NOON + 24 + 4) * HOUR  # with the fourth at the latest
    assert first.explanation.startswith("This minor may need protection: ")
    assert first.window == (first.updated_at - 7 * DAY, first.updated_at)
    # who reached for it is told by their own flags, each with its own evidence
    assert first.targets == first.event_ids == []
    assert all(flag.role == "actor" for flag in flags if flag.detector != NAME)
    assert all(flag.flag_id == first.flag_id for flag in more)


def test_one_suspect_is_told_of_by_its_own_flag() -> None:
    assert about_minors(world(1).flags()) == []


def test_an_adult_for_whom_suspects_reach_is_left_alone() -> None:
    assert about_minors(world(6, "21_plus").flags()) == []


def test_a_policy_can_put_it_in_shadow_or_switch_it_off() -> None:
    lines = world(6).lines()
    hidden = replayed(lines, load_policy("detectors: {victim_exposure: {shadow: true}}"))
    assert about_minors(hidden)
    assert all(flag.shadow for flag in about_minors(hidden))
    off = replayed(lines, load_policy("detectors: {victim_exposure: {enabled: false}}"))
    assert [f.flag_id for f in off] == [f.flag_id for f in hidden if f.role == "actor"]
    many = load_policy("detectors: {victim_exposure: {suspects: 7}}")
    assert about_minors(replayed(lines, many)) == []
    with pytest.raises(PolicyError, match=r"detectors.victim_exposure.suspects"):
        load_policy("detectors: {victim_exposure: {suspects: 0}}")


def test_any_cut_of_a_platform_gives_the_same_flags() -> None:
    often = load_policy("severities: {low: 0.5, medium: 0.2, high: 0.1, critical: 0.05}")
    lines = list(build("demo", 3, accounts=800, days=3).lines())
    whole = replayed(lines, often)
    assert len(about_minors(whole)) > 10
    chance = random.Random(1)
    for pieces in (1, 40):
        assert replayed(lines, often, cuts=[chance.randrange(len(lines)) for _ in range(pieces)]) == whole


@given(n=st.integers(1, 9), share=st.floats(0.001, 0.9))
def test_the_tail_is_a_probability_that_falls_with_the_count(n: int, share: float) -> None:
    tails = [binomial_tail(k, n, share) for k in range(n + 1)]
    assert tails[0] == pytest.approx(1.0)
    assert tails[n] == pytest.approx(share**n)
    assert all(a >= b for a, b in itertools.pairwise(tails))


def row(**columns: Any) -> np.void:
    return rows(1, what=EXPOSED, age=2, **columns)[0]


@given(callers=st.integers(1, 9), data=st.data())
def test_evidence_grows_with_suspects_and_the_counterfactual_is_true(callers: int, data: st.DataObject) -> None:
    suspects = data.draw(st.integers(1, callers))
    strong = data.draw(st.integers(0, suspects))
    exposure = Exposure(POLICY)
    exposure.shares = np.array([data.draw(st.floats(0.01, 0.3)), 0.01])
    nats = exposure.weigh(callers, suspects, strong)
    assert nats >= exposure.weigh(callers, suspects - 1, min(strong, suspects - 1))
    level, same = exposure.judge(row(callers=callers, suspects=suspects, strong=strong))
    assert same == nats
    if level < 0:
        return
    why = exposure.account_for(row(callers=callers, suspects=suspects, strong=strong), nats)
    enough = int(why.thresholds["below_suspects"])
    assert POLICY.detectors.victim_exposure.suspects <= enough <= suspects
    assert exposure.level(exposure.weigh(callers, enough, min(strong, enough))) >= 0
    assert exposure.level(exposure.weigh(callers, enough - 1, min(strong, enough - 1))) < 0
    assert why.counterfactual == f"Would not have been raised below {enough} suspects among these {callers} strangers."


def test_what_is_said_is_what_stood_in_the_row_beside_what_is_usual() -> None:
    exposure = Exposure(POLICY)
    exposure.shares = np.array([0.1, 0.02])
    story = exposure.explain(row(callers=5, suspects=3, strong=1))
    assert story.explanation == (
        "This minor may need protection: 5 strangers contacted it within 7 days, 3 of them accounts under suspicion "
        "and 1 under strong suspicion; 0.5 and 0.1 were expected."
    )
    assert story.features == {"callers": 5, "suspects": 3, "strong_suspects": 1}
    assert story.baseline == {"suspects": 0.1, "strong_suspects": 0.02}
