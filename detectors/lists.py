"""Lists of accounts that a team keeps: known educators, partners, accounts under review. Every entry ends some day.

A list says something about an account until a time. It can be asked for in a rule (`listed_<name>`), and a policy can
let the flags of listed accounts rest (`suppress`), up to a severity. What counts is event time, so that a replay finds
what was found live.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Lists"]


class Lists:
    """Who stands on which list until when; it does not change.

    Parameters
    ----------
    entries : iterable of (str, int, int)
        List, account's hash, and the time from which it no longer counts, epoch ms. Of several for one account the
        latest end holds.

    Examples
    --------
    >>> lists = Lists([("partners", 7, 1000)])
    >>> lists.holds("partners", np.array([7, 7, 8], np.uint64), np.array([999, 1000, 0])).tolist()
    [True, False, False]
    """

    def __init__(self, entries: Iterable[tuple[str, int, int]] = ()) -> None:
        latest: dict[str, dict[int, int]] = {}
        for name, key, until in entries:
            own = latest.setdefault(name, {})
            own[key] = max(until, own.get(key, until))
        self._tables: dict[str, tuple[NDArray[np.uint64], NDArray[np.int64]]] = {}
        for name, own in latest.items():
            keys = np.array(sorted(own), np.uint64)
            self._tables[name] = keys, np.array([own[key] for key in keys.tolist()], np.int64)

    def __len__(self) -> int:
        return sum(len(keys) for keys, _ in self._tables.values())

    def holds(self, name: str, keys: NDArray[Any], times: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which accounts (hashes) stand on a list at a time (epoch ms)."""
        if name not in self._tables:
            return np.zeros(len(keys), np.bool_)
        known, until = self._tables[name]
        at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        held: NDArray[np.bool_] = (known[at] == keys) & (times < until[at])
        return held
