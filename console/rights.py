"""Who may do what: four roles, each a set of rights.

Administration and case work are kept apart on purpose: an admin gives rights and sets up the machinery, but sees no
identities and decides no cases. Whoever needs both has two accounts, and the audit shows which was used.
"""

from __future__ import annotations

from typing import Final

__all__ = ["RIGHTS", "ROLES", "SCOPES", "may"]

_SEE: Final = frozenset({"cases.see", "overview.see"})
_DECIDE: Final = _SEE | {"cases.decide", "identities.unmask", "protect", "bulk.propose", "packs.make"}
RIGHTS: Final = {
    "none": frozenset[str](),
    "viewer": _SEE,
    "reviewer": _DECIDE,
    "lead": _DECIDE | {"bulk.approve", "cases.assign", "cases.hold", "views.share", "load.see", "audit.see"},
    "admin": _SEE | {"people.manage", "tokens.manage", "webhooks.manage", "retention.manage", "audit.see", "load.see"},
}
ROLES: Final = {
    "none": "No access yet",
    "viewer": "Viewer",
    "reviewer": "Reviewer",
    "lead": "Lead",
    "admin": "Administrator",
}
SCOPES: Final = {
    "cases:read": "cases.see",
    "cases:decide": "cases.decide",
    "cases:assign": "cases.assign",
    "identities:read": "identities.unmask",
    "bulk:propose": "bulk.propose",
    "bulk:approve": "bulk.approve",
    "cases:hold": "cases.hold",
    "protect": "protect",
    "packs:read": "packs.make",
    "views:share": "views.share",
    "overview:read": "overview.see",
    "load:read": "load.see",
    "audit:read": "audit.see",
    "people:manage": "people.manage",
    "tokens:manage": "tokens.manage",
    "webhooks:manage": "webhooks.manage",
    "retention:manage": "retention.manage",
}
"""What an API token may be given: a scope allows what its owner's role allows as well, and nothing more."""


def may(role: str, right: str) -> bool:
    """Tell whether a role has a right.

    Examples
    --------
    >>> may("viewer", "cases.decide"), may("lead", "bulk.approve"), may("admin", "identities.unmask")
    (False, True, False)
    """
    return right in RIGHTS.get(role, ())
