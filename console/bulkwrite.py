"""Reading and writing many rows at once, straight through the driver.

SQLAlchemy compiles the statement; the rows then go to the driver's own `executemany`. Its usual way handles every
value of every row in Python, which costs more than the database's whole work when thousands of flags come in a second.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

__all__ = ["among", "write_many"]


def among(connection: Connection, column: Any, values: Collection[Any]) -> ColumnElement[bool]:
    """Return the condition that a column has one of many values, given to the database as one parameter.

    `IN (?, ?, …)` with thousands of values is a statement of its own each time, which costs more than to run it.
    """
    if connection.dialect.name == "postgresql":
        return column == any_(literal(list(values), ARRAY(column.type)))  # type: ignore[no-any-return]
    each = func.json_each(msgspec.json.encode(list(values)).decode()).table_valued("value")
    return column.in_(select(each.c.value))  # type: ignore[no-any-return]


def write_many(connection: Connection, statement: Any, rows: Sequence[dict[str, Any]]) -> None:
    """Run one INSERT or UPDATE for every row.

    Parameters
    ----------
    connection : Connection
    statement : Insert or Update
    rows : sequence of dict
        All with the same names: those of columns and of the statement's own parameters. Column defaults of the tables
        do not apply here.
    """
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
