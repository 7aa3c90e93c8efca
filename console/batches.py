"""Taking the next cases: the most urgent that nobody has, no harder and no more than somebody wants at once."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, func, select

from console.decisions import Choice, RefusedError, decide
from console.keys import Keys
from console.locks import locking
from console.people import Person
from console.tables import cases

__all__ = ["LARGEST_BATCH", "in_hand", "take_next"]

LARGEST_BATCH: Final = 50
WORKED_ON = ("open", "escalated")
"""What is held or waits for others is not in anybody's hand."""


def in_hand(connection: Connection, user: int) -> int:
    """Return how many cases somebody has to work on."""
    mine = select(func.count()).select_from(cases).where(cases.c.assignee == user, cases.c.state.in_(WORKED_ON))
    return int(connection.execute(mine).scalar_one())


def take_next(connection: Connection, keys: Keys, person: Person, count: int, *, now: int) -> list[int]:
    """Take the most urgent cases that nobody has; return their numbers, the most urgent first.

    Parameters
    ----------
    person : Person
        Gets none above `max_severity`, and has no more than `batch` at once.
    count : int
        How many at most; fewer are taken when the batch is full before, or the queue is empty.

    Raises
    ------
    RefusedError
        If the batch is full already.
    """
    room = person.batch - in_hand(connection, person.id)
    if room <= 0:
        raise RefusedError(
            f"You have as many cases as you want at once ({person.batch}). Decide one, or release it; "
            "the number is under your settings."
        )
    query = (
        select(cases.c.id)
        .where(
            cases.c.state.in_(WORKED_ON if person.may("bulk.approve") else ("open",)),
            cases.c.role == "actor",
            cases.c.shadow.is_(False),
            cases.c.assignee.is_(None),
            cases.c.severity <= person.max_severity,
        )
        .order_by(cases.c.rank.desc(), cases.c.id)
        .limit(min(count, room))
    )
    found = connection.execute(locking(query, skip_locked=True))
    taken = [int(number) for number in found.scalars()]
    for number in taken:
        decide(connection, keys, person, number, Choice(action="take"), now=now)
    return taken
