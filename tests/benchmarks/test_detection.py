"""The benchmark of detection: each peer sees what it is for, the reference is told labels, and the command works."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import detection_peers
from benchmarks.detection_data import Job, Run, feature_names, features, gather
from benchmarks.detection_peers import PEERS, renren, synchrotrap
from benchmarks.detection_reference import Reference, so_far
from detectors.evaluation import Steps, average_precision
from detectors.evidence import FAMILIES
from graph.batch import EventKind
from graph.state import FEATURES

HOUR = 3_600_000
DAY = 24 * HOUR
EVENT = np.dtype(
    [("time", "<i8"), ("actor", "<i4"), ("target", "<i4"), ("signs", "<u2"), ("kind", "u1"), ("age", "u1")]
)


def played(accounts: int, *events: tuple[float, EventKind, int, int]) -> Run:
    """Return a run of events: hour, kind, actor, target."""
    made = np.zeros(len(events), EVENT)
    for place, (at, kind, actor, target) in enumerate(sorted(events)):
        made[place] = (int(1e12 + at * HOUR), actor, target, 0, kind, 255)
    return Run(
        job=Job("toy", 0),
        label=np.array(["benign"] * accounts),
        harmful=np.zeros(accounts, np.bool_),
        active=np.ones(accounts, np.bool_),
        events=made,
        rows=np.zeros(0, FEATURES),
        who=np.zeros(0, np.int64),
        nats=np.zeros((0, len(FAMILIES)), np.float32),
        flags=Steps(np.zeros(0, np.int64), np.zeros(0), np.zeros(0)),
        severe=np.full(accounts, np.inf),
        victim=np.zeros(0, np.int64),
        reached=np.zeros(0),
    )


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), min_size=1, max_size=30), st.integers(1, 20))
def test_events_within_a_span_are_counted_as_one_would(pairs, span):
    pairs.sort()
    account, time = (np.array(column) for column in zip(*pairs, strict=True))
    found = detection_peers._within(account, time, span)
    for place, (who, at) in enumerate(pairs):
        after = sum(pair == (who, at) for pair in pairs[place + 1 :])
        expected = sum(other == who and at - span < then <= at for other, then in pairs)
        assert found[place] == expected - after


def test_renrens_rule_ranks_those_first_who_ask_fast_and_are_turned_down():
    asks, yes = EventKind.REQUEST_SENT, EventKind.REQUEST_ACCEPTED
    fast = [(0.05 * number, asks, 0, 10 + number) for number in range(10)]
    welcome = [(0.05 * number, asks, 1, 10 + number) for number in range(10)]
    answers = [(0.05 * number + 0.01, yes, 10 + number, 1) for number in range(10)]
    slow = [(5.0 * number, asks, 2, 10 + number) for number in range(10)]
    few = [(0.0, asks, 3, 10), (0.1, asks, 3, 11)]
    score = renren(played(20, *fast, *welcome, *answers, *slow, *few)).highest(20)
    assert score[0] == 10
    assert score[0] > 3 * score[1]
    assert score[0] > 3 * score[2] > 0
    assert score[3] == 0


def test_synchrotrap_finds_accounts_with_the_same_targets_on_the_same_days():
    writes = EventKind.MESSAGE_SENT
    ring = [(3.0 * number + who, writes, who, 20 + number) for who in (0, 1, 2) for number in range(8)]
    # the same targets, days later: not in step
    late = [(60.0 + 3.0 * number, writes, 3, 20 + number) for number in range(8)]
    alone = [(3.0 * number, writes, 4, 30 + number) for number in range(8)]
    score = synchrotrap(played(40, *ring, *late, *alone)).highest(40)
    assert score[[0, 1, 2]].min() > 1.0
    assert score[3] == score[4] == 0


def test_midas_sees_a_burst_over_a_steady_trickle():
    writes = EventKind.MESSAGE_SENT
    trickle = [(float(hour), writes, 0, 5) for hour in range(48)]
    burst = [(40.0 + 0.01 * number, writes, 1, 6) for number in range(60)]
    for name in ("MIDAS-R, 1 h", "MIDAS-R, 1 d"):
        score = PEERS[name](played(8, *trickle, *burst)).highest(8)
        assert score[1] > 3 * score[0]


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return [gather(Job("social", seed, 1_500, 8.0)) for seed in (5, 6, 7)]


def test_every_peer_ranks_better_than_chance_or_is_known_not_to(runs):
    run = runs[0]
    for name, peer in PEERS.items():
        steps = peer(run)
        assert (steps.score > 0).all(), name
        assert steps.account.max() < len(run)
        begin, end = run.events["time"][[0, -1]]
        assert begin <= steps.time.min() <= steps.time.max() <= end + 7 * DAY
        if not name.startswith(("MIDAS", "SynchroTrap")):
            assert average_precision(steps.highest(len(run)), run.harmful) > 2 * run.harmful.mean(), name


def test_the_reference_learns_from_labels_of_other_streams(runs):
    steps = Reference(runs[1:])(runs[0])
    truth = runs[0].harmful
    learned = average_precision(steps.highest(len(truth)), truth)
    assert learned > max(average_precision(peer(runs[0]).highest(len(truth)), truth) for peer in PEERS.values())
    assert learned < 0.95


def test_sums_say_what_an_accounts_rows_came_to_so_far(runs):
    run = runs[0]
    table = so_far(run)
    whats = np.unique(run.rows["what"])
    for account in np.unique(run.who)[:40]:
        mine = np.flatnonzero(run.who == account)
        for at, what in enumerate(whats):
            assert table[mine, at].tolist() == np.cumsum(run.rows["what"][mine] == what).tolist()


def test_features_leave_out_what_names_an_account_or_a_time(runs):
    names = feature_names(FEATURES)
    table = features(runs[0].rows)
    assert table.shape == (len(runs[0].rows), len(names))
    assert not {"time", "hash", "account", "pair", "ingested_at", "source", "created"} & set(names)
    for name in ("created", "time"):
        column = runs[0].rows[name].astype(np.float64)
        assert not any(np.array_equal(table[:, at], column.astype(np.float32)) for at in range(table.shape[1]))


def test_the_command_prints_the_tables_and_writes_them(tmp_path: Path):
    command = ["-m", "benchmarks.detection", "--kinds", "social", "--seeds", "1", "--train", "2", "--accounts", "900"]
    more = ["--days", "5", "--rounds", "10", "--processes", "1", "--sums", "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, *command, *more], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "detection.json").read_text())["social"]
    assert set(found["methods"]) == {*PEERS, "kithwatch", "supervised reference", "the same, with sums"}
    assert all(0 <= entry["average_precision"] <= 1 for entry in found["methods"].values())
    for line in ("supervised reference", "recall at 1 % by class", "innocent at medium or above by class"):
        assert line in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--kinds", "nope"], "choose of"),
        (["--kinds", "friends", "--missing", "ages"], "not for the independent simulator"),
        (["--seeds", "1-3", "--train", "3"], "share a seed"),
    ],
)
def test_a_mistake_is_told(arguments: list[str], says: str):
    command = [sys.executable, "-m", "benchmarks.detection", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert says in done.stderr
