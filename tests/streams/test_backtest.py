"""`kithwatch backtest`: policies side by side over the same history, with what replay and evaluate say of each."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from simulation.scenarios import build
from streams.backtest import backtest, read_decisions
from streams.cli import UserError
from streams.evaluate import evaluate
from streams.replay import replay
from tests.streams.commands import disposition, invoke

OFTEN = "severities: {low: 0.2, medium: 0.01}"
RULED = OFTEN + "\nrules: {many: {when: strangers_24h >= 5, severity: medium}}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small platform with labels, and three policies."""
    folder = tmp_path_factory.mktemp("backtest")
    made = build("demo", 3, accounts=600, days=3)
    (folder / "events.jsonl").write_bytes(b"".join(made.lines()))
    (folder / "labels.jsonl").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in made.labels()))
    (folder / "often.yaml").write_text(OFTEN)
    (folder / "ruled.yaml").write_text(RULED)
    (folder / "trial.yaml").write_text(RULED.replace("medium}}", "medium, shadow: true}}"))
    return folder


@pytest.fixture(scope="module")
def found(place: Path) -> dict[str, Any]:
    """Three policies compared."""
    policies = [arg for name in ("often", "ruled", "trial") for arg in ("--policy", place / f"{name}.yaml")]
    labels = ("--labels", place / "labels.jsonl", "--rounds", 20)
    result = invoke(backtest, place / "events.jsonl", *policies, *labels, "--html", place / "page.html", "--json")
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_each_policy_flags_what_replay_flags_under_it(place: Path, found: dict[str, Any]) -> None:
    for policy in found["policies"]:
        path = place / "flags.jsonl"
        assert invoke(replay, place / "events.jsonl", "--flags", path, "--policy", place / f"{policy['name']}.yaml")
        flags = {flag["flag_id"]: flag for flag in map(json.loads, path.read_text().splitlines())}
        live = [flag for flag in flags.values() if flag["role"] == "actor" and not flag["shadow"]]
        assert policy["flags"] == len(live) > 0
        assert policy["accounts"] == len({flag["account_id"] for flag in live})
        assert sum(policy["accounts_by_severity"].values()) == policy["accounts"]
        assert policy["policy_version"] == live[0]["policy_version"]
        measured = invoke(evaluate, "--flags", path, "--labels", place / "labels.jsonl", "--rounds", 20, "--json")
        told = json.loads(measured.stdout)
        assert policy["labels"]["average_precision"] == told["average_precision"]
        assert policy["labels"]["classes"] == told["classes"]


def test_overlap_is_that_of_the_sets(found: dict[str, Any]) -> None:
    often, ruled, trial = found["policies"]
    pairs = {(one["first"], one["second"]): one for one in found["overlap"]}
    assert set(pairs) == {("often", "ruled"), ("often", "trial"), ("ruled", "trial")}
    both = pairs["often", "ruled"]
    # a rule adds flags and takes none away
    assert both["flagged"]["only_first"] == 0
    assert both["flagged"]["both"] == often["accounts"]
    assert both["flagged"]["only_second"] == ruled["accounts"] - often["accounts"] > 0
    # one in shadow adds none
    assert pairs["often", "trial"]["flagged"]["jaccard"] == 1.0
    assert trial["shadow_by_detector"]["rules.many"] == ruled["flags_by_detector"]["rules.many"]
    assert "rules.many" not in trial["flags_by_detector"]


def test_the_page_stands_alone_and_names_nobody(place: Path, found: dict[str, Any]) -> None:
    page = (place / "page.html").read_text()
    assert page.count('<img src="data:image/png;base64,') == 4
    assert not re.search(r"<script|https?://|<link", page)
    accounts = {json.loads(line)["account_id"] for line in (place / "labels.jsonl").read_text().splitlines()}
    text = re.sub(r'src="[^"]*"', "", page)
    assert not accounts & set(re.findall(r"\w+", text))
    assert "often" in text


def test_the_table_says_the_same_in_words(place: Path) -> None:
    result = invoke(backtest, place / "events.jsonl", "--policy", "default", "--policy", place / "often.yaml")
    assert result.exit_code == 0
    assert "2 policies over" in result.output
    assert "accounts are cases" in result.output


# against decisions


def decision(account: str, outcome: str, at: str, **more: Any) -> str:
    made = disposition(account, outcome, disposition_id=f"{account}-{at}", decided_at=f"2026-10-{at}T00:00:00Z")
    return json.dumps(made | more)


def test_the_last_decision_that_stands_counts(tmp_path: Path) -> None:
    path = tmp_path / "decided.jsonl"
    lines = [
        decision("a", "dismissed", "01"),
        decision("a", "confirmed", "02"),
        decision("b", "confirmed", "01"),
        decision("b", "dismissed", "03"),
        decision("b", "dismissed", "03", type="disposition.undone"),
        decision("c", "dismissed", "01"),
        decision("d", "dismissed", "01"),
        decision("d", "open", "02"),
        decision("e", "confirmed", "01", role="target"),
    ]
    path.write_text("\n".join(lines))
    found = read_decisions(str(path))
    assert found.confirmed == {"a", "b"}
    assert found.dismissed == {"c"}
    path.write_text("{}")
    with pytest.raises(UserError, match=r"decided.jsonl, line 1: not a disposition"):
        read_decisions(str(path))


def test_precision_and_recall_against_decisions(place: Path, found: dict[str, Any], tmp_path: Path) -> None:
    flags = tmp_path / "flags.jsonl"
    invoke(replay, place / "events.jsonl", "--flags", flags, "--policy", place / "often.yaml")
    flagged = sorted({flag["account_id"] for flag in map(json.loads, flags.read_text().splitlines())
                      if flag["role"] == "actor" and not flag["shadow"]})  # fmt: skip
    path = tmp_path / "decided.jsonl"
    lines = [decision(one, "confirmed", "01") for one in (*flagged[:2], "somebody else")]
    path.write_text("\n".join([*lines, decision(flagged[2], "dismissed", "01")]))
    args = ("--policy", place / "often.yaml", "--policy", "default", "--dispositions", path, "--json")
    often = json.loads(invoke(backtest, place / "events.jsonl", *args).stdout)["policies"][0]
    told = often["decisions"]["flagged"]
    assert told["precision"]["value"] == pytest.approx(2 / 3)
    assert told["recall"]["value"] == pytest.approx(2 / 3)
    assert told["undecided"] == len(flagged) - 3


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("--policy", "default"), "give --policy two to 6 times"),
        (("--policy", "default", "--policy", "default"), "the same policy is given twice"),
        (("--policy", "default", "--policy", "none.yaml"), "policy none.yaml: No such file"),
        (("--policy", "default", "--policy", "{0}/often.yaml", "--labels", "{0}/few.jsonl"), "has no label"),
    ],
)
def test_mistakes_are_told_in_one_line(place: Path, args: tuple[str, ...], why: str) -> None:
    (place / "few.jsonl").write_text('{"account_id": "nobody", "label": "benign", "harmful": false}\n')
    result = invoke(backtest, place / "events.jsonl", *(arg.format(place) for arg in args))
    assert result.exit_code == 2
    assert why in result.output
    assert len(result.output.strip().splitlines()) == 1
