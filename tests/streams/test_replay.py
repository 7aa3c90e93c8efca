"""`kithwatch replay`: files in, flags out, and what is refused; run as users run it, in a process of its own."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import zstandard

from simulation.scenarios import build
from streams.vocabulary import DETECTORS

KITHWATCH = [sys.executable, "-c", "from streams.cli import main; main()"]
SCHEMA = json.loads(Path("docs/schemas/flag.schema.json").read_text(encoding="utf-8"))


def replay(*arguments: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [*KITHWATCH, "replay", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def lines() -> bytes:
    return b"".join(build("demo", 3, accounts=800, days=3).lines())


@pytest.fixture(scope="module")
def events(lines: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("replay") / "events.jsonl"
    path.write_bytes(lines)
    return path


@pytest.fixture(scope="module")
def flags(events: Path) -> bytes:
    done = replay(events, "--flags", events.with_name("flags.jsonl"))
    assert done.returncode == 0, done.stderr.decode()
    return events.with_name("flags.jsonl").read_bytes()


def test_flags_are_as_the_schema_says_and_say_what_the_summary_says(events: Path, flags: bytes) -> None:
    check = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
    found = [json.loads(line) for line in flags.splitlines()]
    assert found
    for flag in found:
        check.validate(flag)
        assert flag["window"]["end"] == flag["updated_at"] >= flag["raised_at"]
        assert len(flag["evidence"]["targets"]) <= 20
    assert {flag["detector"] for flag in found} <= set(DETECTORS)
    first = {}
    for flag in found:
        assert flag["type"] == ("flag.updated" if flag["flag_id"] in first else "flag.raised")
        first.setdefault(flag["flag_id"], flag)
        assert flag["raised_at"] == first[flag["flag_id"]]["raised_at"]
    done = replay(events, "--flags", "-")
    assert done.stdout == flags  # to the byte, from run to run
    said = done.stderr.decode()
    assert f"{len(events.read_bytes().splitlines()):,} events" in said
    assert f"{len(found):,} flag records" in said


@pytest.mark.parametrize("packed", ["gz", "zst", "stdin", "stdin.gz", "two"])
def test_files_in_every_form_give_the_same_flags(lines: bytes, flags: bytes, packed: str, tmp_path: Path) -> None:
    arguments: list[object] = [tmp_path / "events"]
    stdin = None
    if packed == "gz":
        (tmp_path / "events").write_bytes(gzip.compress(lines, 1))
    elif packed == "zst":
        (tmp_path / "events").write_bytes(zstandard.compress(lines, 1))
    elif packed.startswith("stdin"):
        arguments, stdin = ["-"], gzip.compress(lines, 1) if packed.endswith("gz") else lines
    else:
        whole = lines.splitlines(keepends=True)
        (tmp_path / "events").write_bytes(b"".join(whole[:1001]))
        (tmp_path / "more").write_bytes(b"".join(whole[1001:]).rstrip(b"\n"))
        arguments.append(tmp_path / "more")
    done = replay(*arguments, "--flags", tmp_path / "flags", stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "flags").read_bytes() == flags


def test_what_is_refused_costs_a_dead_letter_and_nothing_else(lines: bytes, flags: bytes, tmp_path: Path) -> None:
    whole = lines.splitlines(keepends=True)
    bad = {
        5: b"{broken\n",
        6: b'{"type":"poke","event_id":"x","occurred_at":1791158400000,"actor_id":"a"}\n',
        900: b'{"type":"account.deleted","event_id":"y","occurred_at":"2100-01-01T00:00:00Z","actor_id":"a"}\n',
        901: b"\xff\xfe not text\n",
        902: b'{"type":"message.sent","event_id":"z","occurred_at":"soon","actor_id":"a","target_id":"b"}\n',
        2000: b'{"x":"' + b"a" * 70_000 + b'"}\n',
    }
    for number, line in sorted(bad.items()):
        whole.insert(number - 1, line)
    (tmp_path / "events").write_bytes(b"".join(whole))
    done = replay(tmp_path / "events", "--flags", tmp_path / "flags", "--dead-letters", tmp_path / "dead")
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "flags").read_bytes() == flags
    letters = records(tmp_path / "dead")
    assert [letter["line"] for letter in letters] == sorted(bad)
    assert all(letter["error"] and letter["file"] == str(tmp_path / "events") for letter in letters)
    for letter in letters[:-1]:
        raw = letter["record"].encode() if "record" in letter else base64.b64decode(letter["record_base64"])
        assert raw + b"\n" == bad[letter["line"]]
    assert f"{len(bad)} refused" in done.stderr.decode()


def test_raise_after_leaves_out_the_past(events: Path, flags: bytes, tmp_path: Path) -> None:
    all_flags = [json.loads(line) for line in flags.splitlines()]
    middle = sorted(flag["raised_at"] for flag in all_flags)[len(all_flags) // 2]
    done = replay(events, "--flags", tmp_path / "flags", "--raise-after", middle)
    assert done.returncode == 0, done.stderr.decode()
    late = records(tmp_path / "flags")
    assert late
    assert min(flag["updated_at"] for flag in late) >= middle
    assert {flag["flag_id"] for flag in late} <= {flag["flag_id"] for flag in all_flags}


def test_a_policy_changes_flags_and_their_version(events: Path, flags: bytes, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("detectors: {mass_add: {enabled: false}}\n")
    done = replay(events, "--flags", tmp_path / "flags", "--policy", tmp_path / "policy.yaml")
    assert done.returncode == 0, done.stderr.decode()
    found = records(tmp_path / "flags")
    assert found
    assert "mass_add" not in {flag["detector"] for flag in found}
    versions = {flag["policy_version"] for flag in found}
    assert len(versions) == 1
    assert versions != {json.loads(flags.splitlines()[0])["policy_version"]}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.jsonl", "--flags", "out"], "nowhere.jsonl"),
        (["folder", "--flags", "out"], "folder"),
        (["events", "--flags", "no/such/folder/out"], "cannot be written"),
        (["events", "--flags", "out", "--dead-letters", "folder"], "cannot be written"),
        (["events", "--flags", "out", "--policy", "bad.yaml"], "mass_ad"),
        (["events", "--flags", "out", "--policy", "nowhere.yaml"], "nowhere.yaml"),
        (["events", "--flags", "out", "--policy", "folder"], "folder"),
        (["events", "--flags", "out", "--policy", "binary"], "UTF-8"),
        (["events", "--flags", "out", "--raise-after", "yesterday"], "yesterday"),
        (["events", "--flags", "out", "--raise-after", "99999999999999999"], "raise-after"),
        (["damaged.gz", "--flags", "out"], "damaged.gz"),
        (["events", "--flags", "events"], "read from"),
        (["events"], "--flags"),
        (["--flags", "out"], "FILE"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments: list[str], says: str, tmp_path: Path) -> None:
    good = b'{"type":"account.deleted","event_id":"x","occurred_at":1791158400000,"actor_id":"a"}\n'
    (tmp_path / "events").write_bytes(good)
    (tmp_path / "folder").mkdir()
    (tmp_path / "bad.yaml").write_text("detectors: {mass_ad: {}}")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "damaged.gz").write_bytes(gzip.compress(good * 1000)[:-30])
    placed = [a if a.startswith("--") or re.fullmatch(r"\d+|yesterday", a) else str(tmp_path / a) for a in arguments]
    done = replay(*placed)
    said = done.stderr.decode()
    assert done.returncode == 2, said
    assert len(said.splitlines()) == 1
    assert says in said
    assert "Traceback" not in said
    assert (tmp_path / "events").read_bytes() == good


def test_a_full_disk_is_one_line(events: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = replay(events, "--flags", "/dev/full")
    said = done.stderr.decode()
    assert done.returncode == 1
    assert len(said.splitlines()) == 1
    assert "/dev/full" in said


def test_an_empty_file_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "events").write_bytes(b"")
    done = replay(tmp_path / "events", "--flags", tmp_path / "flags")
    assert done.returncode == 0
    assert (tmp_path / "flags").read_bytes() == b""
