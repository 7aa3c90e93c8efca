"""Chromium, driven by Playwright, and axe in its pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.console.npm import packages

CHROMIUM = os.environ.get("KITHWATCH_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE_MS = 60_000


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


class Desk:
    """A reviewer's browser: what its pages complain about is a failure of the test."""

    def __init__(self, browser: Any, base: str, *, dark: bool = False, script: bool = True) -> None:
        self.base = base
        self.context = browser.new_context(
            viewport={"width": 1440, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            accept_downloads=True,
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.on("pageerror", lambda problem: self.complaints.append(str(problem)))

    def _heard(self, kind: str, text: str) -> None:
        # the refusals that the tests provoke are no complaints
        if kind in ("error", "warning") and "the server responded with a status of 4" not in text:
            self.complaints.append(text)

    def go(self, path: str) -> Any:
        answer = self.page.goto(self.base + path)
        assert answer is not None
        return answer

    def sign_in(self, login: str, password: str) -> None:
        self.go("/sign-in")
        self.page.fill("input[name=login]", login)
        self.page.fill("input[name=password]", password)
        self.page.click("main button.main")
        self.page.wait_for_url("**/queue")

    def axe(self) -> list[str]:
        """Return the serious and critical violations of WCAG 2.2 AA on this page."""
        source = (packages() / "node_modules" / "axe-core" / "axe.min.js").read_text()
        # handed to the page by the driver, which its content security policy does not concern
        self.page.evaluate(source)
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = self.page.evaluate("tags => axe.run({runOnly: {type: 'tag', values: tags}})", tags)
        return [
            f"{one['id']} ({one['impact']}): {one['help']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]

    def close(self) -> None:
        self.context.close()
        assert self.complaints == []
