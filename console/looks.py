"""Looks: whoever is shown something leaves a record in the audit, on a page and by the API alike.

A route names the record that a look at it leaves; its handler says of what (a case, an account, a search). The record
is written once, in one place for the pages (`console/web/visit.py`) and one for the API (`console/api/looking.py`),
after the handler has found what to show and before anything is sent: what cannot be recorded is not shown.

What a page's own script fetches belongs to the page: it is recorded unless the page was, by the same person and a
short while ago. So a picture that is asked for without its page leaves a record too.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import select

from console.audit import detail_text
from console.people import Person
from console.service import Service
from console.tables import audit

__all__ = ["Look", "record"]

PAGE_MS: Final = 600_000
"""How long what a page's script fetches counts as a part of the page."""


class Look(msgspec.Struct, kw_only=True):
    """What somebody is shown.

    Attributes
    ----------
    action
        The name of its record, such as `case.view`.
    part_of
        For what a page's script fetches: the name of the page's record.
    object
        What is shown, such as `case:12`.
    detail
        More, without account ids.
    """

    action: str
    part_of: str = ""
    object: str = ""
    detail: dict[str, Any] = {}


def record(service: Service, person: Person, look: Look) -> None:
    """Write a look into the audit, unless it is part of a page that was written there."""
    if look.part_of and _shown(service, person, look):
        return
    with service.database.writing() as connection:
        service.note(connection, person, look.action, look.object, **look.detail)


def _shown(service: Service, person: Person, look: Look) -> bool:
    """Tell whether the audit has the page, or this very part of it, not long ago."""
    query = (
        select(audit.c.seq)
        .where(
            audit.c.actor == person.login,
            audit.c.action.in_((look.part_of, look.action)),
            audit.c.object == look.object,
            audit.c.detail == detail_text(look.detail),
            audit.c.at > service.clock() - PAGE_MS,
        )
        .limit(1)
    )
    with service.database.reading() as connection:
        return connection.execute(query).first() is not None
