"""Numbers and times as people say them, for explanations."""

from __future__ import annotations

import math

from graph.state import DAY, HOUR

__all__ = ["at_most", "duration", "listing", "number", "percent"]


def number(value: float) -> str:
    """Return a number with as many digits as matter.

    Examples
    --------
    >>> number(12.34), number(2.04), number(0.051), number(0.0004), number(0.0), number(-1.26)
    ('12', '2', '0.05', 'under 0.01', '0', '−1.3')
    """
    if value <= 0.0:
        return f"−{number(-value)}" if value <= -0.01 else "0"
    if value >= 9.5:
        return f"{value:.0f}"
    if value >= 0.1:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.2f}" if value >= 0.01 else "under 0.01"


def at_most(value: float) -> str:
    """Return a number as people say it, rounded down: what is true below it is true below `value`.

    Examples
    --------
    >>> at_most(12.9), at_most(9.99), at_most(2.06), at_most(0.068)
    ('12', '9.9', '2', '0.06')
    """
    digits = 0 if value >= 10.0 else 1 if value >= 0.1 else 2
    return f"{math.floor(value * 10**digits) / 10**digits:.{digits}f}".removesuffix(".0")


def percent(share: float) -> str:
    """Return a share in words.

    Examples
    --------
    >>> percent(0.254), percent(0.012), percent(0.0001)
    ('25 %', '1.2 %', 'under 0.1 %')
    """
    if share >= 0.095:
        return f"{100 * share:.0f} %"
    return f"{100 * share:.1f} %".replace(".0 ", " ") if share >= 0.001 else "under 0.1 %"


def duration(ms: int) -> str:
    """Return a length of time in words.

    Examples
    --------
    >>> duration(3_600_000), duration(86_400_000), duration(9 * 86_400_000)
    ('1 hour', '24 hours', '9 days')
    """
    if ms < 2 * HOUR:
        return "1 hour"
    if ms < 2 * DAY:
        return f"{round(ms / HOUR)} hours"
    return f"{round(ms / DAY)} days"


def listing(parts: list[str]) -> str:
    """Return a list as people write it.

    Examples
    --------
    >>> listing(["a"]), listing(["a", "b"]), listing(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
