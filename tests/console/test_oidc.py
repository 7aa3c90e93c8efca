"""Signing in with a real OpenID Connect provider (oidc-provider, a certified one), through the browser."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from console.tables import users
from streams.broker import free_port
from tests.brokers import Broker
from tests.console.browser import Desk, chromium
from tests.console.npm import node, packages
from tests.console.running import Running, running
from tests.console.test_browser import FIELDS

pytestmark = [pytest.mark.slow, pytest.mark.kafka]
SECRET = "a secret between console and provider of the tests"


@pytest.fixture
def console(tmp_path: Path, broker: Broker, unique: Callable[[str], str]) -> Iterator[Running]:
    folder, port, at = packages(), free_port(), free_port()
    redirect = f"http://127.0.0.1:{port}/sign-in/oidc/done"
    log = tmp_path / "provider.log"
    with log.open("wb") as out:
        command = [*node(), str(folder / "provider.js"), str(at), redirect, "kithwatch", SECRET]
        provider = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)
    deadline = time.monotonic() + 60
    while b"ready" not in log.read_bytes():
        assert provider.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    more = {
        "KITHWATCH_OIDC_ISSUER": f"http://127.0.0.1:{at}",
        "KITHWATCH_OIDC_CLIENT_ID": "kithwatch",
        "KITHWATCH_OIDC_CLIENT_SECRET": SECRET,
        "KITHWATCH_OIDC_ROLES": "trust-and-safety=reviewer,leads=lead",
    }
    names = {field: unique(field.replace("_", "-")) for field in FIELDS}
    try:
        database = f"sqlite:///{tmp_path / 'console.db'}"
        with running(database, tmp_path, broker.bootstrap, names, more, port) as made:
            yield made
    finally:
        provider.terminate()
        provider.wait(20)


def enter(desk: Desk, login: str) -> None:
    """Sign in at the provider, as its own pages ask."""
    page = desk.page
    desk.go("/overview")  # not signed in: this is where one wants to go
    page.get_by_role("link", name="Sign in with your organisation").click()
    page.fill("input[name=login]", login)
    page.fill("input[name=password]", "anything")
    page.click("button[type=submit]")
    page.get_by_role("button", name="Continue").click()


def test_people_come_in_by_their_organisation_with_the_role_of_their_groups(console: Running) -> None:
    with chromium() as browser:
        leo = Desk(browser, console.url)
        enter(leo, "leo")
        leo.page.wait_for_url("**/overview")
        assert "Lead" in leo.page.locator("details.menu summary").inner_text()
        cookies = {cookie["name"] for cookie in leo.context.cookies(console.url)}
        assert "kithwatch" in cookies
        leo.context.close()

        eve = Desk(browser, console.url)
        enter(eve, "eve")
        eve.page.get_by_text("Your role does not allow this.").wait_for()
        eve.context.close()

        # an answer of the provider is good once, for the browser that asked
        thief = Desk(browser, console.url)
        answer = thief.go("/sign-in/oidc/done?code=stolen&state=guessed")
        assert answer.status == 401
        thief.context.close()
    with console.service.database.reading() as connection:
        rows = connection.execute(select(users).where(users.c.subject.is_not(None)).order_by(users.c.id)).all()
    assert [row.role for row in rows] == ["lead", "none"]
    assert rows[0].subject.endswith(" leo")
    # a login alone never takes over a local account of that name
    assert rows[0].login.startswith("oidc-")
