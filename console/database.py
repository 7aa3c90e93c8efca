"""The console's database: SQLite in one file, or PostgreSQL. Opening it brings its tables up to date (Alembic).

`Database.reading` and `Database.writing` are the two kinds of transaction. On SQLite a writing one takes the lock at
its beginning, so that two writers wait for one another and never fail half-way; who waits is served in turn, people
first (`console/turns.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from console.turns import Turns

__all__ = ["Database", "DatabaseError"]

BUSY_MS: Final = 30_000
CACHE_KIB: Final = 131_072
"""Of each connection: what one batch of flags changes must fit, or it is written twice."""
CHECKPOINT_PAGES: Final = 262_144
"""1 GiB. Copied back by whoever commits then, and who writes next waits for it: a last resort, for readers of topics
and upkeep do it before (`Database.shorten_log`), while others go on."""
ANALYSED: Final = 1_000
"""Rows of an index that are looked at to guess the rest."""
MIGRATIONS: Final = Path(__file__).parent / "migrations"


class DatabaseError(ValueError):
    """The database cannot be used; the message says which and why, without its password."""


class Database:
    """One open database.

    Parameters
    ----------
    url : str
        `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.
    migrate : bool
        Bring the tables up to date.

    Raises
    ------
    DatabaseError
        If it cannot be opened.
    """

    def __init__(self, url: str, *, migrate: bool = True) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise DatabaseError("the database must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME") from None
        self.sqlite = parsed.get_backend_name() == "sqlite"
        if not self.sqlite and parsed.get_backend_name() != "postgresql":
            raise DatabaseError(f"the database must be SQLite or PostgreSQL, not {parsed.get_backend_name()}")
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.name = parsed.render_as_string(hide_password=True)
        if self.sqlite and parsed.database not in (None, "", ":memory:"):
            Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        self.engine: Engine = create_engine(parsed, pool_size=20, max_overflow=20, pool_pre_ping=not self.sqlite)
        if self.sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._turns = Turns(BUSY_MS / 1000) if self.sqlite else None
        if migrate:
            try:
                self._migrate()
            except DBAPIError as problem:
                raise DatabaseError(f"{self.name}: {str(problem.orig).strip().splitlines()[0]}") from None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Begin a transaction that only reads: one moment's picture of the database."""
        with self.engine.connect() as connection, connection.begin():
            if not self.sqlite:
                connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            yield connection

    @contextmanager
    def writing(self, *, gives_way: bool = False) -> Iterator[Connection]:
        """Begin a transaction that writes.

        Parameters
        ----------
        gives_way : bool
            On SQLite, let those go first who do not: for what nobody waits for at a screen.

        Raises
        ------
        TimeoutError
            If SQLite was busy for half a minute with what others of this process write.
        """
        turn = self._turns.turn(gives_way=gives_way) if self._turns else nullcontext()
        with turn, self.engine.connect() as connection:
            connection = connection.execution_options(writing=True)
            with connection.begin():
                yield connection

    @property
    def awaited(self) -> bool:
        """Whether somebody waits to write: then a transaction that gives way should end soon."""
        return self._turns is not None and self._turns.awaited

    @property
    def people_about(self) -> bool:
        """Whether somebody looked or wrote in the last minutes: then what gives way should be ready to."""
        return self._turns is not None and self._turns.about

    def shorten_log(self) -> None:
        """Copy SQLite's log back as far as nobody is in the way, so that it stays short while little is written."""
        if not self.sqlite:
            return
        with closing(self.engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")

    def analyze(self) -> None:
        """Count what the tables hold, so that the right index is chosen. PostgreSQL does so by itself."""
        with self.writing(gives_way=True) as connection:
            if self.sqlite:
                connection.exec_driver_sql(f"PRAGMA analysis_limit={ANALYSED}")  # otherwise it reads every index whole
            connection.exec_driver_sql("ANALYZE")

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    def _migrate(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        with self.engine.connect() as connection:
            connection = connection.execution_options(writing=True)
            with connection.begin():
                if not self.sqlite:  # two consoles may start at once
                    connection.execute(text("SELECT pg_advisory_xact_lock(7405105)"))
                config.attributes["connection"] = connection
                command.upgrade(config, "head")


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_MS}",
        f"cache_size=-{CACHE_KIB}",
        f"wal_autocheckpoint={CHECKPOINT_PAGES}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
