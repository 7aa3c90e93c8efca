"""A team's own rules: computed as Python would compute each row, refused in one line, told with their values."""

from __future__ import annotations

import contextlib
import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from detectors.columns import columns_of, vocabulary
from detectors.engine import Engine
from detectors.expressions import ExpressionError, read_expression
from detectors.judge import Judge
from detectors.lists import Lists
from detectors.policy import PolicyError, default_policy, load_policy
from detectors.rules import Rules
from graph.shard import Shard
from graph.state import COLUMNS, HOUR
from simulation.scenarios import build
from streams.hashing import hash_id
from tests.detectors.rows import random_rows
from tests.detectors.world import START, World, replayed

WORDS = vocabulary(("partners",))
NUMBERS = ("minors_24h", "strangers_7d", "friends", "recent_refused", "nats", "nats_mass_add", "account_age_days")
TRUTHS = ("adult", "minor", "first_contact", "to_stranger", "educator", "sign_secrecy", "listed_partners")


def policy_of(when: str, **more: Any) -> str:
    rule = {"when": when, "severity": "medium", **more}
    return json.dumps({"lists": ["partners"], "rules": {"own": rule}})


# the language


def reject(problem: PolicyError) -> None:
    """Give up an example whose refusal is right; any other is a failure."""
    if not any(
        why in str(problem) for why in ("reads no column", "too many terms", "divides by zero", "numbers alone")
    ):
        raise problem
    assume(False)


def numbers() -> st.SearchStrategy[str]:
    leaves = st.one_of(st.sampled_from(NUMBERS), st.integers(0, 50).map(str), st.floats(0, 9, width=16).map(repr))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
            inner.map(lambda x: f"abs(-{x})"),
            st.tuples(st.sampled_from(("min", "max")), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
        ),
        max_leaves=4,
    )


def truths() -> st.SearchStrategy[str]:
    signs = st.sampled_from(("<", "<=", ">", ">=", "==", "!="))
    column = st.tuples(st.sampled_from(NUMBERS), st.sampled_from("+-*/"), numbers()).map(lambda t: f"({' '.join(t)})")
    compared = st.one_of(st.tuples(column, signs, numbers()), st.tuples(numbers(), signs, column)).map(" ".join)
    return st.recursive(
        st.one_of(st.sampled_from(TRUTHS), compared.map(lambda text: f"({text})")),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from((" and ", " or ", " & ", " | ")), inner).map(lambda t: f"({''.join(t)})"),
            inner.map(lambda x: f"(not {x})"),
        ),
        max_leaves=4,
    )


def plainly(text: str, row: dict[str, Any]) -> bool:
    """What Python says of one row; a number divided by nothing is what IEEE says it is."""
    with np.errstate(all="ignore"):
        return bool(eval(text.replace("not ", "True ^ "), {"__builtins__": {}}, row | FUNCTIONS))


FUNCTIONS = {
    "abs": np.abs,
    "min": lambda a, b: a if a < b else b,
    "max": lambda a, b: a if a > b else b,
}


@settings(max_examples=60)
@given(when=truths(), seed=st.integers(0, 50))
def test_a_rule_holds_for_a_row_when_python_says_so(when: str, seed: int) -> None:
    try:
        rules = Rules(load_policy(policy_of(when)), Lists([("partners", 901, 1 << 60)]))
    except PolicyError as problem:  # of numbers alone, or of such a division
        reject(problem)
    table = random_rows(seed, 20)
    judged = Judge(default_policy(), 12 * HOUR).judge(table)
    columns = columns_of(tuple(WORDS), table, judged, rules.lists)
    found = {hit.row for hit in rules.find(table, judged)}
    for i in range(len(table)):
        row = {name: column[i] for name, column in columns.items()}
        assert (i in found) == (plainly(when, row) and bool(row["to_contact"])), when


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ("minors_24 > 3", "unknown name 'minors_24'; did you mean 'minors_24h'?"),
        ("minors_24h + 3", "is a number, not a yes or no"),
        ("0 < 0 and adult", "'0 < 0' compares numbers alone"),
        ("0 < 2 - 1 < friends", "'0 < 2 - 1' compares numbers alone"),
        ("minors_24h > 3 & friends < 2", "binds tighter than a comparison: write `and`"),
        ("adult > 3", "wants numbers, and 'adult' is a yes or no"),
        ("not friends", "wants a yes or no, and 'friends' is a number"),
        ("friends.__class__ == 3", "an attribute (.__class__) is not allowed"),
        ("__import__('os').system('true') == 0", "is not allowed"),
        ("open(friends) > 3", "unknown function 'open'"),
        ("__class__ > 3", "unknown name '__class__'"),
        ("friends[0] > 3", "an index is not allowed"),
        ("friends in (1, 2)", "`in` and `is` are not allowed"),
        ("friends ** 9 > 3", "the operator of 'friends ** 9' is not allowed"),
        ("(lambda: 1)() > 0", "is not allowed"),
        ("friends > '3'", "text is not allowed"),
        ("friends > 1e999", "a number is too large"),
        ("min(friends) > 1", "min takes 2 numbers"),
        ("1 < 2", "reads no column"),
        ("friends >", "not an expression"),
        ("", "not an expression"),
        ("friends > 1; adult", "not an expression"),
        ("friends > " + "1 + " * 200 + "1", "longer than 500 characters"),
        ("friends > " + "1+" * 100 + "1", "too many terms"),
        ("(" * 400 + "friends", "not an expression"),
        ("listed_educators", "unknown name 'listed_educators'"),
    ],
)
def test_what_is_no_rule_is_refused_in_one_line(when: str, why: str) -> None:
    with pytest.raises(PolicyError) as problem:
        load_policy(policy_of(when))
    assert str(problem.value).startswith("rules.own.when: ")
    assert why in str(problem.value)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("rules: {Own: {when: adult, severity: low}}", "rules: 'Own' is no name"),
        ("rules: {own: {when: adult}}", "missing required field `severity`"),
        ("rules: {own: {when: adult, severity: low, colour: red}}", "unknown field `colour`"),
        ("rules: [adult]", "Expected `object`, got `array`"),
        ("lists: [__class__]", "lists: '__class__' is no name"),
        ("suppress: [{list: partners, detectors: [mass_add]}]", "suppress.0.list: unknown list 'partners'"),
        ("{lists: [a], suppress: [{list: a, detectors: [x]}]}", "suppress.0.detectors: unknown detector 'x'"),
    ],
)
def test_rules_lists_and_suppressions_are_checked_when_the_policy_is_read(text: str, why: str) -> None:
    with pytest.raises(PolicyError) as problem:
        load_policy(text)
    assert why in str(problem.value)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        read_expression(text, WORDS)


def test_a_rule_makes_another_policy_version() -> None:
    assert len({load_policy(text).version for text in ("", policy_of("adult"), policy_of("minor"))}) == 3


# their flags


def story(policy: str, lists: Lists | None = None) -> list[Any]:
    """An adult asks ten children in ten hours, alone on its platform."""
    made = World()
    made.people("x", 1, "21_plus")
    made.asks("x0", made.people("t", 10, "13_15"), 1, 10)
    from streams.replay import Replay

    run = Replay(load_policy(policy), not_after=1 << 60, lists=lists)
    return [flag for flag in run.feed(b"".join(made.lines())) if flag.detector == "rules.own"]


def test_a_rule_flags_at_the_event_at_which_it_first_holds_and_tells_what_it_read() -> None:
    flag = story(policy_of("minors_24h >= 4 and adult", text="Children in numbers"))[0]
    assert (flag.type, flag.role, flag.severity, flag.account_id) == ("flag.raised", "actor", "medium", "x0")
    assert flag.raised_at == START + 4 * HOUR
    assert {name: flag.features[name] for name in ("minors_24h", "adult")} == {"minors_24h": 4.0, "adult": 1.0}
    assert flag.targets == ["t3", "t2", "t1", "t0"]
    assert flag.explanation.startswith(
        "Children in numbers: The team's rule own holds (minors_24h >= 4 and adult), with adult 1 and minors_24h 4."
    )
    assert flag.counterfactual == "Would not have been raised if the rule own had not held."
    assert not flag.shadow


def test_a_rule_ranks_as_others_of_its_severity_do() -> None:
    low, critical = (story(policy_of("minors_24h >= 4", severity=severity))[0] for severity in ("low", "critical"))
    assert low.score < critical.score < 1.0


def test_a_rule_in_shadow_is_marked_and_one_that_is_off_is_silent() -> None:
    assert all(flag.shadow for flag in story(policy_of("minors_24h >= 4", shadow=True)))
    assert story(policy_of("minors_24h >= 4", enabled=False)) == []


def test_rules_change_nothing_that_detectors_say() -> None:
    lines = list(build("demo", 3, accounts=500, days=2).lines())
    often = {"severities": {"low": 0.2, "medium": 0.01}}
    plain = replayed(lines, load_policy(json.dumps(often)))
    ruled = replayed(lines, load_policy(json.dumps(often | json.loads(policy_of("strangers_24h >= 3")))))
    others = [flag for flag in ruled if not flag.detector.startswith("rules.")]
    assert [(f.flag_id, f.type, f.score, f.explanation) for f in others] == [
        (f.flag_id, f.type, f.score, f.explanation) for f in plain
    ]
    assert len(others) < len(ruled)
    chance = random.Random(2)
    policy = load_policy(json.dumps(often | json.loads(policy_of("strangers_24h >= 3"))))
    assert replayed(lines, policy, cuts=[chance.randrange(len(lines)) for _ in range(30)]) == ruled


# lists


@given(
    entries=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.integers(0, 20)), max_size=12),
    asked=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 21)), min_size=1, max_size=8),
)
def test_a_list_holds_an_account_until_its_latest_end(
    entries: list[tuple[str, int, int]], asked: list[tuple[int, int]]
) -> None:
    keys, times = np.array([k for k, _ in asked], np.uint64), np.array([t for _, t in asked])
    for name in "abc":
        want = [any(one == name and key == k and t < until for one, key, until in entries) for k, t in asked]
        assert Lists(entries).holds(name, keys, times).tolist() == want


def test_a_rule_can_ask_for_a_list_until_the_entry_ends() -> None:
    on = Lists([("partners", hash_id("x0"), START + 5 * HOUR)])
    assert story(policy_of("listed_partners and minors_24h >= 4"), on)[0].raised_at == START + 4 * HOUR
    assert story(policy_of("minors_24h >= 4 and not listed_partners"), on)[0].raised_at == START + 5 * HOUR
    assert story(policy_of("listed_partners and minors_24h >= 7"), on) == []


def test_flags_of_a_listed_account_rest_up_to_a_severity() -> None:
    on = Lists([("partners", hash_id("x0"), START + 100 * HOUR)])
    for severity, flagged in (("medium", False), ("high", False), ("critical", True)):
        text = json.loads(policy_of("minors_24h >= 4", severity=severity))
        text["suppress"] = [{"list": "partners", "detectors": ["rules.own"]}]
        assert bool(story(json.dumps(text), on)) == flagged
        assert story(json.dumps(text))


def test_columns_have_the_types_that_rules_are_checked_by() -> None:
    table = random_rows(1, 9)
    judged = Judge(default_policy(), 12 * HOUR).judge(table)
    for name, column in columns_of(tuple(WORDS), table, judged, Lists()).items():
        assert column.dtype == (np.float64 if WORDS[name] == "number" else np.bool_), name
        assert column.shape == (9,)
    assert set(COLUMNS) <= set(WORDS)


def test_an_engine_without_rules_has_none() -> None:
    assert len(Engine(Shard(), default_policy()).rules) == 0
