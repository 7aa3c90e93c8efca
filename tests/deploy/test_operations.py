"""Statements about docs/operations.md: it names every metric and every alert there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from streams.metrics import Metrics, ShardSize

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations.md").read_text()
ALERTS = [
    rule["alert"]
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]


def table() -> list[str]:
    """The rows of the metrics table, as the registry of a worker that has something in every metric says."""
    metrics = Metrics("p")
    metrics.set_lag({("social.messages", 0): 1})
    metrics.set_shards({0: ShardSize(1, 1, 1, 1, clock=1.0)})
    metrics.count_snapshot(0, "written", seconds=1.0, size=1)
    metrics.set_snapshot_ages({0: 1.0})
    metrics.set_replicas({1: 0})
    rows = []
    for family in metrics.exposed.collect():
        if family.name.startswith("kithwatch"):
            name = {"counter": f"{family.name}_total", "info": f"{family.name}_info"}.get(family.type, family.name)
            labels = [label for label in family.samples[0].labels if label != "le"]
            kind = "gauge" if family.type == "info" else family.type
            said = ", ".join(f"`{label}`" for label in labels)
            rows.append(f"| `{name}` | {kind} | {said} | {family.documentation.rstrip('.')} |")
    return sorted(rows)


def test_the_table_of_metrics_is_that_of_the_registry() -> None:
    assert [line for line in PAGE.splitlines() if line.startswith("| `kithwatch_")] == table()


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_section_that_its_runbook_link_leads_to(alert: str) -> None:
    assert f"\n### {alert}\n" in PAGE
    rules = (ROOT / "deploy/prometheus/alerts.yml").read_text()
    assert f"runbook: docs/operations.md#{alert.lower()}\n" in rules


def test_no_section_is_about_an_alert_that_is_gone() -> None:
    assert sorted(re.findall(r"^### (Kithwatch\w+)$", PAGE, re.MULTILINE)) == sorted(ALERTS)
