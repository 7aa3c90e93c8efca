"""Writing many rows at once, straight through the driver.

SQLAlchemy compiles the statement; the rows then go to the driver's own `executemany`. Its usual way handles every
value of every row in Python, which costs more than the database's whole work when thousands of flags come in a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

__all__ = ["write_many"]


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
        given: Any = [tuple(row[name] if name in row else fixed[name] for name in order) for row in rows]
    else:
        given = [{**fixed, **row} for row in rows] if fixed else list(rows)
    connection.exec_driver_sql(compiled.string, given)
