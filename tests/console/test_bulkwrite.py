"""Many rows at once: the same as one by one, on both databases, whatever the values."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from console.bulkwrite import COPIED, among, insert_each, insert_many, update_many
from console.ingest import upsert
from console.service import Service
from console.tables import cases, identities
from tests.console.build import flag, take

AWKWARD = [
    "tab\there",
    "line\nbreak",
    "back\\slash",
    "\\N",
    "it's",
    '"quoted"',
    "{a,b}",
    "emoji 🙂",
    "",
    "NULL",
    "%s %(x)s :y",
]


def held(service: Service, table: Any) -> list[tuple[Any, ...]]:
    with service.database.reading() as connection:
        return [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]


def named(count: int) -> list[dict[str, str]]:
    return [
        {"account": f"P{number:04}", "account_id": f"{AWKWARD[number % len(AWKWARD)]} {number}"}
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [1, COPIED - 1, COPIED, 3 * COPIED])
def test_every_value_arrives_as_it_is(service: Service, count: int) -> None:
    with service.database.writing() as connection:
        insert_many(connection, upsert(connection, identities).on_conflict_do_nothing(), named(count))
    assert held(service, identities) == [(row["account"], row["account_id"]) for row in named(count)]


def test_what_is_there_stays_or_changes_as_the_statement_says(service: Service) -> None:
    rows = named(3 * COPIED)
    with service.database.writing() as connection:
        insert_each(connection, upsert(connection, identities).on_conflict_do_nothing(), rows[::2])
        for again in (rows, [{**row, "account_id": row["account_id"] + " again"} for row in rows]):
            insert_many(connection, upsert(connection, identities).on_conflict_do_nothing(), again)
    assert len(held(service, identities)) == len(rows)
    assert not any(account_id.endswith("again") for _, account_id in held(service, identities))
    with service.database.writing() as connection:
        statement = upsert(connection, identities)
        changing = statement.on_conflict_do_update(
            index_elements=["account"], set_={"account_id": statement.excluded.account_id}
        )
        insert_many(connection, changing, [{**row, "account_id": row["account_id"] + " anew"} for row in rows])
    assert all(account_id.endswith("anew") for _, account_id in held(service, identities))


def test_updates_reach_their_rows_and_no_others(service: Service) -> None:
    take(service, *(flag(f"u{number}") for number in range(2 * COPIED + 5)))
    before = held(service, cases)
    changed = [
        {"number": number, "headline": f"{AWKWARD[3]} {number}", "due_at": None} for number in range(1, 2 * COPIED)
    ]
    with service.database.writing() as connection:
        update_many(connection, cases, changed)
        update_many(connection, cases, [])
    names = [column.name for column in cases.c]
    for old, new in zip(before, held(service, cases), strict=True):
        expected = dict(zip(names, old, strict=True))
        if expected["id"] < 2 * COPIED:
            expected |= {"headline": f"{AWKWARD[3]} {expected['id']}", "due_at": None}
        assert dict(zip(names, new, strict=True)) == expected


def test_many_keys_are_one_parameter(service: Service) -> None:
    with service.database.writing() as connection:
        insert_many(connection, upsert(connection, identities).on_conflict_do_nothing(), named(50))
    with service.database.reading() as connection:
        wanted = [row["account_id"] for row in named(60)[40:]]
        found = connection.execute(
            select(identities.c.account).where(among(connection, identities.c.account_id, wanted))
        )
        assert sorted(found.scalars()) == [f"P{number:04}" for number in range(40, 50)]
        assert connection.execute(select(cases.c.id).where(among(connection, cases.c.id, []))).all() == []


def test_a_large_batch_gives_what_small_ones_give(service: Service) -> None:
    stream = [
        flag(f"u{number % 150}", number=number // 150, minutes=number, minors=number % 9) for number in range(400)
    ]
    assert len(take(service, *stream[:300]).opened) == 150
    assert take(service, *stream).news == 100
    assert sum(row[cases.c.keys().index("flags")] for row in held(service, cases)) == 400
    assert all(row[cases.c.keys().index("state")] == "open" for row in held(service, cases))
