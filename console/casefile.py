"""Everything about one case, as its page, the API and the evidence pack show it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, select, union_all

from console.priority import Priority, parts
from console.tables import accounts, cases, contacts, decisions, flags, sharers, users
from console.words import OUTCOMES, SIGNS, names_of

__all__ = ["CaseFile", "group", "load", "similar"]

CONTACTS: Final = 400
SIMILAR: Final = 8
GROUP: Final = 40
DECISIONS: Final = 200


class CaseFile(msgspec.Struct, frozen=True, kw_only=True):
    """A case with all that belongs to it; accounts by pseudonym.

    Attributes
    ----------
    case
        Its row.
    account
        What is known of the account: source of its age, when it was created.
    priority
        Why it stands where it stands.
    flags
        Strongest first, `evidence` as a dict.
    contacts
        Newest first, at most 400, `outcomes` and `signs` as lists of names.
    contacts_total
        How many there are.
    decisions
        Newest first, with the name of who decided.
    similar
        Cases of other accounts that reached for the same targets, with how many.
    group
        Accounts that reach for the same targets, as workers count them: `other`, `shared`, and the case if it has one.
    group_unnamed
        How many more there were whom the account's worker could not name.
    """

    case: dict[str, Any]
    account: dict[str, Any]
    priority: Priority
    flags: list[dict[str, Any]]
    contacts: list[dict[str, Any]]
    contacts_total: int
    decisions: list[dict[str, Any]]
    similar: list[dict[str, Any]]
    group: list[dict[str, Any]]
    group_unnamed: int


def load(connection: Connection, case_id: int, now: int) -> CaseFile | None:
    """Return a case, or None if there is none."""
    row = (
        connection.execute(
            select(cases, users.c.login.label("assignee_login"), users.c.name.label("assignee_name"))
            .outerjoin(users, users.c.id == cases.c.assignee)
            .where(cases.c.id == case_id)
        )
        .mappings()
        .first()
    )
    if row is None:
        return None
    case = dict(row)
    account = connection.execute(select(accounts).where(accounts.c.account == case["account"])).mappings().first()
    own = [
        {**flag, "evidence": msgspec.json.decode(flag["evidence"])}
        for flag in connection.execute(
            select(flags)
            .where(flags.c.case_id == case_id)
            .order_by(flags.c.peak_severity.desc(), flags.c.peak_score.desc(), flags.c.flag_id)
        ).mappings()
    ]
    reached = [
        {**contact, "outcomes": names_of(contact["outcomes"], OUTCOMES), "signs": names_of(contact["signs"], SIGNS)}
        for contact in connection.execute(
            select(contacts)
            .where(contacts.c.case_id == case_id)
            .order_by(contacts.c.last_at.desc(), contacts.c.other)
            .limit(CONTACTS)
        ).mappings()
    ]
    total = len(reached)
    if total == CONTACTS:
        total = connection.execute(
            select(func.count()).select_from(contacts).where(contacts.c.case_id == case_id)
        ).scalar_one()
    made = connection.execute(
        select(decisions, users.c.login, users.c.name)
        .join(users, users.c.id == decisions.c.user_id)
        .where(decisions.c.case_id == case_id)
        .order_by(decisions.c.id.desc())
        .limit(DECISIONS)
    ).mappings()
    return CaseFile(
        case=case,
        account=dict(account) if account else {"age_source": None, "created_at": None},
        priority=parts(case["score"], case["severity"], case["minors"], now - case["opened_at"]),
        flags=own,
        contacts=reached,
        contacts_total=total,
        decisions=[dict(decision) for decision in made],
        similar=similar(connection, case_id),
        group=group(connection, case) if case["role"] == "actor" else [],
        group_unnamed=(account["unnamed"] or 0) if account and case["role"] == "actor" else 0,
    )


def similar(connection: Connection, case_id: int, limit: int = SIMILAR) -> list[dict[str, Any]]:
    """Return other actors' cases that share targets with this one, those that share most first."""
    mine, theirs = contacts.alias("mine"), contacts.alias("theirs")
    shared = func.count().label("shared")
    counted = (
        select(theirs.c.case_id, shared)
        .join(mine, mine.c.other == theirs.c.other)
        .where(mine.c.case_id == case_id, theirs.c.case_id != case_id)
        .group_by(theirs.c.case_id)
        .order_by(shared.desc(), theirs.c.case_id)
        .limit(limit)
        .subquery()
    )
    names = ("id", "account", "state", "severity", "detectors", "minors", "headline")
    query = (
        select(counted.c.shared, *(cases.c[name] for name in names))
        .join(cases, cases.c.id == counted.c.case_id)
        .where(cases.c.role == "actor")
        .order_by(counted.c.shared.desc(), cases.c.id)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def group(connection: Connection, case: dict[str, Any], limit: int = GROUP) -> list[dict[str, Any]]:
    """Return accounts that reach for the same targets, as contexts name them, those that share most first.

    An account meets those who were at a target before it. So whom its own contexts name and who names it in theirs are
    one group. A case that waits for its first flag is not told.
    """
    own = select(sharers.c.other, sharers.c.shared).where(sharers.c.case_id == case["id"])
    named_by = (
        select(cases.c.account, sharers.c.shared)
        .join(cases, cases.c.id == sharers.c.case_id)
        .where(sharers.c.other == case["account"])
    )
    both = union_all(own, named_by).subquery()
    most = func.max(both.c.shared).label("shared")
    others = (
        select(both.c.other, most).group_by(both.c.other).order_by(most.desc(), both.c.other).limit(limit).subquery()
    )
    query = (
        select(others.c.other, others.c.shared, cases.c.id.label("case"), cases.c.state, cases.c.severity)
        .outerjoin(cases, (cases.c.account == others.c.other) & (cases.c.role == "actor") & (cases.c.flags > 0))
        .order_by(others.c.shared.desc(), others.c.other)
    )
    return [dict(row) for row in connection.execute(query).mappings()]
