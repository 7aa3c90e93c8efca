"""The plain peer and the rolling graph count the same, row for row, on whole platforms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.plain_peer import PlainPeer
from graph.batch import EventKind
from graph.shard import Rows, Shard
from graph.state import COLUMNS
from simulation.scenarios import build
from streams.decode import EventDecoder


@pytest.mark.parametrize("name", ["social", "gaming", "dating", "forum", "collegemsg"])
def test_the_plain_peer_agrees_with_the_graph(name):
    size = {} if name == "collegemsg" else {"accounts": 1_200, "days": 9}
    data = b"".join(build(name, 5, **size).lines())
    peer = PlainPeer()
    expected: dict[tuple[int, bool], dict[str, Any]] = {}
    for number, line in enumerate(data.splitlines()):
        row = peer.process(json.loads(line))
        if row is not None:
            expected[number, row["cause"] == "contact"] = row
            if row.get("reply"):
                expected[number, False] = row["reply"]
    decoded = EventDecoder().decode_lines(data, not_after=2**60)
    assert not decoded.rejected
    found = 0
    for part in Shard().process(decoded.batch):
        for row in part.table if isinstance(part, Rows) else ():
            if row["kind"] == EventKind.ACCOUNT_DELETED:
                continue
            plain = expected[int(row["source"]), bool(row["first"])]
            assert row["counts"].tolist() == [plain[column] for column in COLUMNS], plain
            assert row["friends"] == plain["friends"]
            found += 1
    assert found == len(expected)
