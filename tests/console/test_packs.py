"""Evidence packs: a draft in the shape of a report, with what is held and nothing else, on the record."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from console.decisions import Choice, decide
from console.pack_pdf import clean
from console.service import Service
from console.surroundings import take_contexts
from console.tables import audit
from tests.console.build import START, Clock, flag, person, service_of, take
from tests.console.pages import Visitor, visitor
from tests.console.test_surroundings import context

REASON = "report to the authorities"


@pytest.fixture
def own(tmp_path: Path, clock: Clock) -> Service:
    made = service_of(tmp_path, clock)
    take(made, flag("Ж名-u1", targets=["t1", "t2"]))
    with made.database.writing() as connection:
        told = context("Ж名-u1", t1=("13_15", START, START, ["accepted"]), t2=("21_plus", START, START, []))
        take_contexts(connection, made.ingest, [told], made.clock())
    choice = Choice(action="confirm", reason="minors_sought", policy="child_safety.grooming", note="Clear.")
    olga = person(made, "olga")
    with made.database.writing() as connection:
        decide(connection, made.keys, olga, 1, choice, now=made.clock())
    return made


@pytest.fixture
def rita(own: Service) -> Visitor:
    return visitor(own, "rita", "reviewer")


def test_it_has_the_reports_fields_and_says_what_is_not_held(own: Service, rita: Visitor) -> None:
    answer = rita.post("/cases/1/pack", format="json", reason=REASON)
    pack = msgspec.json.decode(answer.content)
    assert pack["status"].startswith("DRAFT")
    assert pack["incidentSummary"]["incidentType"] == "Online Enticement of Children for Sexual Acts"
    assert pack["personOrUserReported"]["espIdentifier"] == "Ж名-u1"
    assert [victim["espIdentifier"] for victim in pack["victims"]] == ["t1"], "minors only"
    assert "completed by the platform" in pack["reporter"]["contactPerson"]
    assert any("Reviewer's decision, confirm" in entry["what"] for entry in pack["timeline"])
    assert [entry["at"] for entry in pack["timeline"]] == sorted(entry["at"] for entry in pack["timeline"])
    assert answer.headers["x-kithwatch-seal"] == own.keys.seal(answer.content)
    assert own.keys.seal(answer.content.replace(b"13", b"14")) != answer.headers["x-kithwatch-seal"]


def test_as_pdf_it_can_be_read_and_is_marked_on_every_page(rita: Visitor, tmp_path: Path) -> None:
    answer = rita.post("/cases/1/pack", format="pdf", reason=REASON)
    assert answer.content.startswith(b"%PDF-")
    assert answer.headers["content-disposition"] == 'attachment; filename="case-1-draft.pdf"'
    assert len(answer.content) > 5000


def test_making_one_needs_a_reason_and_is_recorded(own: Service, rita: Visitor) -> None:
    assert rita.post("/cases/1/pack", format="pdf", reason="").status_code == 409
    assert rita.post("/cases/1/pack", format="exe", reason=REASON).status_code == 404
    assert rita.post("/cases/99/pack", format="pdf", reason=REASON).status_code == 409
    rita.post("/cases/1/pack", format="pdf", reason=REASON)
    with own.database.reading() as connection:
        (row,) = connection.execute(select(audit).where(audit.c.action == "case.pack")).all()
    assert (row.actor, row.object) == ("rita", "case:1")
    assert REASON in row.detail


def test_marks_that_reorder_text_are_made_visible() -> None:
    assert clean("a\u202eb\x07") == "a\\u202eb\\u0007"


def test_a_legal_hold_is_a_leads_and_recorded(own: Service, rita: Visitor) -> None:
    assert rita.post("/cases/1/hold", hold="on", reason=REASON).status_code == 403
    lead = visitor(own, "leo", "lead")
    assert lead.post("/cases/1/hold", hold="on", reason="").status_code == 409
    lead.post("/cases/1/hold", hold="on", reason=REASON)
    assert "legal hold" in lead.get("/cases/1").text
    assert "legal hold" in lead.get("/queue?state=any").text
    lead.post("/cases/1/hold", hold="off", reason=REASON)
    with own.database.reading() as connection:
        actions = connection.execute(select(audit.c.action).where(audit.c.actor == "leo")).scalars().all()
    assert [action for action in actions if "hold" in action] == ["case.legal_hold", "case.legal_hold_lifted"]
