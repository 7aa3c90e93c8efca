"""Accounts at risk: seen as soon as a flag names them, with those who reach for them, and never as accused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from console.reached import keep_up, most_reached
from console.service import Service
from console.tables import contacts
from tests.console.build import Clock, flag, service_of, take
from tests.console.pages import Visitor, visitor


@pytest.fixture
def own(tmp_path: Path, clock: Clock) -> Iterator[Service]:
    made = service_of(tmp_path, clock)
    yield made
    made.database.close()


@pytest.fixture
def rita(own: Service) -> Visitor:
    return visitor(own, "rita", "reviewer")


def at_risk(service: Service, account: str, **more: object) -> None:
    why = "This minor may need protection: 4 strangers contacted it, 3 of them accounts under suspicion."
    take(service, flag(account, role="target", detector="victim_exposure", targets=(), explanation=why, **more))  # type: ignore[arg-type]


def test_a_minor_is_seen_before_any_of_the_suspects_is(own: Service, rita: Visitor) -> None:
    at_risk(own, "kid")
    name = own.keys.pseudonym_of("kid")
    page = rita.get("/at-risk").text
    assert name in page
    assert "This minor may need protection" in page
    assert name in rita.get("/queue?role=target").text
    assert name not in rita.get("/queue").text, "the queue is of those under suspicion"
    assert "No account under review" in rita.get("/cases/1").text


def test_their_case_shows_who_reaches_for_them(own: Service, rita: Visitor) -> None:
    at_risk(own, "kid")
    take(own, flag("u1", targets=["kid", "other"]), flag("u2", targets=["kid"]))
    page = rita.get("/cases/1").text
    assert "account at risk, not accused" in page
    assert "Who reaches for it" in page
    assert "Who it reached for" not in page
    for suspect in ("u1", "u2"):
        assert own.keys.pseudonym_of(suspect) in page
    assert "Who it reached for" in rita.get("/cases/2").text


def test_a_protective_step_shows_on_the_list(own: Service, rita: Visitor) -> None:
    at_risk(own, "kid")
    assert "none yet" in rita.get("/at-risk").text
    rita.post(f"/at-risk/{own.keys.pseudonym_of('kid')}/protect", step="contacts_limited")
    assert "none yet" not in rita.get("/at-risk").text


def test_only_minors_and_those_of_unknown_age_are_listed(own: Service, rita: Visitor) -> None:
    ages = {"kid": "13_15", "grown": "21_plus", "nobody-knows": "unknown"}
    take(own, *(flag(suspect, targets=list(ages)) for suspect in ("u1", "u2")))
    with own.database.writing() as connection:
        # one of the two knows the ages
        for account, age in ages.items():
            here = (contacts.c.other == own.keys.pseudonym_of(account)) & (contacts.c.case_id == 1)
            connection.execute(update(contacts).where(here).values(age_band=age))
    keep_up(own.database, own.clock())
    with own.database.reading() as connection:
        rows = {row["account"]: row["age_band"] for row in most_reached(connection)}
    assert rows == {own.keys.pseudonym_of("kid"): "13_15", own.keys.pseudonym_of("nobody-knows"): "unknown"}
    page = rita.get("/at-risk").text
    assert "13–15" in page
    assert "As of" in page


def test_before_the_first_round_the_page_says_so(own: Service, rita: Visitor) -> None:
    assert "for the first time" in rita.get("/at-risk").text


def test_a_retracted_flag_leaves_the_list(own: Service, rita: Visitor) -> None:
    at_risk(own, "kid")
    at_risk(own, "kid", kind="flag.retracted", minutes=5)
    assert own.keys.pseudonym_of("kid") not in rita.get("/at-risk").text
    assert "retracted" in rita.get("/cases/1").text, "and its case says why"
