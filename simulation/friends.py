"""The simulation's own friendship graph: one row of neighbours an account, of fixed width."""

from __future__ import annotations

from typing import Final

import numpy as np

from simulation.rows import Array

__all__ = ["WIDTH", "Friends"]

WIDTH: Final = 96
"""Friends remembered an account; with more, a random one is forgotten (by the simulation only)."""


class Friends:
    """Friendships among `accounts` accounts; every method works on whole arrays of pairs.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> friends = Friends(4)
    >>> friends.add(rng, np.array([0, 1, 2]), np.array([1, 2, 3]))
    >>> friends.mutual(np.array([0, 0]), np.array([2, 3])).tolist()
    [1, 0]
    """

    def __init__(self, accounts: int) -> None:
        self.table = np.full((accounts, WIDTH), -1, np.int32)
        self.degree = np.zeros(accounts, np.int32)

    def add(self, rng: np.random.Generator, a: Array, b: Array) -> None:
        """Make friendships; pairs must be distinct and not friends yet."""
        one, other = np.concatenate([a, b]), np.concatenate([b, a])
        order = np.argsort(one, kind="stable")
        one, other = one[order], other[order]
        starts = np.searchsorted(one, one, side="left")
        place = self.degree[one] + (np.arange(len(one)) - starts)
        full = place >= WIDTH
        place[full] = rng.integers(0, WIDTH, int(full.sum()))
        self.table[one, place] = other
        self.degree += np.bincount(one, minlength=len(self.degree)).astype(np.int32)
        np.minimum(self.degree, WIDTH, out=self.degree)

    def remove(self, a: Array, b: Array) -> None:
        """End friendships, where they are."""
        for one, other in (*zip(a.tolist(), b.tolist(), strict=True), *zip(b.tolist(), a.tolist(), strict=True)):
            held = self.table[one]
            for place in np.flatnonzero(held == other).tolist():
                last = self.degree[one] - 1
                held[place], held[last] = held[last], -1
                self.degree[one] = last

    def are(self, a: Array, b: Array) -> Array:
        """Return whether each pair are friends."""
        found: Array = (self.table[a] == b[:, None]).any(axis=1) | (self.table[b] == a[:, None]).any(axis=1)
        return found

    def mutual(self, a: Array, b: Array) -> Array:
        """Return the number of mutual friends of each pair."""
        counts = np.zeros(len(a), np.int64)
        for begin in range(0, len(a), 2048):
            piece = slice(begin, begin + 2048)
            left, right = a[piece], b[piece]
            wide = max(1, int(self.degree[left].max())), max(1, int(self.degree[right].max()))
            ours, theirs = self.table[left, : wide[0]], self.table[right, : wide[1]]
            total = np.zeros(len(left), np.int64)
            for column in range(wide[0]):
                friend = ours[:, column, None]
                total += ((friend == theirs) & (friend >= 0)).any(axis=1)
            counts[piece] = total
        return counts

    def pick(self, rng: np.random.Generator, of: Array) -> Array:
        """Return a random friend of each account, -1 where there is none."""
        place = (rng.random(len(of)) * self.degree[of]).astype(np.int64)
        chosen: Array = np.where(self.degree[of] > 0, self.table[of, place], -1)
        return chosen

    def pick_close(self, rng: np.random.Generator, of: Array) -> Array:
        """Return a friend of each account, the first ones far more often: people talk to a few."""
        place = (rng.random(len(of)) ** 2.5 * self.degree[of]).astype(np.int64)
        chosen: Array = np.where(self.degree[of] > 0, self.table[of, place], -1)
        return chosen

    def pick_second(self, rng: np.random.Generator, of: Array) -> Array:
        """Return a random friend of a friend of each account, -1 where there is none."""
        middle = self.pick(rng, of)
        chosen: Array = np.where(middle >= 0, self.pick(rng, np.maximum(middle, 0)), -1)
        return chosen
