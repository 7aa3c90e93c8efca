"""Care for reviewers: how much of the hard material somebody has seen, and when a break is due.

Every first look at a case in an hour counts points by its severity (`Wellness.points`). When the points of the last
hour reach the limit, a break is offered; taking it sets the count back. It is a reminder, never a lock.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from console.people import Person
from console.service import Service
from console.tables import exposures, sessions

__all__ = ["Pause", "due_break", "expose", "start_break"]

HOUR = 3_600_000
MINUTE = 60_000


class Pause(msgspec.Struct, frozen=True):
    """A break: due, or going on until a time."""

    points: int
    until: int | None


def expose(connection: Connection, person: Person, case_id: int, severity: int, now: int) -> None:
    """Note that somebody looked at a case; looking again within an hour counts once."""
    mine = (exposures.c.user_id == person.id) & (exposures.c.at > now - HOUR)
    if connection.execute(select(exposures.c.id).where(mine, exposures.c.case_id == case_id)).first() is None:
        connection.execute(insert(exposures).values(user_id=person.id, at=now, case_id=case_id, severity=severity))


def due_break(service: Service, person: Person, now: int) -> Pause | None:
    """Return the break that is due or going on, or None."""
    if person.break_until is not None and person.break_until > now:
        return Pause(0, person.break_until)
    since = max(now - HOUR, person.break_until or 0)
    query = (
        select(exposures.c.severity, func.count())
        .where(exposures.c.user_id == person.id, exposures.c.at > since)
        .group_by(exposures.c.severity)
    )
    rules = service.rules.wellness
    with service.database.reading() as connection:
        points = sum(rules.points[severity] * count for severity, count in connection.execute(query))
    return Pause(points, None) if points >= rules.points_an_hour else None


def start_break(service: Service, person: Person, now: int) -> int:
    """Begin a break; return its end."""
    until = now + service.rules.wellness.break_minutes * MINUTE
    with service.database.writing() as connection:
        connection.execute(update(sessions).where(sessions.c.id == person.session).values(break_until=until))
        service.note(connection, person, "break.start")
    return until
