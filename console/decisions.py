"""Decisions on cases: what may follow on what, who may, undoing, and what the platform is told.

A decision changes the case, leaves a row that can be undone for a while, an audit record, and (when it says something
about the flags) a disposition in the outbox: all in one transaction.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from console import audit
from console.announce import announce
from console.judging import grew
from console.keys import Keys
from console.locks import locking
from console.outbox import post
from console.people import Person
from console.rules import Rules
from console.tables import cases, decisions, flags, identities, users
from console.words import CLOSED, OPEN, POLICIES, REASONS, SEVERITIES
from streams.dispositions import Disposition
from streams.timestamps import rfc3339

__all__ = ["Choice", "RefusedError", "decide", "last_undoable", "undo"]

LONGEST_NOTE: Final = 4000
HOUR: Final = 3_600_000
FROM: Final = {
    **dict.fromkeys(("take", "release", "hold", "escalate", "hand_over", "need_more", "confirm", "dismiss"), OPEN),
    "reopen": CLOSED,
    "note": (*OPEN, *CLOSED),
}
TO: Final = {
    "hold": "held",
    "escalate": "escalated",
    "need_more": "waiting",
    "confirm": "confirmed",
    "dismiss": "dismissed",
    "reopen": "open",
}
KEPT: Final = (
    *("state", "assignee", "held_until", "decided_at", "decided_severity", "decided_minors"),
    *("opened_at", "due_at", "rank", "reopened_because"),
)
"""What undoing brings back."""
LAID_ASIDE: Final = ("confirm", "dismiss", "hold", "need_more")
"""After these nobody looks at the case for a while."""
WITH_POLICY: Final = ("confirm", "dismiss")


class RefusedError(ValueError):
    """Why a decision was not taken, in words for the reviewer."""


class Choice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a reviewer chose.

    Attributes
    ----------
    seen
        The newest decision on the case that the reviewer saw; another since then is a conflict. None: do not check.
    basis
        Severity, minors and number of flags that the reviewer saw: what has grown since then is not laid aside unseen.
        None: do not check.
    to
        Login of who gets the case, for `hand_over`.
    hours
        How long to hold.
    """

    action: str
    reason: str | None = None
    policy: str | None = None
    note: str = ""
    seen: int | None = None
    basis: tuple[int, int, int] | None = None
    to: str | None = None
    hours: float = 24.0


def check(choice: Choice) -> None:
    """Refuse a choice that is not complete, whatever the case.

    Raises
    ------
    RefusedError
        With what is missing.
    """
    if choice.action not in FROM:
        raise RefusedError("There is no such action.")
    reasons = REASONS.get(choice.action)
    if reasons and choice.reason not in reasons:
        raise RefusedError("Choose a reason.")
    if choice.action in WITH_POLICY and choice.policy not in POLICIES:
        raise RefusedError("Choose the policy that applies.")
    if choice.action == "confirm" and choice.policy == "none":
        raise RefusedError("A confirmed case needs the policy that was broken.")
    if choice.action == "note" and not choice.note.strip():
        raise RefusedError("Write the note first.")
    if len(choice.note) > LONGEST_NOTE:
        raise RefusedError(f"A note has at most {LONGEST_NOTE} characters.")
    if choice.action == "hold" and not 1 <= choice.hours <= 24 * 90:
        raise RefusedError("A case can be held for an hour to 90 days.")


def decide(
    connection: Connection,
    keys: Keys,
    person: Person,
    case_id: int,
    choice: Choice,
    *,
    now: int,
    bulk_id: int | None = None,
) -> int:
    """Take a decision; return its number.

    Raises
    ------
    RefusedError
        If it cannot be taken. Nothing is changed then.
    """
    check(choice)
    case = locked(connection, case_id)
    _allowed(connection, person, case, choice, bulk=bulk_id is not None)
    changes = _changes(connection, person, case, choice, now)
    action = choice.action
    before = msgspec.json.encode({name: case[name] for name in KEPT}).decode()
    told = uuid.uuid4().hex if action in TO else None
    made = connection.execute(
        insert(decisions).values(
            case_id=case_id,
            user_id=person.id,
            bulk_id=bulk_id,
            at=now,
            action=action,
            reason=choice.reason if REASONS.get(action) else None,
            policy=choice.policy if action in WITH_POLICY else None,
            note=choice.note.replace("\0", "").strip(),
            before=before,
            detectors=case["detectors"],
            policy_version=case["policy_version"],
            severity=case["severity"],
            seconds_open=max(0, now - case["opened_at"]) // 1000,
            disposition_id=told,
        )
    )
    number = int(made.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted
    connection.execute(
        update(cases).where(cases.c.id == case_id).values(**changes, changed_at=now, version=case["version"] + 1)
    )
    if told:
        _tell(connection, {**case, **changes}, "disposition.made", told, choice, now)
        announce(connection, "case.decided", public({**case, **changes}) | {"reason": choice.reason}, now)
    audit.append(
        connection,
        keys.audit,
        now=now,
        actor=person.login,
        action=f"case.{action}",
        object=f"case:{case_id}",
        detail={"decision": number, "reason": choice.reason, "policy": choice.policy}
        | ({"bulk": bulk_id} if bulk_id else {})
        | ({"to": choice.to} if choice.to else {}),
    )
    return number


def public(case: dict[str, Any]) -> dict[str, Any]:
    """Return what other systems are told of a case: no account id."""
    names = ("id", "account", "role", "state", "score", "minors")
    told = {name: case[name] for name in names} | {"severity": SEVERITIES[case["severity"]]}
    return told | {"detectors": [name for name in case["detectors"].split(",") if name]}


def locked(connection: Connection, case_id: int) -> dict[str, Any]:
    """Return a case's row, locked for this transaction.

    Raises
    ------
    RefusedError
        If there is none.
    """
    row = connection.execute(locking(select(cases).where(cases.c.id == case_id))).mappings().first()
    if row is None:
        raise RefusedError("There is no such case.")
    return dict(row)


def _allowed(connection: Connection, person: Person, case: dict[str, Any], choice: Choice, *, bulk: bool) -> None:
    if case["state"] not in FROM[choice.action]:
        raise RefusedError(f"The case is {case['state']}: this is not possible now.")
    newest = connection.execute(select(func.max(decisions.c.id)).where(decisions.c.case_id == case["id"])).scalar()
    if choice.seen is not None and (newest or 0) > choice.seen:
        raise RefusedError("Somebody has worked on this case meanwhile. Look at it again first.")
    if choice.basis is not None and choice.action in LAID_ASIDE:
        because = grew(choice.basis, (case["severity"], case["minors"], case["flags"]))
        if because:
            raise RefusedError(f"There is more now: {because}. Look at the case again first.")
    other = case["assignee"] not in (None, person.id)
    if other and choice.action != "note" and not bulk and not person.may("cases.assign"):
        raise RefusedError("Somebody else has this case. A lead can hand it over.")


def _changes(connection: Connection, person: Person, case: dict[str, Any], choice: Choice, now: int) -> dict[str, Any]:
    action = choice.action
    changes: dict[str, Any] = {}
    if action in TO:
        changes = {"state": TO[action], "held_until": now + int(choice.hours * HOUR) if action == "hold" else None}
    if action == "take":
        changes = {"assignee": person.id}
    elif action == "release":
        changes = {"assignee": None}
    elif action == "hand_over":
        to = connection.execute(select(users).where(users.c.login == (choice.to or ""))).mappings().first()
        if to is None or to["disabled"] or to["role"] not in ("reviewer", "lead"):
            raise RefusedError("Choose a reviewer or lead to hand the case to.")
        changes = {"assignee": to["id"]}
    elif action in ("confirm", "dismiss"):
        changes |= {"decided_at": now, "decided_severity": case["severity"], "decided_minors": case["minors"]}
        changes |= {"assignee": person.id, "reopened_because": None}
    elif action == "reopen":
        changes |= {"decided_at": None, "reopened_because": REASONS["reopen"][choice.reason or ""], "assignee": None}
    elif action == "escalate":
        changes |= {"assignee": None}
    return changes


def _tell(connection: Connection, case: dict[str, Any], kind: str, told: str, choice: Choice, now: int) -> None:
    """Put a disposition into the outbox, under the account's own id. An erased account has none: nobody is told."""
    account_id = connection.execute(
        select(identities.c.account_id).where(identities.c.account == case["account"])
    ).scalar()
    if account_id is None:
        return
    own = connection.execute(select(flags.c.flag_id).where(flags.c.case_id == case["id"]).order_by(flags.c.flag_id))
    disposition = Disposition(
        type=kind,  # type: ignore[arg-type]  # one of the two, by the callers below
        disposition_id=told,
        account_id=account_id,
        role=case["role"],
        outcome=case["state"],
        reason=choice.reason or "",
        policy=choice.policy if choice.policy != "none" else None,
        decided_at=rfc3339(now),
        flag_ids=[row.flag_id for row in own],
        detectors=[name for name in case["detectors"].split(",") if name],
        severity=SEVERITIES[case["severity"]],
        until=None if case["held_until"] is None else rfc3339(case["held_until"]),
    )
    post(connection, account_id, disposition, case_id=case["id"], now=now)


def last_undoable(connection: Connection, case_id: int, user: int, rules: Rules, now: int) -> dict[str, Any] | None:
    """Return the case's newest decision if this user made it and can still take it back."""
    newest = (
        connection.execute(
            select(decisions)
            .where(decisions.c.case_id == case_id, decisions.c.action != "note", decisions.c.undone_at.is_(None))
            .order_by(decisions.c.id.desc())
            .limit(1)
        )
        .mappings()
        .first()
    )
    if newest is None or newest["user_id"] != user or now - newest["at"] > rules.undo_minutes * 60_000:
        return None
    return dict(newest)


def undo(connection: Connection, keys: Keys, person: Person, case_id: int, rules: Rules, *, now: int) -> None:
    """Take back one's own newest decision on a case.

    Raises
    ------
    RefusedError
        If there is none, it is too old, or somebody has decided since.
    """
    case = locked(connection, case_id)
    decision = last_undoable(connection, case_id, person.id, rules, now)
    if decision is None:
        raise RefusedError("There is nothing to undo: the time is over, or somebody has decided since.")
    if decision["action"] in TO and case["state"] != TO[decision["action"]]:
        raise RefusedError("The case has moved on since: it is open again already.")
    before = msgspec.json.decode(decision["before"])
    connection.execute(
        update(cases).where(cases.c.id == case_id).values(**before, changed_at=now, version=case["version"] + 1)
    )
    connection.execute(update(decisions).where(decisions.c.id == decision["id"]).values(undone_at=now))
    if decision["disposition_id"]:
        choice = Choice(action=decision["action"], reason=decision["reason"], policy=decision["policy"])
        _tell(connection, {**case, **before}, "disposition.undone", decision["disposition_id"], choice, now)
        announce(connection, "case.undone", public({**case, **before}), now)
    audit.append(
        connection,
        keys.audit,
        now=now,
        actor=person.login,
        action="case.undo",
        object=f"case:{case_id}",
        detail={"decision": decision["id"]},
    )
