"""Rows of features for tests of detectors: `rows(n, minors_7d=5, ...)`; what is not named is 0 or unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

import tests.strategies  # noqa: F401  loads the profile with no deadlines
from graph.batch import AgeBand, EventKind, Role
from graph.state import (
    ACCEPTED,
    BLOCKED,
    COLUMNS,
    CONTACT,
    CORRECTED,
    DAY,
    DECLINED,
    FEATURES,
    FIRST,
    IGNORED,
    LINKED,
    LONE,
    MINOR,
    OUTCOME,
    PENDING,
    REPLIED,
    REPORTED,
    SIGNED,
    SILENCE,
    STRANGER,
    WITHDRAWN,
)

__all__ = ["NOW", "any_rows", "random_rows", "rows"]

NOW = 1_767_225_600_000 + 10 * DAY
ANSWERS = {
    int(EventKind.REQUEST_ACCEPTED): ACCEPTED,
    int(EventKind.REQUEST_DECLINED): DECLINED,
    int(EventKind.MESSAGE_SENT): REPLIED,
    int(EventKind.REQUEST_SENT): REPLIED,
    int(EventKind.ACCOUNT_BLOCKED): BLOCKED,
    int(EventKind.ACCOUNT_REPORTED): REPORTED,
}
"""What an event says of the contact that it answers."""
BITS = (STRANGER, LINKED, MINOR, ACCEPTED, DECLINED, IGNORED, BLOCKED, REPORTED, REPLIED, LONE)


def rows(n: int, **columns: Any) -> NDArray[np.void]:
    """Return `n` rows of adults' first contacts, one account each, an hour's contacts at one time."""
    table = np.zeros(n, FEATURES)
    table["time"] = NOW
    table["age"] = AgeBand.AGE_21_PLUS
    table["account"] = np.arange(n)
    table["hash"] = np.arange(n) + 1
    table["what"] = FIRST
    table["flags"] = CONTACT | STRANGER | MINOR
    table["created"] = NOW // 1000 - 400 * 86_400
    for name, value in columns.items():
        if name in COLUMNS:
            table["counts"][:, COLUMNS.index(name)] = value
        else:
            table[name] = value
    return table


def random_rows(seed: int, n: int, accounts: int = 5, biggest: int = 60) -> NDArray[np.void]:
    """Return rows of a few accounts, nearly in order of time, of which everything else may be anything."""
    rng = np.random.Generator(np.random.PCG64(seed))
    table = np.zeros(n, FEATURES)
    table["counts"] = rng.integers(0, biggest, table["counts"].shape)
    table["account"] = 900 * rng.integers(0, accounts, n)
    table["hash"] = table["account"] + 1
    table["time"] = NOW + np.cumsum(rng.integers(-DAY // 40, DAY // 4, n))
    table["age"] = rng.integers(0, 6, accounts)[table["account"] // 900]
    table["target_age"] = rng.integers(0, 6, n)
    table["created"] = rng.choice([0, 1, NOW // 1000 - 3600, 2**32 - 1], n)
    table["roles"] = rng.choice([0, 0, 0, Role.EDUCATOR, Role.MODERATOR, 0xFFFF], n)
    for bit in BITS:
        table["flags"] |= np.where(rng.random(n) < 0.35, np.uint16(bit), np.uint16(0))
    table["flags"] |= np.where(rng.random(n) < 0.9, np.uint16(CONTACT), np.uint16(0))
    table["flags"] |= np.where(rng.random(n) < 0.05, np.uint16(PENDING), np.uint16(0))
    table["what"] = rng.choice([*[FIRST] * 4, *[OUTCOME, SILENCE, SIGNED] * 2, WITHDRAWN, CORRECTED], n)
    table["kind"] = rng.choice(list(ANSWERS), n)
    said = np.array([ANSWERS[kind] for kind in table["kind"].tolist()], np.uint16)
    table["flags"] |= np.where(table["what"] == OUTCOME, said, np.uint16(0))
    table["signs"] = np.where(rng.random(n) < 0.3, rng.integers(0, 512, n), 0)
    table["new_signs"] = table["signs"] & np.where(rng.random(n) < 0.5, rng.integers(0, 512, n), 0)
    table["messages"] = rng.integers(0, 128, n)
    table["waited"] = rng.choice([0, 3600, 12 * 3600 - 1, 12 * 3600, 100 * 3600, 2**32 - 1], n)
    for name in ("callers", "suspects", "shared", "sharers"):
        table[name] = rng.choice([0, 0, 1, 2, 7, 255], n)
    table["friends"] = rng.integers(0, 500, n)
    return table


@st.composite
def any_rows(draw: st.DrawFn, most: int = 40) -> NDArray[np.void]:
    """Tables of random rows."""
    return random_rows(draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, most)), biggest=draw(st.integers(1, 60)))
