"""The figures of the overview: flags, queue, how often detectors were right, who carries how much.

Precision is the share of confirmed among decided cases, with the interval of Wilson, "Probable inference, the law of
succession, and statistical inference" (1927), which holds for small counts. It speaks of what was decided, not of
what was missed.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, and_, func, select, union_all

from console.tables import cases, decisions, exposures, flag_hours, flags, offsets, users
from console.words import CLOSED, OPEN

__all__ = ["Precision", "flags_by_hour", "lag", "load", "precision", "queue_health", "shadow_against_live", "wilson"]

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
HOURS: Final = 14 * 24
Z: Final = 1.959964
WAITING: Final = ("open", "escalated")


class Precision(msgspec.Struct, frozen=True):
    """How often a detector was right, among decided cases it has a part in."""

    detector: str
    policy_version: str
    confirmed: int
    dismissed: int

    @property
    def share(self) -> float:
        """Confirmed among decided."""
        return self.confirmed / (self.confirmed + self.dismissed)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        return wilson(self.confirmed, self.confirmed + self.dismissed)


def wilson(hits: int, tries: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share.

    Examples
    --------
    >>> [round(edge, 3) for edge in wilson(8, 10)]
    [0.49, 0.943]
    """
    if tries == 0:
        return 0.0, 1.0
    share, factor = hits / tries, Z * Z / tries
    middle = (share + factor / 2) / (1 + factor)
    half = Z * math.sqrt(share * (1 - share) / tries + factor / (4 * tries)) / (1 + factor)
    return max(0.0, middle - half), min(1.0, middle + half)


def flags_by_hour(connection: Connection) -> dict[str, Any]:
    """Return flags an hour of event time, by detector, the newest 14 days.

    Returns
    -------
    dict
        `hours` (epoch seconds, without gaps), `series` (detector to counts; `(shadow)` after the name).
    """
    last = connection.execute(select(func.max(flag_hours.c.hour))).scalar()
    if last is None:
        return {"hours": [], "series": {}}
    rows = connection.execute(select(flag_hours).where(flag_hours.c.hour > last - HOURS * HOUR)).all()
    counted: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for row in rows:
        counted[row.detector + (" (shadow)" if row.shadow else "")][row.hour // HOUR] += row[3]
    # a day at least: a single hour makes no line
    hours = range(min(min(row.hour for row in rows) // HOUR, last // HOUR - 23), last // HOUR + 1)
    return {
        "hours": [hour * 3600 for hour in hours],
        "series": {name: [counts[hour] for hour in hours] for name, counts in sorted(counted.items())},
    }


def precision(connection: Connection, *, since: int = 0) -> list[Precision]:
    """Return how often each detector was right, by policy version, the newest decision of each case."""
    newest = (
        select(func.max(decisions.c.id).label("id"))
        .where(decisions.c.action.in_(("confirm", "dismiss")), decisions.c.undone_at.is_(None), decisions.c.at >= since)
        .group_by(decisions.c.case_id)
        .subquery()
    )
    query = (
        select(decisions.c.detectors, decisions.c.policy_version, decisions.c.action, func.count().label("n"))
        .join(newest, newest.c.id == decisions.c.id)
        .group_by(decisions.c.detectors, decisions.c.policy_version, decisions.c.action)
    )
    counted: Counter[tuple[str, str, str]] = Counter()
    for row in connection.execute(query):
        for detector in filter(None, row.detectors.split(",")):
            counted[detector, row.policy_version, row.action] += row.n
    keys = sorted({key[:2] for key in counted})
    return [Precision(*key, counted[*key, "confirm"], counted[*key, "dismiss"]) for key in keys]


def shadow_against_live(connection: Connection) -> list[dict[str, Any]]:
    """Return, for each detector, live and shadow flags, and how the cases of accounts they fell on were decided.

    A shadow flag falls on a decided case when live flags brought that account before a reviewer: so shadow and live can
    be compared on the same decisions.
    """
    h = flag_hours.c
    raised = select(h.detector, h.shadow, func.sum(h["count"]).label("flags")).group_by(h.detector, h.shadow)
    decided = (
        select(flags.c.detector, flags.c.shadow, cases.c.state, func.count().label("n"))
        .join(cases, cases.c.id == flags.c.case_id)
        .where(cases.c.state.in_(("confirmed", "dismissed")))
        .group_by(flags.c.detector, flags.c.shadow, cases.c.state)
    )
    found = {(row.detector, row.shadow): int(row.flags) for row in connection.execute(raised)}
    counted = Counter({(row.detector, row.shadow, row.state): row.n for row in connection.execute(decided)})
    rows = []
    for detector, shadow in sorted(found.keys() | {key[:2] for key in counted}):
        confirmed, dismissed = (counted[detector, shadow, state] for state in ("confirmed", "dismissed"))
        told = {"flags": found.get((detector, shadow), 0), "confirmed": confirmed, "dismissed": dismissed}
        interval = wilson(confirmed, confirmed + dismissed)
        rows.append({"detector": detector, "shadow": shadow, **told, "interval": interval})
    return rows


def queue_health(connection: Connection, now: int) -> dict[str, Any]:
    """Return how the queue stands."""
    live = and_(cases.c.role == "actor", cases.c.shadow.is_(False))
    waiting = and_(live, cases.c.state.in_(WAITING))

    def count(*where: Any) -> int:
        return int(connection.execute(select(func.count()).select_from(cases).where(*where)).scalar_one())

    total = count(waiting)
    middle = None
    if total:
        # an index holds each state in the order of time, but not both together
        each = [select(cases.c.opened_at).where(live, cases.c.state == state) for state in WAITING]
        ordered = union_all(*each).order_by("opened_at").offset(total // 2).limit(1)
        middle = now - connection.execute(ordered).scalar_one()
    ended = (decisions.c.action.in_(("confirm", "dismiss")), decisions.c.undone_at.is_(None))
    day = (
        connection.execute(
            select(decisions.c.seconds_open)
            .where(*ended, decisions.c.at > now - DAY)
            .order_by(decisions.c.seconds_open)
        )
        .scalars()
        .all()
    )
    return {
        "open": total,
        "overdue": count(waiting, cases.c.due_at < now),
        "unassigned": count(waiting, cases.c.assignee.is_(None)),
        "held": count(live, cases.c.state.in_(("held", "waiting"))),
        "median_wait": middle,
        "decided_day": len(day),
        "median_decision": day[len(day) // 2] * 1000 if day else None,
        "opened_day": count(live, cases.c.state.in_((*OPEN, *CLOSED)), cases.c.opened_at > now - DAY),
    }


def load(connection: Connection, now: int, points: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return what each reviewer carries: cases they have, decisions of a day, points of hard material of a day."""
    people = connection.execute(
        select(users.c.id, users.c.name, users.c.role)
        .where(users.c.role.in_(("reviewer", "lead")), users.c.disabled.is_(False))
        .order_by(users.c.name)
    ).all()
    held = (
        select(cases.c.assignee, func.count())
        .where(cases.c.assignee.is_not(None), cases.c.state.in_(OPEN))
        .group_by(cases.c.assignee)
    )
    has = {row[0]: row[1] for row in connection.execute(held)}
    decided = (
        select(decisions.c.user_id, func.count())
        .where(decisions.c.at > now - DAY, decisions.c.action.in_(("confirm", "dismiss")))
        .group_by(decisions.c.user_id)
    )
    done = {row[0]: row[1] for row in connection.execute(decided)}
    seen: Counter[int] = Counter()
    for row in connection.execute(
        select(exposures.c.user_id, exposures.c.severity, func.count().label("n"))
        .where(exposures.c.at > now - DAY)
        .group_by(exposures.c.user_id, exposures.c.severity)
    ):
        seen[row.user_id] += points[row.severity] * row.n
    return [
        {
            "name": one.name,
            "role": one.role,
            "has": has.get(one.id, 0),
            "done": done.get(one.id, 0),
            "points": seen[one.id],
        }
        for one in people
    ]


def lag(connection: Connection) -> list[dict[str, Any]]:
    """Return how far behind the console reads each topic."""
    query = (
        select(
            offsets.c.topic,
            func.sum(offsets.c.end_offset - offsets.c.next_offset).label("behind"),
            func.max(offsets.c.read_at).label("read_at"),
        )
        .group_by(offsets.c.topic)
        .order_by(offsets.c.topic)
    )
    return [{**row, "behind": max(0, int(row["behind"]))} for row in connection.execute(query).mappings()]
