"""What the API takes and gives, as pydantic models; the OpenAPI document is made from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from console.announce import EVENTS
from console.bulk import BULK_ACTIONS
from console.decisions import FROM, LONGEST_NOTE
from console.rights import ROLES
from console.words import AGE_BANDS, POLICIES, SEVERITIES, STATES, STEPS

__all__ = [
    "Account",
    "AccountAtRisk",
    "Answer",
    "AuditPage",
    "AuditRecord",
    "Bulk",
    "BulkProposal",
    "CaseDetail",
    "CasePage",
    "CaseSummary",
    "Contact",
    "Decision",
    "DecisionMade",
    "FlagShown",
    "Hold",
    "Identity",
    "Overview",
    "PackRequest",
    "Problem",
    "Protection",
    "Sharer",
    "Unmask",
    "clean",
]

MOST: int = 2**53
Id = Annotated[int, Field(ge=1, le=MOST)]
Text = Annotated[str, StringConstraints(max_length=LONGEST_NOTE)]
Reason = Annotated[str, StringConstraints(min_length=10, max_length=500, strip_whitespace=True)]
if TYPE_CHECKING:  # a checker of types wants the names spelt out; who calls gets them from the document
    State = str
    Severity = str
    Band = str
    Policy = str
    Step = str
    RoleName = str
    Action = str
    BulkAction = str
    Event = str
else:
    State, Band, Policy = Literal[tuple(STATES)], Literal[tuple(AGE_BANDS)], Literal[tuple(POLICIES)]
    Severity, Step, RoleName = Literal[SEVERITIES], Literal[tuple(STEPS)], Literal[tuple(ROLES)]
    Action, BulkAction, Event = Literal[tuple(FROM)], Literal[BULK_ACTIONS], Literal[EVENTS]
Pseudonym = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}$")]


def clean(text: str) -> str:
    """Return a text without what no database takes: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode()


class Given(BaseModel):
    """What is sent to the API: nothing that is not named."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """Why something was not done."""

    problem: str


class CaseSummary(BaseModel):
    """A case in the queue; times are epoch milliseconds."""

    id: int
    account: str
    role: Literal["actor", "target"]
    state: State
    severity: Severity
    score: float
    priority: float
    minors: int
    detectors: list[str]
    shadow: bool
    age_band: Band
    headline: str
    flags: int
    assignee: int | None
    first_flag_at: int
    last_flag_at: int
    opened_at: int
    due_at: int | None
    held_until: int | None
    reopened_because: str | None
    legal_hold: bool


class CasePage(BaseModel):
    """One page of cases; `after` is given back to get the next."""

    cases: list[CaseSummary]
    after: str | None


class FlagShown(BaseModel):
    """A flag with its evidence; targets by pseudonym."""

    flag_id: str
    type: str
    detector: str
    severity: Severity
    score: float
    raised_at: int
    updated_at: int
    explanation: str
    counterfactual: str
    policy_version: str
    shadow: bool
    evidence: dict[str, Any]


class Contact(BaseModel):
    """Somebody the account reached for."""

    other: str
    age_band: Band
    first_at: int
    last_at: int
    outcomes: list[str]
    signs: list[str]
    mutual_friends: int | None
    requests: int
    messages: int


class Sharer(BaseModel):
    """Another account that reaches for the same targets: a lead, never a verdict; `shared` is how many, at least."""

    other: str
    shared: int
    case: int | None


class DecisionMade(BaseModel):
    """A decision on a case."""

    id: int
    at: int
    login: str
    action: str
    reason: str | None
    policy: str | None
    note: str
    undone_at: int | None
    bulk_id: int | None


class CaseDetail(CaseSummary):
    """A case with all that belongs to it."""

    flags_shown: list[FlagShown]
    contacts: list[Contact]
    contacts_total: int
    decisions: list[DecisionMade]
    similar: list[dict[str, Any]]
    group: list[Sharer]
    group_unnamed: Annotated[int, Field(description="How many more its worker could not name.")]


class Basis(Given):
    """The evidence as it was when somebody looked, from the case."""

    severity: Severity
    minors: Annotated[int, Field(ge=0, le=MOST)]
    flags: Annotated[int, Field(ge=0, le=MOST)]


class Decision(Given):
    """A decision to take.

    `seen` is the newest decision on the case that was seen, `basis` the evidence: what somebody has done since then, or
    evidence that has grown so far that the case would be opened again, is a conflict.
    """

    action: Action
    reason: Annotated[str, StringConstraints(max_length=40)] | None = None
    policy: Policy | None = None
    note: Text = ""
    seen: Annotated[int, Field(ge=0, le=MOST)] | None = None
    basis: Basis | None = None
    to: Annotated[str, StringConstraints(max_length=120)] | None = None
    hours: Annotated[float, Field(ge=1, le=2160, allow_inf_nan=False)] = 24.0


class Unmask(Given):
    """Why an account's id is needed."""

    reason: Reason


class Identity(BaseModel):
    """An account's id."""

    account: str
    account_id: str


class PackRequest(Given):
    """What an evidence pack is for."""

    reason: Reason
    format: Literal["json", "pdf"] = "json"


class Hold(Given):
    """A legal hold, on or off."""

    hold: bool
    reason: Reason


class AccountAtRisk(BaseModel):
    """An account that others under review reach for."""

    account: str
    age_band: Band
    suspects: int
    severity: Severity
    last_at: int
    answered: bool
    step: str | None
    case: int | None


class Account(BaseModel):
    """Who reaches for an account, and what was done."""

    account: str
    age_band: Band
    contacts: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    cases: list[dict[str, Any]]


class Protection(Given):
    """A step taken to protect an account."""

    step: Step
    note: Annotated[str, StringConstraints(max_length=1000)] = ""


class BulkProposal(Given):
    """One decision for several cases."""

    cases: Annotated[list[Id], Field(min_length=1, max_length=1000)]
    action: BulkAction
    reason: Annotated[str, StringConstraints(max_length=40)]
    policy: Policy | None = None
    note: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NOTE)]


class Bulk(BaseModel):
    """A proposal and what became of it."""

    id: int
    proposer: int
    at: int
    action: str
    reason: str
    policy: str
    note: str
    cases: list[int]
    state: str
    second: int | None
    second_at: int | None
    answer: str | None


class Answer(Given):
    """Yes or no to a proposal."""

    approve: bool


class Overview(BaseModel):
    """The figures of the overview."""

    queue: dict[str, Any]
    precision: list[dict[str, Any]]
    shadow: list[dict[str, Any]]
    lag: list[dict[str, Any]]
    hours: dict[str, Any]
    load: list[dict[str, Any]] | None
    workers: list[dict[str, Any]]
    threads: dict[str, str | None]


class AuditRecord(BaseModel):
    """A record of the audit."""

    seq: int
    at: int
    actor: str
    action: str
    object: str
    detail: str
    previous: str
    hash: str


class AuditPage(BaseModel):
    """Records of the audit, the newest first."""

    records: list[AuditRecord]
