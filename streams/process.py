"""How a worker process begins and ends: its log, its port, and the end it comes to when it cannot go on."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import traceback
from typing import NoReturn

from aiokafka.errors import KafkaError

from streams.cli import UserError
from streams.settings import KafkaSettings
from streams.snapshot_file import SnapshotError
from streams.snapshots import SnapshotSettings, SnapshotStore
from streams.wire import WireError

__all__ = ["check_port", "check_snapshots", "end_at_once", "set_up_logging"]

log = logging.getLogger(__name__)


def set_up_logging(level: str) -> None:
    """Say what the worker does; of what the libraries do, only what goes wrong, unless for debugging."""
    logging.basicConfig(
        level=logging.DEBUG if level == "DEBUG" else logging.WARNING,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
        force=True,
    )
    logging.getLogger("streams").setLevel(level)
    for library in ("faust", "mode", "aiokafka"):  # which set levels of their own
        logging.getLogger(library).setLevel(logging.DEBUG if level == "DEBUG" else logging.WARNING)


def check_port(host: str, port: int) -> None:
    """Refuse a port that is taken, before anything is started."""
    if not port:
        return
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as problem:
        raise UserError(f"metrics and health cannot be served at {host}:{port}: {problem.strerror}") from None


def check_snapshots(settings: KafkaSettings, snapshots: SnapshotSettings) -> None:
    """Refuse a place for snapshots that cannot be written to, before anything is started."""
    if snapshots.url is None:
        return
    try:
        SnapshotStore(snapshots.url, settings.group, snapshots.key).check()
    except ValueError as problem:
        raise UserError(str(problem)) from None
    except OSError as problem:
        raise UserError(f"snapshots cannot be written to {snapshots.url}: {problem.strerror or problem}") from None


def end_at_once(problem: BaseException, folder: str) -> NoReturn:
    """End the process with status 1, as if killed, and say in one line what happened and where.

    Parameters
    ----------
    problem : BaseException
        Its text is told only where it is ours or Kafka's: that of any other could name an account.
    folder : str
        To be removed.
    """
    at = traceback.extract_tb(problem.__traceback__)[-1:]
    where = f" at {os.path.basename(at[0].filename)}:{at[0].lineno}" if at else ""
    what = type(problem).__name__
    if isinstance(problem, (WireError, SnapshotError, KafkaError, OSError)):
        what += f" ({problem})"
    log.critical("The worker stops: %s%s. What it had not finished is taken up by the next one", what, where)
    logging.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
