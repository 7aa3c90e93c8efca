"""A case keeps its flags in short; on SQLite, contacts and identities lie in the order of their keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the change."""
    op.add_column("cases", sa.Column("briefs", sa.Text(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        _by_key()


def _by_key() -> None:
    """Make anew, WITHOUT ROWID, what is only ever found by its key: one tree to write instead of two."""
    for statement in (
        "DROP INDEX ix_contacts_other",
        "ALTER TABLE contacts RENAME TO contacts_before",
        "CREATE TABLE contacts (case_id INTEGER NOT NULL, other VARCHAR(14) NOT NULL, age_band VARCHAR(8) NOT NULL,"
        " first_at BIGINT NOT NULL, last_at BIGINT NOT NULL, outcomes INTEGER NOT NULL, signs INTEGER NOT NULL,"
        " mutual_friends INTEGER, requests INTEGER NOT NULL, messages INTEGER NOT NULL,"
        " CONSTRAINT pk_contacts PRIMARY KEY (case_id, other),"
        " CONSTRAINT fk_contacts_case_id FOREIGN KEY(case_id) REFERENCES cases (id) ON DELETE CASCADE) WITHOUT ROWID",
        "INSERT INTO contacts SELECT case_id, other, age_band, first_at, last_at, outcomes, signs, mutual_friends,"
        " requests, messages FROM contacts_before ORDER BY case_id, other",
        "DROP TABLE contacts_before",
        "CREATE INDEX ix_contacts_other ON contacts (other, case_id)",
        "ALTER TABLE identities RENAME TO identities_before",
        "CREATE TABLE identities (account VARCHAR(14) NOT NULL, account_id VARCHAR(200) NOT NULL,"
        " CONSTRAINT pk_identities PRIMARY KEY (account),"
        " CONSTRAINT uq_identities_account_id UNIQUE (account_id)) WITHOUT ROWID",
        "INSERT INTO identities SELECT account, account_id FROM identities_before ORDER BY account",
        "DROP TABLE identities_before",
    ):
        op.execute(statement)
