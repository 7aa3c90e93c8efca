"""Answers that take long are given again for a while; quick ones never."""

from __future__ import annotations

import threading
from collections.abc import Callable

from console.remembered import Remembered


class Timer:
    """Time that goes forward when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def counting(timer: Timer, seconds: float) -> Callable[[], int]:
    """Return work that takes `seconds` and returns how often it was done."""
    done = 0

    def work() -> int:
        nonlocal done
        done += 1
        timer.now += seconds
        return done

    return work


def ended() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("again:"):
            thread.join(30)


def test_a_quick_answer_is_always_the_newest() -> None:
    timer = Timer()
    remembered, work = Remembered(timer), counting(timer, 0.05)
    assert [remembered.get("q", work) for _ in range(3)] == [1, 2, 3]


def test_a_slow_answer_serves_twenty_times_as_long_as_it_took() -> None:
    timer = Timer()
    remembered, work = Remembered(timer), counting(timer, 2.0)
    assert remembered.get("q", work) == 1
    timer.now += 39.9
    assert remembered.get("q", work) == 1
    ended()
    assert remembered.get("q", work) == 1
    timer.now += 0.2
    assert remembered.get("q", work) == 1, "the old one, while the new one is worked out"
    ended()
    assert remembered.get("q", work) == 2


def test_questions_do_not_mix() -> None:
    timer = Timer()
    remembered = Remembered(timer)
    assert remembered.get("a", counting(timer, 2.0)) == 1
    assert remembered.get("b", lambda: "b") == "b"
    assert remembered.get("a", lambda: 7) == 1


def test_a_failure_leaves_the_old_answer_and_is_tried_again() -> None:
    timer = Timer()
    remembered, work = Remembered(timer), counting(timer, 1.0)

    def fails() -> int:
        raise RuntimeError

    assert remembered.get("q", work) == 1
    timer.now += 21
    assert remembered.get("q", fails) == 1
    ended()
    assert remembered.get("q", work) == 1
    ended()
    assert remembered.get("q", work) == 2
