"""The queue: which cases, in which order, page by page; and what a search means.

Pages go by key and not by number (the next page begins after the last row of this one), so that the thousandth page
costs what the first does and no case is skipped when others come in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlencode

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, or_, select, text, union, union_all

from console.keys import Keys, plain_pseudonym
from console.tables import cases, contacts, decisions, identities, sharers
from console.words import AGE_BANDS, CLOSED, OPEN, POLICIES, STATES

__all__ = ["Filters", "Page", "counts", "find", "page", "version_of"]

PAGE: Final = 50
HIGHEST: Final = "\U0010ffff"
MATCHES: Final = 500
SHORTEST_BEGINNING: Final = 3
MANY: Final = 2_000
"""Cases that are looked up and sorted in no time."""


class Filters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the queue is narrowed to; the same names in addresses, saved views and the API."""

    state: Literal["active", "any", "closed", *STATES] = "active"  # type: ignore[valid-type]  # names of our own
    detector: str = ""
    severity: int = 0
    age: str = ""
    policy: str = ""
    who: Literal["", "me", "nobody"] = ""
    shadow: Literal["no", "yes", "only"] = "no"
    role: Literal["actor", "target"] = "actor"
    overdue: bool = False
    sort: Literal["priority", "due", "newest"] = "priority"
    q: str = ""

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Filters:
        """Return the filters in an address; what is not understood is left out."""
        filters = cls()
        for name in cls.__struct_fields__:
            value = given.get(name, "").strip()[:200].replace("\0", "")
            if value:
                try:
                    filters = msgspec.convert({**msgspec.structs.asdict(filters), name: value}, cls, strict=False)
                except msgspec.ValidationError:
                    continue
        return filters

    def address(self, **changes: object) -> str:
        """Return the query part of an address, with only what differs from the default."""
        usual = msgspec.structs.asdict(Filters())
        mine = {**msgspec.structs.asdict(self), **changes}
        return urlencode({name: _plain(value) for name, value in mine.items() if usual.get(name, "") != value})

    def told(self, after: str = "") -> dict[str, Any]:
        """Return what differs from the default, for the audit: of what is free text, only that it was set.

        Parameters
        ----------
        after : str
            `Page.after` of the page before.
        """
        told: dict[str, Any] = {name: value for name, value in self.pairs() if name != "q"}
        if self.detector:
            told["detector"] = True
        if self.age and self.age not in AGE_BANDS:
            told["age"] = True
        if self.policy and self.policy not in POLICIES:
            told["policy"] = True
        if (start := _start(after)) is not None:
            told["after"] = start[1]
        return told

    def pairs(self) -> list[tuple[str, str]]:
        """Return what differs from the default as names and values."""
        return parse_qsl(self.address())

    @classmethod
    def read_address(cls, address: str) -> str:
        """Return the query part of an address in its usual form."""
        return cls.read(dict(parse_qsl(address))).address()


class Page(msgspec.Struct, frozen=True):
    """One page of cases, and where the next begins."""

    rows: list[dict[str, Any]]
    after: str | None


def _plain(value: object) -> str:
    return "1" if value is True else str(value)


def states_of(filters: Filters) -> tuple[str, ...]:
    """Return the states that a filter stands for."""
    if filters.state == "active":
        return ("open", "escalated")
    if filters.state == "any":
        return (*OPEN, *CLOSED)
    return CLOSED if filters.state == "closed" else (filters.state,)


def _where(filters: Filters, *, user: int, now: int, many: bool) -> list[ColumnElement[bool]]:
    c = cases.c
    where: list[ColumnElement[bool]] = [c.role == filters.role]
    if filters.detector:
        where.append(c.detectors.contains(f",{filters.detector},", autoescape=True))
    if filters.severity:
        # of many, the first in order are found by walking along the order; a sum is what no index can be asked for
        where.append((c.severity + 0 if many else c.severity) >= filters.severity)
    if filters.age:
        where.append(c.age_band == filters.age)
    if filters.policy:
        under = (decisions.c.policy == filters.policy, decisions.c.undone_at.is_(None))
        where.append(c.id.in_(select(decisions.c.case_id).where(*under)))
    if filters.who:
        where.append(c.assignee == user if filters.who == "me" else c.assignee.is_(None))
    if filters.overdue:
        where.append(c.due_at < now)
    return where


def find(connection: Connection, keys: Keys, q: str, *, by_beginning: bool) -> Select[Any]:
    """Return the query for the numbers of cases that a search means.

    A search is a case's number, an account's pseudonym or its beginning, an account's id, or words of a note. An
    account's id finds the account's own case, those of accounts that reached for it, and those of accounts that reach
    for the same targets.

    Parameters
    ----------
    by_beginning : bool
        Whether the beginning of an account id will do: for those who may unmask.
    """
    found: list[Select[Any]] = [select(cases.c.id).where(cases.c.account == keys.pseudonym_of(q))]
    exact = [keys.pseudonym_of(q)]
    number = q.removeprefix("#")
    if number.isascii() and number.isdecimal() and len(number) <= 15:
        found.append(select(cases.c.id).where(cases.c.id == int(number)))
    if pseudonym := plain_pseudonym(q):
        exact.append(pseudonym)
        found.append(select(cases.c.id).where(cases.c.account.between(pseudonym, pseudonym + HIGHEST)))
    if by_beginning and len(q) >= SHORTEST_BEGINNING:
        begins = identities.c.account_id.between(q, q + HIGHEST)
        named = select(identities.c.account).where(begins).limit(MATCHES)
        found.append(select(cases.c.id).where(cases.c.account.in_(named)))
    found += [select(table.c.case_id).where(table.c.other.in_(exact)).limit(MATCHES) for table in (contacts, sharers)]
    found.append(_notes(connection, q))
    return select(union(*(select(part.subquery()) for part in found)).subquery().c[0])


def _notes(connection: Connection, q: str) -> Select[Any]:
    words = [word for word in "".join(letter if letter.isalnum() else " " for letter in q).split() if word][:8]
    if not words:
        return select(decisions.c.case_id).where(text("1 = 0"))
    if connection.dialect.name == "postgresql":
        query = " & ".join(f"{word}:*" for word in words)
        match = func.to_tsvector(text("'simple'"), decisions.c.note).op("@@")(func.to_tsquery(text("'simple'"), query))
    else:
        query = " ".join(f'"{word}"*' for word in words)
        match = decisions.c.id.in_(
            select(text("rowid"))
            .select_from(text("notes_fts"))
            .where(text("notes_fts MATCH :words").bindparams(words=query))
        )
    return select(decisions.c.case_id).where(match).limit(MATCHES)


def page(
    connection: Connection,
    keys: Keys,
    filters: Filters,
    *,
    user: int,
    now: int,
    after: str = "",
    by_beginning: bool = False,
    size: int = PAGE,
) -> Page:
    """Return one page of the queue.

    Parameters
    ----------
    after : str
        `Page.after` of the page before.
    """
    column = {"priority": cases.c.rank, "due": cases.c.due_at, "newest": cases.c.opened_at}[filters.sort]
    rising = filters.sort == "due"
    order = (column.asc() if rising else column.desc(), cases.c.id)
    shadows = {"no": (False,), "only": (True,), "yes": (False, True)}[filters.shadow]
    where = _where(filters, user=user, now=now, many=_many(connection, filters, shadows))
    if filters.q:
        where.append(cases.c.id.in_(find(connection, keys, filters.q, by_beginning=by_beginning)))
    if (start := _start(after)) is not None:
        value, number = start
        beyond = column > value if rising else column < value
        where.append(or_(beyond, and_(column == value, cases.c.id > number)))
    # the first of each state: an index holds each in order, but not several together
    each = [
        select(cases.c.id).where(cases.c.state == state, cases.c.shadow.is_(shadow), *where)
        for state in states_of(filters)
        for shadow in shadows
    ]
    firsts = [select(one.order_by(*order).limit(size + 1).subquery()) for one in each]
    query = select(cases).where(cases.c.id.in_(union_all(*firsts))).order_by(*order).limit(size + 1)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    more = rows[size:] != []
    rows = rows[:size]
    return Page(rows, f"{rows[-1][column.name]!r}_{rows[-1]['id']}" if more else None)


def _many(connection: Connection, filters: Filters, shadows: tuple[bool, ...]) -> bool:
    """Tell whether so many cases are as severe that looking them all up and sorting them would take long."""
    if not filters.severity:
        return False
    c = cases.c
    here = (c.shadow.in_(shadows), c.role == filters.role, c.state.in_(states_of(filters)))
    some = select(c.id).where(*here, c.severity >= filters.severity).limit(MANY).subquery()
    return bool(connection.execute(select(func.count()).select_from(some)).scalar_one() == MANY)


def _start(after: str) -> tuple[float, int] | None:
    value, _, number = after.partition("_")
    try:
        return (float(value), int(number)) if number.isdecimal() and len(number) < 16 else None
    except ValueError:
        return None


def counts(connection: Connection, *, user: int, now: int) -> dict[str, int]:
    """Return how many open cases there are: by severity, one's own, overdue, escalated."""
    c = cases.c
    live = (c.role == "actor") & c.shadow.is_(False) & c.state.in_(("open", "escalated"))
    late = case((c.due_at < now, 1), else_=0)
    found = connection.execute(
        select(c.severity, c.state, func.count().label("n"), func.sum(late).label("late"))
        .where(live)
        .group_by(c.severity, c.state)
    ).all()
    counted = {f"severity_{severity}": 0 for severity in sorted({row.severity for row in found})}
    for row in found:
        counted[f"severity_{row.severity}"] += row.n
    counted["active"] = sum(row.n for row in found)
    mine = select(func.count()).select_from(cases).where(c.assignee == user, c.state.in_(OPEN))
    counted["mine"] = int(connection.execute(mine).scalar_one())
    at_risk = c.role == "target", c.shadow.is_(False), c.state.in_(("open", "escalated"))
    counted["at_risk"] = int(connection.execute(select(func.count()).select_from(cases).where(*at_risk)).scalar_one())
    counted["overdue"] = sum(int(row.late) for row in found)
    counted["escalated"] = sum(row.n for row in found if row.state == "escalated")
    return counted


def version_of(connection: Connection) -> int:
    """Return a number that changes when any case does."""
    return int(connection.execute(select(func.max(cases.c.changed_at))).scalar() or 0)
