"""Webhooks: signed, tried again with growing pauses, and never a way into one's own network."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import select

from console.decisions import Choice, RefusedError, decide
from console.service import Service
from console.tables import deliveries
from console.webhooks import PAUSES, Deliverer, add_webhook
from tests.console.build import Clock, flag, person, service_of, take


class Receiver(HTTPServer):
    """Another system, which may be out of order."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.status)
        self.send_header("location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def own(tmp_path: Path, clock: Clock) -> Service:
    made = service_of(tmp_path, clock, private_webhooks=True)
    take(made, flag("u1"))
    return made


def hear(service: Service, url: str, *events: str) -> str:
    with service.database.writing() as connection:
        return add_webhook(connection, url, list(events), private=service.private_webhooks, now=service.clock())[1]


def dismiss(service: Service) -> None:
    rita = person(service)
    with service.database.writing() as connection:
        choice = Choice(action="dismiss", reason="known_role", policy="none", note="u1 is a coach")
        decide(connection, service.keys, rita, 1, choice, now=service.clock())


def deliver(service: Service) -> int:
    with httpx.Client(timeout=10, trust_env=False) as client:
        return Deliverer(service).deliver(client)


def rows(service: Service) -> list[Any]:
    with service.database.reading() as connection:
        return list(connection.execute(select(deliveries).order_by(deliveries.c.id)).all())


def test_what_arrives_is_signed_and_names_no_account(own: Service, receiver: Receiver, clock: Clock) -> None:
    secret = hear(own, receiver.url, "case.decided")
    dismiss(own)
    assert deliver(own) == 1
    ((headers, body),) = receiver.got
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"
    assert int(headers["webhook-timestamp"]) == clock.now // 1000
    told = msgspec.json.decode(body)
    assert (told["type"], told["data"]["state"], told["data"]["reason"]) == ("case.decided", "dismissed", "known_role")
    assert b"u1" not in body
    assert deliver(own) == 0, "once is enough"


def test_a_receiver_hears_only_what_it_asked_for(own: Service, receiver: Receiver) -> None:
    hear(own, receiver.url, "case.opened")
    dismiss(own)
    assert rows(own) == []


def test_what_fails_is_tried_again_with_growing_pauses_and_then_given_up(
    own: Service, receiver: Receiver, clock: Clock
) -> None:
    hear(own, receiver.url, "case.decided")
    dismiss(own)
    receiver.status = 503
    waits = []
    for _ in range(len(PAUSES)):
        assert deliver(own) == 1
        (row,) = rows(own)
        waits.append((row.next_at - clock.now) / 1000)
        assert deliver(own) == 0, "not before its time"
        clock.now = row.next_at
    assert all(pause <= wait <= 1.2 * pause for pause, wait in zip(PAUSES, waits, strict=True))
    assert deliver(own) == 1
    (row,) = rows(own)
    assert (row.next_at, row.done_at, row.problem, row.attempts) == (None, None, "status 503", len(PAUSES) + 1)
    ids = {headers["webhook-id"] for headers, _ in receiver.got}
    assert len(ids) == 1, "the receiver can tell that it is the same"


def test_a_receiver_that_comes_back_gets_it(own: Service, receiver: Receiver, clock: Clock) -> None:
    hear(own, receiver.url, "case.decided")
    dismiss(own)
    receiver.status = 500
    deliver(own)
    receiver.status = 204
    clock.now = rows(own)[0].next_at
    deliver(own)
    assert rows(own)[0].done_at == clock.now


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_is_not_followed(own: Service, receiver: Receiver, status: int) -> None:
    hear(own, receiver.url, "case.decided")
    dismiss(own)
    receiver.status = status
    deliver(own)
    assert rows(own)[0].problem == f"status {status}"


def test_ones_own_network_is_out_of_reach(tmp_path: Path, clock: Clock, receiver: Receiver) -> None:
    service = service_of(tmp_path, clock)
    take(service, flag("u1"))
    hear(service, f"https://localhost:{receiver.server_port}/", "case.decided")
    dismiss(service)
    deliver(service)
    assert rows(service)[0].problem == "the address is not a public one"
    assert receiver.got == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org",
        "https://",
        "https://a:b@example.org/",
        "javascript:x",
        "https://x:99999/",
    ],
)
def test_an_address_that_will_not_do_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(RefusedError):
        hear(service_of(tmp_path), url, "case.decided")
