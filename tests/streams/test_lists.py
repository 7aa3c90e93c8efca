"""Lists of accounts from files: read with their ends, refused in one line that says where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from detectors.policy import load_policy
from streams.cli import UserError
from streams.hashing import hash_id
from streams.lists import read_lists
from streams.replay import replay
from streams.timestamps import epoch_ms

POLICY = load_policy("lists: [educators, partners]")
END = epoch_ms("2027-08-01T00:00:00Z")


def held(paths: tuple[str, ...], name: str, account: str, time: int) -> bool:
    lists = read_lists(paths, POLICY)
    return bool(lists.holds(name, np.array([hash_id(account)], np.uint64), np.array([time]))[0])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", '{"list": "educators", "account_id": "17", "until": "2027-07-31", "note": "seen"}\n\n'),
        ("a.yaml", "- {list: educators, account_id: 17, until: 2027-07-31}\n"),
        ("a.yml", "- list: educators\n  account_id: '17'\n  until: 2027-08-01T00:00:00Z\n"),
    ],
)
def test_an_entry_holds_to_the_end_of_its_day(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert held((str(path),), "educators", "17", END - 1)
    assert not held((str(path),), "educators", "17", END)
    assert not held((str(path),), "partners", "17", END - 1)
    assert not held((str(path),), "educators", "18", END - 1)


def test_several_files_are_one(tmp_path: Path) -> None:
    for i in range(2):
        (tmp_path / f"{i}.jsonl").write_text(f'{{"list": "partners", "account_id": "u{i}", "until": "2027-07-31"}}')
    paths = (str(tmp_path / "0.jsonl"), str(tmp_path / "1.jsonl"))
    assert held(paths, "partners", "u0", 0)
    assert held(paths, "partners", "u1", 0)
    assert len(read_lists(paths, POLICY)) == 2


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.jsonl", "{}", "line 1: Object missing required field `list`"),
        ("a.jsonl", "\n[]", "line 2: Expected `object`"),
        ("a.jsonl", "{", "line 1: not JSON"),
        ("a.jsonl", '{"list": "x", "account_id": "u", "until": "2027-01-01"}', "no list 'x' in the policy"),
        ("a.jsonl", '{"list": "partners", "account_id": "u", "until": "soon"}', "until 'soon' is no time"),
        ("a.jsonl", '{"list": "partners", "account_id": "u"}', "missing required field `until`"),
        ("a.jsonl", '{"list": "partners", "account_id": "u", "until": "2027-01-01", "x": 1}', "unknown field `x`"),
        ("a.yaml", "list: partners", "expected a list of entries"),
        ("a.yaml", "- [", "not YAML"),
        ("a.yaml", "- partners", "entry 1: Expected `object`"),
        ("none.yaml", None, "No such file"),
    ],
)
def test_what_is_no_list_is_refused_in_one_line(tmp_path: Path, name: str, text: str | None, why: str) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as problem:
        read_lists((str(path),), POLICY)
    assert str(path) in str(problem.value)
    assert why in str(problem.value)


def test_a_bad_rule_and_a_bad_list_end_the_command_with_status_2(tmp_path: Path) -> None:
    policy, lists, events = tmp_path / "policy.yaml", tmp_path / "lists.jsonl", tmp_path / "events.jsonl"
    events.write_text("")
    policy.write_text("rules: {own: {when: friends.x > 1, severity: low}}")
    args = [str(events), "--flags", str(tmp_path / "flags.jsonl"), "--policy", str(policy)]
    result = CliRunner().invoke(replay, args)
    assert result.exit_code == 2
    assert result.output.strip() == (f"Error: policy {policy}: rules.own.when: an attribute (.x) is not allowed")
    policy.write_text("lists: [partners]")
    lists.write_text("nothing")
    result = CliRunner().invoke(replay, [*args, "--lists", str(lists)])
    assert result.exit_code == 2
    assert "line 1: not JSON" in result.output
