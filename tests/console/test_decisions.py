"""Deciding: what may follow on what, who may, taking back, and what the platform is told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from console.decisions import Choice, RefusedError, decide, undo
from console.people import Person
from console.service import Service
from console.tables import audit, cases, decisions, identities, outbox
from streams.dispositions import Disposition
from tests.console.build import HOUR, Clock, flag, person, take

CONFIRM = Choice(action="confirm", reason="minors_sought", policy="child_safety.grooming", note="Sure of it.")
DISMISS = Choice(action="dismiss", reason="known_role", policy="none")


def act(service: Service, who: Person, choice: Choice, case: int = 1) -> int:
    with service.database.writing() as connection:
        return decide(connection, service.keys, who, case, choice, now=service.clock())


def take_back(service: Service, who: Person, case: int = 1) -> None:
    with service.database.writing() as connection:
        undo(connection, service.keys, who, case, service.rules, now=service.clock())


def case_of(service: Service) -> dict[str, Any]:
    with service.database.reading() as connection:
        return dict(connection.execute(select(cases).where(cases.c.id == 1)).mappings().one())


def told(service: Service) -> list[Disposition]:
    with service.database.reading() as connection:
        values = connection.execute(select(outbox.c.value).order_by(outbox.c.id)).scalars()
        return [msgspec.json.decode(value, type=Disposition) for value in values]


@pytest.fixture
def rita(service: Service) -> Person:
    take(service, flag("u1"))
    return person(service)


def test_a_decision_is_told_to_the_platform_under_the_accounts_own_id(service: Service, rita: Person) -> None:
    act(service, rita, CONFIRM)
    (disposition,) = told(service)
    assert (disposition.account_id, disposition.outcome, disposition.reason) == ("u1", "confirmed", "minors_sought")
    assert (disposition.policy, disposition.severity) == ("child_safety.grooming", "high")
    assert len(disposition.flag_ids) == 1
    with service.database.reading() as connection:
        assert connection.execute(select(outbox.c.key)).scalar() == "u1"


def test_taking_back_restores_everything_and_is_told_with_the_same_id(
    service: Service, rita: Person, clock: Clock
) -> None:
    act(service, rita, Choice(action="take"))
    before = case_of(service)
    clock.move(3)
    act(service, rita, DISMISS)
    assert case_of(service)["state"] == "dismissed"
    take_back(service, rita)
    after = case_of(service)
    changing = ("changed_at", "version")
    assert {k: v for k, v in after.items() if k not in changing} == {
        k: v for k, v in before.items() if k not in changing
    }
    made, undone = told(service)
    assert (made.type, undone.type) == ("disposition.made", "disposition.undone")
    assert made.disposition_id == undone.disposition_id
    assert undone.outcome == "open"


def test_taking_back_has_its_time_and_its_owner(service: Service, rita: Person, clock: Clock) -> None:
    other = person(service, "olga")
    act(service, rita, CONFIRM)
    with pytest.raises(RefusedError, match="nothing to undo"):
        take_back(service, other)
    clock.move(service.rules.undo_minutes + 0.1)
    with pytest.raises(RefusedError, match="time is over"):
        take_back(service, rita)
    assert case_of(service)["state"] == "confirmed"


def test_one_cannot_take_back_what_somebody_has_built_on(service: Service, rita: Person) -> None:
    lead = person(service, "leo", "lead")
    act(service, rita, Choice(action="hold", reason="await_evidence"))
    act(service, lead, CONFIRM)
    with pytest.raises(RefusedError):
        take_back(service, rita)


@pytest.mark.parametrize(
    ("choice", "missing"),
    [
        (Choice(action="confirm", policy="child_safety.grooming"), "reason"),
        (Choice(action="confirm", reason="minors_sought"), "policy"),
        (Choice(action="confirm", reason="minors_sought", policy="none"), "policy that was broken"),
        (Choice(action="confirm", reason="known_role", policy="child_safety.grooming"), "reason"),
        (Choice(action="dismiss", reason="known_role"), "policy"),
        (Choice(action="hold", reason="await_evidence", hours=0), "hour"),
        (Choice(action="hold", reason="await_evidence", hours=float("nan")), "hour"),
        (Choice(action="hand_over", reason="workload", to="nobody"), "reviewer or lead"),
        (Choice(action="note", note=" "), "Write"),
        (Choice(action="note", note="x" * 4001), "4000"),
        (Choice(action="delete"), "no such action"),
        (Choice(action="reopen", reason="new_information"), "not possible"),
    ],
)
def test_a_choice_that_is_not_complete_changes_nothing(
    service: Service, rita: Person, choice: Choice, missing: str
) -> None:
    before = case_of(service)
    with pytest.raises(RefusedError, match=missing):
        act(service, rita, choice)
    assert case_of(service) == before
    with service.database.reading() as connection:
        assert connection.execute(select(decisions)).all() == []
    assert told(service) == []


def test_a_case_that_somebody_has_is_theirs_unless_a_lead_steps_in(service: Service, rita: Person) -> None:
    other, lead = person(service, "olga"), person(service, "leo", "lead")
    act(service, rita, Choice(action="take"))
    with pytest.raises(RefusedError, match="Somebody else has this case"):
        act(service, other, CONFIRM)
    act(service, other, Choice(action="note", note="I know this one."))
    act(service, lead, Choice(action="hand_over", reason="workload", to="olga"))
    assert case_of(service)["assignee"] == other.id
    act(service, other, CONFIRM)


def test_nobody_decides_on_what_they_have_not_seen(service: Service, rita: Person) -> None:
    seen = act(service, rita, Choice(action="note", note="first"))
    act(service, rita, Choice(action="note", note="second"))
    with pytest.raises(RefusedError, match="meanwhile"):
        act(service, rita, msgspec.structs.replace(CONFIRM, seen=seen))


def test_a_decided_case_opens_by_hand_and_is_told(service: Service, rita: Person) -> None:
    act(service, rita, DISMISS)
    with pytest.raises(RefusedError, match="not possible now"):
        act(service, rita, CONFIRM)
    act(service, rita, Choice(action="reopen", reason="decided_in_error"))
    assert [one.outcome for one in told(service)] == ["dismissed", "open"]


def test_a_hold_ends(service: Service, rita: Person, clock: Clock) -> None:
    act(service, rita, Choice(action="hold", reason="await_evidence", hours=72))
    assert case_of(service)["held_until"] == clock.now + 72 * HOUR
    assert told(service)[0].until is not None


def test_an_erased_account_is_decided_without_telling_anybody(service: Service, rita: Person) -> None:
    with service.database.writing() as connection:
        connection.execute(identities.delete())
    act(service, rita, DISMISS)
    assert told(service) == []


def test_every_decision_leaves_an_audit_record_in_its_own_transaction(service: Service, rita: Person) -> None:
    act(service, rita, CONFIRM)
    take_back(service, rita)
    with service.database.reading() as connection:
        done = connection.execute(select(audit.c.actor, audit.c.action, audit.c.object).order_by(audit.c.seq)).all()
    assert [tuple(row) for row in done] == [("rita", "case.confirm", "case:1"), ("rita", "case.undo", "case:1")]


def test_what_evidence_has_opened_again_cannot_be_taken_back(service: Service, rita: Person) -> None:
    act(service, rita, DISMISS)
    take(service, flag(kind="flag.updated", severity="critical", minutes=5))
    reopened = case_of(service)
    with pytest.raises(RefusedError, match="moved on"):
        take_back(service, rita)
    assert case_of(service) == reopened
