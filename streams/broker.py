"""A Kafka broker for one machine: what `kithwatch demo` and the tests run on where there is no Kafka.

It comes with the package (the wheel `noida-db`), needs neither Java nor Docker, and is not for production:
docs/decisions/0002-embedded-broker.md.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Final

__all__ = ["BrokerError", "EmbeddedBroker", "free_port", "speaks_kafka"]

READY_SECONDS: Final = 20.0
STOP_SECONDS: Final = 10.0
LOG_LINES: Final = 10
ATTEMPTS: Final = 3

CORRELATION: Final = b"kith"
# length, API key 18 and version 0 (ApiVersions), correlation id, no client id; the answer repeats the correlation id
API_VERSIONS: Final = b"\0\0\0\x0a\0\x12\0\0" + CORRELATION + b"\xff\xff"


class BrokerError(RuntimeError):
    """The embedded broker did not come up; the message says why, with the last lines of its log."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def speaks_kafka(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a Kafka broker answers on this port, and not some other program."""
    try:
        with socket.create_connection((host, port), timeout=1.0) as connection:
            connection.sendall(API_VERSIONS)
            answer = connection.recv(8)
    except OSError:
        return False
    return answer[4:] == CORRELATION


def _executable() -> str:
    # the wheel's own `noida-db` script starts this as a child, which would outlive a killed script
    binary = Path(str(files("noida_db").joinpath("noida-db.exe" if os.name == "nt" else "noida-db")))
    if not binary.is_file():
        raise BrokerError(
            "the embedded broker is not part of this installation (the noida-db wheel has no binary for this kind of "
            "machine); give the address of a Kafka broker instead"
        )
    if not os.access(binary, os.X_OK):
        binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    return str(binary)


class EmbeddedBroker:
    """One Kafka broker on 127.0.0.1, as a child process.

    Parameters
    ----------
    data_dir
        Where the records are kept. By default a temporary directory, removed on `stop`.
    port
        By default a free one.

    Examples
    --------
    >>> with EmbeddedBroker() as broker:  # doctest: +SKIP
    ...     print(broker.bootstrap)
    127.0.0.1:40123
    """

    def __init__(self, data_dir: Path | None = None, port: int | None = None) -> None:
        self._given_dir = data_dir
        self._given_port = port
        self._dir: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def bootstrap(self) -> str:
        """The address for Kafka clients, `host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs."""
        return self._process.pid if self._process is not None else None

    def start(self) -> EmbeddedBroker:
        """Start the broker and wait until it answers.

        Raises
        ------
        BrokerError
            If it does not come up.
        """
        if self._process is not None:
            return self
        executable = _executable()
        self._dir = self._given_dir or Path(tempfile.mkdtemp(prefix="kithwatch-broker-"))
        self._dir.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, ATTEMPTS + 1):
            self.port = self._given_port or free_port()
            try:
                self._launch(executable, self._dir)
                return self
            except BrokerError:
                # somebody else may have taken the port between the choice and the start
                if self._given_port is not None or attempt == ATTEMPTS:
                    self.stop()
                    raise
        raise AssertionError("unreachable")

    def _launch(self, executable: str, directory: Path) -> None:
        log = directory / "broker.log"
        command = [executable, "start", "--only", "kafka", "--host", "127.0.0.1"]
        command += ["--kafka-port", str(self.port), "--data-dir", str(directory)]
        with log.open("wb") as out:
            self._process = subprocess.Popen(  # noqa: S603  # our own binary, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the program, which stops its broker last
            )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                status = self._process.returncode
                self._process = None
                raise BrokerError(f"the embedded broker ended at once (status {status}):\n{_tail(log)}")
            if speaks_kafka(self.port):
                return
            time.sleep(0.05)
        self._terminate()
        raise BrokerError(f"the embedded broker did not answer within {READY_SECONDS:.0f} s:\n{_tail(log)}")

    def stop(self) -> None:
        """End the broker; what it kept in a directory of its own choice is removed."""
        self._terminate()
        if self._dir is not None and self._given_dir is None:
            shutil.rmtree(self._dir, ignore_errors=True)
        self._dir = None

    def _terminate(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> EmbeddedBroker:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    return "\n".join(f"  {line}" for line in lines) or "  (it wrote nothing)"
