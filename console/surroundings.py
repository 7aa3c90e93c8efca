"""What is known beside the flags: contexts that workers send, and events of accounts under review.

Both only add to the picture of a case: contacts with ages and outcomes, activity an hour, the account's own age, who
else reaches for the same targets.
Neither opens a case nor changes how urgent it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, case, func, insert, select, update

from console.bulkwrite import insert_each
from console.ingest import Ingest, upsert
from console.tables import accounts, activity, cases, contacts, identities, sharers
from console.words import OUTCOMES
from streams.contexts import Context
from streams.timestamps import epoch_ms

__all__ = ["add_activity", "add_contacts", "add_sharers", "bits", "describe", "take_contexts"]

Row = dict[str, Any]
_BITS: Final = {name: 1 << place for place, name in enumerate(OUTCOMES)}


def bits(names: Iterable[str]) -> int:
    """Return outcomes as the bits of `contacts.outcomes`."""
    return sum(_BITS[name] for name in set(names) if name in _BITS)


def contact(case_id: int, other: str, at: int, **more: Any) -> Row:
    """Return a row of `contacts` with what is known, the rest empty."""
    usual = {"age_band": "unknown", "outcomes": 0, "signs": 0, "mutual_friends": None, "requests": 0, "messages": 0}
    return {"case_id": case_id, "other": other, "first_at": at, "last_at": at} | usual | more


def add_contacts(connection: Connection, rows: Sequence[Row]) -> None:
    """Add to what is known of contacts: times widen, outcomes and signs gather, counts add up, a told age wins."""
    if not rows:
        return
    statement = upsert(connection, contacts)
    new, old = statement.excluded, contacts.c
    least, most = (func.least, func.greatest) if connection.dialect.name == "postgresql" else (func.min, func.max)
    insert_each(
        connection,
        statement.on_conflict_do_update(
            index_elements=["case_id", "other"],
            set_={
                "first_at": least(old.first_at, new.first_at),
                # who is only named by a flag carries the flag's time
                "last_at": case(
                    ((old.first_at == old.last_at) & (old.first_at > new.first_at), new.last_at),
                    else_=most(old.last_at, new.last_at),
                ),
                "age_band": case((new.age_band == "unknown", old.age_band), else_=new.age_band),
                "outcomes": old.outcomes.op("|")(new.outcomes),
                "signs": old.signs.op("|")(new.signs),
                "mutual_friends": func.coalesce(new.mutual_friends, old.mutual_friends),
                "requests": old.requests + new.requests,
                "messages": old.messages + new.messages,
            },
        ),
        list(rows),
    )


def add_activity(connection: Connection, counted: Mapping[tuple[int, int, str], int]) -> None:
    """Add counts of (case, hour, kind)."""
    if not counted:
        return
    statement = upsert(connection, activity)
    rows = [
        {"case_id": number, "hour": hour, "kind": kind, "count": count}
        for (number, hour, kind), count in sorted(counted.items())
    ]
    total = {"count": activity.c["count"] + statement.excluded["count"]}
    connection.execute(statement.on_conflict_do_update(index_elements=["case_id", "hour", "kind"], set_=total), rows)


def add_sharers(connection: Connection, rows: Sequence[Row]) -> None:
    """Add to what is known of who else reaches for the same targets: who was named once stays, with the most shared."""
    statement = upsert(connection, sharers)
    new, old = statement.excluded, sharers.c
    most = func.greatest if connection.dialect.name == "postgresql" else func.max
    shared = {"shared": most(old.shared, new.shared)}
    insert_each(
        connection, statement.on_conflict_do_update(index_elements=["case_id", "other"], set_=shared), list(rows)
    )


def describe(
    connection: Connection,
    account: str,
    age_band: str,
    source: str | None,
    created_at: int | None,
    unnamed: int | None = None,
) -> None:
    """Note an account's own facts, on its cases too."""
    statement = upsert(connection, accounts).values(
        account=account, age_band=age_band, age_source=source, created_at=created_at, unnamed=unnamed
    )
    new, old = statement.excluded, accounts.c
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["account"],
            set_={
                "age_band": case((new.age_band == "unknown", old.age_band), else_=new.age_band),
                "age_source": func.coalesce(new.age_source, old.age_source),
                "created_at": func.coalesce(new.created_at, old.created_at),
                "unnamed": func.coalesce(new.unnamed, old.unnamed),
            },
        )
    )
    if age_band != "unknown":
        connection.execute(update(cases).where(cases.c.account == account).values(age_band=age_band))


def take_contexts(connection: Connection, ingest: Ingest, records: Sequence[Context], now: int) -> None:
    """Take contexts, each the newest word on its account.

    A context may overtake its flag, since the two travel by different topics: then an empty case waits for the flag,
    out of everybody's sight.
    """
    newest = {record.account_id: record for record in records}
    named = {target.target for record in newest.values() for target in record.contacts} | set(newest)
    named |= {other.account for record in newest.values() for other in record.group}
    pseudonyms = {account_id: ingest.pseudonym(account_id) for account_id in sorted(named)}
    if not newest:
        return
    rows = [{"account": pseudonym, "account_id": account_id} for account_id, pseudonym in pseudonyms.items()]
    connection.execute(upsert(connection, identities).on_conflict_do_nothing(), rows)
    numbers = _numbers(connection, [pseudonyms[account_id] for account_id in newest])
    if missing := [pseudonyms[account_id] for account_id in newest if pseudonyms[account_id] not in numbers]:
        connection.execute(insert(cases), [ingest.empty_case(account, "actor", now) for account in missing])
        numbers |= _numbers(connection, missing)
    reached: list[Row] = []
    group: list[Row] = []
    for account_id, record in newest.items():
        account = pseudonyms[account_id]
        created = None if record.created_at is None else epoch_ms(record.created_at)
        describe(connection, account, record.age_band, None, created, max(record.group_size - len(record.group), 0))
        group += [
            {"case_id": numbers[account], "other": pseudonyms[one.account], "shared": one.shared}
            for one in record.group
            if one.account != account_id
        ]
        for one in record.contacts:
            first, last = epoch_ms(one.first), epoch_ms(one.last)
            more = {"age_band": one.age_band, "outcomes": bits(one.outcomes), "last_at": last}
            reached.append(contact(numbers[account], pseudonyms[one.target], first, **more))
    # targets that a flag named carry the flag's time until the context tells when they were really reached
    add_contacts(connection, reached)
    add_sharers(connection, group)


def _numbers(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    query = select(cases.c.account, cases.c.id).where(cases.c.role == "actor", cases.c.account.in_(names))
    return {row.account: row.id for row in connection.execute(query)}


def count_hours(pairs: Iterable[tuple[int, int, str]]) -> Counter[tuple[int, int, str]]:
    """Return how often each (case, time in ms, kind) comes, by the hour."""
    return Counter((number, at // 3_600_000 * 3_600_000, kind) for number, at, kind in pairs)
