"""Whom accounts under review reach for, worked out behind people's backs and kept in a table of its own.

Who is reached for by most is a sum over all contacts of all cases: millions of rows, too many for somebody who waits
for a page, and too many writes for every flag that comes in. So upkeep goes through the contacts in the order of the
accounts, a part at a time, round and round, and keeps of each part those who are reached for by most. Contacts of cases
that changed meanwhile are looked at first: what a flag or a decision changes shows within seconds, however long a round
takes. A small store is gone through whole every time.

The list of the first hundred is right because they are among the first hundred of their parts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, case, delete, func, select, update

from console.bulkwrite import among, insert_many
from console.database import Database
from console.ingest import upsert
from console.tables import cases, contacts, reached, sweeps
from console.words import MINORS, OPEN, OUTCOMES

__all__ = ["KEPT", "AsOf", "as_of", "keep_up", "most_reached"]

KEPT: Final = 100
"""Accounts that are kept of each part, and shown of all."""
PART: Final = 2_000
"""Contacts in a part: some hundredths of a second."""
CHANGED: Final = 50
"""Changed cases that are looked at together."""
SETTLED_MS: Final = 5_000
"""A case's time of change is older than its transaction: what is younger than this may still come."""
BUDGET_SECONDS: Final = 0.25
"""Of work each time, however much there is: a twentieth of a core."""
FIRST: Final = 10
"""How much more of it until the first round has ended."""
NAME: Final = "reached"
NO_CASE: Final = 2**53
"""Beyond the number of any case: of that millisecond, all were looked at."""

Row = dict[str, Any]
_COLUMNS: Final = tuple(column.name for column in reached.c)


def most_reached(connection: Connection, *, limit: int = KEPT) -> list[Row]:
    """Return those who are reached for by most, as far as they were worked out."""
    c = reached.c
    query = select(reached).order_by(c.suspects.desc(), c.severity.desc(), c.account.desc()).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


class AsOf(msgspec.Struct, frozen=True):
    """How far the table is up to date, epoch ms.

    Attributes
    ----------
    changes
        What changed on cases until then is in it: new flags, decisions.
    whole
        When the last whole round began: answers and ages of contacts that were known then are in it.
    """

    changes: int
    whole: int


def as_of(connection: Connection) -> AsOf | None:
    """Return how far the table is up to date; None before the first round has ended."""
    query = select(sweeps.c.changed_at, sweeps.c.whole_at).where(sweeps.c.name == NAME)
    row = connection.execute(query).first()
    return None if row is None or row.whole_at is None else AsOf(row.changed_at, row.whole_at)


def keep_up(
    database: Database, now: int, *, budget: float = BUDGET_SECONDS, timer: Callable[[], float] = time.perf_counter
) -> bool:
    """Look at changed cases, then go on with the round; return whether it has ended.

    Parameters
    ----------
    now : int
        Epoch ms.
    budget : float
        Seconds after which no other part is begun; half of them for changed cases, the rest for the round.
    timer : callable
        Seconds that only go forward.
    """
    began = timer()
    before = _state(database, now)
    after = dict(before)
    if not after["position"]:
        after["began_at"] = now
    if before["whole_at"] is None:
        budget *= FIRST
    fresh: dict[str, Row] = {}
    stale: set[str] = set()

    def found(rows: Collection[Row], gone: Collection[str]) -> None:
        for account in gone:
            fresh.pop(account, None)
            stale.add(account)
        for row in rows:
            fresh[row["account"]] = row
            stale.discard(row["account"])

    going = True
    while going and timer() - began < budget / 2:
        with database.reading() as connection:
            changed, after["changed_at"], after["changed_id"], going = _changed(connection, after, now)
            found(*_looked_at(connection, changed))
    if not going:
        after |= {"changed_at": max(after["changed_at"], now - SETTLED_MS), "changed_id": NO_CASE}
    ended = False
    while not ended and timer() - began < budget:
        with database.reading() as connection:
            end = _end_of_part(connection, after["position"])
            found(*_part(connection, after["position"], end))
        after["position"], ended = end or "", end is None
    if ended:  # all that changed before the round began is in it
        if after["changed_at"] < after["began_at"] - SETTLED_MS:
            after |= {"changed_at": after["began_at"] - SETTLED_MS, "changed_id": NO_CASE}
        after["whole_at"] = after["began_at"]
    with database.writing(gives_way=True) as connection:
        _write(connection, before, after, list(fresh.values()), stale)
    return ended


def _state(database: Database, now: int) -> Row:
    """Return how far upkeep has come."""
    with database.reading() as connection:
        row = connection.execute(select(sweeps).where(sweeps.c.name == NAME)).mappings().first()
    start = {"position": "", "began_at": now, "whole_at": None, "changed_at": now - SETTLED_MS, "changed_id": NO_CASE}
    return {"name": NAME, **start} if row is None else dict(row)


def _changed(connection: Connection, after: Row, now: int) -> tuple[list[int], int, int, bool]:
    """Return the next cases that changed, up to where they go, and whether there are more."""
    c = cases.c
    at, number = after["changed_at"], after["changed_id"]
    query = (
        select(c.id, c.changed_at)
        .where((c.changed_at > at) | ((c.changed_at == at) & (c.id > number)), c.changed_at >= at)
        .where(c.changed_at <= now - SETTLED_MS)
        .order_by(c.changed_at, c.id)
        .limit(CHANGED)
    )
    rows = connection.execute(query).all()
    if rows:
        at, number = rows[-1].changed_at, rows[-1].id
    return [row.id for row in rows], at, number, len(rows) == CHANGED


def _looked_at(connection: Connection, changed: list[int]) -> tuple[list[Row], set[str]]:
    """Return the accounts that changed cases reach for: those to be kept as they are now, and the others."""
    if not changed:
        return [], set()
    named = select(contacts.c.other).where(among(connection, contacts.c.case_id, changed)).distinct()
    accounts = list(connection.execute(named).scalars())
    rows = _counted(connection, among(connection, contacts.c.other, accounts), None)
    return rows, set(accounts) - {row["account"] for row in rows}


def _end_of_part(connection: Connection, start: str) -> str | None:
    """Return the last account of the part that begins after one, or None if the round ends with it."""
    query = select(contacts.c.other).where(contacts.c.other > start).order_by(contacts.c.other)
    return connection.execute(query.offset(PART).limit(1)).scalar()


def _part(connection: Connection, start: str, end: str | None) -> tuple[list[Row], set[str]]:
    """Return what of a part is not in the table as it is now: rows to write, accounts to remove."""

    def within(column: Any) -> ColumnElement[bool]:
        return column > start if end is None else (column > start) & (column <= end)  # type: ignore[no-any-return]

    rows = {row["account"]: row for row in _counted(connection, within(contacts.c.other), KEPT)}
    old = {
        row["account"]: dict(row)
        for row in connection.execute(select(reached).where(within(reached.c.account))).mappings()
    }
    return [row for account, row in rows.items() if old.get(account) != row], set(old) - set(rows)


def _counted(connection: Connection, which: ColumnElement[bool], limit: int | None) -> list[Row]:
    """Return those among accounts who are minors, or of unknown age and reached for by two at least."""
    suspects, severity = func.count(), func.max(cases.c.severity)
    band = contacts.c.age_band
    # what several cases say of one account may differ: a minor's age goes before any other, and any before none
    minor = func.max(case((band.in_(MINORS), band), else_=""))
    known = func.max(case((band != "unknown", band), else_=""))
    answered = func.max(case((contacts.c.outcomes.op("&")(_bits("accepted", "replied")) > 0, 1), else_=0))
    query = (
        select(
            contacts.c.other.label("account"),
            case((minor != "", minor), else_="unknown").label("age_band"),
            suspects.label("suspects"),
            severity.label("severity"),
            func.max(contacts.c.last_at).label("last_at"),
            answered.label("answered"),
        )
        .join(cases, cases.c.id == contacts.c.case_id)
        # nothing here that an index of cases could be asked for: there are more cases than contacts in a part
        .where(which, cases.c.role.concat("") == "actor", cases.c.state.concat("").in_((*OPEN, "confirmed")))
        .where(case((cases.c.shadow, 1), else_=0) == 0)
        .group_by(contacts.c.other)
        .having((minor != "") | ((suspects > 1) & (known == "")))
        .order_by(suspects.desc(), severity.desc(), contacts.c.other.desc())
        .limit(limit)
    )
    return [{**row, "answered": bool(row["answered"])} for row in connection.execute(query).mappings()]


def _bits(*names: str) -> int:
    return sum(1 << OUTCOMES.index(name) for name in names)


def _write(connection: Connection, before: Row, after: Row, fresh: list[Row], stale: set[str]) -> None:
    """Write down what was found, unless another console went on from the same place."""
    c = sweeps.c
    row = connection.execute(select(sweeps).where(c.name == NAME).with_for_update()).mappings().first()
    if row is None:
        made = upsert(connection, sweeps).values(**after).on_conflict_do_nothing().returning(c.name)
        if connection.execute(made).first() is None:
            return
    elif dict(row) != before:
        return
    else:
        connection.execute(update(sweeps).where(c.name == NAME).values(**after))
    if stale:
        connection.execute(delete(reached).where(among(connection, reached.c.account, stale)))
    if fresh:
        statement = upsert(connection, reached)
        changed = {name: statement.excluded[name] for name in _COLUMNS if name != "account"}
        insert_many(connection, statement.on_conflict_do_update(index_elements=["account"], set_=changed), fresh)
