"""Whose turn it is to write: people first, in the order in which they came, and what runs by itself after them.

SQLite has one writer at a time. Who finds it busy asks again, after pauses that grow to a tenth of a second, so that a
thread which writes all the time is hardly ever overtaken. Here a turn is handed on instead, from whoever ends to who
is next. It is for the threads of one process; between processes SQLite's own lock holds, which is taken after the turn.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["Turns"]

IN_A_ROW: Final = 8
"""How many people pass one who gives way: otherwise flags would never come in while very many people work."""
ABOUT_SECONDS: Final = 600.0
"""Who looked so long ago may look again."""


class Turns:
    """Turns to write.

    Parameters
    ----------
    patience : float
        How long anybody waits, in seconds.
    timer : callable
        Seconds, from whenever on.
    """

    def __init__(self, patience: float, timer: Callable[[], float] = time.monotonic) -> None:
        self.patience = patience
        self._timer = timer
        self._came_at: float | None = None
        self._guard = threading.Lock()
        self._taken = False
        self._passed = 0
        self._people: deque[threading.Event] = deque()
        self._others: deque[threading.Event] = deque()

    @property
    def awaited(self) -> bool:
        """Whether somebody waits who does not give way."""
        return bool(self._people)

    @property
    def about(self) -> bool:
        """Whether somebody who does not give way came a while ago at most."""
        return self._came_at is not None and self._timer() - self._came_at < ABOUT_SECONDS

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._people) + len(self._others)

    @contextmanager
    def turn(self, *, gives_way: bool = False) -> Iterator[None]:
        """Wait for a turn, and hand it on at the end.

        Parameters
        ----------
        gives_way : bool
            People go first.

        Raises
        ------
        TimeoutError
            If it does not come in time.
        """
        if not gives_way:
            self._came_at = self._timer()
        self._take(self._others if gives_way else self._people)
        try:
            yield
        finally:
            self._hand_on()

    def _take(self, queue: deque[threading.Event]) -> None:
        with self._guard:
            if not self._taken:  # then nobody waits either: a turn that ends goes to whoever does
                self._taken = True
                return
            mine = threading.Event()
            queue.append(mine)
        if mine.wait(self.patience):
            return
        with self._guard:
            if mine.is_set():  # it came at the last moment
                return
            queue.remove(mine)
        raise TimeoutError(f"the database was busy for {self.patience:g} seconds")

    def _hand_on(self) -> None:
        with self._guard:
            if self._people and not (self._others and self._passed >= IN_A_ROW):
                self._passed = self._passed + 1 if self._others else 0
                self._people.popleft().set()
            elif self._others:
                self._passed = 0
                self._others.popleft().set()
            else:
                self._taken = False
                self._passed = 0
