"""Webhooks: other systems hear when a case opens, is decided or opens again.

Signed after Standard Webhooks (https://www.standardwebhooks.com): the headers `webhook-id`, `webhook-timestamp` and
`webhook-signature`, which is `v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`. A receiver drops what is
older than a few minutes, and ids it has seen. What fails is tried again with growing pauses for about a day. Bodies
name accounts by pseudonym only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import logging
import secrets
import socket
import threading
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import DBAPIError

from console.announce import EVENTS
from console.decisions import RefusedError
from console.service import Service
from console.tables import deliveries, webhooks

__all__ = ["PAUSES", "Deliverer", "add_webhook", "signature"]

PAUSES: Final = (10, 60, 300, 900, 3600, 3 * 3600, 8 * 3600, 12 * 3600)
"""Seconds until the next try."""
PATIENCE: Final = 10.0
KEPT_MS: Final = 7 * 86_400_000
AT_ONCE: Final = 50

log = logging.getLogger(__name__)


def signature(secret: str, number: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a delivery."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{number}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def add_webhook(connection: Connection, url: str, events: list[str], *, private: bool, now: int) -> tuple[int, str]:
    """Add a receiver; return its number and the secret it checks signatures with.

    Raises
    ------
    RefusedError
        If the address or an event will not do.
    """
    parts = urlsplit(url)
    try:
        fine = parts.scheme in ("https", "http") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fine = False
    if not fine or parts.username or len(url) > 500 or not url.isascii() or not url.isprintable():
        raise RefusedError("The address must be https://HOST/PATH.")
    if parts.scheme != "https" and not private:
        raise RefusedError("The address must begin with https://.")
    if not events or any(event not in EVENTS for event in events):
        raise RefusedError("Choose what it is told.")
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    made = connection.execute(
        insert(webhooks).values(
            url=url, secret=secret, events=",".join(sorted(set(events))), active=True, created_at=now
        )
    )
    return int(made.inserted_primary_key[0]), secret  # type: ignore[index]  # one row was inserted


def _is_public(host: str) -> bool:
    """Tell whether all addresses of a host are out in the world: a webhook must not reach into one's own network."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(str(one).split("%")[0]).is_global for one in found)


class Deliverer(threading.Thread):
    """Delivers until it is told to stop.

    Parameters
    ----------
    service : Service
    """

    def __init__(self, service: Service) -> None:
        super().__init__(name="webhooks", daemon=True)
        self.service = service
        self.stopping = threading.Event()
        self.problem: str | None = None

    def run(self) -> None:
        """Deliver until told to stop."""
        with httpx.Client(timeout=PATIENCE, follow_redirects=False, trust_env=False) as client:
            while not self.stopping.wait(1.0):
                try:
                    while self.deliver(client) and not self.stopping.is_set():
                        pass
                    self.problem = None
                except (DBAPIError, OSError) as problem:
                    self.problem = f"{type(problem).__name__} while delivering webhooks"
                    log.warning("%s; trying again", self.problem)

    def stop(self) -> None:
        """Ask it to stop, and wait."""
        self.stopping.set()
        if self.is_alive():
            self.join(PATIENCE + 5)

    def deliver(self, client: httpx.Client) -> int:
        """Try what is due once; return how many there were."""
        now = self.service.clock()
        query = (
            select(deliveries, webhooks.c.url, webhooks.c.secret, webhooks.c.active)
            .join(webhooks, webhooks.c.id == deliveries.c.webhook_id)
            .where(deliveries.c.next_at <= now)
            .order_by(deliveries.c.next_at)
            .limit(AT_ONCE)
        )
        with self.service.database.reading() as connection:
            due = connection.execute(query).all()
        for row in due:
            problem = self._try(client, row, now) if row.active else "switched off"
            attempts = row.attempts + 1
            values: dict[str, Any] = {"attempts": attempts, "problem": problem, "next_at": None}
            if problem is None:
                values["done_at"] = now
            elif attempts <= len(PAUSES) and row.active:
                # apart, so that receivers that were all away are not met by everything at once
                apart = 1 + secrets.randbelow(200) / 1000
                values["next_at"] = now + int(PAUSES[attempts - 1] * 1000 * apart)
            with self.service.database.writing(gives_way=True) as connection:
                connection.execute(update(deliveries).where(deliveries.c.id == row.id).values(**values))
        if due:
            with self.service.database.writing(gives_way=True) as connection:
                old = deliveries.c.next_at.is_(None) & (deliveries.c.created_at < now - KEPT_MS)
                connection.execute(delete(deliveries).where(old))
        return len(due)

    def _try(self, client: httpx.Client, row: Any, now: int) -> str | None:
        """Deliver one; return what went wrong, or None."""
        if not self.service.private_webhooks and not _is_public(urlsplit(row.url).hostname or ""):
            return "the address is not a public one"
        body = row.body.encode()
        number, timestamp = f"msg_{row.id}", now // 1000
        headers = {
            "content-type": "application/json",
            "webhook-id": number,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(row.secret, number, timestamp, body),
        }
        try:
            answer = client.post(row.url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            return type(problem).__name__
        return None if answer.status_code < 300 else f"status {answer.status_code}"
