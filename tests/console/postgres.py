"""A PostgreSQL server of one's own, from Debian's package, on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.broker import free_port


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
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=200"
    control = [*before, str(where / "pg_ctl"), "-D", data, "-w", "-t", "60"]
    subprocess.run([*control, "-l", f"{folder}/log", "-o", options, "start"], check=True, capture_output=True, cwd="/")
    try:
        yield f"postgresql://kithwatch@127.0.0.1:{port}"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, capture_output=True, cwd="/")
        shutil.rmtree(folder, ignore_errors=True)
