"""Reading and writing many rows at once, straight through the driver.

SQLAlchemy makes the statements. On SQLite the rows go to the driver's own `executemany`: SQLAlchemy's handles every
value of every row in Python, which costs more than the database's whole work when thousands of flags come in a second.
On PostgreSQL every row's own statement costs a round of its own, so many rows are copied (COPY) into a table of the
session and written from there by one statement.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, any_, bindparam, func, literal, select, table, text, update
from sqlalchemy import column as column_of
from sqlalchemy.dialects.postgresql import ARRAY

__all__ = ["among", "insert_each", "insert_many", "update_many"]

COPIED: Final = 100
"""From so many rows on, copying them pays on PostgreSQL."""
Rows = Sequence[dict[str, Any]]


def among(connection: Connection, column: Any, values: Collection[Any]) -> ColumnElement[bool]:
    """Return the condition that a column has one of many values, given to the database as one parameter.

    `IN (?, ?, …)` with thousands of values is a statement of its own each time, which costs more than to run it.
    """
    if connection.dialect.name == "postgresql":
        return column == any_(literal(list(values), ARRAY(column.type)))  # type: ignore[no-any-return]
    each = func.json_each(msgspec.json.encode(list(values)).decode()).table_valued("value")
    return column.in_(select(each.c.value))  # type: ignore[no-any-return]


def insert_many(connection: Connection, statement: Any, rows: Rows) -> None:
    """Insert rows.

    Parameters
    ----------
    connection : Connection
    statement : Insert
        With what to do on a conflict; no key may come twice among the rows.
    rows : sequence of dict
        All with the same names. Column defaults of the tables do not apply here.
    """
    if not _copied(connection, rows):
        insert_each(connection, statement, rows)
        return
    names = list(rows[0])
    fresh = _copy(connection, statement.table, {name: name for name in names}, rows)
    connection.execute(statement.from_select(names, select(*(fresh.c[name] for name in names))))


def update_many(connection: Connection, given: Table, rows: Rows) -> None:
    """Update rows of a table by their `id`.

    Parameters
    ----------
    connection : Connection
    given : Table
    rows : sequence of dict
        All with the same names: the columns to set, and `number`, the id.
    """
    if not _copied(connection, rows):
        insert_each(connection, update(given).where(given.c.id == bindparam("number")), rows)
        return
    names = list(rows[0])
    fresh = _copy(connection, given, {name: "id" if name == "number" else name for name in names}, rows)
    changes = {name: fresh.c[name] for name in names if name != "number"}
    connection.execute(update(given).where(given.c.id == fresh.c.number).values(changes))


def _copied(connection: Connection, rows: Rows) -> bool:
    return connection.dialect.name == "postgresql" and len(rows) >= COPIED


def insert_each(connection: Connection, statement: Any, rows: Rows) -> None:
    """Run one INSERT or UPDATE for every row, in their order; a key may come several times."""
    if not rows:
        return
    names = list(rows[0])
    compiled = statement.compile(dialect=connection.dialect, column_keys=names)
    fixed = {name: value for name, value in compiled.params.items() if name not in rows[0]}
    if compiled.positional:
        order = compiled.positiontup
        given: Any = list(map(itemgetter(*order), [{**fixed, **row} for row in rows] if fixed else rows))
    else:
        given = [{**fixed, **row} for row in rows] if fixed else list(rows)
    connection.exec_driver_sql(compiled.string, given)


def _copy(connection: Connection, given: Table, columns: dict[str, str], rows: Rows) -> Any:
    """Copy rows into a table that only this session sees; return it.

    Parameters
    ----------
    columns : dict
        Name in the rows to the column of `given` whose type it has.
    """
    name = f"fresh_{given.name}_{zlib.crc32(' '.join(columns).encode()):08x}"
    types = ", ".join(f'"{column}" AS "{alias}"' for alias, column in columns.items())
    source = f"SELECT {types} FROM {given.name} WITH NO DATA"  # noqa: S608  # names of our own tables and columns
    connection.execute(text(f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ON COMMIT DELETE ROWS AS {source}"))
    connection.execute(text(f"TRUNCATE {name}"))  # it may have been used in this transaction before
    driver: Any = connection.connection.driver_connection
    listed = ", ".join(f'"{alias}"' for alias in columns)
    values = itemgetter(*columns) if len(columns) > 1 else lambda row: (row[next(iter(columns))],)
    with driver.cursor() as cursor, cursor.copy(f"COPY {name} ({listed}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(values(row))
    return table(name, *(column_of(alias) for alias in columns)).alias("fresh")
