"""Erasure: when the platform deletes an account, the console forgets it; and retention: what is old enough goes.

Erasing removes the account's id, the flags, contacts, activity and notes of its cases, and its place among the
contacts of others and in their groups. What stays of a case is its number, its dates and how it was decided, under a
name that no longer leads to the account. A legal hold on a case puts erasure off until it is lifted. The audit keeps
its own time: it is the record of what people did.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, delete, exists, select, update

from console import audit
from console.ingest import upsert
from console.keys import Keys
from console.locks import lock_cases
from console.rules import Retention
from console.tables import (
    accounts,
    activity,
    cases,
    contacts,
    decisions,
    erasures,
    flags,
    identities,
    outbox,
    protections,
    reached,
    sharers,
    unmaskings,
)
from console.words import CLOSED

__all__ = ["ask_for_erasure", "erase_due", "retain"]

DAY: Final = 86_400_000
AT_ONCE: Final = 500


def ask_for_erasure(connection: Connection, account: str, now: int) -> bool:
    """Note that an account has to be forgotten; return whether anything is known of it."""
    known = select(identities.c.account).where(identities.c.account == account)
    if connection.execute(known).first() is None:
        return False
    connection.execute(upsert(connection, erasures).values(account=account, asked_at=now).on_conflict_do_nothing())
    return True


def erase_due(connection: Connection, keys: Keys, now: int) -> int:
    """Erase the accounts that wait for it, but those held; return how many."""
    held = exists().where(cases.c.legal_hold, cases.c.account == erasures.c.account)
    waiting = select(erasures.c.account).where(erasures.c.done_at.is_(None), ~held).limit(AT_ONCE)
    due = connection.execute(waiting).scalars().all()
    lock_cases(connection, due, by=cases.c.account)
    done = 0
    for account in due:
        _erase(connection, account)
        connection.execute(delete(erasures).where(erasures.c.account == account))
        audit.append(connection, keys.audit, now=now, actor="system", action="account.erase", object="account")
        done += 1
    return done


def _erase(connection: Connection, account: str) -> None:
    own = connection.execute(select(cases.c.id).where(cases.c.account == account)).scalars().all()
    for number in own:
        _strip(connection, number)
        connection.execute(delete(outbox).where(outbox.c.case_id == number, outbox.c.sent_at.is_not(None)))
        connection.execute(
            update(cases)
            .where(cases.c.id == number)
            .values(
                account=f"erased-{number % 10**7}",
                headline="The account was deleted.",
                age_band="unknown",
                briefs="[]",
            )
        )
        connection.execute(
            update(cases)
            .where(cases.c.id == number, cases.c.state.not_in(CLOSED))
            .values(state="withdrawn", assignee=None)
        )
        connection.execute(update(decisions).where(decisions.c.case_id == number).values(note=""))
    for table in (contacts, sharers):
        connection.execute(delete(table).where(table.c.other == account))
    for table in (accounts, protections, reached, unmaskings, identities):
        connection.execute(delete(table).where(table.c.account == account))


def _strip(connection: Connection, number: int) -> None:
    """Remove what a case holds beside its row and its decisions."""
    for table in (flags, contacts, sharers, activity):
        connection.execute(delete(table).where(table.c.case_id == number))


def retain(connection: Connection, keys: Keys, retention: Retention, now: int) -> dict[str, int]:
    """Remove what is older than it may be; return how many of each class."""
    c = cases.c
    free = c.legal_hold.is_(False)
    classes: dict[str, Any] = {
        "confirmed": (c.state == "confirmed") & (c.changed_at < now - retention.confirmed * DAY),
        "dismissed": c.state.in_(("dismissed", "withdrawn")) & (c.changed_at < now - retention.dismissed * DAY),
        "shadow": c.shadow & (c.changed_at < now - retention.shadow * DAY),
    }
    removed = {}
    for name, old in classes.items():
        gone = connection.execute(select(c.id).where(free, old).limit(AT_ONCE)).scalars().all()
        if gone:
            connection.execute(delete(cases).where(c.id.in_(gone)))
        removed[name] = len(gone)
    fine = select(c.id).where(free, c.state == "dismissed", c.changed_at < now - retention.evidence * DAY)
    thinned = connection.execute(delete(contacts).where(contacts.c.case_id.in_(fine))).rowcount
    for table in (sharers, activity):
        connection.execute(delete(table).where(table.c.case_id.in_(fine)))
    thin = select(c.account).where(c.id.in_(fine))
    connection.execute(update(accounts).where(accounts.c.account.in_(thin)).values(unnamed=None))
    removed["contacts"] = thinned
    _forget_unnamed(connection)
    removed["audit"] = audit.prune(connection, keys.audit, before=now - retention.audit * DAY, now=now)
    if any(removed.values()):
        audit.append(connection, keys.audit, now=now, actor="system", action="retention", detail=removed)
    return removed


def _forget_unnamed(connection: Connection) -> None:
    """Remove the ids of accounts that no case, no contact and no group names any longer."""
    own, other = exists().where(cases.c.account == identities.c.account), identities.c.account
    named = own | exists().where(contacts.c.other == other) | exists().where(sharers.c.other == other)
    connection.execute(delete(identities).where(~named))
    own = exists().where(cases.c.account == accounts.c.account)
    connection.execute(delete(accounts).where(~own))
