"""Databases for the console's tests: SQLite always, PostgreSQL in the slow ones."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from console.database import Database
from console.service import Service
from tests.console.build import Clock, service_of
from tests.console.postgres import postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with postgres() as url:
        yield url


def create(server: str, name: str, template: str = "template1") -> str:
    engine = create_engine(f"{server.replace('postgresql:', 'postgresql+psycopg:')}/postgres")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    engine.dispose()
    return f"{server}/{name}"


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """A database with all tables and nothing in them, to be copied."""
    Database(create(postgres_server, "migrated")).close()
    return "migrated"


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> str:
    """A fresh database."""
    return create(postgres_server, f"t{uuid.uuid4().hex[:12]}", postgres_template)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'console.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(database_url: str, clock: Clock) -> Iterator[Service]:
    made = service_of(database_url, clock)
    yield made
    made.database.close()
