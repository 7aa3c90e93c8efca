"""Administration by its pages, and the smaller habits of a day."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select, update

from console.bulk import answer, propose
from console.caselist import Filters, page
from console.decisions import Choice, RefusedError, decide
from console.overview import flags_by_hour, precision, queue_health, shadow_against_live, wilson
from console.people import SignInError
from console.service import Service
from console.tables import audit, cases, tokens, users
from console.web.oidc import entered
from console.wellness import due_break
from tests.console.build import HOUR, PASSWORD, Clock, flag, person, service_of, take
from tests.console.pages import Visitor, visitor

BULK = Choice(action="dismiss", reason="too_little", policy="none", note="Old hints.")


@pytest.fixture
def own(tmp_path: Path, clock: Clock) -> Service:
    made = service_of(tmp_path, clock)
    take(made, *(flag(f"u{number}", severity="low" if number % 2 else "high") for number in range(6)))
    return made


@pytest.fixture
def ada(own: Service) -> Visitor:
    return visitor(own, "ada", "admin")


def test_a_new_colleague_gets_in_and_out(own: Service, ada: Visitor) -> None:
    assert ada.post("/admin/users", login="nina", name="Nina", password="short", role="reviewer").status_code == 409
    ada.post("/admin/users", login="nina", name="Nina", password=PASSWORD, role="reviewer")
    nina = Visitor(own)
    assert nina.sign_in("nina").status_code == 303
    with own.database.reading() as connection:
        number = connection.execute(select(users.c.id).where(users.c.login == "nina")).scalar_one()
    ada.post(f"/admin/users/{number}", role="reviewer", disabled="1")
    assert nina.get("/queue").status_code == 303, "at once"
    assert nina.sign_in("nina").status_code == 401


def test_nobody_changes_their_own_rights(own: Service, ada: Visitor) -> None:
    with own.database.reading() as connection:
        number = connection.execute(select(users.c.id).where(users.c.login == "ada")).scalar_one()
    assert ada.post(f"/admin/users/{number}", role="lead").status_code == 409


def test_a_token_is_shown_once_and_not_kept(own: Service, ada: Visitor) -> None:
    visitor(own, "rita", "reviewer")
    shown = ada.post("/admin/tokens", name="export", owner="rita", scope=["cases:read"], days="30").text
    (token,) = re.findall(r"kwt_[\w-]+", shown)
    assert token not in ada.get("/admin").text
    headers = {"authorization": f"Bearer {token}"}
    assert ada.client.get("/api/v1/cases", headers=headers).status_code == 200
    with own.database.reading() as connection:
        row = connection.execute(select(tokens)).mappings().one()
    assert token not in repr(row)
    ada.post(f"/admin/tokens/{row['id']}/revoke")
    assert ada.client.get("/api/v1/cases", headers=headers).status_code == 401


def test_a_webhook_is_added_switched_off_and_deleted(ada: Visitor) -> None:
    assert "whsec_" in ada.post("/admin/webhooks", url="https://example.org/hook", event=["case.opened"]).text
    assert "whsec_" not in ada.get("/admin").text
    ada.post("/admin/webhooks/1", action="off")
    assert "Switch on" in ada.get("/admin").text
    ada.post("/admin/webhooks/1", action="delete")
    assert "example.org" not in ada.get("/admin").text


def test_the_next_case_is_the_most_urgent_that_one_wants_to_see(own: Service) -> None:
    rita = visitor(own, "rita", "reviewer")
    rita.post("/me", max_severity="low", batch="5")
    where = rita.post("/queue/next").headers["location"]
    with own.database.reading() as connection:
        row = connection.execute(select(cases).where(cases.c.id == int(where.rsplit("/", 1)[1]))).mappings().one()
    assert (row["severity"], row["assignee"] is not None) == (0, True)
    for _ in range(2):
        rita.post("/queue/next")
    assert rita.post("/queue/next").headers["location"] == "/queue", "no low one is left"


def test_nobody_is_given_more_cases_than_they_want_at_once(own: Service) -> None:
    take(own, *(flag(f"w{number}", score=0.99) for number in range(6)))
    rita = visitor(own, "rita", "reviewer")
    rita.post("/me", max_severity="critical", batch="3")
    assert "Take 3" in rita.get("/queue").text
    assert rita.post("/queue/next", batch="1").headers["location"] == "/queue?who=me"
    with own.database.reading() as connection:
        mine = connection.execute(
            select(cases.c.id).where(cases.c.assignee.is_not(None)).order_by(cases.c.rank.desc())
        ).scalars()
        first, second, third = mine
    refused = rita.post("/queue/next")
    assert refused.status_code == 409
    assert "as many cases as you want at once (3)" in refused.text
    rita.post(f"/cases/{first}/decide", seen="99", action="hold", reason="hold:await_evidence")
    assert rita.post("/queue/next").headers["location"].startswith("/cases/"), "what is on hold is in nobody's hand"
    rita.post(f"/cases/{second}/decide", seen="99", action="dismiss", reason="dismiss:too_little", policy="none")
    assert "break" not in rita.get("/queue").text
    rita.post(f"/cases/{third}/decide", seen="99", action="dismiss", reason="dismiss:too_little", policy="none")
    with own.database.reading() as connection:
        last = connection.execute(
            select(cases.c.id).where(cases.c.assignee.is_not(None), cases.c.state == "open")
        ).scalar_one()
    rita.post(f"/cases/{last}/decide", seen="99", action="dismiss", reason="dismiss:too_little", policy="none")
    assert "the last of your cases: a good moment for a break" in rita.get("/queue").text


def test_a_break_is_offered_after_much_hard_material_and_sets_the_count_back(own: Service, clock: Clock) -> None:
    rita = visitor(own, "rita", "reviewer")
    me = person(own, "olga")
    for _ in range(9):
        rita.get("/cases/1")
    assert "break" not in rita.get("/queue").text, "the same case again is not more"
    take(own, *(flag(f"v{number}", severity="critical") for number in range(7)))
    for number in range(7, 14):
        rita.get(f"/cases/{number}")
    assert "Take a break" in rita.get("/queue").text
    rita.post("/me/break")
    assert "on a break until" in rita.get("/queue").text
    clock.move(11)
    assert "break" not in rita.get("/queue").text
    assert due_break(own, me, clock.now) is None


def test_nobody_approves_their_own_proposal(own: Service) -> None:
    leo, lena = person(own, "leo", "lead"), person(own, "lena", "lead")
    rita = person(own, "rita")
    with own.database.writing() as connection:
        number = propose(connection, own.keys, leo, [1, 2, 3], BULK, own.rules, now=own.clock())
        for who in (leo, rita):
            with pytest.raises(RefusedError, match="Somebody else has to approve"):
                answer(connection, own.keys, who, number, approve=True, now=own.clock())
        decide(connection, own.keys, rita, 2, Choice(action="note", note="Wait, I know this one."), now=own.clock())
        assert answer(connection, own.keys, lena, number, approve=True, now=own.clock()) == (2, 1)
        with pytest.raises(RefusedError, match="answered already"):
            answer(connection, own.keys, lena, number, approve=False, now=own.clock())
        states = connection.execute(select(cases.c.state).order_by(cases.c.id).limit(3)).scalars().all()
    assert states == ["dismissed", "open", "dismissed"]


@pytest.mark.parametrize(
    ("numbers", "why"), [([], "Select cases"), ([1, 999], "Not open: 999"), (list(range(1, 200)), "At most 100")]
)
def test_a_bulk_decision_has_its_bounds(own: Service, numbers: list[int], why: str) -> None:
    rita = person(own)
    with own.database.writing() as connection, pytest.raises(RefusedError, match=why):
        propose(connection, own.keys, rita, numbers, BULK, own.rules, now=own.clock())


def test_the_overview_counts_what_was_decided_and_not_what_was_taken_back(service: Service, clock: Clock) -> None:
    take(service, *(flag(f"u{number}") for number in range(4)), flag("u0", detector="on_trial", shadow=True))
    rita = person(service)
    confirm = Choice(action="confirm", reason="minors_sought", policy="child_safety.grooming")
    with service.database.writing() as connection:
        for number, choice in (
            (1, confirm),
            (2, confirm),
            (3, Choice(action="dismiss", reason="known_role", policy="none")),
        ):
            decide(connection, service.keys, rita, number, choice, now=service.clock())
    with service.database.reading() as connection:
        found = {one.detector: one for one in precision(connection)}
        trial = {row["detector"]: row for row in shadow_against_live(connection)}["on_trial"]
        hours = flags_by_hour(connection)
        health = queue_health(connection, clock.now)
    assert (found["minor_targeting"].confirmed, found["minor_targeting"].dismissed) == (2, 1)
    low, high = found["minor_targeting"].interval
    assert low < 2 / 3 < high
    assert (trial["shadow"], trial["confirmed"], trial["dismissed"]) == (True, 1, 0)
    assert {name: sum(counts) for name, counts in hours["series"].items()} == {
        "minor_targeting": 4,
        "on_trial (shadow)": 1,
    }
    assert (health["open"], health["decided_day"]) == (1, 3)


def test_an_interval_holds_the_share_and_narrows_with_more() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    widths = []
    for tries in (1, 10, 100, 1000):
        low, high = wilson(tries // 2, tries)
        assert 0 <= low <= (tries // 2) / tries <= high <= 1
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)


def test_a_saved_view_is_ones_own_unless_a_lead_shares_it(own: Service) -> None:
    rita, leo = visitor(own, "rita", "reviewer"), visitor(own, "leo", "lead")
    rita.post("/views", name="Mine alone", severity="2", shared="1")
    leo.post("/views", name="For all", overdue="1", shared="1")
    assert "Mine alone" not in leo.get("/queue").text
    assert "For all" in rita.get("/queue").text
    rita.post("/views/2/delete")
    assert "For all" in rita.get("/queue").text, "only its owner deletes it"


def test_cases_past_their_deadline_are_shown_as_such(own: Service, clock: Clock) -> None:
    rita = visitor(own, "rita", "reviewer")
    clock.now += 25 * HOUR
    rita.client.cookies.clear()
    again = visitor(own, "olga", "reviewer")
    page = again.get("/queue?overdue=1").text
    assert page.count("late</span>") == 3


def test_pages_of_the_queue_leave_nothing_out(own: Service) -> None:
    take(own, *(flag(f"w{number}", score=0.5) for number in range(120)))
    rita = visitor(own, "rita", "reviewer")
    seen: list[str] = []
    address = "/queue"
    while address:
        text = rita.get(address).text
        seen += re.findall(r'data-case="(\d+)"', text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        address = following[1].replace("&amp;", "&") if following else ""
    assert len(seen) == len(set(seen)) == 126


def test_every_change_of_rights_is_on_the_record(own: Service, ada: Visitor) -> None:
    ada.post("/admin/users", login="nina", name="Nina", password=PASSWORD, role="viewer")
    ada.post("/admin/users/2", role="lead")
    with own.database.reading() as connection:
        rows = connection.execute(select(audit).where(audit.c.actor == "ada").order_by(audit.c.seq)).all()
    assert [row.action for row in rows] == ["user.add", "user.change"]
    assert '"role":"lead"' in rows[1].detail


def test_what_a_provider_changes_of_rights_is_on_the_record(own: Service) -> None:
    for role in (None, None, "reviewer", "reviewer", None, "lead"):
        assert isinstance(entered(own, "issuer nina", "nina", "Nina", role), int)
    with own.database.writing() as connection:
        connection.execute(update(users).where(users.c.subject == "issuer nina").values(disabled=True))
    assert isinstance(entered(own, "issuer nina", "nina", "Nina", "admin"), SignInError)
    with own.database.reading() as connection:
        rows = connection.execute(select(audit).where(audit.c.detail.contains("provider")).order_by(audit.c.seq)).all()
        held = connection.execute(select(users.c.role).where(users.c.subject == "issuer nina")).scalar_one()
    told = [(row.action, msgspec.json.decode(row.detail).get("role")) for row in rows]
    assert told[:3] == [("user.add", "none"), ("user.change", "reviewer"), ("user.change", "lead")]
    assert told[3:] == [("session.refused", None)]
    assert held == "lead"


def test_a_picture_that_is_saved_is_on_the_record(own: Service) -> None:
    rita = visitor(own, "rita", "reviewer")
    assert rita.post("/cases/1/graph.png").status_code == 204
    assert rita.post("/cases/77/graph.png").status_code == 404
    assert rita.post("/cases/1/graph.png", csrf="forged").status_code == 403
    with own.database.reading() as connection:
        rows = connection.execute(select(audit).where(audit.c.actor == "rita")).all()
    assert [(row.action, row.object, row.detail) for row in rows] == [("case.export", "case:1", '{"format":"png"}')]


def test_a_case_says_why_in_one_sentence_and_how_it_was_weighed_below(own: Service) -> None:
    seen, weighed = "Adult account contacted 9 strangers; 1 is usual.", "Evidence, in nats: strangers contacted (+6.0)."
    take(own, flag("wordy", severity="critical", score=0.99, explanation=f"{seen} {weighed}"))
    rita = visitor(own, "rita", "reviewer")
    queue = rita.get("/queue").text
    assert seen in queue
    assert weighed not in queue
    number = int(rita.post("/queue/next").headers["location"].rsplit("/", 1)[1])
    page = rita.get(f"/cases/{number}").text
    assert page.count(seen) == 2, "as the headline, and with the flag"
    assert page.count(weighed) == 1


@pytest.mark.parametrize("many", [1, 10_000], ids=["walking along the order", "sorting the few"])
def test_a_severity_finds_the_same_cases_in_the_same_order_whichever_way(
    own: Service, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    levels = ("low", "medium", "high", "critical")
    take(own, *(flag(f"w{number}", severity=levels[number % 4], score=number / 100) for number in range(90)))
    monkeypatch.setattr("console.caselist.MANY", many)
    with own.database.reading() as connection:
        found = page(connection, own.keys, Filters(severity=2), user=1, now=own.clock(), size=1000).rows
        known = connection.execute(select(cases).order_by(cases.c.rank.desc(), cases.c.id)).mappings()
        expected = [row["id"] for row in known if row["severity"] >= 2]
    assert [row["id"] for row in found] == expected
