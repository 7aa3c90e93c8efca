"""What every page and API call works with: database, keys, rules, clock, and how to tell the threads' health."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection

from console import audit
from console.database import Database
from console.ingest import Ingest
from console.keys import Keys
from console.people import Person
from console.rules import Rules

__all__ = ["OidcSettings", "Service", "wall_clock"]


def wall_clock() -> int:
    """Return the time, epoch ms."""
    return int(time.time() * 1000)


class OidcSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An OpenID Connect provider.

    Attributes
    ----------
    issuer
        Its address; `/.well-known/openid-configuration` is below it.
    client_id, client_secret
        What it knows the console by.
    claim
        The claim that lists a person's groups or roles.
    roles
        From a group or role there to a role here; the first that fits, strongest role first.
    """

    issuer: str
    client_id: str
    client_secret: str
    claim: str = "groups"
    roles: Mapping[str, str] = {}


class Service(msgspec.Struct, kw_only=True):
    """The console without its threads.

    Attributes
    ----------
    secure
        Cookies only over HTTPS: anywhere but on one's own machine.
    public_url
        The address people reach it by, for redirects and the check of origins; empty takes the request's own.
    health
        What the threads say of themselves: name to problem, None when all is well.
    banner
        A line on every page, for the demo.
    private_webhooks
        Whether webhooks may go to addresses of one's own network.
    workers
        Addresses of the workers' health endpoints.
    """

    database: Database
    keys: Keys
    rules: Rules = Rules()
    clock: Callable[[], int] = wall_clock
    secure: bool = False
    public_url: str = ""
    oidc: OidcSettings | None = None
    health: Callable[[], dict[str, str | None]] = dict
    banner: str = ""
    private_webhooks: bool = False
    workers: tuple[str, ...] = ()

    @property
    def ingest(self) -> Ingest:
        """What takes flags in."""
        return Ingest(self.keys, self.rules)

    def note(
        self,
        connection: Connection,
        person: Person | str,
        action: str,
        object: str = "",  # the word of the record
        **detail: Any,
    ) -> None:
        """Add an audit record within a transaction."""
        actor = person if isinstance(person, str) else person.login
        audit.append(
            connection, self.keys.audit, now=self.clock(), actor=actor, action=action, object=object, detail=detail
        )
