"""A PostgreSQL server of one's own, from Debian's package, on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.broker import free_port

READY_SECONDS = 60.0


def programs() -> Path | None:
    """Return the folder of initdb and pg_ctl, or None if PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if found:
        return found[-1].parent
    there = shutil.which("pg_ctl")
    return Path(there).parent if there else None


@contextmanager
def postgres() -> Iterator[str]:
    """Start a server and give the URL of its first database, without the database's name."""
    where = programs()
    assert where is not None, "PostgreSQL is not installed: apt-get install postgresql"
    folder = tempfile.mkdtemp(prefix="kithwatch-pg-")
    before: list[str] = []
    if os.getuid() == 0:  # it refuses to run as root
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        before = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    data, port = f"{folder}/data", free_port()
    make = [str(where / "initdb"), "-D", data, "-U", "kithwatch", "-A", "trust", "-E", "UTF8", "--no-sync"]
    # the locale of production, not C: what depends on the order of letters must hold there too
    subprocess.run([*before, *make, "--locale=C.UTF-8"], check=True, capture_output=True, cwd="/")
    command = [*before, str(where / "postgres"), "-D", data, "-p", str(port), "-k", folder, "-c"]
    more = ["listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=200"]
    # as our own child: one that pg_ctl starts would have to be reaped by whoever is process 1
    with Path(folder, "log").open("wb") as log:
        server = subprocess.Popen([*command, *more], stdout=log, stderr=subprocess.STDOUT, cwd="/")
    try:
        deadline = time.monotonic() + READY_SECONDS
        ask = [str(where / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        while subprocess.run(ask, check=False).returncode:
            assert server.poll() is None, Path(folder, "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL did not get ready"
            time.sleep(0.1)
        yield f"postgresql://kithwatch@127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: nobody needs the data
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)
