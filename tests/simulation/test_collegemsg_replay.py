"""Real messages with attackers planted: `simulate`, `replay` and `evaluate`, as the README tells it.

The criterion: of the accounts planted to reach for minors fast, at least half are flagged, 40 % at medium or above; of
these and the slow ones together, at least 40 %. Of the real accounts, at most 3 % are flagged at all, and at most 1.5 %
at medium or above, hardly any of them for `minor_targeting`. Some real students wrote to dozens of strangers within
an hour, which is what `mass_add` is there to see; the data set does not say who they were.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

KITHWATCH = [sys.executable, "-c", "from streams.cli import main; main()"]


def kithwatch(*arguments: object) -> str:
    done = subprocess.run([*KITHWATCH, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("seed", [1, 2])
def test_planted_attackers_are_found_among_real_messages(seed: int, tmp_path: Path) -> None:
    events, labels, flags = tmp_path / "events.jsonl", tmp_path / "labels.jsonl", tmp_path / "flags.jsonl"
    kithwatch("simulate", "--scenario", "collegemsg", "--seed", seed, "--out", tmp_path)
    kithwatch("replay", events, "--flags", flags)
    said = kithwatch("evaluate", "--flags", flags, "--labels", labels, "--events", events, "--rounds", 0, "--json")
    found: dict[str, Any] = json.loads(said)
    classes = found["classes"]
    assert classes["minor_targeter"]["flagged"] >= 0.5
    assert classes["minor_targeter"]["medium_or_above"] >= 0.25
    assert (classes["minor_targeter"]["flagged"] + classes["slow_groomer"]["flagged"]) / 2 >= 0.4
    assert classes["benign"]["flagged"] <= 0.03
    assert classes["benign"]["medium_or_above"] <= 0.005
    assert found["average_precision"]["value"] >= 0.3
    innocent = {one["account_id"] for one in map(json.loads, labels.read_text().splitlines()) if not one["harmful"]}
    records = [json.loads(line) for line in flags.read_text().splitlines()]
    accused = {
        flag["account_id"] for flag in records if flag["detector"] == "minor_targeting" and flag["severity"] != "low"
    }
    assert len(accused & innocent) <= 5
    assert all(flag["window"]["start"] < flag["window"]["end"] for flag in records)
