"""`kithwatch learn`: from flags and decisions to a policy that can be tried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from click.testing import Result

from detectors.evidence import DETECTORS
from detectors.policy import load_policy
from simulation.scenarios import build
from streams.backtest import backtest
from streams.learn import learn
from streams.replay import replay
from tests.streams.commands import disposition, invoke

OFTEN = """\
# what the team says of it
severities: {low: 0.2, medium: 0.01}
rules: {many: {when: strangers_24h >= 5, severity: medium}}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A platform, the flags of a policy, and the decisions of reviewers who are always right."""
    folder = tmp_path_factory.mktemp("learn")
    made = build("demo", 5, accounts=1600, days=4)
    (folder / "events.jsonl").write_bytes(b"".join(made.lines()))
    harmful = {one["account_id"] for one in made.labels() if one["harmful"]}
    (folder / "often.yaml").write_text(OFTEN)
    flags = folder / "flags.jsonl"
    assert invoke(replay, folder / "events.jsonl", "--flags", flags, "--policy", folder / "often.yaml").exit_code == 0
    cases: dict[str, list[dict[str, Any]]] = {}
    for record in map(json.loads, flags.read_text().splitlines()):
        if record["role"] == "actor":
            cases.setdefault(record["account_id"], []).append(record)
    ranks = ["low", "medium", "high", "critical"]
    decisions = [
        disposition(
            account,
            "confirmed" if account in harmful else "dismissed",
            flag_ids=sorted({record["flag_id"] for record in records}),
            severity=max((record["severity"] for record in records), key=ranks.index),
        )
        for account, records in cases.items()
    ]
    (folder / "decided.jsonl").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in decisions))
    return folder


def learned(place: Path, out: Path, *more: object) -> Result:
    flags, decided = ("--flags", place / "flags.jsonl"), ("--dispositions", place / "decided.jsonl")
    return invoke(learn, *flags, *decided, "--policy", place / "often.yaml", "--out", out, *more)


def test_the_policy_that_is_learned_can_be_tried_beside_the_one_in_use(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "learned.yaml"
    result = learned(place, out)
    assert result.exit_code == 0, result.output
    old, new = load_policy(OFTEN), load_policy(out.read_text())
    assert new.version != old.version
    assert new.version in result.output
    weights = {name: new.detectors.summed(name).weight for name in DETECTORS}
    assert len(set(weights.values())) > 1
    # nothing else changes
    document = yaml.safe_load(out.read_text())
    assert {name: settings.keys() for name, settings in document.pop("detectors").items()} == {
        name: {"weight"} for name in DETECTORS
    }
    assert document == yaml.safe_load(OFTEN)
    # nobody who decides by evidence would call these weights worse than the old ones
    policies = ("--policy", place / "often.yaml", "--policy", out)
    compared = invoke(backtest, place / "events.jsonl", *policies, "--dispositions", place / "decided.jsonl", "--json")
    before, after = (policy["decisions"]["flagged"] for policy in json.loads(compared.stdout)["policies"])
    assert before["precision"]["value"] is not None
    assert after["precision"]["value"] is not None


def test_a_second_run_writes_the_same_and_nothing_is_written_over(place: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "a" / "new.yaml", tmp_path / "b" / "new.yaml"
    for out in (one, other):
        out.parent.mkdir()
        assert learned(place, out).exit_code == 0
    assert one.read_bytes() == other.read_bytes()
    again = learned(place, one)
    assert again.exit_code == 2
    assert "exists already" in again.output


@pytest.mark.parametrize(("precision", "factor"), [(0.001, 2.0), (0.999, 0.5), (None, 1.0)])
def test_lines_move_only_when_asked_to(place: Path, tmp_path: Path, precision: float | None, factor: float) -> None:
    out = tmp_path / "learned.yaml"
    assert learned(place, out, *(() if precision is None else ("--precision", precision))).exit_code == 0
    old, new = load_policy(OFTEN).severities, load_policy(out.read_text()).severities
    assert new.low == old.low
    for name in ("medium", "high", "critical"):
        assert getattr(new, name) == pytest.approx(factor * getattr(old, name))


def test_weights_learned_twice_go_on_from_where_they_are(place: Path, tmp_path: Path) -> None:
    """Flags of another policy say nothing of this one's weights."""
    out = tmp_path / "learned.yaml"
    assert learned(place, out).exit_code == 0
    flags, decided = ("--flags", place / "flags.jsonl"), ("--dispositions", place / "decided.jsonl")
    result = invoke(learn, *flags, *decided, "--policy", out, "--out", tmp_path / "next.yaml")
    assert result.exit_code == 2
    assert "there are 0 confirmed and 0 dismissed cases of policy" in result.output


def test_mistakes_are_told_in_one_line(place: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"flag_id": 1}\n')
    few = tmp_path / "few.jsonl"
    few.write_text("".join((place / "decided.jsonl").read_text().splitlines(keepends=True)[:5]))
    good = {"--flags": place / "flags.jsonl", "--dispositions": place / "decided.jsonl", "--out": tmp_path / "new.yaml"}
    for changed, why in (
        ({"--flags": broken}, "broken.jsonl, line 1: not a flag"),
        ({"--dispositions": few, "--policy": place / "often.yaml"}, "at least 20 confirmed and 20 dismissed cases"),
        ({"--policy": tmp_path / "none.yaml"}, "No such file"),
        ({"--policy": place / "often.yaml", "--out": tmp_path / "no" / "new.yaml"}, "cannot be written"),
    ):
        result = invoke(learn, *(part for pair in (good | changed).items() for part in pair))
        assert result.exit_code == 2
        assert why in result.output
        assert len(result.output.strip().splitlines()) == 1
