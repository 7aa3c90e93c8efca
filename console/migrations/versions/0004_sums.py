"""Sums that pages would wait for: a table of whom suspects reach for, and indexes that hold all that is counted.

One more index finds whether somebody's look was recorded a while ago.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    pseudonym = sa.String(14).with_variant(sa.String(14, collation="C"), "postgresql")
    op.create_table(
        "reached",
        sa.Column("account", pseudonym, nullable=False),
        sa.Column("age_band", sa.String(8), nullable=False),
        sa.Column("suspects", sa.Integer(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_reached"),
    )
    op.create_index("ix_reached_order", "reached", ["suspects", "severity", "account"])
    op.create_table(
        "sweeps",
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("position", pseudonym, nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("whole_at", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_sweeps"),
    )
    op.create_index("ix_audit_looks", "audit", ["actor", "action", "object", "at"])
    op.drop_index("ix_cases_counts", "cases")
    op.create_index("ix_cases_counts", "cases", ["shadow", "role", "state", "severity", "due_at", "assignee"])
    op.drop_index("ix_cases_assignee", "cases")
    op.create_index("ix_cases_assignee", "cases", ["assignee", "state"])
    op.drop_index("ix_flags_case_id", "flags")
    op.create_index("ix_flags_case_id", "flags", ["case_id", "detector", "shadow"])
