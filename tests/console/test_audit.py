"""The audit: whatever is changed, removed, inserted or cut off is found; the database refuses to in the first place."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError

from console import audit
from console.service import Service
from console.tables import audit as records
from streams.cli import cli
from tests.console.build import SECRET, Clock, service_of


def fill(service: Service, count: int) -> None:
    with service.database.writing() as connection:
        for number in range(count):
            service.note(connection, "rita", "case.view", f"case:{number}", why="“quoted” and \\escaped")


def check(service: Service, expect: tuple[int, str] | None = None) -> tuple[int, audit.Problem | None]:
    with service.database.reading() as connection:
        return audit.verify(connection, service.keys.audit, expect=expect)


def tamper(service: Service, statement: str, **values: object) -> None:
    """Change the audit as somebody with the database's password could: without the triggers."""
    sqlite = service.database.sqlite
    off = (
        ["DROP TRIGGER audit_fixed", "DROP TRIGGER audit_kept"] if sqlite else ["ALTER TABLE audit DISABLE TRIGGER ALL"]
    )
    with service.database.writing() as connection:
        for one in off:
            connection.execute(text(one))
        connection.execute(text(statement), values)


def test_an_untouched_chain_holds(service: Service) -> None:
    fill(service, 50)
    assert check(service) == (50, None)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'olga' WHERE seq = 7",
        "UPDATE audit SET at = at + 1 WHERE seq = 7",
        "UPDATE audit SET detail = '{}' WHERE seq = 7",
        "UPDATE audit SET object = 'case:99' WHERE seq = 7",
        "UPDATE audit SET previous = hash WHERE seq = 7",
        "UPDATE audit SET hash = previous WHERE seq = 7",
        "DELETE FROM audit WHERE seq = 7",
    ],
)
def test_a_tampered_row_is_found(service: Service, statement: str) -> None:
    fill(service, 12)
    tamper(service, statement)
    count, problem = check(service)
    assert problem is not None
    assert (count, problem.seq) == (6, 7)


def test_an_end_that_was_cut_off_is_found_by_a_head_written_down(service: Service) -> None:
    fill(service, 12)
    with service.database.reading() as connection:
        written = audit.head(connection)
    tamper(service, "DELETE FROM audit WHERE seq > 9")
    assert check(service) == (9, None), "the chain alone cannot tell"
    assert check(service, written)[1] == audit.Problem(10, "missing: the record 12 was written down")
    fill(service, 5)
    assert check(service, written)[1] == audit.Problem(12, "it is not the record that was written down")


def test_a_forger_without_the_key_cannot_append(service: Service) -> None:
    fill(service, 3)
    with service.database.writing() as connection:
        audit.append(connection, b"some other key", now=1, actor="rita", action="case.view")
    assert check(service) == (3, audit.Problem(4, "changed"))


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'olga'", "DELETE FROM audit WHERE seq = 2"])
def test_the_database_refuses_changes(service: Service, statement: str) -> None:
    fill(service, 3)
    with pytest.raises(DBAPIError, match="append-only"), service.database.writing() as connection:
        connection.execute(text(statement))
    assert check(service) == (3, None)


def test_retention_removes_the_beginning_and_the_rest_still_holds(service: Service, clock: Clock) -> None:
    fill(service, 10)
    clock.move(60)
    fill(service, 5)
    for _ in range(2):
        with service.database.writing() as connection:
            audit.prune(connection, service.keys.audit, before=clock.now, now=clock.now)
        assert check(service) == (5, None)
    with service.database.writing() as connection:
        audit.prune(connection, service.keys.audit, before=clock.now + 1, now=clock.now)
    assert check(service) == (0, None)
    fill(service, 1)
    assert check(service) == (1, None)


def test_a_forged_anchor_is_found(service: Service) -> None:
    fill(service, 5)
    with service.database.writing() as connection:
        row = connection.execute(select(records).where(records.c.seq == 3)).one()
        connection.execute(insert(audit.audit_anchors).values(seq=3, at=1, hash=row.hash, seal="0" * 64))
    assert check(service)[1] == audit.Problem(3, "the anchor was not made by this console")


@settings(max_examples=25, deadline=None)
@given(
    column=st.sampled_from(["at", "actor", "action", "object", "detail", "previous", "hash"]),
    seq=st.integers(1, 8),
    value=st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=20),
)
def test_any_change_of_any_field_is_found(
    tmp_path_factory: pytest.TempPathFactory, column: str, seq: int, value: str
) -> None:
    service = service_of(tmp_path_factory.mktemp("audit"))
    fill(service, 8)
    with service.database.reading() as connection:
        before = connection.execute(select(records.c[column]).where(records.c.seq == seq)).scalar()
    if str(before) == value:
        return
    tamper(service, f"UPDATE audit SET {column} = :value WHERE seq = :seq", value=value, seq=seq)
    count, problem = check(service)
    assert (count, problem and problem.seq) == (seq - 1, seq)
    service.database.close()


def test_the_command_says_so_and_fails(tmp_path: Path) -> None:
    service = service_of(tmp_path)
    fill(service, 4)

    def run(*arguments: str) -> Result:
        given = ["console", "--folder", str(tmp_path), "audit", *arguments]
        return CliRunner().invoke(
            cli, given, env={"KITHWATCH_CONSOLE_SECRET": SECRET, "KITHWATCH_CONSOLE_DATABASE": ""}
        )

    head = run("head").stdout.strip()
    assert run("verify", "--expect", head).stdout == "4 records hold\n"
    tamper(service, "UPDATE audit SET actor = 'olga' WHERE seq = 2")
    done = run("verify")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "Error: the audit does not hold: record 2: changed\n"
    assert run("verify", "--expect", "nonsense").exit_code == 2
