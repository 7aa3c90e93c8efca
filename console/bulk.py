"""Bulk decisions: one person proposes, another one approves, and each case is decided as if by hand.

Nobody approves their own proposal. A case on which somebody has worked since the proposal, or whose evidence has grown
so far that it would be opened again, is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from console import audit
from console.decisions import Choice, RefusedError, check, decide
from console.keys import Keys
from console.locks import lock_cases
from console.people import Person
from console.rules import Rules
from console.tables import bulks, cases, decisions, users
from console.words import OPEN

__all__ = ["BULK_ACTIONS", "answer", "listed", "propose"]

BULK_ACTIONS: Final = ("dismiss", "confirm", "hold", "escalate")


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """How a case was when it was proposed: its newest decision; severity, minors and number of flags."""

    decision: int
    basis: tuple[int, int, int]


def propose(
    connection: Connection,
    keys: Keys,
    person: Person,
    numbers: Sequence[int],
    choice: Choice,
    rules: Rules,
    *,
    now: int,
) -> int:
    """Propose one decision for several cases; return the proposal's number.

    Raises
    ------
    RefusedError
        If it is not complete, too large, or names cases that are not open.
    """
    if not person.may("bulk.propose"):
        raise RefusedError("Your role does not allow this.")
    if choice.action not in BULK_ACTIONS:
        raise RefusedError("This cannot be done in bulk.")
    check(choice)
    if not choice.note.strip():
        raise RefusedError("Say in the note what the cases have in common.")
    wanted = sorted(set(numbers))
    if not wanted:
        raise RefusedError("Select cases first.")
    if len(wanted) > rules.bulk_limit:
        raise RefusedError(f"At most {rules.bulk_limit} cases at once.")
    c = cases.c
    query = select(c.id, c.severity, c.minors, c.flags).where(c.id.in_(wanted), c.state.in_(OPEN))
    open_ = {row.id: tuple(row[1:]) for row in connection.execute(query)}
    if closed := [str(number) for number in wanted if number not in open_]:
        raise RefusedError(f"Not open: {', '.join(closed[:10])}. Take these out.")
    seen = connection.execute(
        select(decisions.c.case_id, func.max(decisions.c.id))
        .where(decisions.c.case_id.in_(wanted))
        .group_by(decisions.c.case_id)
    )
    latest = {int(case): int(number) for case, number in seen}
    chosen = {str(case): Seen(latest.get(case, 0), open_[case]) for case in wanted}
    made = connection.execute(
        insert(bulks).values(
            proposer=person.id,
            at=now,
            action=choice.action,
            reason=choice.reason,
            policy=choice.policy or "",
            note=choice.note.replace("\0", "").strip(),
            case_ids=msgspec.json.encode(chosen).decode(),
            state="proposed",
        )
    )
    number = int(made.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted
    audit.append(
        connection,
        keys.audit,
        now=now,
        actor=person.login,
        action="bulk.propose",
        object=f"bulk:{number}",
        detail={"action": choice.action, "reason": choice.reason, "cases": len(wanted)},
    )
    return number


def answer(
    connection: Connection, keys: Keys, person: Person, number: int, *, approve: bool, now: int
) -> tuple[int, int]:
    """Approve or refuse a proposal; return how many cases were decided, and how many left out.

    Raises
    ------
    RefusedError
        If this person may not, or it was answered already.
    """
    row = connection.execute(select(bulks).where(bulks.c.id == number).with_for_update()).mappings().first()
    if row is None:
        raise RefusedError("There is no such proposal.")
    if row["state"] != "proposed":
        raise RefusedError("It was answered already.")
    mine = row["proposer"] == person.id
    if approve and (mine or not person.may("bulk.approve")):
        raise RefusedError("Somebody else has to approve: a lead who did not propose it.")
    if not approve and not mine and not person.may("bulk.approve"):
        raise RefusedError("Only a lead, or who proposed it, can refuse.")
    done = left = 0
    if approve:
        done, left = _apply(connection, keys, dict(row), now)
    connection.execute(
        update(bulks)
        .where(bulks.c.id == number)
        .values(
            state="approved" if approve else "refused",
            second=person.id,
            second_at=now,
            answer=f"{done} decided, {left} left out" if approve else "",
        )
    )
    audit.append(
        connection,
        keys.audit,
        now=now,
        actor=person.login,
        action="bulk.approve" if approve else "bulk.refuse",
        object=f"bulk:{number}",
        detail={"done": done, "left": left},
    )
    return done, left


def _apply(connection: Connection, keys: Keys, bulk: dict[str, Any], now: int) -> tuple[int, int]:
    proposer = connection.execute(select(users).where(users.c.id == bulk["proposer"])).mappings().one()
    who = Person(
        id=proposer["id"], login=proposer["login"], name=proposer["name"], role=proposer["role"], csrf="", session=""
    )
    done = left = 0
    chosen = msgspec.json.decode(bulk["case_ids"], type=dict[str, Seen])
    # all at once and in the order of numbers, as flags that come at the same time do: neither then waits for the other
    numbers = [int(case) for case in chosen]
    lock_cases(connection, numbers)
    for case, seen in chosen.items():
        choice = Choice(
            action=bulk["action"],
            reason=bulk["reason"],
            policy=bulk["policy"] or None,
            note=bulk["note"],
            seen=seen.decision,
            basis=seen.basis,
        )
        try:
            decide(connection, keys, who, int(case), choice, now=now, bulk_id=bulk["id"])
            done += 1
        except RefusedError:  # somebody was quicker, there is more now, or it is closed: nothing was written
            left += 1
    return done, left


def listed(connection: Connection, limit: int = 100) -> list[dict[str, Any]]:
    """Return the newest proposals, those that wait first."""
    proposer, second = users.alias("proposer_"), users.alias("second_")
    query = (
        select(bulks, proposer.c.name.label("proposer_name"), second.c.name.label("second_name"))
        .join(proposer, proposer.c.id == bulks.c.proposer)
        .outerjoin(second, second.c.id == bulks.c.second)
        .order_by((bulks.c.state == "proposed").desc(), bulks.c.id.desc())
        .limit(limit)
    )
    rows = connection.execute(query).mappings()
    return [{**row, "cases": [int(case) for case in msgspec.json.decode(row["case_ids"])]} for row in rows]
