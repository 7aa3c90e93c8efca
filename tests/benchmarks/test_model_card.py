"""The model card: its tables add up to what was simulated."""

from __future__ import annotations

import re

from benchmarks.model_card import card


def numbers(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_every_account_that_reached_out_is_in_each_table_once() -> None:
    made = card(["social", "gaming"], [5], 400, 4)
    assert not re.search(r"\{\w+\}", made)
    tables = made.split("###")[1:]
    sums = []
    for table in tables:
        rows = [numbers(line) for line in table.splitlines() if re.match(r"\| [a-z0-9_, ]+ \| [\d,]+ \|", line)]
        assert rows
        sums.append((sum(int(row[1].replace(",", "")) for row in rows), sum(int(row[4]) for row in rows)))
    assert len(set(sums)) == 1
    innocent, harmful = sums[0]
    assert 0 < harmful < innocent < 800
