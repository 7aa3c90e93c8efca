"""Making an evidence pack and setting a legal hold: for the pages and the API, with the reason on the record."""

from __future__ import annotations

from sqlalchemy import update

from console import casefile
from console.decisions import RefusedError, locked
from console.identities import LONGEST_REASON, SHORTEST_REASON
from console.pack_pdf import pack_pdf
from console.packs import make_pack, pack_json, sealed
from console.people import Person
from console.service import Service
from console.tables import cases

__all__ = ["hold", "pack_of"]


def pack_of(service: Service, person: Person, number: int, reason: str, form: str, now: int) -> tuple[bytes, str]:
    """Return a case's pack as `json` or `pdf`, and its seal; record who made it and why.

    Raises
    ------
    RefusedError
        Without a reason, or if there is no such case.
    """
    if not SHORTEST_REASON <= len(reason.strip()) <= LONGEST_REASON:
        raise RefusedError(f"Say what the pack is for, in {SHORTEST_REASON} to {LONGEST_REASON} characters.")
    with service.database.writing() as connection:
        file = casefile.load(connection, number, now)
        if file is None:
            raise RefusedError("There is no such case.")
        pack = make_pack(connection, file, by=person.name, now=now)
        data = pack_json(pack)
        seal = sealed(service.keys, data)
        service.note(connection, person, "case.pack", f"case:{number}", format=form, reason=reason.strip(), seal=seal)
    return (data if form == "json" else pack_pdf(pack, seal)), seal


def hold(service: Service, person: Person, number: int, on: bool, reason: str) -> None:
    """Put a case under legal hold, or lift it.

    Raises
    ------
    RefusedError
        Without a reason, or if there is no such case.
    """
    if not SHORTEST_REASON <= len(reason.strip()) <= LONGEST_REASON:
        raise RefusedError(f"Say why, in {SHORTEST_REASON} to {LONGEST_REASON} characters: it is recorded.")
    with service.database.writing() as connection:
        locked(connection, number)
        connection.execute(update(cases).where(cases.c.id == number).values(legal_hold=on))
        action = "case.legal_hold" if on else "case.legal_hold_lifted"
        service.note(connection, person, action, f"case:{number}", reason=reason.strip())
