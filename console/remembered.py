"""Answers that take long to work out: given again for a while, and worked out anew behind people's backs.

An answer that comes quickly is worked out for everybody who asks. One that takes longer is kept for twenty times as
long as it took, then worked out again in the background, while the old one still serves: so such a question takes at
most a twentieth of one core, however often it is asked, and nobody but the first waits for it. The first is upkeep,
which asks every few seconds (`console/upkeep.py`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

__all__ = ["Remembered"]

QUICK: Final = 0.1
"""Seconds that anybody may wait."""
SHARE: Final = 0.05
"""Of one core, at most, for each question."""

log = logging.getLogger(__name__)
T = TypeVar("T")


class Remembered:
    """Answers by the name of their question.

    Parameters
    ----------
    timer : callable
        Seconds that only go forward.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[Any, float, float]] = {}
        self._busy: set[str] = set()

    def get(self, question: str, work: Callable[[], T]) -> T:
        """Return what `work` returns, or returned a while ago.

        Parameters
        ----------
        question : str
        work : callable
            May run in another thread, after this has returned.
        """
        with self._lock:
            answer, at, took = self._answers.get(question, (None, 0.0, 0.0))
            fresh = took > QUICK and self._timer() - at < took / SHARE
            refresh = took > QUICK and not fresh and question not in self._busy
            if refresh:
                self._busy.add(question)
        if took <= QUICK:
            return self._work(question, work)
        if refresh:
            threading.Thread(target=self._again, args=(question, work), name=f"again: {question}", daemon=True).start()
        return answer  # type: ignore[no-any-return]  # whoever asks the same question does the same work

    def _work(self, question: str, work: Callable[[], T]) -> T:
        began = self._timer()
        answer = work()
        ended = self._timer()
        with self._lock:
            self._answers[question] = (answer, ended, ended - began)
        return answer

    def _again(self, question: str, work: Callable[[], Any]) -> None:
        try:
            self._work(question, work)
        except Exception:
            log.exception("The answer to %r is still an old one.", question)
        finally:
            with self._lock:
                self._busy.discard(question)
