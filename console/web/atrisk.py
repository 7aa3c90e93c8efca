"""The pages of accounts at risk."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from console import identities
from console.atrisk import account_at_risk, flagged, most_at_risk, protect
from console.keys import plain_pseudonym
from console.reached import as_of
from console.web.visit import NotFoundError, Visit, page
from console.words import STEPS

__all__ = ["routes"]


def _account(visit: Visit) -> str:
    account = plain_pseudonym(str(visit.request.path_params["account"]))
    if account is None or len(account) != len("0000-0000-0000"):
        raise NotFoundError
    return account


def _list(visit: Visit) -> Response:
    with visit.service.database.reading() as connection:
        own = flagged(connection)
        accounts, known = most_at_risk(connection), as_of(connection)
    return visit.render("at_risk.html", flagged=own, accounts=accounts, as_of=known, steps=STEPS)


def _show(visit: Visit) -> Response:
    account = _account(visit)
    with visit.service.database.reading() as connection:
        found = account_at_risk(connection, account)
        if found is None:
            raise NotFoundError
        named = [account, *(row["account"] for row in found["contacts"])]
        ids = identities.shown(connection, visit.person, named, visit.now)
    visit.shows(f"account:{account}")
    return visit.render("at_risk_account.html", found=found, ids=ids, steps=STEPS, rules=visit.service.rules)


def _protect(visit: Visit) -> Response:
    account = _account(visit)
    with visit.service.database.writing() as connection:
        protect(
            connection,
            visit.service.keys,
            visit.person,
            account,
            visit.field("step"),
            visit.field("note"),
            now=visit.now,
        )
    return visit.go(f"/at-risk/{account}", "Written down.")


routes = [
    Route("/at-risk", page("cases.see", _list, look="at_risk.view")),
    Route("/at-risk/{account}", page("cases.see", _show, look="account.view")),
    Route("/at-risk/{account}/protect", page("protect", _protect), methods=["POST"]),
]
