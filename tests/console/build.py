"""Flags, people and services for the tests of the console."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from console.database import Database
from console.ingest import Taken
from console.keys import Keys
from console.people import Person, add_user
from console.rules import Rules
from console.service import Service
from streams.flags import Evidence, Flag, Window, rfc3339

SECRET = "a secret that only the tests of the console have"
PASSWORD = "correct horse battery staple"
START = 1_795_321_302_123
"""2026-11-22T04:21:42.123Z"""
HOUR = 3_600_000


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: int = START + HOUR) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def move(self, minutes: float) -> None:
        self.now += int(minutes * 60_000)


def flag(
    account: str = "u1",
    *,
    number: int = 0,
    kind: str = "flag.raised",
    detector: str = "minor_targeting",
    severity: str = "high",
    score: float = 0.8,
    minors: int = 6,
    targets: Sequence[str] = ("t1", "t2"),
    minutes: float = 0,
    role: str = "actor",
    shadow: bool = False,
    explanation: str | None = None,
    **more: Any,
) -> Flag:
    """Return a flag as a detector makes one."""
    at = rfc3339(START + int(minutes * 60_000))
    return Flag(
        type=kind,  # type: ignore[arg-type]
        flag_id=hashlib.sha256(f"{account} {detector} {number}".encode()).hexdigest()[:32],
        account_id=account,
        role=role,  # type: ignore[arg-type]
        detector=detector,
        severity=severity,  # type: ignore[arg-type]
        score=score,
        raised_at=rfc3339(START),
        updated_at=at,
        window=Window(start=rfc3339(START - 7 * 24 * HOUR), end=at),
        evidence=Evidence(
            features={"minors_7d": float(minors), "strangers_7d": minors + 4.0, "blocked_7d": 1.0},
            thresholds={"minors_7d": 5.0, "p_value": 1e-6},
            baseline={"minor_share": 0.05, "expected": 0.3, "p_value": 1e-9},
            targets=list(targets),
            event_ids=[f"e{place}" for place in range(len(targets))],
            **more,
        ),
        explanation=explanation
        or f"Adult account contacted {minors} minors with no mutual friend in 7 days; 0.3 were expected of many.",
        counterfactual="Would not have been raised below 5 minors in 7 days.",
        policy_version="2d5c4d799fdc",
        shadow=shadow,
    )


@cache
def migrated() -> bytes:
    """Return a SQLite file with all tables and nothing in them: migrating takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "console.db"
        database = Database(f"sqlite:///{path}")
        with database.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        return path.read_bytes()


def service_of(where: Path | str, clock: Clock | None = None, **more: Any) -> Service:
    """Return a service on a fresh SQLite file in a folder, or on the database with a URL."""
    url = where if isinstance(where, str) else f"sqlite:///{where / 'console.db'}"
    if url.startswith("sqlite") and not (path := Path(url.removeprefix("sqlite:///"))).exists():
        path.write_bytes(migrated())
    rules = more.pop("rules", Rules())
    return Service(database=Database(url), keys=Keys.from_secret(SECRET), rules=rules, clock=clock or Clock(), **more)


def take(service: Service, *flags: Flag) -> Taken:
    """Take flags as one batch."""
    with service.database.writing() as connection:
        return service.ingest.take(connection, flags, service.clock())


def person(service: Service, login: str = "rita", role: str = "reviewer") -> Person:
    """Add somebody, and return them as signed in."""
    with service.database.writing() as connection:
        number = add_user(connection, login, login.capitalize(), role, None, now=service.clock())
    return Person(id=number, login=login, name=login.capitalize(), role=role, csrf="c", session="s")
