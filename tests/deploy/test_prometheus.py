"""Statements about the rules and the dashboard: what they ask for is what a worker's `/metrics` really has."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy/grafana/dashboards/kithwatch.json"
RULES = ROOT / "deploy/prometheus/alerts.yml"
RULE_TESTS = ROOT / "deploy/prometheus/alerts.test.yml"

# what Grafana puts in for its own variables; long enough for the seconds that the test's Prometheus has seen
VARIABLES = {"$__rate_interval": "1m", "$__range": "6h", "$instance": ".*"}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> list[Any]:
    return [
        pytest.param(target["expr"], id=f"{panel['title']}-{target['refId']}")
        for panel in panels()
        for target in panel["targets"]
    ]


def rules(kind: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def numbers(series: list[dict[str, Any]]) -> list[float]:
    return [float(one["value"][1]) for one in series]


@pytest.mark.slow
@pytest.mark.parametrize("expression", queries())
def test_every_query_of_the_dashboard_finds_series(prometheus: Any, expression: str) -> None:
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression, "a variable of Grafana's that the test does not know"
    found = prometheus.query(expression)
    assert found, f"no series: {expression}"
    assert not all(math.isnan(number) for number in numbers(found)), f"only NaN: {expression}"


@pytest.mark.slow
@pytest.mark.parametrize("rule", rules("record"), ids=lambda rule: rule["record"])
def test_every_recording_rule_records(prometheus: Any, rule: dict[str, Any]) -> None:
    assert prometheus.query(rule["expr"])
    assert prometheus.query(rule["record"])


@pytest.mark.slow
@pytest.mark.parametrize("rule", rules("alert"), ids=lambda rule: rule["alert"])
def test_every_alert_asks_for_series_that_exist(prometheus: Any, rule: dict[str, Any]) -> None:
    """In quiet times an alert finds nothing, so its selectors are asked for by themselves; alerts.test.yml fires it."""
    prometheus.query(rule["expr"])
    selectors = re.findall(r"\b(?:up|[a-z_]*:?kithwatch_[a-z0-9_:]+)(?:\{[^}]*\})?", rule["expr"])
    assert selectors
    for selector in selectors:
        assert prometheus.query(selector), f"no series: {selector}"


@pytest.mark.slow
def test_prometheus_evaluates_the_rules_without_error(prometheus: Any) -> None:
    loaded = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert len(loaded) == len(rules("record")) + len(rules("alert"))
    assert {rule["name"]: rule["lastError"] for rule in loaded if rule.get("lastError")} == {}


@pytest.mark.slow
def test_the_variable_of_the_dashboard_finds_the_worker(prometheus: Any, metrics_endpoint: str) -> None:
    (variable,) = dashboard()["templating"]["list"]
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()  # type: ignore[union-attr]
    assert [series["metric"][label] for series in prometheus.query(metric)] == [metrics_endpoint]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "config", str(ROOT / "deploy/prometheus/prometheus.yml")],
        ["check", "rules", "--lint-fatal", str(RULES)],
        ["test", "rules", str(RULE_TESTS)],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_promtool_has_no_complaint(arguments: list[str]) -> None:
    program = shutil.which("promtool")
    assert program is not None, "this test needs promtool: apt-get install prometheus (.ci/run does)"
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_shown_to_fire_and_not_to_fire() -> None:
    tests = [
        case for test in yaml.safe_load(RULE_TESTS.read_text())["tests"] for case in test.get("alert_rule_test", [])
    ]
    for rule in rules("alert"):
        cases = [bool(case.get("exp_alerts")) for case in tests if case["alertname"] == rule["alert"]]
        assert set(cases) == {True, False}, rule["alert"]


def test_every_panel_says_what_it_shows_and_fits_the_grid() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        covered = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not covered & cells, f"{panel['title']} lies on another panel"
        assert place["x"] + place["w"] <= 24
        cells |= covered
    titles = [panel["title"] for panel in panels()]
    assert len(titles) == len(set(titles))
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))
    for panel in panels():
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert all(target["datasource"]["uid"] == "prometheus" for target in panel["targets"])


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    from streams.metrics import Metrics

    asked = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    for family in Metrics("p").registry.collect():
        if family.name.startswith("kithwatch"):
            assert re.search(rf"\b{family.name}(_total|_bucket|_sum|_info)?\b", asked), family.name


def test_grafana_is_provisioned_with_what_the_dashboard_refers_to() -> None:
    provisioning = ROOT / "deploy/grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"]
    assert source["uid"] == "prometheus"
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    (provider,) = yaml.safe_load((provisioning / "dashboards/kithwatch.yml").read_text())["providers"]
    mounted = [volume.split(":") for volume in compose["services"]["grafana"]["volumes"]]
    (folder,) = [source for source, target, *_ in mounted if target == provider["options"]["path"]]
    assert (ROOT / folder / "kithwatch.json").exists()
