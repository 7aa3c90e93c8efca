"""An index to find whether somebody's look was recorded a while ago."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.create_index("ix_audit_looks", "audit", ["actor", "action", "object", "at"])
