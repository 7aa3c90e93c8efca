"""The model card: its text is the template's, and its tables add up to what was simulated."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.model_card import TEXT, card

ROOT = Path(__file__).parents[2]


def numbers(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_card_in_the_docs_has_the_text_of_the_template() -> None:
    parts = re.split(r"\{\w+\}", TEXT.read_text(encoding="utf-8"))
    held = (ROOT / "docs/model-card.md").read_text(encoding="utf-8")
    at = 0
    for part in parts:
        assert part in held[at:], part[:80]
        at = held.index(part, at) + len(part)


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
