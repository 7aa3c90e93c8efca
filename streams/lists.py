"""Lists of accounts from files: YAML (a list of entries) or JSON Lines, one entry an account, each with its end.

::

    {"list": "educators", "account_id": "u17", "until": "2027-07-31", "note": "checked by the school"}

`until` is a date (to its end, UTC) or a time with an offset; from then on the entry no longer counts. `note` is for the
team, and is not kept. Account ids are turned into hashes at once.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml

from detectors.lists import Lists
from detectors.policy import Policy
from streams.cli import UserError
from streams.hashing import hash_id
from streams.timestamps import epoch_ms

__all__ = ["read_lists"]

DAY = 86_400_000


class _Entry(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    whom: Annotated[str, msgspec.Meta(min_length=1)] = msgspec.field(name="list")
    account_id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    until: str
    note: str = ""


def read_lists(paths: tuple[str, ...], policy: Policy) -> Lists:
    """Read files of entries for the lists that a policy names.

    Raises
    ------
    UserError
        If one cannot be read, or an entry is none: in which file, and where.
    """
    return Lists(itertools.chain.from_iterable(_entries(path, set(policy.lists)) for path in paths))


def _entries(path: str, known: set[str]) -> Iterator[tuple[str, int, int]]:
    for where, raw in _raw(path):
        try:
            entry = msgspec.convert(raw, _Entry)
        except msgspec.ValidationError as problem:
            raise UserError(f"lists {path}, {where}: {problem}") from None
        if entry.whom not in known:
            raise UserError(f"lists {path}, {where}: no list {entry.whom!r} in the policy; name it under `lists`")
        yield entry.whom, hash_id(entry.account_id), _end(entry.until, f"lists {path}, {where}")


def _raw(path: str) -> Iterator[tuple[str, Any]]:
    """Yield what the entries say, with where each stands."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as problem:
        raise UserError(f"lists {path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"lists {path}: not UTF-8") from None
    if path.endswith((".yaml", ".yml")):
        try:
            document = yaml.load(text, Loader=_Texts)  # noqa: S506  a safe loader, of which dates stay text
        except (yaml.YAMLError, RecursionError, ValueError) as problem:
            mark = getattr(problem, "problem_mark", None)
            at = f", line {mark.line + 1}" if mark else ""
            raise UserError(f"lists {path}{at}: not YAML") from None
        if document is None:
            return
        if not isinstance(document, list):
            raise UserError(f"lists {path}: expected a list of entries")
        yield from ((f"entry {i}", entry) for i, entry in enumerate(document, 1))
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield f"line {number}", msgspec.json.decode(line)
            except msgspec.DecodeError as problem:
                raise UserError(f"lists {path}, line {number}: not JSON: {problem}") from None


class _Texts(yaml.SafeLoader):
    """Reads plain values as text: a date as it was written, and an account id of digits only as an id."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012  yaml looks for it in the class


def _end(until: str, where: str) -> int:
    """Return when an entry ends, epoch ms."""
    try:
        if "T" in until.upper():
            return epoch_ms(until)
        return epoch_ms(f"{datetime.date.fromisoformat(until)}T00:00:00Z") + DAY
    except ValueError:
        raise UserError(f"{where}: until {until!r} is no time; expected 2027-07-31 or 2027-07-31T12:00:00Z") from None
