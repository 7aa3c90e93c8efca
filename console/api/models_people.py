"""What the API takes and gives about people, their settings, tokens, webhooks and the machinery."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from console.api.models import Event, Given, RoleName, Severity
from console.batches import LARGEST_BATCH

__all__ = [
    "Colleague",
    "Counts",
    "Delivery",
    "Me",
    "NewToken",
    "NewUser",
    "NewView",
    "NewWebhook",
    "Next",
    "Number",
    "Retained",
    "Settings",
    "Token",
    "TokenMade",
    "User",
    "UserChange",
    "View",
    "Webhook",
    "WebhookChange",
    "WebhookMade",
]

Name = Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True)]


class Me(BaseModel):
    """Whom a token stands for."""

    login: str
    name: str
    role: RoleName
    rights: list[str]
    max_severity: Severity
    batch: int


class Settings(Given):
    """How many cases somebody wants to have at once, and how severe at most."""

    max_severity: Severity
    batch: Annotated[int, Field(ge=1, le=LARGEST_BATCH)]


class Colleague(BaseModel):
    """Somebody a case can be handed to."""

    login: str
    name: str


class Counts(BaseModel):
    """How the queue stands, for everybody and for oneself."""

    severity: dict[str, int]
    active: int
    mine: int
    overdue: int
    escalated: int
    at_risk: int
    in_hand: int
    version: int


class Next(Given):
    """How many cases to take."""

    count: Annotated[int, Field(ge=1, le=LARGEST_BATCH)] = 1


class NewView(Given):
    """Filters of the queue, as in its address, under a name."""

    name: Name
    filters: Annotated[dict[str, Annotated[str, StringConstraints(max_length=200)]], Field(max_length=20)]
    shared: bool = False


class View(BaseModel):
    """A saved view; `query` goes behind the address of the queue."""

    id: int
    name: str
    query: str
    shared: bool
    own: bool


class Number(BaseModel):
    """The number of what was made."""

    id: int


class User(BaseModel):
    """Somebody who uses the console."""

    id: int
    login: str
    name: str
    role: RoleName
    disabled: bool


class NewUser(Given):
    """Somebody new; without a password they come by the organisation's provider only."""

    login: Annotated[str, StringConstraints(max_length=120)]
    name: Annotated[str, StringConstraints(max_length=120)] = ""
    role: RoleName
    password: Annotated[str, StringConstraints(max_length=200)] | None = None


class UserChange(Given):
    """A change of somebody's rights."""

    role: RoleName
    disabled: bool = False


class NewToken(Given):
    """A token for somebody: never more than their role allows."""

    owner: Annotated[str, StringConstraints(max_length=120)]
    name: Name
    scopes: Annotated[list[Annotated[str, StringConstraints(max_length=40)]], Field(min_length=1, max_length=30)]
    days: Annotated[int, Field(ge=1, le=400)] = 90


class Token(BaseModel):
    """A token, without its text."""

    id: int
    name: str
    owner_name: str
    scopes: list[str]
    created_at: int
    expires_at: int
    used_at: int | None
    revoked_at: int | None


class TokenMade(BaseModel):
    """A new token, with the text that is shown this once."""

    token: str


class NewWebhook(Given):
    """A receiver of webhooks."""

    url: Annotated[str, StringConstraints(max_length=500)]
    events: Annotated[list[Event], Field(min_length=1, max_length=10)]


class Webhook(BaseModel):
    """A receiver, without its secret."""

    id: int
    url: str
    events: list[str]
    active: bool


class WebhookMade(Webhook):
    """A new receiver, with the secret that is shown this once."""

    secret: str


class WebhookChange(Given):
    """Switches a receiver on or off."""

    active: bool


class Delivery(BaseModel):
    """What was sent to a receiver, or is to be."""

    id: int
    webhook_id: int
    event: str
    created_at: int
    attempts: int
    next_at: int | None
    done_at: int | None
    problem: str | None


class Retained(BaseModel):
    """How long what is kept, in days; and how many erasures wait for a legal hold to end."""

    days: dict[str, float]
    deadlines: dict[str, Any]
    erasures_waiting: int
