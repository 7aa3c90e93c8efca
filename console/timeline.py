"""What an account did hour by hour: from the events that the console followed, and from the evidence before that."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, Final

from sqlalchemy import Connection, select

from console.casefile import CaseFile
from console.tables import activity

__all__ = ["SERIES", "timeline"]

HOUR: Final = 3_600_000
SERIES: Final = {
    "contacts": "First contacts",
    "requests": "Requests",
    "accepted": "Accepted",
    "declined": "Declined",
    "messages": "Messages",
    "signs": "Messages with signs",
    "blocked": "Blocked or reported",
}
LONGEST: Final = 24 * 60


def timeline(connection: Connection, file: CaseFile) -> dict[str, Any]:
    """Return counts an hour.

    Returns
    -------
    dict
        `hours` (epoch seconds, without gaps, the newest 60 days), `series` (name to counts; only those with any), and
        `flags` (time in epoch seconds, detector, severity).
    """
    counted: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for contact in file.contacts:
        counted["contacts"][contact["first_at"] // HOUR] += 1
    query = select(activity.c.hour, activity.c.kind, activity.c["count"].label("counted"))
    for row in connection.execute(query.where(activity.c.case_id == file.case["id"])):
        if row.kind in SERIES:
            counted[row.kind][row.hour // HOUR] += row.counted
    marks = [
        {"at": flag["raised_at"] // 1000, "detector": flag["detector"], "severity": flag["peak_severity"]}
        for flag in file.flags
    ]
    seen = [hour for counts in counted.values() for hour in counts] + [mark["at"] // 3600 for mark in marks]
    if not seen:
        return {"hours": [], "series": {}, "flags": []}
    last = max(seen)
    first = max(min(seen), last - LONGEST)
    hours = range(first, last + 2)
    return {
        "hours": [hour * 3600 for hour in hours],
        "series": {name: [counted[name][hour] for hour in hours] for name in SERIES if counted[name]},
        "flags": sorted(marks, key=lambda mark: mark["at"]),
    }
