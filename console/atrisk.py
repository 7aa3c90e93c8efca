"""The view of those who are reached for: which minors, by whom, and what was done to protect them."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, case, func, insert, select

from console import audit
from console.decisions import RefusedError
from console.keys import Keys
from console.people import Person
from console.tables import cases, contacts, identities, protections, users
from console.words import MINORS, OPEN, OUTCOMES, SIGNS, STEPS, names_of

__all__ = ["account_at_risk", "most_at_risk", "protect", "reached_for"]

SHOWN: Final = 100


def reached_for(connection: Connection, *, limit: int = SHOWN) -> list[dict[str, Any]]:
    """Return minors whom accounts under review reach for, those reached for by most first.

    Accounts whose age nobody told are listed when at least two reach for them: among the targets of such accounts they
    may well be minors.
    """
    suspects = func.count().label("suspects")
    minor = func.max(case((contacts.c.age_band.in_(MINORS), 1), else_=0)).label("minor")
    answered = func.max(case((contacts.c.outcomes.op("&")(_bits("accepted", "replied")) > 0, 1), else_=0))
    query = (
        select(
            contacts.c.other.label("account"),
            suspects,
            minor,
            func.max(contacts.c.age_band).label("age_band"),
            func.max(cases.c.severity).label("severity"),
            func.max(contacts.c.last_at).label("last_at"),
            answered.label("answered"),
        )
        .join(cases, cases.c.id == contacts.c.case_id)
        .where(cases.c.role == "actor", cases.c.shadow.is_(False), cases.c.state.in_((*OPEN, "confirmed")))
        .group_by(contacts.c.other)
        .having((minor == 1) | (suspects > 1))
        .order_by(suspects.desc(), func.max(cases.c.severity).desc(), contacts.c.other)
        .limit(limit)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def most_at_risk(connection: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what `reached_for` returned, with the last step taken for each and the number of its own case."""
    accounts = [row["account"] for row in rows]
    steps: dict[str, str] = {}
    taken = select(protections.c.account, protections.c.step).where(protections.c.account.in_(accounts))
    for found in connection.execute(taken.order_by(protections.c.id)):
        steps[found.account] = found.step
    own = select(cases.c.account, cases.c.id).where(cases.c.role == "target", cases.c.account.in_(accounts))
    numbers = {found.account: found.id for found in connection.execute(own)}
    return [{**row, "step": steps.get(row["account"]), "case": numbers.get(row["account"])} for row in rows]


def _bits(*names: str) -> int:
    return sum(1 << OUTCOMES.index(name) for name in names)


def account_at_risk(connection: Connection, account: str) -> dict[str, Any] | None:
    """Return who reaches for an account and what was done, or None if nobody under review does."""
    query = (
        select(
            contacts, cases.c.account, cases.c.state, cases.c.severity, cases.c.headline, cases.c.age_band.label("by")
        )
        .join(cases, cases.c.id == contacts.c.case_id)
        .where(contacts.c.other == account, cases.c.role == "actor")
        .order_by(cases.c.severity.desc(), contacts.c.last_at.desc())
        .limit(SHOWN)
    )
    rows = [
        {**row, "outcomes": names_of(row["outcomes"], OUTCOMES), "signs": names_of(row["signs"], SIGNS)}
        for row in connection.execute(query).mappings()
    ]
    own = (
        connection.execute(
            select(cases.c.id, cases.c.role, cases.c.headline, cases.c.state).where(cases.c.account == account)
        )
        .mappings()
        .all()
    )
    if not rows and not own:
        return None
    taken = connection.execute(
        select(protections, users.c.name)
        .join(users, users.c.id == protections.c.user_id)
        .where(protections.c.account == account)
        .order_by(protections.c.id.desc())
    ).mappings()
    bands = [row["age_band"] for row in rows if row["age_band"] != "unknown"]
    return {
        "account": account,
        "age_band": bands[0] if bands else "unknown",
        "contacts": rows,
        "steps": [dict(row) for row in taken],
        "cases": [dict(row) for row in own],
    }


def protect(
    connection: Connection, keys: Keys, person: Person, account: str, step: str, note: str, *, now: int
) -> None:
    """Write down a step that was taken to protect an account.

    Raises
    ------
    RefusedError
        If there is no such step or account.
    """
    if not person.may("protect"):
        raise RefusedError("Your role does not allow this.")
    if step not in STEPS:
        raise RefusedError("Choose a step.")
    if len(note) > 1000:
        raise RefusedError("A note on a step has at most 1000 characters.")
    if connection.execute(select(identities.c.account).where(identities.c.account == account)).first() is None:
        raise RefusedError("This account is not known, or was erased.")
    connection.execute(
        insert(protections).values(
            account=account, user_id=person.id, at=now, step=step, note=note.replace("\0", "").strip()
        )
    )
    audit.append(
        connection,
        keys.audit,
        now=now,
        actor=person.login,
        action="account.protect",
        object=f"account:{account}",
        detail={"step": step},
    )
