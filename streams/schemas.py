"""The contract as files for machines: JSON Schema (2020-12) and AsyncAPI 3.0, made from the types.

`python -m streams.schemas` writes them to docs/schemas/; a test holds that they are current.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from streams.contexts import Context
from streams.dispositions import Disposition
from streams.events import KINDS, MAX_RECORD, Event
from streams.flags import Flag

__all__ = ["FOLDER", "documents", "main"]

FOLDER: Final = "docs/schemas"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_INPUTS: Final = {
    "friendRequests": ("social.friend-requests", "Friend requests and friendships."),
    "messages": ("social.messages", "Messages: who wrote to whom and which signs were found, never the content."),
    "accounts": ("social.accounts", "Account facts, blocks and reports."),
}


def _schema(kind: Any, title: str) -> dict[str, Any]:
    (root,), parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    return {"$schema": _DIALECT, "title": title, **root, "$defs": parts}


def _async_api(version: str) -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(
        [Event, Flag, Context, Disposition], ref_template="#/components/schemas/{name}"
    )
    messages: dict[str, Any] = {
        event.__name__: {
            "name": event.__struct_config__.tag,
            "summary": (event.__doc__ or "").strip(),
            "contentType": "application/json",
            "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
        }
        for event in KINDS
    }
    messages["Flag"] = {
        "name": "flag",
        "summary": (Flag.__doc__ or "").strip(),
        "contentType": "application/json",
        "bindings": {"kafka": {"key": {"type": "string", "description": "The account_id."}}},
        "payload": {"$ref": "#/components/schemas/Flag"},
    }
    messages["Context"] = {
        "name": "context",
        "summary": (Context.__doc__ or "").strip(),
        "contentType": "application/json",
        "bindings": {"kafka": {"key": {"type": "string", "description": "The account_id."}}},
        "payload": {"$ref": "#/components/schemas/Context"},
    }
    messages["Disposition"] = {
        "name": "disposition",
        "summary": (Disposition.__doc__ or "").strip(),
        "contentType": "application/json",
        "bindings": {"kafka": {"key": {"type": "string", "description": "The account_id."}}},
        "payload": {"$ref": "#/components/schemas/Disposition"},
    }
    messages["DeadLetter"] = {
        "name": "dead letter",
        "summary": "A record that is no event, byte for byte as it came.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "required": ["kithwatch.error", "kithwatch.topic", "kithwatch.partition", "kithwatch.offset"],
            "properties": {
                "kithwatch.error": {"type": "string", "description": "Why it was refused: one line, no content."},
                "kithwatch.topic": {"type": "string", "description": "The topic that it came from."},
                "kithwatch.partition": {"type": "string", "pattern": "^[0-9]+$"},
                "kithwatch.offset": {"type": "string", "pattern": "^[0-9]+$"},
            },
        },
        "payload": {"description": "The original bytes, which may be anything."},
    }

    def channel(address: str, description: str, names: list[str]) -> dict[str, Any]:
        return {
            "address": address,
            "description": description,
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        }

    events = [event.__name__ for event in KINDS]
    note = f" Any event type is accepted here; a record holds at most {MAX_RECORD // 1024} KiB."
    channels = {name: channel(topic, text + note, events) for name, (topic, text) in _INPUTS.items()}
    channels["flags"] = channel(
        "kithwatch.flags", "Leads for reviewers: delivered at least once, idempotent by flag_id.", ["Flag"]
    )
    channels["contexts"] = channel(
        "kithwatch.contexts", "The surroundings of flagged accounts, one with every flag: for pictures.", ["Context"]
    )
    channels["dispositions"] = channel(
        "kithwatch.dispositions",
        "What reviewers decided: delivered at least once, idempotent by disposition_id and type.",
        ["Disposition"],
    )
    channels["deadLetters"] = channel("kithwatch.dead-letters", "Records that were refused.", ["DeadLetter"])
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "kithwatch",
            "version": version,
            "description": "What platforms send to kithwatch, and what it sends back.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            **{
                f"receive{name[0].upper()}{name[1:]}": {
                    "action": "receive",
                    "channel": {"$ref": f"#/channels/{name}"},
                }
                for name in _INPUTS
            },
            "receiveDispositions": {"action": "receive", "channel": {"$ref": "#/channels/dispositions"}},
            "sendFlags": {"action": "send", "channel": {"$ref": "#/channels/flags"}},
            "sendContexts": {"action": "send", "channel": {"$ref": "#/channels/contexts"}},
            "sendDispositions": {"action": "send", "channel": {"$ref": "#/channels/dispositions"}},
            "sendDeadLetters": {"action": "send", "channel": {"$ref": "#/channels/deadLetters"}},
        },
        "components": {"messages": messages, "schemas": schemas},
    }


class _Dumper(yaml.SafeDumper):
    """Writes no anchors, and indents lists."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def documents() -> dict[str, str]:
    """Return the text of each file, by its name."""
    event = _schema(Event, "An event, as a platform sends it to kithwatch")
    flag = _schema(Flag, "A flag, as kithwatch sends it out")
    context = _schema(Context, "The surroundings of a flagged account, as a worker sends them out")
    disposition = _schema(Disposition, "A disposition, as the review console sends it out")
    # the version of the interface, which changes with its meaning and not with every release
    interface = yaml.dump(
        _async_api("1.0.0"), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, explicit_start=True
    )
    return {
        "event.schema.json": json.dumps(event, indent=2, ensure_ascii=False) + "\n",
        "flag.schema.json": json.dumps(flag, indent=2, ensure_ascii=False) + "\n",
        "context.schema.json": json.dumps(context, indent=2, ensure_ascii=False) + "\n",
        "disposition.schema.json": json.dumps(disposition, indent=2, ensure_ascii=False) + "\n",
        "asyncapi.yaml": "# made by `python -m streams.schemas`\n" + interface,
    }


def main(folder: str = FOLDER) -> None:
    """Write all files to a folder."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (target / name).write_text(text, encoding="utf-8")
        print(target / name)


if __name__ == "__main__":
    main(*sys.argv[1:2])
