"""Statements about README.md and docs/: links lead somewhere, commands exist, and every example is what it says."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import msgspec
import pytest
import yaml

from console.rules import Rules
from detectors.policy import load_policy
from streams.cli import cli
from streams.decode import EventDecoder
from streams.settings import KafkaSettings, TopicNames

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
TEXTS = {name: page.read_text(encoding="utf-8") for name, page in zip(NAMES, PAGES, strict=True)}
FLAG = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/schemas/flag.schema.json").read_text()))
EVENT = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/schemas/event.schema.json").read_text()))
# after every example; the decoder is told, it reads no clock
NOT_AFTER = 1_900_000_000_000

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def fences(text: str, language: str) -> list[str]:
    """Return the code blocks of a language."""
    return [body for tag, body in FENCE.findall(text) if tag == language]


def json_examples(text: str) -> Iterator[dict[str, Any]]:
    """Yield every JSON object in the JSON blocks: one over several lines, or one a line."""
    for block in fences(text, "json"):
        rest = block.strip()
        while rest:
            found, end = json.JSONDecoder().raw_decode(rest)
            yield found
            rest = rest[end:].strip()


def anchors(text: str) -> set[str]:
    """Return the anchors that headings make, as GitHub does."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(text: str) -> Iterator[list[str]]:
    """Yield every call of `kithwatch` in code, as words."""
    code = [body.replace("\\\n", " ") for _, body in FENCE.findall(text)]
    code += [span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", FENCE.sub("", text))]
    for piece in code:
        for line in piece.splitlines():
            for call in re.findall(r"(?:^|[\s&(])kithwatch ([a-z][^&|`)]*)", line):
                yield shlex.split(call, comments=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_relative_link_leads_to_a_file_and_a_heading(name: str) -> None:
    broken = []
    for link in LINK.findall(FENCE.sub("", TEXTS[name])):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        there = file.exists() and file.resolve().is_relative_to(ROOT)
        if not there or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_option_exists(name: str) -> None:
    wrong = []
    for words in commands(TEXTS[name]):
        command = cli.get_command(click.Context(cli), words[0])
        if command is None:
            wrong.append(words[0])
            continue
        known = {opt for parameter in command.params for opt in parameter.opts} | {"--help", "-h"}
        for word in words[1:]:  # the command and its subcommands, each with its own options
            if isinstance(command, click.Group) and word in command.commands:
                command = command.commands[word]
                known |= {opt for parameter in command.params for opt in parameter.opts}
        wrong += [" ".join(words) for word in words[1:] if word.startswith("--") and word.split("=")[0] not in known]
    assert wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_every_example_of_an_event_decodes_and_every_flag_is_valid(name: str) -> None:
    for example in json_examples(TEXTS[name]):
        if example["type"].startswith("flag."):
            FLAG.validate(example)
        else:
            EVENT.validate(example)
            decoded = EventDecoder().decode([json.dumps(example).encode()], not_after=NOT_AFTER)
            assert not decoded.rejected, (example, decoded.rejected)


def test_the_guide_has_an_example_of_every_type_of_event() -> None:
    shown = {example["type"] for example in json_examples(TEXTS["docs/connecting.md"])}
    assert shown == types_in(json.loads((ROOT / "docs/schemas/event.schema.json").read_text()))


def types_in(schema: Any) -> set[str]:
    """Return the values that `type` may have, wherever the schema says so."""
    if isinstance(schema, list):
        return set().union(*(types_in(part) for part in schema), set())
    if not isinstance(schema, dict):
        return set()
    named = schema.get("properties", {}).get("type", {})
    here = set(named.get("enum", [])) | ({named["const"]} if "const" in named else set())
    return here.union(*(types_in(part) for part in schema.values()), set())


@pytest.mark.parametrize("name", NAMES)
def test_every_policy_shown_can_be_used(name: str) -> None:
    for block in fences(TEXTS[name], "yaml"):
        if isinstance(yaml.safe_load(block), dict):
            if name == "docs/console.md":  # the console's rules, which are no policy
                msgspec.yaml.decode(block, type=Rules)
            else:
                load_policy(block)


def test_topics_and_variables_in_the_guide_are_those_of_the_program() -> None:
    guide = TEXTS["docs/connecting.md"]
    for field in TopicNames.__struct_fields__:
        variable = f"KITHWATCH_TOPIC_{field.upper()}"
        assert f"| `{getattr(TopicNames(), field)}` | `{variable}` |" in guide
        assert getattr(KafkaSettings.from_env(environ={variable: "x"}).topics, field) == "x"


def python_blocks() -> list[dict[str, Any]]:
    """Run the Python examples of the guide as modules: their `main` is not called."""
    found = []
    for block in fences(TEXTS["docs/connecting.md"], "python"):
        scope: dict[str, Any] = {"__name__": "example"}
        exec(compile(block, "docs/connecting.md", "exec"), scope)
        found.append(scope)
    return found


def test_the_consumer_in_the_guide_is_idempotent_and_keeps_the_peak() -> None:
    take = next(scope["take"] for scope in python_blocks() if "take" in scope)
    raised = next(e for e in json_examples(TEXTS["README.md"]) if e["type"] == "flag.raised")
    updated = raised | {"type": "flag.updated", "score": raised["score"] / 2, "severity": "low"}
    cases: dict[str, dict[str, Any]] = {}
    for flag in (raised, raised, updated, raised, updated, raised | {"flag_id": "other", "shadow": True}):
        take(cases, json.dumps(flag).encode())
    assert list(cases) == [raised["flag_id"]]
    case = cases[raised["flag_id"]]
    assert (case["score"], case["peak_score"], case["retracted"]) == (raised["score"] / 2, raised["score"], False)
    take(cases, json.dumps(raised | {"type": "flag.retracted"}).encode())
    assert cases[raised["flag_id"]]["retracted"]


def test_the_mending_of_dead_letters_in_the_guide_makes_them_decode() -> None:
    mend = next(scope["mend"] for scope in python_blocks() if "mend" in scope)
    broken = b'{"type":"account.deleted","event_id":"e","occurred_at":"unknown","actor_id":"u"}'
    decoder = EventDecoder()
    assert decoder.decode([broken], not_after=NOT_AFTER).rejected[0].reason.startswith("`occurred_at`")
    assert not decoder.decode([mend(broken)], not_after=NOT_AFTER).rejected


@pytest.mark.parametrize("name", NAMES)
def test_nothing_points_outside_the_repository(name: str) -> None:
    assert re.findall(r"(?<![\w.])/(?:work|home|root|tmp|Users)/\S*|\bshared/\S*", TEXTS[name]) == []


def test_decisions_are_numbered_without_gaps_and_say_what_they_cost() -> None:
    papers = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [int(paper.name[:4]) for paper in papers] == list(range(1, len(papers) + 1))
    for paper in papers:
        text = paper.read_text(encoding="utf-8")
        assert text.startswith(f"# {int(paper.name[:4])}. "), paper.name
        assert re.search(r"decision", text, re.IGNORECASE), paper.name
        assert re.search(r"cost", text, re.IGNORECASE), paper.name


CODE_PATH = re.compile(r"`((?:streams|graph|detectors|simulation|console|benchmarks|deploy|tests|docs)/[\w./-]+\.\w+)`")
CODE_NAME = re.compile(r"`((?:streams|graph|detectors|simulation)(?:\.\w+)+)`")


@pytest.mark.parametrize("name", NAMES)
def test_the_code_that_is_named_exists(name: str) -> None:
    text = FENCE.sub("", TEXTS[name])
    assert [path for path in CODE_PATH.findall(text) if not (ROOT / path).exists()] == []
    assert [dotted for dotted in CODE_NAME.findall(text) if not resolves(dotted)] == []


def resolves(dotted: str) -> bool:
    """Tell whether a dotted name is a module, or something in one."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_every_dependency_has_its_reason() -> None:
    paper = TEXTS["docs/decisions/0009-dependencies.md"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert listed is not None
    names = re.findall(r'^ *"([\w-]+)', listed[1], re.MULTILINE)
    assert sorted(re.findall(r"^\| ([a-z][\w-]*) \|", paper, re.MULTILINE)) == sorted([*names, "package"])
