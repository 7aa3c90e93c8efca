"""The plain peer and the rolling graph count the same, row for row, on whole platforms."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from benchmarks.plain_peer import PlainPeer
from graph.batch import EventKind
from graph.shard import Rows, Shard
from graph.state import COLUMNS, FIRST, OUTCOME, SIGNED, SILENCE, WITHDRAWN
from simulation.scenarios import build
from streams.decode import EventDecoder


@pytest.mark.parametrize("name", ["social", "gaming", "dating", "forum", "collegemsg"])
def test_the_plain_peer_agrees_with_the_graph(name):
    size = {} if name == "collegemsg" else {"accounts": 1_200, "days": 9}
    data = b"".join(build(name, 5, **size).lines())
    peer = PlainPeer()
    expected = [row for line in data.splitlines() for row in peer.process(json.loads(line))]
    decoded = EventDecoder().decode_lines(data, not_after=2**60)
    assert not decoded.rejected
    shard = Shard()  # a table of rows is valid until the next step
    found = np.concatenate([part.table.copy() for part in shard.process(decoded.batch) if isinstance(part, Rows)])
    found = found[(found["kind"] != EventKind.ACCOUNT_DELETED) & (found["what"] < WITHDRAWN)]  # the peer tells neither
    assert len(found) == len(expected)
    kinds = {"contact": FIRST, "silence": SILENCE, "signed": SIGNED}
    ours = [
        (int(r["time"]), int(r["what"]), *r["counts"].tolist(), int(r["friends"]), int(r["signs"]), int(r["messages"]))
        for r in found
    ]
    theirs = [
        *(
            (
                *(row["time"], int(kinds.get(row["cause"], OUTCOME)), *(row[column] for column in COLUMNS)),
                *(row["friends"], row["signs"], min(row["messages"], 127)),
            )
            for row in expected
        )
    ]
    if name == "collegemsg":  # its first days have gaps that the guarded clock does not believe at once
        ours, theirs = ([row[1:] for row in rows if row[1] != SILENCE] for rows in (ours, theirs))
        assert ours == theirs
    else:
        assert in_groups(ours) == in_groups(theirs)


def in_groups(rows):
    """Return rows with silences of one moment in an order of their own: they come about at once."""
    groups = itertools.groupby(rows, key=lambda row: (row[0], row[1]))
    return [row for (_, what), group in groups for row in (sorted(group) if what == SILENCE else group)]
