"""Unmasking: showing the account id behind a pseudonym, to one person, for a while, with a reason that is recorded."""

from __future__ import annotations

from sqlalchemy import Connection, select

from console import audit
from console.decisions import RefusedError
from console.ingest import upsert
from console.keys import Keys
from console.people import Person
from console.rules import Rules
from console.tables import identities, unmaskings

__all__ = ["LONGEST_REASON", "SHORTEST_REASON", "shown", "unmask"]

SHORTEST_REASON = 10
LONGEST_REASON = 500


def unmask(
    connection: Connection, keys: Keys, person: Person, account: str, reason: str, rules: Rules, *, now: int
) -> str:
    """Return the account id behind a pseudonym, and record who asked and why.

    Raises
    ------
    RefusedError
        Without the right or a reason, or if the account is not known or was erased.
    """
    if not person.may("identities.unmask"):
        raise RefusedError("Your role does not allow to see account ids.")
    reason = reason.replace("\0", "").strip()
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise RefusedError(f"Say why, in {SHORTEST_REASON} to {LONGEST_REASON} characters: it is recorded.")
    account_id = connection.execute(select(identities.c.account_id).where(identities.c.account == account)).scalar()
    if account_id is None:
        raise RefusedError("This account is not known, or was erased.")
    until = now + int(rules.unmask_minutes * 60_000)
    statement = upsert(connection, unmaskings).values(user_id=person.id, account=account, until=until)
    connection.execute(statement.on_conflict_do_update(index_elements=["user_id", "account"], set_={"until": until}))
    audit.append(
        connection,
        keys.audit,
        now=now,
        actor=person.login,
        action="identity.unmask",
        object=f"account:{account}",
        detail={"reason": reason},
    )
    return str(account_id)


def shown(connection: Connection, person: Person, accounts: list[str], now: int) -> dict[str, str]:
    """Return the ids of those accounts that this person has unmasked and may still see."""
    if not person.may("identities.unmask"):
        return {}
    query = (
        select(identities.c.account, identities.c.account_id)
        .join(unmaskings, unmaskings.c.account == identities.c.account)
        .where(unmaskings.c.user_id == person.id, unmaskings.c.until > now, identities.c.account.in_(accounts))
    )
    return {row.account: row.account_id for row in connection.execute(query)}
