"""The published schemas are current, and say what the decoder does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given

from streams.decode import EventDecoder
from streams.events import KINDS
from streams.flags import encode_flag
from streams.schemas import FOLDER, documents, main
from tests.strategies import events
from tests.streams.test_flags import FLAG

ROOT = Path(__file__).parents[2]
NOW = 1_800_000_000_000
DOCUMENTS = documents()
EVENT = jsonschema.Draft202012Validator(json.loads(DOCUMENTS["event.schema.json"]))
FLAG_SCHEMA = jsonschema.Draft202012Validator(json.loads(DOCUMENTS["flag.schema.json"]))
MESSAGE = {
    "type": "message.sent",
    "event_id": "e1",
    "occurred_at": 1_795_321_302_123,
    "actor_id": "u1",
    "target_id": "u2",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_files_are_current(name: str) -> None:
    assert (ROOT / FOLDER / name).read_text(encoding="utf-8") == DOCUMENTS[name], "run: python -m streams.schemas"


def test_the_command_writes_them_all(tmp_path: Path) -> None:
    main(str(tmp_path / "new"))
    assert {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "new").iterdir()} == DOCUMENTS


def test_the_schemas_are_schemas() -> None:
    for name in ("event.schema.json", "flag.schema.json"):
        jsonschema.Draft202012Validator.check_schema(json.loads(DOCUMENTS[name]))


@given(events())
def test_what_the_decoder_takes_is_valid(event: dict[str, Any]) -> None:
    assert not EventDecoder().decode([json.dumps(event).encode()], not_after=NOW).rejected
    EVENT.validate(event)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "poke"},
        {"event_id": ""},
        {"actor_id": "a" * 129},
        {"actor_id": "a\0"},
        {"actor_id": 1},
        {"target_id": None},
        {"occurred_at": None},
        {"occurred_at": True},
        {"occurred_at": 1.5},
        {"occurred_at": 1_700_000_000},
        {"mutual_friends": -1},
        {"mutual_friends": "3"},
        {"signs": ["rude"]},
        {"signs": "secrecy"},
        {"actor_age_band": "12"},
    ],
)
def test_what_the_schema_refuses_the_decoder_refuses(change: dict[str, Any]) -> None:
    event = {**MESSAGE, **change}
    assert EVENT.is_valid(MESSAGE)
    assert not EVENT.is_valid(event)
    assert EventDecoder().decode([json.dumps(event).encode()], not_after=NOW).rejected


def test_flags_are_valid() -> None:
    flag = json.loads(encode_flag(FLAG))
    FLAG_SCHEMA.validate(flag)
    for change in ({"severity": "dire"}, {"score": 2}, {"schema_version": 2}, {"role": "suspect"}):
        assert not FLAG_SCHEMA.is_valid({**flag, **change})


def test_every_reference_in_the_interface_leads_somewhere() -> None:
    interface = yaml.safe_load(DOCUMENTS["asyncapi.yaml"])

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                target = interface
                for step in node["$ref"].removeprefix("#/").split("/"):
                    target = target[step]
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(interface)
    addresses = {channel["address"] for channel in interface["channels"].values()}
    assert addresses == {
        "social.friend-requests",
        "social.messages",
        "social.accounts",
        "kithwatch.flags",
        "kithwatch.contexts",
        "kithwatch.dispositions",
        "kithwatch.dead-letters",
    }
    assert len(interface["channels"]["messages"]["messages"]) == len(KINDS)
