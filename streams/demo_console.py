"""The demo's review console: a process of its own over a database that goes with the demo."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from streams.broker import free_port

__all__ = ["ConsoleProcess"]

LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"


class ConsoleProcess:
    """The review console, as an operator would start it, with people who may sign in.

    Parameters
    ----------
    bootstrap : str
        The demo's broker.
    folder : Path
        Where its database and log lie.
    worker : str
        Address of the worker's health endpoint.
    """

    def __init__(self, bootstrap: str, folder: Path, worker: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # as short as the console takes: it is typed by hand, and gone with the demo
        self.password = "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(3))
        self.log = folder / "console.log"
        self._file = self.log.open("wb")
        program = Path(sys.executable).with_name("kithwatch")
        command = [str(program), "console", "--bootstrap", bootstrap, "--folder", str(folder / "console"), "--demo"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KITHWATCH_CONSOLE_")}
        self.process = subprocess.Popen(  # noqa: S603  # our own program, arguments of our own making
            [*command, "--port", str(self.port), "--workers", worker],
            stdout=self._file,
            stderr=subprocess.STDOUT,
            env=kept | {"KITHWATCH_CONSOLE_PASSWORD": self.password},
            start_new_session=True,  # Ctrl-C is for the demo: the console is stopped in its turn
        )

    @property
    def sign_in(self) -> str:
        """How to get in, in a line."""
        return f"{self.url}  sign in as reviewer, lead, admin or viewer, password {self.password}"

    def ready(self) -> bool:
        """Tell whether its pages are served."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/livez", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def failed(self) -> str | None:
        """Return why the console is gone, or None."""
        if self.process.poll() is None:
            return None
        tail = self.log.read_text(errors="replace").strip().splitlines()[-3:]
        return f"the console stopped with status {self.process.returncode}: " + " / ".join(tail)

    def stop(self) -> None:
        """Ask it to stop, and wait."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._file.close()
