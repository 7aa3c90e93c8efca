"""A bulk proposal keeps what the evidence was; those that wait without it have to be proposed again."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.execute("UPDATE bulks SET state = 'refused', answer = 'propose again' WHERE state = 'proposed'")
