"""Bulk decisions: proposing them from the queue, and the page where a second person answers."""

from __future__ import annotations

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from console.bulk import answer, listed, propose
from console.decisions import Choice, RefusedError
from console.web.visit import Visit, page

__all__ = ["routes"]


def _show(visit: Visit) -> Response:
    with visit.service.database.reading() as connection:
        return visit.render("approvals.html", bulks=listed(connection))


def _propose(visit: Visit) -> Response:
    numbers = [
        int(str(value)) for value in visit.form.getlist("case") if str(value).isdecimal() and len(str(value)) < 16
    ]
    action = visit.field("action")
    belongs, _, reason = visit.field("reason").partition(":")
    if belongs != action:
        raise RefusedError("Choose a reason that fits the action.")
    try:
        choice = Choice(action=action, reason=reason, policy=visit.field("policy") or None, note=visit.field("note"))
    except msgspec.ValidationError:
        raise RefusedError("The form is not complete.") from None
    with visit.service.database.writing() as connection:
        propose(connection, visit.service.keys, visit.person, numbers, choice, visit.service.rules, now=visit.now)
    return visit.go("/approvals", "Proposed. A lead other than you has to approve it.")


def _answer(visit: Visit) -> Response:
    approve = visit.field("answer") == "approve"
    with visit.service.database.writing() as connection:
        done, left = answer(
            connection, visit.service.keys, visit.person, visit.number("id"), approve=approve, now=visit.now
        )
    said = f"Approved: {done} decided{f', {left} left out' if left else ''}." if approve else "Refused."
    return visit.go("/approvals", said)


routes = [
    Route("/approvals", page("bulk.propose", _show, look="approvals.view")),
    Route("/approvals", page("bulk.propose", _propose), methods=["POST"]),
    Route("/approvals/{id}", page("bulk.propose", _answer), methods=["POST"]),
]
