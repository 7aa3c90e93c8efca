"""The independent simulator: the contract's events, the same every time, hard and free of giveaways, and apart."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.detection_data import Job, gather
from benchmarks.detection_peers import PEERS
from benchmarks.independent.output import OUTREACH, WORLDS, Stream
from detectors.evaluation import average_precision
from streams.decode import EventDecoder

FOLDER = Path(__file__).parents[2] / "benchmarks" / "independent"
OWN = {"streams", "graph", "detectors", "simulation", "console"}
LATEST = 4_000_000_000_000


@pytest.fixture(scope="module", params=sorted(WORLDS))
def stream(request: pytest.FixtureRequest) -> Stream:
    return Stream(request.param, 5, 1_200, 10)


def test_it_shares_no_code_with_what_it_judges_nor_with_the_other_simulator():
    files = sorted(FOLDER.glob("*.py"))
    assert len(files) > 8
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not {name.split(".")[0] for name in names} & OWN, file
            own = [name for name in names if name.startswith("benchmarks")]
            assert all(name.startswith("benchmarks.independent") for name in own), file


def test_every_event_is_one_of_the_contract_and_in_order_of_time(stream: Stream):
    lines = list(stream.lines())
    decoded = EventDecoder().decode_lines(b"".join(lines), not_after=LATEST)
    assert len(decoded.batch) == len(lines) > 5_000
    assert (np.diff(decoded.batch.rows["time"]) >= 0).all()
    ids = {msgspec.json.decode(line)["event_id"] for line in lines}
    assert len(ids) == len(lines)


def test_there_is_one_label_for_each_account_that_acts(stream: Stream):
    labels = {row["account_id"]: row for row in stream.labels()}
    assert len(labels) == 1_200
    assert {record["actor_id"] for record in stream.records()} <= labels.keys()
    harmful = [row for row in labels.values() if row["harmful"]]
    assert 0.008 < len(harmful) / len(labels) < 0.02
    negatives = {row["label"] for row in labels.values() if not row["harmful"]} - {"benign"}
    assert not negatives & {row["label"] for row in harmful}
    assert len(negatives) >= 12


def test_who_was_reached_is_told_once_as_the_event_is_due(stream: Stream):
    told: list[dict[str, object]] = []
    labels = {row["account_id"]: row["harmful"] for row in stream.labels()}
    first: dict[tuple[str, str], int] = {}
    for record in stream.records(told.append):
        if record["type"] in OUTREACH:
            first.setdefault((record["actor_id"], record["target_id"]), record["occurred_at"])
    assert all(first[row["account_id"], row["target_id"]] == row["occurred_at"] for row in told)
    assert told
    assert len({(row["account_id"], row["target_id"]) for row in told}) == len(told)
    assert all(labels[row["account_id"]] for row in told)


def test_the_command_writes_the_same_stream_whatever_the_seed_of_hashes(tmp_path: Path):
    written = []
    for number in ("1", "2"):
        out = tmp_path / number
        command = [sys.executable, "-m", "benchmarks.independent", "--world", "lobbies", "--seed", "3"]
        more = ["--accounts", "400", "--days", "4", "--out", str(out)]
        environment = {"PYTHONHASHSEED": number, "PATH": ""}
        done = subprocess.run(
            [*command, *more], capture_output=True, text=True, check=True, cwd=FOLDER.parents[1], env=environment
        )
        assert "events of 400 accounts" in done.stderr
        written.append([(out / name).read_bytes() for name in ("events.jsonl", "labels.jsonl")])
    assert written[0] == written[1]
    again = Stream("lobbies", 3, 400, 4)
    assert b"".join(again.lines()) == written[0][0]


def test_a_world_too_small_is_told():
    command = [sys.executable, "-m", "benchmarks.independent", "--world", "video", "--seed", "1", "--out", "x"]
    done = subprocess.run([*command, "--accounts", "20"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "at least 200 accounts" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("world", sorted(WORLDS))
def test_plain_limits_are_not_enough_and_our_evidence_beats_them(world: str):
    runs = [gather(Job(world, seed, 10_000, 28.0)) for seed in (5, 6)]
    ours = np.mean([average_precision(run.flags.highest(len(run)), run.harmful) for run in runs])
    best = 0.0
    for peer in PEERS.values():
        best = max(best, float(np.mean([average_precision(peer(run).highest(len(run)), run.harmful) for run in runs])))
    assert best < 0.5
    assert ours > 1.15 * best
