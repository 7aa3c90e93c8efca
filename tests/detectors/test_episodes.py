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
        (MEDIUM, NATS + 0.7, False),  # nothing to speak of
        (HIGH, NATS, True),  # severity
        (MEDIUM, NATS + 0.8, True),  # evidence
        (HIGH, NATS - 5.0, True),  # severity, which a plain limit raised
        (LOW, NATS + 0.8, True),  # a limit is no longer reached, and yet there is more evidence
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
    for nats, sent in ((NATS + 8.0, False), (NATS + 13.0, True)):
        ledger = Ledger(deaf)
        note(ledger, START, MEDIUM)
        assert (score(nats) >= score(NATS) + POLICY.episodes.update_score_step) == sent
        assert (note(ledger, START + 1, MEDIUM, nats) is not None) == sent


def test_small_steps_add_up_to_an_update() -> None:
    ledger = Ledger(POLICY)
    sent = [note(ledger, START + i, MEDIUM, NATS + 0.3 * i) for i in range(7)]
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
    for account in (1, 2, 3):
        note(ledger, START, MEDIUM, account=account)
        ledger.note(account, "rule.gone", START, MEDIUM, score(NATS), NATS, False)
        ledger.dismiss(account, "rule.gone", 7, START, HIGH)
    restored = Ledger(POLICY)  # which has noted nothing itself, and whose policy may have other rules
    restored.open, restored.dismissed = dict(ledger.open), dict(ledger.dismissed)
    for each in (ledger, restored):
        each.forget({1, 3, 4})
        assert list(each.open) == [(2, "d")]
        assert list(each.dismissed) == [(2, "rule.gone")]


def test_flag_ids_depend_on_account_detector_and_start_alone() -> None:
    assert flag_id("u1", "mass_add", 7) == "c7c01815dd49b3f775381d8a968eaa68"
    ids = {flag_id(a, d, s) for a in ("u1", "u2", "1u") for d in ("mass_add", "x") for s in (7, 71)}
    assert len(ids) == 12
