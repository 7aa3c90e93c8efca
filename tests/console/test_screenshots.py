"""The demo's console in a browser; KITHWATCH_SCREENSHOTS=1 keeps what it looks like in docs/images/."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.browser import Desk, chromium
from tests.console.running import PROGRAM

pytestmark = [pytest.mark.slow, pytest.mark.kafka]
IMAGES = Path(__file__).parents[2] / "docs" / "images"
SIGN_IN = re.compile(r"(http://127\.0\.0\.1:\d+)  sign in as .*password (\S+)")
PATIENCE = 240.0
CASES = 25


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A running demo: its console's address and password."""
    log = tmp_path / "demo.log"
    with log.open("wb") as out:
        process = subprocess.Popen([PROGRAM, "demo", "--speed", "1500"], stdout=out, stderr=out)
    deadline = time.monotonic() + PATIENCE
    while not (found := SIGN_IN.search(log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    yield found[1], found[2]
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0, log.read_text()


def ages_told(desk: Desk) -> bool:
    """Whether the table of contacts knows any minor."""
    told = desk.page.locator(".contacts-table tbody").text_content()
    return any(band in told for band in ("under 13", "13–15", "16–17"))


def test_the_demo_opens_with_cases_arriving(demo: tuple[str, str], tmp_path: Path) -> None:
    folder = IMAGES if os.environ.get("KITHWATCH_SCREENSHOTS") == "1" else tmp_path
    folder.mkdir(exist_ok=True)
    url, password = demo
    with chromium() as browser:
        light, dark = Desk(browser, url), Desk(browser, url, dark=True)
        for desk in (light, dark):
            desk.sign_in("lead", password)
        # without a reload: the page itself takes in what comes
        light.page.locator("#rows tr[data-case]").nth(CASES - 1).wait_for(timeout=PATIENCE * 1000)
        # the case with most minors has the most to show
        minors = light.page.locator("#rows td.count-cell").all_inner_texts()
        most = max(range(len(minors)), key=lambda place: int(minors[place]) if minors[place].isdecimal() else 0)
        case = light.page.locator("#rows tr[data-case]").nth(most).get_attribute("data-case")
        deadline = time.monotonic() + 60
        light.go(f"/cases/{case}")
        while not ages_told(light):
            assert time.monotonic() < deadline, "no context of this case arrived"
            light.go(f"/cases/{case}")
        light.page.locator("#graph[data-drawn]").wait_for()
        light.page.locator("#timeline[data-drawn]").wait_for()
        light.page.screenshot(path=folder / "console-case.png", full_page=True)
        light.go("/queue")
        light.page.screenshot(path=folder / "console-queue.png")
        dark.go(f"/cases/{case}")
        dark.page.locator("#graph[data-drawn]").wait_for()
        dark.page.screenshot(path=folder / "console-case-dark.png")
        dark.go("/overview")
        dark.page.locator("#hours[data-drawn]").wait_for()
        dark.page.screenshot(path=folder / "console-overview.png")
        light.go("/at-risk")
        light.page.screenshot(path=folder / "console-at-risk.png")
        for desk in (light, dark):
            desk.close()
