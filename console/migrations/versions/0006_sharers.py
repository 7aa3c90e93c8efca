"""Who else reaches for the same targets: a table of those whom contexts name, and how many they cannot name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.add_column("accounts", sa.Column("unnamed", sa.Integer(), nullable=True))
    op.create_table(
        "sharers",
        sa.Column("case_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("other", sa.String(14).with_variant(sa.String(14, collation="C"), "postgresql"), nullable=False),
        sa.Column("shared", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_sharers_case_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("case_id", "other", name="pk_sharers"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sharers_other", "sharers", ["other", "case_id"])
