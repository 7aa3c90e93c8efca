"""The console as one process: the web server, and beside it threads that read flags and send decisions."""

from __future__ import annotations

import logging
import socket
from typing import Any, Final

import msgspec
import uvicorn
from sqlalchemy import Connection, select

from console.announce import announce, listened
from console.decisions import public
from console.follow import Follower
from console.locks import lock_cases
from console.outbox import Publisher
from console.reader import Reader
from console.service import Service
from console.surroundings import take_contexts
from console.tables import cases
from console.upkeep import Upkeep
from console.web.app import make_app
from console.webhooks import Deliverer
from streams.cli import UserError
from streams.contexts import Context
from streams.flags import Flag
from streams.settings import KafkaSettings

__all__ = ["Server", "take_flags"]

_FLAG: Final = msgspec.json.Decoder(Flag)
_CONTEXT: Final = msgspec.json.Decoder(Context)
log = logging.getLogger(__name__)


def take_flags(service: Service, contexts: str = "") -> Any:
    """Return what the reader of flags does with a batch; `contexts` is the topic of their surroundings."""
    ingest = service.ingest

    def take(connection: Connection, records: list[Any], now: int) -> list[tuple[Any, str]]:
        good: list[Flag] = []
        beside: list[Context] = []
        bad = []
        for record in records:
            try:
                if record.topic == contexts:
                    beside.append(_CONTEXT.decode(record.value or b""))
                else:
                    good.append(_FLAG.decode(record.value or b""))
            except msgspec.MsgspecError as problem:
                bad.append((record, str(problem)[:300]))
        if beside:  # both change cases: all are locked before any is changed
            named = {flag.account_id for flag in good} | {context.account_id for context in beside}
            lock_cases(connection, {ingest.pseudonym(name) for name in named}, by=cases.c.account)
        taken = ingest.take(connection, good, now)
        take_contexts(connection, ingest, beside, now)
        for event, numbers in (("case.opened", taken.opened), ("case.reopened", taken.reopened)):
            if numbers and listened(connection, event):
                rows = connection.execute(select(cases).where(cases.c.id.in_(numbers), cases.c.shadow.is_(False)))
                for row in rows.mappings().all():
                    announce(connection, event, public(dict(row)), now)
        for case in taken.reopened:  # last: until the transaction ends nobody else writes into the audit
            service.note(connection, "system", "case.reopen", f"case:{case}", why="evidence grew")
        return bad

    return take


class Server:
    """Everything `kithwatch console` runs.

    Parameters
    ----------
    service : Service
    kafka : KafkaSettings
    host, port
        Where to listen.
    follow : bool
        Follow the platform's events of accounts under review.
    """

    def __init__(self, service: Service, kafka: KafkaSettings, *, host: str, port: int, follow: bool) -> None:
        self.service = service
        self.host, self.port = host, port
        topics, client, clock = kafka.topics, kafka.client, service.clock
        take = take_flags(service, topics.contexts)
        self.threads: list[Any] = [
            Reader(service.database, client, [topics.flags, topics.contexts], take, clock=clock, name="flags"),
            Publisher(service.database, client, topics.dispositions, clock=clock),
            Upkeep(service),
            Deliverer(service),
        ]
        if follow:
            follower = Follower(service).take
            self.threads.append(
                Reader(service.database, client, topics.inputs, follower, from_end=True, clock=clock, name="events")
            )
        service.health = lambda: {thread.name: thread.problem for thread in self.threads}

    def run(self) -> None:
        """Serve until told to stop."""
        listening = self._listen()
        host = f"[{self.host}]" if ":" in self.host else self.host
        log.info("The console is at %s", self.service.public_url or f"http://{host}:{listening.getsockname()[1]}")
        for thread in self.threads:
            thread.start()
        try:
            config = uvicorn.Config(
                make_app(self.service),
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=self.service.secure,
                timeout_graceful_shutdown=5,
            )
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            for thread in self.threads:
                thread.stop()
            self.service.database.close()

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self.host, self.port))
        except OSError as problem:
            raise UserError(f"cannot listen on {self.host}:{self.port}: {problem.strerror}") from None
        return listening
