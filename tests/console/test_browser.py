"""A reviewer's whole day in Chromium, on SQLite and on PostgreSQL, with a real broker behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka import KafkaConsumer
from sqlalchemy import select

from console import audit
from console.service import wall_clock
from console.tables import audit as records
from console.tables import cases
from streams.contexts import Context, ContextContact
from streams.dispositions import Disposition
from streams.flags import rfc3339
from tests.brokers import Broker
from tests.console import build
from tests.console.browser import Desk, chromium
from tests.console.build import HOUR, PASSWORD, flag
from tests.console.running import Running, running

pytestmark = [pytest.mark.slow, pytest.mark.kafka]
FIELDS = ("friend_requests", "messages", "accounts", "exchange", "flags", "contexts", "dispositions", "dead_letters")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as made:
        yield made


@pytest.fixture
def console(
    database_url: str, tmp_path: Path, broker: Broker, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Running]:
    monkeypatch.setattr(build, "START", wall_clock() - 3 * HOUR)
    names = {field: unique(field.replace("_", "-")) for field in FIELDS}
    with running(database_url, tmp_path, broker.bootstrap, names) as made:
        yield made


def flags_of_a_day() -> list[Any]:
    made = []
    for number in range(30):
        severity = ("low", "medium", "high", "critical")[number % 4]
        targets = [f"t{(number * 3 + step) % 40}" for step in range(6)]
        made.append(
            flag(
                f"u{number}", severity=severity, score=0.3 + number / 50, minors=number, targets=targets, minutes=number
            )
        )
    return made


def context_of(account: str) -> bytes:
    bands = ("under_13", "13_15", "16_17", "18_20", "21_plus", "unknown")
    outcomes: list[list[str]] = [
        ["stranger"],
        ["stranger", "accepted"],
        ["declined"],
        ["blocked", "reported"],
        ["replied"],
    ]
    contacts = [
        ContextContact(
            target=f"t{number}",
            age_band=bands[number % 6],
            first=rfc3339(build.START - (90 - number) * HOUR // 2),
            last=rfc3339(build.START),
            outcomes=outcomes[number % 5],  # type: ignore[arg-type]
        )
        for number in range(90)
    ]
    at = rfc3339(build.START)
    made = Context(account_id=account, at=at, age_band="21_plus", friends=4, clustering=0.0, contacts=contacts)
    return msgspec.json.encode(made)


def rows(desk: Desk) -> Any:
    return desk.page.locator("#rows tr[data-case]")


def press(page: Any, key: str) -> None:
    """Press a key once the page's scripts have run: its words can be read before."""
    page.wait_for_load_state("load")
    page.keyboard.press(key)


def known(running_: Running, account: str) -> bool:
    with running_.service.database.reading() as connection:
        pseudonym = running_.service.keys.pseudonym_of(account)
        return connection.execute(select(cases.c.id).where(cases.c.account == pseudonym)).first() is not None


def number_of(running_: Running, account: str) -> int:
    with running_.service.database.reading() as connection:
        pseudonym = running_.service.keys.pseudonym_of(account)
        return int(connection.execute(select(cases.c.id).where(cases.c.account == pseudonym)).scalar_one())


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.1)


def test_a_reviewers_day(console: Running, browser: Any) -> None:
    rita, leo = Desk(browser, console.url), Desk(browser, console.url)
    page = rita.page

    # the morning: signs in, and cases arrive without a reload
    rita.sign_in("rita", PASSWORD)
    assert page.locator("#rows .empty").is_visible()
    console.send(*flags_of_a_day())
    rows(rita).nth(29).wait_for()
    console.send_raw("contexts", context_of("u27"))
    assert "critical" in rows(rita).first.inner_text()

    # keyboard first: down, down, up, open
    for key in ("j", "j", "k", "Enter"):
        press(page, key)
    page.wait_for_url("**/cases/*")
    press(page, "q")
    page.wait_for_url("**/queue")

    # filters and a saved view
    page.select_option("#filters select[name=severity]", "2")
    page.wait_for_url("**severity=2**")
    assert rows(rita).count() == 14
    page.click(".save-view summary")
    page.fill(".save-view input[name=name]", "The worst")
    page.click(".save-view button")
    page.get_by_role("link", name="The worst").wait_for()

    # the view is hers wherever she signs in: it is there again after she left
    page.click("details.menu summary")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    rita.sign_in("rita", PASSWORD)
    page.get_by_role("link", name="The worst").click()
    page.wait_for_url("**severity=2**")
    assert rows(rita).count() == 14

    # takes no more at once than she wants
    rita.go("/me")
    page.fill("input[name=batch]", "4")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    rita.go("/queue")
    page.get_by_role("button", name="Take 4").click()
    page.get_by_text("4 cases are yours.").wait_for()
    assert rows(rita).count() == 4
    page.get_by_role("button", name="Take the next case").click()
    page.get_by_text("as many cases as you want at once").wait_for()
    for _ in range(4):
        rita.go("/queue?who=me")
        rows(rita).first.locator("a").first.click()
        page.get_by_role("button", name="Release").click()
        page.get_by_text("The case is free again.").wait_for()

    # a case: why, whom, when
    case = number_of(console, "u27")
    until(lambda: "13–15" in (rita.go(f"/cases/{case}") and page.locator(".contacts-table tbody").text_content()))
    assert "contacted 27 minors" in page.locator(".case-head .headline").inner_text()
    page.locator("#graph[data-drawn]").wait_for()
    page.locator("#timeline[data-drawn]").wait_for()
    assert int(page.locator("#graph").get_attribute("data-drawn")) > 60, (
        "single contacts, folded ones, similar accounts"
    )
    with page.expect_download() as download:
        page.click("#graph-png")
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    with page.expect_download() as download:
        page.click("text=GraphML")
    assert b"<graphml" in Path(download.value.path()).read_bytes()

    # decides by keyboard; the reason is asked for
    press(page, "t")
    page.get_by_text("The case is yours.").wait_for()
    press(page, "d")
    page.get_by_role("button", name="Record").click()
    page.get_by_text("Choose a reason.").wait_for()
    page.go_back()
    press(page, "d")
    page.select_option("#choose select[name=reason]", "dismiss:known_role")
    page.select_option("#choose select[name=policy]", "none")
    page.fill("#choose textarea", "A youth coach, as the profile says.")
    page.get_by_role("button", name="Record").click()
    page.get_by_text("Dismissed.").wait_for()

    # thinks again within ten minutes
    press(page, "z")
    page.get_by_text("Taken back.").wait_for()
    press(page, "c")
    page.select_option("#choose select[name=reason]", "confirm:minors_sought")
    page.select_option("#choose select[name=policy]", "child_safety.grooming")
    page.get_by_role("button", name="Record").click()
    page.get_by_text("Confirmed.").wait_for()

    # what was said in a note can be found
    page.fill("#find", "youth coach")
    press(page, "Enter")
    page.wait_for_url("**q=youth**")
    assert rows(rita).count() == 1

    # needs the account's id, and says why
    rita.go(f"/cases/{case}")
    assert "u27" not in page.locator(".facts").inner_text()
    page.fill("form[action='/unmask'] input[name=reason]", "needed for the report to the authorities")
    page.get_by_role("button", name="Unmask").click()
    page.get_by_text("Unmasked for a while").wait_for()
    assert "u27" in page.locator(".facts").inner_text()

    # makes an evidence pack
    page.fill("form[action$='/pack'] input[name=reason]", "report to the authorities")
    with page.expect_download() as download:
        page.get_by_role("button", name="PDF").click()
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF")

    # an account at risk gets a protective step
    until(lambda: rita.go("/at-risk") and page.locator("tbody a").count() > 0)
    page.locator("tbody a").first.click()
    page.wait_for_url("**/at-risk/*")
    page.select_option("select[name=step]", "contacts_limited")
    page.get_by_role("button", name="Record").click()
    page.get_by_text("Written down.").wait_for()

    # several at once: she proposes, somebody else approves
    rita.go("/queue?severity=0")
    for place in range(3):
        rows(rita).nth(-1 - place).locator("input[type=checkbox]").check()
    page.select_option("#bulk select[name=action]", "dismiss")
    page.select_option("#bulk select[name=reason]", "dismiss:too_little")
    page.select_option("#bulk select[name=policy]", "none")
    page.fill("#bulk input[name=note]", "Old hints that never grew.")
    page.get_by_role("button", name="Propose").click()
    page.get_by_text("Proposed.").wait_for()
    assert page.get_by_role("button", name="Approve").count() == 0
    leo.sign_in("leo", PASSWORD)
    leo.page.get_by_role("link", name="Approvals").click()
    leo.page.get_by_role("button", name="Approve").click()
    leo.page.get_by_text("Approved: 3 decided.").wait_for()

    # evidence grows, and the confirmed case is open again
    console.send(flag("u27", number=5, detector="mass_add", severity="critical", score=0.99, minutes=100))
    until(lambda: "Open again" in (rita.go(f"/cases/{case}") and page.content()))

    # the lead looks at the audit: all of it is there
    leo.page.get_by_role("link", name="Audit").click()
    leo.page.fill("input[name=actor]", "rita")
    leo.page.get_by_role("button", name="Find").click()
    leo.page.wait_for_url("**actor=rita**")
    assert "case.view" in leo.page.locator("table.audit").inner_text()
    made = ("identity.unmask", "case.dismiss", "case.undo", "case.confirm", "case.pack", "bulk.propose")
    for action in (*made, "queue.view", "at_risk.view"):
        leo.go(f"/audit?actor=rita&action={action}")
        assert action in leo.page.locator("table.audit tbody").inner_text(), action

    # colours are a matter of taste, and stay
    page.click("details.menu summary")
    page.get_by_role("button", name="Dark").click()
    rita.go("/queue")
    assert page.locator("html").get_attribute("data-theme") == "dark"

    # and goes home
    page.click("details.menu summary")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    rita.close()
    leo.close()

    with console.service.database.reading() as connection:
        count, problem = audit.verify(connection, console.service.keys.audit)
        actions = set(connection.execute(select(records.c.action)).scalars())
    assert problem is None
    assert count > 20
    assert {"session.start", "session.end", "case.reopen", "bulk.approve", "account.protect"} <= actions


def test_the_platform_hears_of_every_decision(console: Running, browser: Any, broker: Broker) -> None:
    console.send(flag("u1"))
    rita = Desk(browser, console.url, script=False)
    rita.sign_in("rita", PASSWORD)
    until(lambda: known(console, "u1"))
    rita.go(f"/cases/{number_of(console, 'u1')}")
    page = rita.page
    page.check("#choose input[value=dismiss]", force=True)
    page.select_option("#choose select[name=reason]", "dismiss:peer_group")
    page.select_option("#choose select[name=policy]", "none")
    page.get_by_role("button", name="Record").click()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Taken back.").wait_for()
    rita.close()
    topic = console._topics.dispositions
    consumer = KafkaConsumer(topic, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    found: list[Disposition] = []

    def both() -> bool:
        for batch in consumer.poll(timeout_ms=200).values():
            found.extend(msgspec.json.decode(record.value, type=Disposition) for record in batch)
        return len(found) >= 2

    until(both)
    consumer.close()
    assert [(one.type, one.account_id, one.outcome) for one in found] == [
        ("disposition.made", "u1", "dismissed"),
        ("disposition.undone", "u1", "open"),
    ]


PAGES = ["/queue", "/cases/1", "/at-risk", "/at-risk/{account}", "/overview", "/approvals", "/audit", "/me", "/nowhere"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_page_keeps_anybody_out(console: Running, browser: Any, dark: bool) -> None:
    console.send(*flags_of_a_day(), flag("t1", role="target", detector="victim_exposure", targets=()))
    console.send_raw("contexts", context_of("u3"))
    desk = Desk(browser, console.url, dark=dark)
    desk.go("/sign-in")
    assert desk.axe() == []
    desk.sign_in("leo", PASSWORD)
    rows(desk).nth(29).wait_for()
    account = console.service.keys.pseudonym_of("t1")
    desk.go("/queue?severity=2")
    desk.page.get_by_text("Save this view").click()
    desk.page.fill(".save-view input[name=name]", "Ours")
    desk.page.get_by_role("button", name="Save").click()
    desk.page.get_by_text("Saved as").wait_for()
    for path in [*PAGES, f"/cases/{number_of(console, 't1')}"]:
        desk.go(path.format(account=account))
        if path == "/cases/1":
            desk.page.locator("#graph[data-drawn]").wait_for()
            for summary in desk.page.locator("main details > summary").all():
                summary.click()
        assert desk.axe() == [], path
    desk.page.set_viewport_size({"width": 390, "height": 844})
    for path in ("/queue?severity=1", "/cases/1", "/at-risk", "/overview"):
        desk.go(path)
        assert desk.axe() == [], path
        assert desk.page.evaluate("document.documentElement.scrollWidth") <= 400, "fits a phone"
    desk.go("/queue?severity=1")
    assert rows(desk).first.bounding_box()["y"] < 600, "cases come before filters"
    assert not desk.page.locator("#filters").is_visible()
    desk.page.get_by_text("Filters and order").click()
    desk.page.select_option("#filters select[name=severity]", "3")
    desk.page.wait_for_url("**severity=3**")
    assert desk.axe() == []
    desk.close()
    admin = Desk(browser, console.url, dark=dark)
    admin.sign_in("ada", PASSWORD)
    admin.go("/admin")
    assert admin.axe() == []
    admin.close()
