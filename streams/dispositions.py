"""Dispositions: what reviewers decided, as the console writes it to the topic `kithwatch.dispositions`.

Key = `account_id`; delivered at least once, idempotent by `disposition_id` and `type`.
docs/schemas/disposition.schema.json describes them.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from streams.flags import Time

__all__ = ["Disposition"]

_FLAGS: Final = Meta(description="The flags of the case as the reviewer saw them.")


class Disposition(Struct, frozen=True, kw_only=True):
    """What a reviewer decided about the flags of an account, or took back."""

    type: Annotated[
        Literal["disposition.made", "disposition.undone"],
        Meta(description="Undone: the reviewer took back the decision with this `disposition_id`."),
    ]
    schema_version: Literal[1] = 1
    disposition_id: Annotated[str, Meta(description="Unique per decision; the same in what takes it back.")]
    account_id: str
    role: Annotated[Literal["actor", "target"], Meta(description="As in the flags.")]
    outcome: Annotated[
        Literal["confirmed", "dismissed", "held", "waiting", "escalated", "open"],
        Meta(description="The state of the case after the decision; `open`: it was opened again."),
    ]
    reason: Annotated[str, Meta(description="Why, as one of the console's reasons.")]
    policy: Annotated[str | None, Meta(description="The platform's rule that applies, if one was named.")] = None
    decided_at: Time
    flag_ids: Annotated[list[str], _FLAGS]
    detectors: list[str]
    severity: Literal["low", "medium", "high", "critical"]
    until: Annotated[Time | None, Meta(description="End of a hold.")] = None
