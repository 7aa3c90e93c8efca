"""Episodes: one flag an account, detector and episode; sent again when there is news, and only then.

::

    findings   x x  x        x                       x
    time       |----|--------|<---- cool-down ---->| |
    flags      raised  (updated when there is news)  raised: another flag
"""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.strategies  # noqa: F401  loads the profile with no deadlines
from detectors.episodes import Ledger, News, flag_id, score_of
from detectors.policy import CircuitBreaker, Policy, default_policy

POLICY = default_policy()
LOW, MEDIUM, HIGH, CRITICAL = range(4)
HALF = POLICY.evidence.score_half
NATS = 30.0
DAY = 86_400_000
START = 20_000 * DAY
COOL_DOWN = int(POLICY.episodes.cool_down_days * DAY)


def breaker(flags: int, share: float = 0.0) -> Policy:
    return msgspec.structs.replace(POLICY, circuit_breaker=CircuitBreaker(flags, share))


def score(nats: float) -> float:
    return float(score_of(np.array([nats]), HALF)[0])


def note(
    ledger: Ledger, time: int, level: int, nats: float = NATS, account: int = 1, shadow: bool = False
) -> News | None:
    return ledger.note(account, "d", time, level, score(nats), nats, shadow)


def test_the_first_finding_raises_a_flag() -> None:
    news = note(Ledger(POLICY), START, MEDIUM)
    assert news is not None
    assert (news.type, news.started, news.raised_at, news.level) == ("flag.raised", START, START, 1)
    assert not news.shadow


@pytest.mark.parametrize(
    ("level", "nats", "sent"),
    [
        (MEDIUM, NATS, False),
        (MEDIUM, NATS + 0.9, False),  # nothing to speak of
        (HIGH, NATS, True),  # severity
        (MEDIUM, NATS + 1.0, True),  # evidence
        (HIGH, NATS - 5.0, True),  # severity, which a plain limit raised
        (LOW, NATS + 1.0, True),  # a limit is no longer reached, and yet there is more evidence
        (MEDIUM, NATS - 5.0, False),
        (LOW, NATS, False),
    ],
)
def test_an_update_is_sent_when_severity_or_evidence_grew(level: int, nats: float, sent: bool) -> None:
    ledger = Ledger(POLICY)
    note(ledger, START, MEDIUM)
    news = note(ledger, START + 1, level, nats)
    assert (news is not None) == sent
    if news:
        assert (news.type, news.started, news.raised_at) == ("flag.updated", START, START)
        assert news.level == max(level, MEDIUM)
        assert news.score == score(max(nats, NATS))


def test_an_update_is_sent_when_the_score_rose_by_the_contracts_step() -> None:
    """Where much evidence is news, and little score is: a policy that hears of nats in hundreds."""
    deaf = msgspec.structs.replace(POLICY, episodes=msgspec.structs.replace(POLICY.episodes, update_nats=100.0))
    for nats, sent in ((NATS + 4.0, False), (NATS + 8.0, True)):
        ledger = Ledger(deaf)
        note(ledger, START, MEDIUM)
        assert (score(nats) >= score(NATS) + POLICY.episodes.update_score_step) == sent
        assert (note(ledger, START + 1, MEDIUM, nats) is not None) == sent


def test_small_steps_add_up_to_an_update() -> None:
    ledger = Ledger(POLICY)
    sent = [note(ledger, START + i, MEDIUM, NATS + 0.4 * i) for i in range(7)]
    assert [news is not None for news in sent] == [True, False, False, True, False, False, True]


@pytest.mark.parametrize(("gap", "kind"), [(COOL_DOWN, None), (COOL_DOWN + 1, "flag.raised")])
def test_after_the_cool_down_there_is_a_new_flag(gap: int, kind: str | None) -> None:
    ledger = Ledger(POLICY)
    note(ledger, START, MEDIUM)
    note(ledger, START + DAY, LOW)  # no news, and it keeps the episode open
    news = note(ledger, START + DAY + gap, MEDIUM)
    assert (news.type if news else None) == kind


def test_closing_what_is_stale_changes_no_flag() -> None:
    ledger = Ledger(POLICY)
    note(ledger, START, LOW)
    ledger.close_stale(START + COOL_DOWN)
    assert len(ledger.open) == 1
    ledger.close_stale(START + COOL_DOWN + 1)
    assert not ledger.open


def test_a_detector_in_shadow_sends_shadow_flags_that_do_not_trip_the_breaker() -> None:
    ledger = Ledger(breaker(1))
    assert all(note(ledger, START, MEDIUM, account=a, shadow=True).shadow for a in range(5))
    assert not note(ledger, START, MEDIUM, account=9).shadow


def test_the_circuit_breaker_hides_what_is_beyond_a_days_flags_until_midnight() -> None:
    ledger = Ledger(breaker(2))
    assert [note(ledger, START, MEDIUM, account=a).shadow for a in range(4)] == [False, False, True, True]
    update = note(ledger, START, CRITICAL, account=3)
    assert update.shadow  # a hidden flag stays hidden
    assert not note(ledger, START, CRITICAL, account=0).shadow
    assert not note(ledger, START + DAY, MEDIUM, account=7).shadow


def test_the_breaker_lets_a_share_of_active_accounts_through() -> None:
    ledger = Ledger(breaker(1, share=0.5))
    ledger.active = 6
    assert [note(ledger, START, MEDIUM, account=a).shadow for a in range(4)] == [False, False, False, True]


def test_findings_of_the_past_are_noted_and_raise_a_flag_once_the_time_has_come() -> None:
    ledger = Ledger(POLICY, raise_after=START + DAY)
    assert note(ledger, START, CRITICAL) is None
    assert note(ledger, START + 1, CRITICAL, 100.0) is None
    news = note(ledger, START + DAY, MEDIUM)
    assert (news.type, news.started, news.raised_at) == ("flag.raised", START, START + DAY)


def test_a_deleted_account_has_no_episode() -> None:
    ledger = Ledger(POLICY)
    note(ledger, START, MEDIUM)
    note(ledger, START, MEDIUM, account=2)
    ledger.forget({1})
    assert [account for account, _ in ledger.open] == [2]


def test_flag_ids_depend_on_account_detector_and_start_alone() -> None:
    assert flag_id("u1", "mass_add", 7) == "c7c01815dd49b3f775381d8a968eaa68"
    ids = {flag_id(a, d, s) for a in ("u1", "u2", "1u") for d in ("mass_add", "x") for s in (7, 71)}
    assert len(ids) == 12


findings = st.lists(
    st.tuples(
        st.integers(0, 3),  # account
        st.integers(0, 3 * DAY),  # time passed
        st.integers(LOW, CRITICAL),
        st.floats(0.0, 110.0),
    ),
    max_size=60,
)


@given(findings, st.integers(0, 30 * DAY))
def test_a_flag_is_raised_once_and_never_loses_severity_or_score(
    found: list[tuple[int, int, int, float]], after: int
) -> None:
    ledger = Ledger(breaker(10**6), raise_after=START + after)
    time = START
    last: dict[tuple[int, int], tuple[int, float, int]] = {}
    for account, passed, level, nats in found:
        time += passed
        news = note(ledger, time, level, nats, account)
        if news is None:
            continue
        key = (account, news.started)
        assert (news.type == "flag.raised") == (key not in last)
        assert news.level >= level
        assert news.score >= score(nats)
        assert time >= ledger.raise_after
        if key in last:
            before, score_before, raised_at = last[key]
            assert news.level == max(before, level)
            assert news.score == max(score_before, score(nats))
            assert news.raised_at == raised_at
        else:
            assert (news.level, news.score, news.raised_at) == (level, score(nats), time)
        last[key] = (news.level, news.score, news.raised_at)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0.1, 1e3))
def test_a_score_lies_between_0_and_1_and_rises_with_the_evidence(one: float, other: float, half: float) -> None:
    low, high = score_of(np.array(sorted([one, other])), half).tolist()
    assert 0.0 <= low <= high < 1.0
    assert score_of(np.array([half]), half)[0] == 0.5


findings = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from(["d", "e"]),
        st.integers(0, 20 * 24).map(lambda hours: START + hours * 3_600_000),
        st.integers(LOW, CRITICAL),
        st.sampled_from([2.0, 2.5, 3.0, 4.0, 9.0, 30.0]),
        st.booleans(),
    ),
    max_size=30,
)


@given(findings, st.sampled_from([0, START + 5 * DAY]), st.booleans(), st.sets(st.integers(0, 29), max_size=3))
def test_findings_noted_together_lead_to_what_they_lead_to_one_by_one(
    found: list[tuple[int, str, int, int, float, bool]], raise_after: int, in_order: bool, dismissed: set[int]
) -> None:
    """Whatever is known to be no news is found so in either way, and what is left behind is the same."""
    found = sorted(found, key=lambda each: each[2]) if in_order else found
    rows = [(i, *each[:4], score(each[4]), each[4], each[5], i) for i, each in enumerate(found)]
    one, other, together = (Ledger(POLICY, raise_after) for _ in range(3))
    wanted, got = [], []
    for i, row in enumerate(rows):
        news = one.note(*row[1:8])
        wanted += [] if news is None else [(row, news)]
        got += other.news([row])
        if i in dismissed:
            assert one.dismiss(1, "d", 7, row[3], HIGH) == other.dismiss(1, "d", 7, row[3], HIGH)
    assert got == wanted
    assert [getattr(one, name) for name in Ledger.STATE] == [getattr(other, name) for name in Ledger.STATE]
    if not dismissed:
        assert list(together.news(rows)) == wanted
