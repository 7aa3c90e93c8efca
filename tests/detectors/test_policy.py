"""The policy: valid by default, every value explained, told apart by its values, refused in one clear line."""

from __future__ import annotations

from importlib import resources
from typing import Any

import pytest
import yaml

from detectors.policy import PolicyError, default_policy, load_policy

TEXT = resources.files("detectors").joinpath("policy.yaml").read_text(encoding="utf-8")


def test_the_default_is_valid_and_is_the_file() -> None:
    assert load_policy(TEXT) == default_policy() == load_policy("") == load_policy("# nothing\n")


def test_every_value_is_explained_above_or_beside_it() -> None:
    """Walk the text: a block of keys with no comment above it, since the last blank line or group, is unexplained."""
    explained = False
    missing = []
    said_once = ("enabled", "shadow", "odds", "weight")
    for line in TEXT.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            explained = True
        elif not stripped:
            explained = False
        else:
            key, _, value = stripped.partition(":")
            # a group explains its members; what these mean is said once, at the first
            if value.strip() and not explained and "#" not in value and key not in said_once:
                missing.append(line)
    assert not missing


def leaves(node: Any, where: str = "") -> list[str]:
    if isinstance(node, dict):
        return [leaf for key, value in node.items() for leaf in leaves(value, f"{where}.{key}" if where else key)]
    return [where]


def nested(path: str, value: Any) -> str:
    for key in reversed(path.split(".")):
        value = {key: value}
    return yaml.safe_dump(value)


ALL = leaves(yaml.safe_load(TEXT))
OWN = {"lists", "rules", "suppress"}
"""What a team fills itself: empty by default, and allowed to be (see `test_rules`)."""


@pytest.mark.parametrize("path", [leaf for leaf in ALL if leaf not in OWN])
def test_each_value_makes_another_version(path: str) -> None:
    value: Any = yaml.safe_load(TEXT)
    for key in path.split("."):
        value = value[key]
    other: Any
    if isinstance(value, bool):
        other = not value
    elif path.startswith("evidence.curves"):
        other = [*value[:-1], value[-1] + 1]
    elif isinstance(value, list):
        other = []
    else:
        other = value * 1.01 if isinstance(value, float) else value + 1
    if path.endswith((".1h", ".24h")):
        other = value * 0.99
    assert load_policy(nested(path, other)).version != default_policy().version


def test_comments_and_order_make_no_other_version() -> None:
    document = yaml.safe_load(TEXT)
    backwards = yaml.safe_dump({key: document[key] for key in reversed(document)}, sort_keys=False)
    assert load_policy(backwards).version == default_policy().version
    assert load_policy(nested("baseline.half_life_days", 14.0)).version == default_policy().version


@pytest.mark.parametrize("path", [leaf for leaf in ALL if "roles" not in leaf])
@pytest.mark.parametrize(
    "value", ["x", None, -1, [], {"a": 1}, float("nan"), float("inf"), 10**400, True], ids=lambda value: repr(value)[:8]
)
def test_a_bad_value_is_refused_in_one_line_that_names_it(path: str, value: Any) -> None:
    boolean = path.endswith(("enabled", "shadow"))
    if (boolean and value is True) or (path in OWN and value == []):
        return
    with pytest.raises(PolicyError) as refused:
        load_policy(nested(path, value))
    message = str(refused.value)
    assert message
    assert "\n" not in message
    last = path.split(".")[-1]
    assert last in message or "severities" in message or "limits" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not YAML"),
        ("\t- x", "not YAML"),
        ("!!python/object:os.system {}", "not YAML"),
        ("- 1", "mapping"),
        ("7", "mapping"),
        ("detectors: 3", "detectors"),
        ("detectors: {mass_ad: {}}", "mass_ad"),
        ("nonsense: 1", "nonsense"),
        ("severities: {low: 1.0e-7}", "severities"),
        ("severities: {critical: 1.0e-400}", "critical"),
        ("detectors: {mass_add: {limits: {1h: 1000}}}", "limits"),
        ("detectors: {mass_add: {exempt_roles: [pop_star]}}", "pop_star"),
        ("detectors: {minor_targeting: {exempt_roles: educator}}", "exempt_roles"),
        ("detectors: {mass_add: {limits: {2h: 1}}}", "2h"),
        ("baseline: {trim_share: 0.6}", "trim_share"),
        ("detectors: {minor_targeting: {sequential_odds: 1.0}}", "sequential_odds"),
        ("detectors: {mass_add: {odds: {volum: 2}}}", "detectors.mass_add.odds.volum: unknown; expected one of volume"),
        ("detectors: {mass_add: {odds: {minors: 2}}}", "detectors.mass_add.odds.minors: unknown"),
        ("detectors: {mass_add: {odds: 2}}", "detectors.mass_add.odds: expected a mapping"),
        ("detectors: {mass_add: {odds: {volume: many}}}", "detectors.mass_add.odds"),
        (
            "detectors: {mass_add: {odds: {volume: 0.5}}}",
            "mass_add.odds.volume: expected a number from 1",
        ),
        ("detectors: {minor_targeting: {odds: {minor_sum: 0}}}", "detectors.minor_targeting.odds"),
        ("evidence: {memory_days: 0.1}", "evidence.memory_days"),
        ("evidence: {memory_days: 1000}", "evidence.memory_days"),
        (
            "evidence: {in_favour: 4}",
            "evidence.in_favour: unknown; expected one of memory_days, speak, score_half, curves",
        ),
        (
            "evidence: {curves: {minor: [0, 1]}}",
            "evidence.curves.minor: unknown; expected one of at, strangers, scattered",
        ),
        ("evidence: {curves: {at: [-1, 0, 1]}}", "evidence.curves.strangers: expected 3 numbers, one for each of `at`"),
        (
            "evidence: {curves: {at: [-1, 1, 2]}}",
            "evidence.curves.at: expected 2 to 40 rising numbers, and 0 among them",
        ),
        ("evidence: {curves: {at: [0]}}", "evidence.curves.at"),
        ("evidence: {curves: {at: [0, 0, 1]}}", "evidence.curves.at"),
        ("evidence: {curves: {at: [0, .nan, 1]}}", "evidence.curves.at"),
        ("evidence: {curves: {at: much}}", "evidence.curves.at"),
        (
            "evidence: {curves: {minors: [-8, -4, -2, -1, -0.3, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9]}}",
            "minors: a curve never falls",
        ),
        (
            "evidence: {curves: {minors: [-8, -4, -2, -1, -0.3, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, .inf]}}",
            "minors: a curve never",
        ),
        ("evidence: {curves: {minors: [-8, -4, -2, -1, -0.3, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9]}}", "is 0 at 0"),
        ("evidence: {score_half: -1}", "evidence.score_half"),
        ("episodes: {update_nats: 0}", "episodes.update_nats"),
        ("circuit_breaker: {flags_per_day: 0}", "circuit_breaker.flags_per_day"),
        ("severities: {low: .inf}", "low"),
        ("[" * 2000, "not YAML"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        load_policy(text)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_odds_that_are_left_out_keep_their_default_and_odds_of_one_silence_a_family() -> None:
    policy = load_policy("detectors: {scattered_targets: {odds: {strangers: 1}}}")
    assert policy.detectors.scattered_targets.odds == {"strangers": 1.0, "scattered": 3.0}
    less = load_policy("detectors: {minor_targeting: {odds: {minor_sum: 0.2}}}")
    assert less.detectors.minor_targeting.odds == {"minors": 4.0, "age_gap": 3.0, "minor_sum": 0.2}
