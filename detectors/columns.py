"""The columns that a team's rules can read of a row: counts, sums, evidence, facts and lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.cohorts import ADULT, MINOR, UNKNOWN_AGE, YOUNG_ADULT
from detectors.evidence import DETECTORS, MEMBER, add_up
from detectors.expressions import Kind
from detectors.judge import Judged
from detectors.lists import Lists
from detectors.sums import SUMS
from graph.batch import Role, Sign
from graph.state import COLUMNS, CONTACT, FIRST, SIGNED, SILENCE, STRANGER
from graph.state import MINOR as WITH_MINOR

__all__ = ["LISTED", "columns_of", "value_of", "vocabulary"]

LISTED: Final = "listed_"
Column = Callable[[NDArray[np.void], Judged], NDArray[Any]]


def _count(j: int) -> Column:
    return lambda table, judged: table["counts"][:, j].astype(np.float64)


def _plain(name: str) -> Column:
    return lambda table, judged: table[name].astype(np.float64)


def _recent(j: int) -> Column:
    return lambda table, judged: judged.sums[:, j].astype(np.float64)


def _group(group: int) -> Column:
    return lambda table, judged: judged.cohort // 4 == group


def _bit(name: str, bit: int) -> Column:
    return lambda table, judged: (table[name] & bit) != 0


def _what(which: int) -> Column:
    return lambda table, judged: table["what"] == which


def _account_age(table: NDArray[np.void], judged: Judged) -> NDArray[np.float64]:
    created = table["created"].astype(np.float64)
    return np.where(created > 0, (table["time"] / 1000.0 - created) / 86_400.0, np.nan)


def _nats(table: NDArray[np.void], judged: Judged) -> NDArray[np.float64]:
    return judged.total


def _nats_of(d: int) -> Column:
    def column(table: NDArray[np.void], judged: Judged) -> NDArray[np.float64]:
        own = np.empty((len(table), 1))
        add_up(judged.nats, np.arange(len(table)), MEMBER[:, d : d + 1], own)
        return own[:, 0]

    return column


_NUMBERS: Final[dict[str, Column]] = {
    **{name: _count(j) for j, name in enumerate(COLUMNS)},
    **{name: _plain(name) for name in ("friends", "triangles", "messages", "shared", "sharers", "callers", "suspects")},
    "account_age_days": _account_age,
    **{f"recent_{name}": _recent(j) for j, name in enumerate(SUMS)},
    "nats": _nats,
    **{f"nats_{name}": _nats_of(d) for d, name in enumerate(DETECTORS)},
}
_TRUTHS: Final[dict[str, Column]] = {
    "minor": _group(MINOR),
    "young_adult": _group(YOUNG_ADULT),
    "adult": _group(ADULT),
    "unknown_age": _group(UNKNOWN_AGE),
    **{str(role.name).lower(): _bit("roles", role) for role in Role if role is not Role.OTHER},
    "first_contact": _what(FIRST),
    "silence": _what(SILENCE),
    "new_sign": _what(SIGNED),
    "to_contact": _bit("flags", CONTACT),
    "to_stranger": _bit("flags", STRANGER),
    "to_minor": _bit("flags", WITH_MINOR),
    **{f"sign_{str(sign.name).lower()}": _bit("signs", sign) for sign in Sign},
}


def vocabulary(lists: tuple[str, ...] = ()) -> Mapping[str, Kind]:
    """Return the names a rule can use, with their types.

    Parameters
    ----------
    lists : tuple of str
        The policy's lists; each can be asked for as `listed_<name>`.
    """
    numbers: dict[str, Kind] = dict.fromkeys(_NUMBERS, "number")
    truths: dict[str, Kind] = dict.fromkeys(_TRUTHS, "truth")
    return numbers | truths | dict.fromkeys((LISTED + name for name in lists), "truth")


def columns_of(
    names: tuple[str, ...], table: NDArray[np.void], judged: Judged, lists: Lists
) -> dict[str, NDArray[Any]]:
    """Return columns by name: float64 or bool, shape (n,)."""
    found: dict[str, NDArray[Any]] = {}
    for name in names:
        if name.startswith(LISTED):
            found[name] = lists.holds(name.removeprefix(LISTED), table["hash"], table["time"])
        else:
            column = _NUMBERS.get(name) or _TRUTHS[name]
            found[name] = column(table, judged)
    return found


def value_of(column: NDArray[Any], i: int) -> float | None:
    """Return a value as a flag tells it: a number of three places, yes as 1 and no as 0; None where it is unknown."""
    value = float(column[i])
    return round(value, 3) if np.isfinite(value) else None
