"""Numbers and times as people say them, for explanations."""

from __future__ import annotations

from graph.state import DAY, HOUR

__all__ = ["duration", "listing", "number"]


def number(value: float) -> str:
    """Return a number with as many digits as matter.

    Examples
    --------
    >>> number(12.34), number(2.04), number(0.051), number(0.0004)
    ('12', '2', '0.05', 'under 0.01')
    """
    if value >= 9.5:
        return f"{value:.0f}"
    if value >= 0.1:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.2f}" if value >= 0.01 else "under 0.01"


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
