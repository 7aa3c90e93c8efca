"""The view of those who are reached for: which minors, by whom, and what was done to protect them."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, insert, select

from console import audit
from console.decisions import RefusedError
from console.keys import Keys
from console.people import Person
from console.reached import most_reached
from console.tables import cases, contacts, identities, protections, users
from console.words import OPEN, OUTCOMES, SIGNS, STEPS, names_of

__all__ = ["account_at_risk", "flagged", "most_at_risk", "protect", "reaching_for"]

SHOWN: Final = 100


def flagged(connection: Connection, *, limit: int = SHOWN) -> list[dict[str, Any]]:
    """Return the open cases of accounts that a flag itself names as at risk, the most urgent first.

    Such a flag may be raised before any of those who reach for the account is under review.
    """
    names = ("id", "account", "age_band", "severity", "headline", "state", "due_at", "last_flag_at")
    query = (
        select(*(cases.c[name] for name in names))
        .where(cases.c.role == "target", cases.c.shadow.is_(False), cases.c.state.in_(OPEN))
        .order_by(cases.c.rank.desc(), cases.c.id)
        .limit(limit)
    )
    rows = [dict(row) for row in connection.execute(query).mappings()]
    steps = _steps(connection, [row["account"] for row in rows])
    return [{**row, "step": steps.get(row["account"])} for row in rows]


def _steps(connection: Connection, accounts: list[str]) -> dict[str, str]:
    """Return the last protective step of accounts."""
    taken = select(protections.c.account, protections.c.step).where(protections.c.account.in_(accounts))
    return {found.account: found.step for found in connection.execute(taken.order_by(protections.c.id))}


def most_at_risk(connection: Connection) -> list[dict[str, Any]]:
    """Return those whom most accounts under review reach for, with the last step taken and the number of their case.

    Minors; and accounts whose age nobody told, when at least two reach for them: among the targets of such accounts
    they may well be minors.
    """
    rows = most_reached(connection)
    accounts = [row["account"] for row in rows]
    steps = _steps(connection, accounts)
    own = select(cases.c.account, cases.c.id).where(cases.c.role == "target", cases.c.account.in_(accounts))
    numbers = {found.account: found.id for found in connection.execute(own)}
    return [{**row, "step": steps.get(row["account"]), "case": numbers.get(row["account"])} for row in rows]


def reaching_for(connection: Connection, account: str) -> list[dict[str, Any]]:
    """Return the accounts under review that reach for an account, with what came of it, the worst first."""
    query = (
        select(
            contacts, cases.c.account, cases.c.state, cases.c.severity, cases.c.headline, cases.c.age_band.label("by")
        )
        .join(cases, cases.c.id == contacts.c.case_id)
        .where(contacts.c.other == account, cases.c.role == "actor")
        .order_by(cases.c.severity.desc(), contacts.c.last_at.desc())
        .limit(SHOWN)
    )
    return [
        {**row, "outcomes": names_of(row["outcomes"], OUTCOMES), "signs": names_of(row["signs"], SIGNS)}
        for row in connection.execute(query).mappings()
    ]


def account_at_risk(connection: Connection, account: str) -> dict[str, Any] | None:
    """Return who reaches for an account and what was done, or None if nobody under review does."""
    rows = reaching_for(connection, account)
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
