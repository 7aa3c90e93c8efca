"""The measures agree with plain counting, and say nothing where there is nothing to say."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.evaluation import (
    Steps,
    at_budget,
    average_precision,
    bootstrap,
    class_recall,
    false_flags_per_10k_weeks,
    harm_before,
    harm_curve,
    limit_for_share,
)

# few distinct scores, so that there are many ties
ACCOUNTS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.4, 0.4001, 0.9, 1.0]), st.booleans()), min_size=1, max_size=30
)
KITHWATCH = [sys.executable, "-c", "from streams.cli import main; main()"]


def columns(accounts: list[tuple[float, bool]]) -> tuple[list[float], list[bool]]:
    return [score for score, _ in accounts], [harmful for _, harmful in accounts]


@given(ACCOUNTS)
def test_average_precision_is_precision_summed_over_the_steps_of_recall(accounts):
    total = sum(harmful for _, harmful in accounts)
    if not total:
        assert math.isnan(average_precision(*columns(accounts)))
        return
    expected, before = Fraction(0), 0
    for limit in sorted({score for score, _ in accounts}, reverse=True):
        reached = [harmful for score, harmful in accounts if score >= limit]
        expected += Fraction(sum(reached), len(reached)) * Fraction(sum(reached) - before, total)
        before = sum(reached)
    assert average_precision(*columns(accounts)) == pytest.approx(float(expected))


@given(ACCOUNTS, st.randoms(use_true_random=False))
def test_average_precision_does_not_depend_on_the_order_of_accounts(accounts, random):
    shuffled = random.sample(accounts, len(accounts))
    one, other = average_precision(*columns(accounts)), average_precision(*columns(shuffled))
    assert one == pytest.approx(other, nan_ok=True)


def test_average_precision_of_worked_examples():
    assert average_precision([0.9, 0.8, 0.7, 0.6], [True, True, False, False]) == 1.0
    assert average_precision([0.9, 0.8, 0.7, 0.6], [False, False, True, True]) == pytest.approx((1 / 3 + 2 / 4) / 2)
    # nobody flagged: the share of harmful accounts, no more
    assert average_precision([0.0] * 4, [True, False, False, False]) == 0.25


@given(ACCOUNTS, st.integers(0, 40))
def test_a_budget_finds_what_reviewing_in_order_finds_on_average(accounts, budget):
    flagged = sorted((pair for pair in accounts if pair[0] > 0), key=lambda pair: -pair[0])
    reviewed = min(budget, len(flagged))
    found = at_budget(*columns(accounts), budget)
    assert found.reviewed == reviewed
    if not reviewed:
        assert found.found == 0
        assert found.limit == math.inf
        return
    limit = flagged[reviewed - 1][0]
    above = [harmful for score, harmful in flagged if score > limit]
    level = [harmful for score, harmful in flagged if score == limit]
    expected = sum(above) + Fraction(sum(level) * (reviewed - len(above)), len(level))
    assert found.found == pytest.approx(float(expected))
    assert found.precision == pytest.approx(float(expected / reviewed))
    assert found.limit == limit


@given(ACCOUNTS, st.sampled_from([0.0, 0.001, 0.1, 0.25, 1 / 3, 0.5, 1.0]))
def test_the_limit_for_a_share_is_the_lowest_that_keeps_it(accounts, share):
    limit = limit_for_share(*columns(accounts), share)
    innocent = [score for score, harmful in accounts if not harmful]

    def flagged(at: float) -> int:
        return sum(score >= at for score in innocent)

    allowed = math.floor(share * len(innocent) + 1e-9)
    assert flagged(limit) <= allowed
    for lower in {score for score, _ in accounts if 0 < score < limit}:
        assert flagged(lower) > allowed


def test_class_recall_counts_flagged_accounts_only():
    found = class_recall([0.9, 0.2, 0.0, 0.5], ["teacher", "teacher", "benign", "benign"], 0.0)
    assert found == {"teacher": (1.0, 2), "benign": (0.5, 2)}
    assert class_recall([0.9, 0.2], ["a", "a"], 0.5) == {"a": (0.5, 2)}


def test_false_flags_are_counted_by_account_weeks():
    assert false_flags_per_10k_weeks(3, 1_000, 21) == 10.0
    assert math.isnan(false_flags_per_10k_weeks(3, 0, 21))


def test_harm_is_what_took_place_before_the_flag():
    # account 0   m . m . m m      flagged at 25: two of four before
    # account 1   m m              never flagged: all
    # account 2                    no contacts
    who, when = [0, 0, 0, 0, 1, 1], [10, 20, 30, 40, 10, 11]
    harm = harm_before(who, when, [25, np.inf, 5])
    assert harm[:2].tolist() == [0.5, 1.0]
    assert math.isnan(harm[2])


def test_the_harm_curve_falls_as_more_innocent_accounts_may_be_flagged():
    score, harmful = [0.9, 0.3, 0.6, 0.2], [True, True, False, False]
    steps = {0: [(5, 0.25), (25, 0.9)], 1: [(15, 0.3)]}

    def crossings(limit: float) -> list[float]:
        return [
            min((at for at, reached in steps.get(account, []) if reached >= limit), default=np.inf)
            for account in range(4)
        ]

    who, when = [0, 0, 1, 1], [10, 20, 10, 20]
    curve = harm_curve(score, harmful, who, when, crossings, shares=(0.0, 0.5, 1.0))
    # none: limit 0.9, account 0 flagged at 25, account 1 never; half: limit 0.3; all: limit 0.2
    assert curve == {0.0: 1.0, 0.5: pytest.approx(0.75), 1.0: pytest.approx(0.25)}


def test_the_bootstrap_is_seeded_and_covers():
    rng = np.random.Generator(np.random.PCG64(1))
    covered = 0
    for seed in range(100):
        values = rng.normal(size=80)
        found = bootstrap(lambda at, values=values: float(values[at].mean()), 80, seed=seed)
        covered += found.low <= 0 <= found.high
        assert found == bootstrap(lambda at, values=values: float(values[at].mean()), 80, seed=seed)
    assert covered >= 86


def test_the_bootstrap_leaves_out_drawings_that_say_nothing():
    harmful = np.array([True] + [False] * 9)
    found = bootstrap(lambda at: average_precision(harmful[at] * 0.9, harmful[at]), 10)
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────

LABELS = [
    {"account_id": "bad", "label": "mass_adder", "harmful": True},
    {"account_id": "worse", "label": "slow_groomer", "harmful": True},
    *({"account_id": f"good{number}", "label": "benign", "harmful": False} for number in range(8)),
]


def flag(account: str, score: float, **more: Any) -> dict[str, Any]:
    when = more.pop("at", "2026-10-05T02:00:00Z")
    return {
        "type": "flag.raised",
        "flag_id": account,
        "account_id": account,
        "role": "actor",
        "severity": "medium",
        "score": score,
        "raised_at": when,
        "updated_at": when,
    } | more


def evaluate(folder: Path, flags: list[Any], *more: Any, labels: list[Any] = LABELS, events: list[Any] | None = None):
    def write(name: str, entries: list[Any]) -> str:
        text = "".join((entry if isinstance(entry, str) else json.dumps(entry)) + "\n" for entry in entries)
        (folder / name).write_text(text)
        return str(folder / name)

    arguments = ["--flags", write("flags.jsonl", flags), "--labels", write("labels.jsonl", labels)]
    if events is not None:
        arguments += ["--events", write("events.jsonl", events)]
    return subprocess.run(
        [*KITHWATCH, "evaluate", *arguments, *map(str, more)], capture_output=True, text=True, check=False
    )


def measured(*arguments: Any, **more: Any) -> Any:
    done = evaluate(*arguments, "--json", **more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_only_the_last_word_of_flags_that_accuse_counts(tmp_path: Path):
    found = measured(
        tmp_path,
        [
            flag("bad", 0.2),
            flag("bad", 0.9, type="flag.updated"),
            flag("good0", 0.99),
            flag("good0", 0.99, type="flag.retracted"),
            flag("good1", 0.99, shadow=True),
            flag("good2", 0.99, role="target"),
            flag("good3", 0.3, severity="low"),
        ],
    )
    assert found["flagged_accounts"] == 2
    # bad first, then good3, then worse among eight unflagged: (1 + 2/10) / 2
    assert found["average_precision"]["value"] == pytest.approx(0.6)
    assert found["classes"]["mass_adder"]["medium_or_above"] == 1.0
    benign = found["classes"]["benign"]
    assert (benign["accounts"], benign["harmful"], benign["in_budget"]) == (8, False, 0.0)
    assert (benign["flagged"], benign["medium_or_above"]) == (0.125, 0.0)
    # one in a hundred of eight innocent accounts is none: only bad lies above all of them
    assert found["at_share"]["recall"]["value"] == 0.5
    assert found["classes"]["mass_adder"]["at_share"] == 1.0


def test_with_events_it_measures_delay_contacts_and_harm(tmp_path: Path):
    hour = 3_600_000
    start = 1_791_158_400_000  # 2026-10-05, 00:00 UTC

    def message(at: float, target: str) -> dict[str, Any]:
        where = {"occurred_at": start + int(at * hour), "actor_id": "bad", "target_id": target}
        return {"type": "message.sent", "event_id": f"{at}"} | where

    child = {"type": "account.updated", "event_id": "c", "occurred_at": start, "actor_id": "good0", "age_band": "13_15"}
    # bad     good0·good1·good0 ........ good2 (a child by the event's own word)
    # flag                        ^ 2 h
    events = [child, message(0, "good0"), message(0.5, "good1"), message(1, "good0")]
    events.append(message(3, "good2") | {"target_age_band": "under_13"})
    found = measured(tmp_path, [flag("bad", 0.9)], events=events)
    assert found["delay_hours"] == {"median": 2.0, "p90": 2.0, "accounts": 1}
    assert found["contacts_before_flag"]["median"] == 2
    assert found["harm"]["0.01"]["value"] == 0.5
    assert found["active"] == 1
    assert found["days"] == 3 / 24


def test_whom_attackers_reached_decides_where_no_ages_are_known(tmp_path: Path):
    start = 1_791_158_400_000
    events = [
        {"type": "message.sent", "occurred_at": start + at, "actor_id": "bad", "target_id": f"good{at}"}
        for at in range(4)
    ]
    victims = [
        {"account_id": "bad", "target_id": f"good{number}", "occurred_at": start + number * 3_600_000}
        for number in range(4)
    ]
    (tmp_path / "victims.jsonl").write_text("".join(json.dumps(victim) + "\n" for victim in victims))
    flags = [flag("bad", 0.9)]  # at 2 h: three of four before
    assert measured(tmp_path, flags, events=events)["harm"]["0.01"] is None
    found = measured(tmp_path, flags, "--victims", tmp_path / "victims.jsonl", events=events)
    assert found["harm"]["0.01"]["value"] == 0.75
    assert found["harm_curve"]["0.02"]["value"] == 0.75
    done = evaluate(tmp_path, flags, "--victims", str(tmp_path / "victims.jsonl"))
    assert done.returncode == 2
    assert "needs --events" in done.stderr


@pytest.mark.parametrize("with_flags", [True, False])
def test_the_page_has_plots_and_needs_nothing_else(tmp_path: Path, with_flags: bool):
    event = {"type": "message.sent", "occurred_at": 1_791_158_400_000, "actor_id": "bad", "target_id": "good1"}
    page = tmp_path / "page.html"
    flags = [flag("bad", 0.9), flag("good1", 0.4)] if with_flags else []
    done = evaluate(tmp_path, flags, "--report", str(page), events=[event | {"target_age_band": "13_15"}])
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 4
    assert "average precision" in text
    assert "http" not in text
    assert "good1" not in text


def test_a_page_that_cannot_be_written_is_one_line(tmp_path: Path):
    done = evaluate(tmp_path, [], "--report", str(tmp_path / "no" / "page.html"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.sampled_from([0.1, 0.5, 0.9])), max_size=20),
    st.sampled_from([0.05, 0.5, 0.7, 1.0]),
)
def test_an_account_crosses_a_limit_when_it_first_scores_it(records, limit):
    account, time, score = (np.array([record[place] for record in records]) for place in range(3))
    steps = Steps(account.astype(np.int64), time.astype(np.float64), score.astype(np.float64))
    for number in range(4):
        mine = [(at, reached) for who, at, reached in records if who == number]
        first = min((at for at, reached in mine if reached >= limit), default=math.inf)
        assert steps.crossed(limit, 4)[number] == first
        assert steps.highest(4)[number] == max((reached for _, reached in mine), default=0.0)


def test_no_flags_at_all_is_an_answer_too(tmp_path: Path):
    found = measured(tmp_path, [], events=[])
    assert found["budget"]["precision"]["value"] is None
    assert found["budget"]["recall"]["value"] == 0
    assert found["average_precision"]["value"] == pytest.approx(0.2)
    assert evaluate(tmp_path, [], events=[]).returncode == 0


@pytest.mark.parametrize(
    ("flags", "labels", "says"),
    [
        ([flag("bad", 0.9), "{broken"], LABELS, "flags.jsonl, line 2"),
        ([flag("bad", 7)], LABELS, "flags.jsonl, line 1"),
        ([flag("nobody", 0.9)], LABELS, "account nobody has no label"),
        ([], [], "has no labels"),
        ([], [LABELS[0], LABELS[0]], "labels.jsonl, line 2"),
        ([], [{"account_id": "x"}], "labels.jsonl, line 1"),
    ],
)
def test_bad_input_is_one_line_with_file_and_line(tmp_path: Path, flags: list[Any], labels: list[Any], says: str):
    done = evaluate(tmp_path, flags, labels=labels)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
