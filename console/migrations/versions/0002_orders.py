"""Indexes for each order of the queue, and for its counts."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.drop_index("ix_cases_due", "cases")
    op.create_index("ix_cases_due", "cases", ["state", "shadow", "role", "due_at", "id"])
    op.create_index("ix_cases_newest", "cases", ["state", "shadow", "role", "opened_at", "id"])
    op.create_index("ix_cases_counts", "cases", ["shadow", "role", "state", "severity", "due_at"])
