"""What reviewers decide: a dismissal retracts and lets rest until the evidence is materially new, in the log's order.

::

    findings    x  x  x      x  x      x (more evidence)
    decision             D
    flags       R  U     r             R (another flag)      R raised, U updated, r retracted
"""

from __future__ import annotations

import itertools
import random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.episodes import FlagRecord, Ledger, score_of
from detectors.policy import Policy, default_policy, load_policy
from graph.kept import restore, tree_of
from graph.message import REVIEW
from graph.state import DAY, HOUR
from simulation.scenarios import build
from streams.cli import UserError
from streams.outflow import flag_bytes
from streams.replay import Replay
from streams.reviews import read_dispositions, read_reviews, split_reviews
from streams.wire import pack, unpack
from tests.detectors.world import NEVER, START, World

POLICY = default_policy()
SEVERITIES = ("low", "medium", "high", "critical")
RENEW, REST = POLICY.episodes.renew_nats, int(POLICY.episodes.rest_days * DAY)
RULE = load_policy("rules: {own: {when: minors_7d >= 3, severity: medium}}")
KEY, NAME, NOW = 7, "d", 20_000 * DAY


def note(ledger: Ledger, time: int, level: int = 1, nats: float = 20.0) -> str | None:
    news = ledger.note(KEY, NAME, time, level, float(score_of(np.array([nats]), 20.0)[0]), nats, False)
    return news.type if news else None


def dismissed() -> Ledger:
    ledger = Ledger(POLICY)
    assert note(ledger, NOW) == "flag.raised"
    assert ledger.dismiss(KEY, NAME, decision=1, at=NOW + HOUR, severity=1) is not None
    return ledger


# materially new


@pytest.mark.parametrize(
    ("time", "level", "nats", "told"),
    [
        (2 * HOUR, 1, 20.0, None),
        (9 * DAY, 1, 20.0, None),  # beyond the cool-down: the same again is not new
        (2 * HOUR, 1, 20.0 + RENEW - 0.01, None),
        (2 * HOUR, 0, 19.0, None),
        (2 * HOUR, 2, 20.0, "flag.raised"),
        (2 * HOUR, 1, 20.0 + RENEW, "flag.raised"),
        (HOUR + REST, 1, 20.0, None),
        (HOUR + REST + 1, 1, 20.0, "flag.raised"),
    ],
)
def test_what_is_materially_new(time: int, level: int, nats: float, told: str | None) -> None:
    ledger = dismissed()
    assert note(ledger, NOW + time, level, nats) == told
    assert bool(ledger.dismissed) == (told is None)


def test_what_is_new_is_another_flag() -> None:
    ledger = dismissed()
    news = ledger.note(KEY, NAME, NOW + 2 * HOUR, 3, 0.6, 30.0, False)
    assert news is not None
    assert (news.started, news.raised_at) == (NOW + 2 * HOUR, NOW + 2 * HOUR)


def test_a_dismissal_holds_for_what_the_reviewer_saw() -> None:
    ledger = Ledger(POLICY)
    note(ledger, NOW)
    assert note(ledger, NOW + 1, level=2) == "flag.updated"
    assert ledger.dismiss(KEY, NAME, 1, NOW + 2, severity=1) is None
    assert note(ledger, NOW + 3, level=3) == "flag.updated"


def test_a_dismissal_taken_back_lets_the_episode_go_on() -> None:
    ledger = dismissed()
    assert ledger.reinstate(KEY, NAME, decision=2) is None
    assert ledger.reinstate(KEY, NAME, decision=1) is not None
    assert note(ledger, NOW + 2 * HOUR) is None
    assert note(ledger, NOW + 3 * HOUR, level=2) == "flag.updated"


def test_cases_are_held_until_reviewers_have_had_their_time_and_hints_are_not() -> None:
    for level, held in ((1, True), (0, False)):
        ledger = Ledger(POLICY)
        note(ledger, NOW, level)
        ledger.close_stale(NOW + 20 * DAY)
        assert bool(ledger.open) == held
        ledger.close_stale(NOW + REST + 1)
        assert not ledger.open


def test_dismissals_are_part_of_a_snapshot_go_with_their_account_and_end() -> None:
    ledger, other = dismissed(), Ledger(POLICY)
    restore(other, tree_of(ledger))
    assert other.dismissed == ledger.dismissed
    other.forget({KEY})
    assert not other.dismissed
    ledger.close_stale(NOW + HOUR + REST + 1)
    assert not ledger.dismissed


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("find"), st.integers(0, 3), st.floats(0, 60)),
            st.tuples(st.just("dismiss"), st.integers(0, 3), st.just(0.0)),
            st.tuples(st.just("back"), st.just(0), st.just(0.0)),
        ),
        max_size=30,
    )
)
def test_nothing_is_told_of_what_rests(steps: list[tuple[str, int, float]]) -> None:
    """Against a plain account: the highest level and evidence sent, while it rests, and whether it does."""
    ledger, time = Ledger(POLICY), NOW
    stands: tuple[int, float] | None = None
    rests: tuple[int, float] | None = None
    for what, level, nats in steps:
        time += HOUR
        if what == "find":
            told = note(ledger, time, level, nats)
            if rests is not None:
                new = level > rests[0] or nats >= rests[1] + RENEW
                assert (told == "flag.raised") == new
                assert told in (None, "flag.raised")
                stands, rests = ((level, nats), None) if new else (None, rests)
            elif stands is None:
                assert told == "flag.raised"
                stands = level, nats
            elif told is not None:
                assert told == "flag.updated"
                stands = max(level, stands[0]), max(nats, stands[1])
        elif what == "dismiss":
            done = ledger.dismiss(KEY, NAME, 1, time, level)
            assert (done is not None) == (stands is not None and stands[0] <= level)
            if done is not None:
                stands, rests = None, stands
        else:
            assert (ledger.reinstate(KEY, NAME) is not None) == (rests is not None)
            stands, rests = (rests, None) if rests is not None else (stands, None)


# over files


def disposition(flag: FlagRecord | dict[str, Any], at: int, outcome: str = "dismissed", **more: Any) -> bytes:
    told = flag if isinstance(flag, dict) else msgspec.to_builtins(flag)
    made = {
        "type": "disposition.made",
        "disposition_id": f"d-{told['flag_id']}",
        "account_id": told["account_id"],
        "role": told["role"],
        "outcome": outcome,
        "reason": "ordinary",
        "decided_at": f"{np.datetime64(at, 'ms')}Z",
        "flag_ids": [told["flag_id"]],
        "detectors": [told["detector"]],
        "severity": "critical",
    }
    return msgspec.json.encode(made | more)


def reviews(*records: bytes) -> NDArray[np.void]:
    rows, refused = read_dispositions(records)
    assert refused == []
    return rows


def world() -> World:
    """An adult asks a child every hour for two days, on a platform that has seen nothing."""
    made = World()
    made.people("x", 1, "21_plus")
    return made.asks("x0", made.people("t", 48, "13_15"), 1, 48)


def run(lines: list[bytes], rows: NDArray[np.void], policy: Policy = RULE, cuts: int = 0) -> list[FlagRecord]:
    replay = Replay(policy, not_after=NEVER, reviews=rows)
    chance = random.Random(cuts)
    edges = sorted({0, len(lines), *(chance.randrange(len(lines)) for _ in range(cuts))})
    found = [f for a, b in itertools.pairwise(edges) for f in replay.feed(b"".join(lines[a:b]))]
    return [*found, *replay.finish()]


def of_rule(flags: list[FlagRecord]) -> list[FlagRecord]:
    return [flag for flag in flags if flag.detector == "rules.own"]


def test_a_dismissal_retracts_and_a_rule_that_goes_on_holding_rests() -> None:
    lines = world().lines()
    flag = of_rule(run(lines, reviews()))[0]
    at = flag.raised_at + 2 * HOUR + 1
    told = of_rule(run(lines, reviews(disposition(flag, at))))
    back = next(i for i, f in enumerate(told) if f.type == "flag.retracted")
    assert all(f.updated_at <= at for f in told[:back])
    retracted = told[back]
    assert (retracted.flag_id, retracted.updated_at, retracted.role) == (flag.flag_id, at, "actor")
    assert retracted.explanation == "Retracted: a reviewer dismissed it."
    assert flag_bytes(retracted)
    # what comes after it, if anything, is another flag with materially more evidence
    for later in told[back + 1 :]:
        assert later.flag_id != flag.flag_id
        assert later.features["nats"] >= retracted.features["nats"] + RENEW or later.severity != "medium"


def test_a_confirmation_changes_nothing() -> None:
    lines = world().lines()
    plain = run(lines, reviews())
    flag = of_rule(plain)[0]
    assert run(lines, reviews(disposition(flag, flag.raised_at + HOUR, "confirmed"))) == plain


@pytest.mark.parametrize("how", ["undone", "confirmed"])
def test_a_dismissal_taken_back_brings_the_flag_back(how: str) -> None:
    lines = world().lines()
    flag = of_rule(run(lines, reviews()))[0]
    at = flag.raised_at + HOUR
    more = {"type": "disposition.undone"} if how == "undone" else {"outcome": "confirmed", "disposition_id": "other"}
    told = of_rule(run(lines, reviews(disposition(flag, at), disposition(flag, at + 1, **more))))
    types = [f.type for f in told if f.flag_id == flag.flag_id]
    assert types[types.index("flag.retracted") + 1] == "flag.updated"


def test_a_decision_after_the_last_event_is_obeyed_at_the_end() -> None:
    lines = world().lines()
    plain = run(lines, reviews())
    flag = of_rule(plain)[0]
    told = run(lines, reviews(disposition(flag, START + 60 * DAY)))
    assert told[:-1] == plain
    assert (told[-1].type, told[-1].flag_id) == ("flag.retracted", flag.flag_id)


def test_what_is_decided_about_no_flag_of_ours_has_no_effect() -> None:
    lines = world().lines()
    plain = run(lines, reviews())
    flag = msgspec.to_builtins(of_rule(plain)[0])
    strange = [{"flag_id": "0" * 32}, {"flag_id": "not one of ours"}, {"account_id": "t1"}, {"account_id": "nobody"}]
    at = flag["raised_at"] + HOUR
    assert run(lines, reviews(*(disposition(flag | one, at) for one in strange))) == plain


def test_any_cut_of_a_platform_with_decisions_gives_the_same_flags() -> None:
    often = load_policy("severities: {low: 0.2, medium: 0.05, high: 0.01, critical: 0.001}")
    lines = list(build("demo", 3, accounts=500, days=2).lines())
    chance = random.Random(4)
    flags = [flag for flag in run(lines, reviews(), often) if flag.type == "flag.raised"]
    some = chance.sample(flags, len(flags) // 2)
    rows = reviews(*(disposition(flag, flag.raised_at + chance.randrange(12 * HOUR)) for flag in some))
    whole = run(lines, rows, often)
    assert sum(flag.type == "flag.retracted" for flag in whole) > len(some) // 2
    for cuts in (1, 30):
        assert run(lines, rows, often, cuts) == whole


# on the wire


def test_decisions_go_to_the_shards_of_their_accounts_and_arrive_as_they_were() -> None:
    flags = [{"flag_id": f"{i:032x}", "account_id": f"u{i}", "role": "actor", "detector": "d"} for i in range(20)]
    rows = reviews(*(disposition(flag, START) for flag in flags))
    assert [row["flag"].tobytes().hex() for row in rows] == [flag["flag_id"] for flag in flags]
    messages = split_reviews(rows, 3)
    assert len(messages) == 3
    arrived = [unpack(pack(message)).rows for _, message in messages]
    assert all(part.dtype == REVIEW for part in arrived)
    assert sorted(row.tobytes() for row in np.concatenate(arrived)) == sorted(row.tobytes() for row in rows)


def test_what_is_no_disposition_is_refused_with_its_place(tmp_path: Any) -> None:
    good = disposition({"flag_id": "0" * 32, "account_id": "u", "role": "actor", "detector": "d"}, START)
    rows, refused = read_dispositions([good, None, b"{", b'{"type": "disposition.made"}', good])
    assert len(rows) == 2
    assert [index for index, _ in refused] == [2, 3]
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(good + b"\n\n{\n")
    with pytest.raises(UserError, match="line 3: not a disposition"):
        read_reviews(str(path))
    path.write_bytes(good + b"\n\n" + good)
    assert len(read_reviews(str(path))) == 2
