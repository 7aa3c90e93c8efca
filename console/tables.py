"""All tables of the console. Times are epoch milliseconds; accounts stand as pseudonyms everywhere but in `identities`.

SQLAlchemy Core: what is written down here is what the migrations make, and a test holds the two together.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text
from sqlalchemy import UniqueConstraint as Unique

__all__ = ["metadata"]

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# SQLite numbers rows by itself only in a column that is exactly INTEGER
Key = BigInteger().with_variant(Integer, "sqlite")
# byte order, so that a search for a beginning can use the index
Exact = String(200).with_variant(String(200, collation="C"), "postgresql")
Pseudonym = String(14).with_variant(String(14, collation="C"), "postgresql")

identities = Table(
    "identities",
    metadata,
    Column("account", Pseudonym, primary_key=True),
    Column("account_id", Exact, nullable=False, unique=True),
    sqlite_with_rowid=False,
)

accounts = Table(
    "accounts",
    metadata,
    Column("account", Pseudonym, primary_key=True),
    Column("age_band", String(8), nullable=False, default="unknown"),
    Column("age_source", String(10)),
    Column("created_at", BigInteger),
    # others who reach for the same targets and whom its worker could not name
    Column("unnamed", Integer),
)

cases = Table(
    "cases",
    metadata,
    Column("id", Key, primary_key=True),
    Column("account", Pseudonym, nullable=False),
    Column("role", String(6), nullable=False),
    Column("state", String(9), nullable=False),
    Column("assignee", ForeignKey("users.id")),
    Column("severity", Integer, nullable=False),
    Column("score", Float, nullable=False),
    Column("minors", Integer, nullable=False),
    Column("detectors", Text, nullable=False),
    Column("shadow", Boolean, nullable=False),
    Column("age_band", String(8), nullable=False),
    Column("headline", Text, nullable=False),
    Column("flags", Integer, nullable=False),
    Column("policy_version", String(40), nullable=False),
    Column("first_flag_at", BigInteger, nullable=False),
    Column("last_flag_at", BigInteger, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False, index=True),
    Column("due_at", BigInteger),
    Column("held_until", BigInteger),
    Column("decided_at", BigInteger),
    Column("decided_severity", Integer),
    Column("decided_minors", Integer),
    Column("reopened_because", Text),
    Column("rank", Float, nullable=False),
    Column("legal_hold", Boolean, nullable=False, default=False),
    Column("version", Integer, nullable=False, default=1),
    # its flags in short (console/judging.py), so that a record need not read them all; NULL: read them
    Column("briefs", Text),
    Unique("account", "role"),
    Index("ix_cases_queue", "state", "shadow", "role", "rank", "id"),
    Index("ix_cases_due", "state", "shadow", "role", "due_at", "id"),
    Index("ix_cases_newest", "state", "shadow", "role", "opened_at", "id"),
    Index("ix_cases_counts", "shadow", "role", "state", "severity", "due_at", "assignee"),
    Index("ix_cases_assignee", "assignee", "state"),
)

flags = Table(
    "flags",
    metadata,
    Column("flag_id", String(64), primary_key=True),
    Column("case_id", ForeignKey("cases.id", ondelete="CASCADE"), nullable=False),
    Column("type", String(14), nullable=False),
    Column("detector", String(64), nullable=False),
    Column("severity", Integer, nullable=False),
    Column("score", Float, nullable=False),
    Column("peak_severity", Integer, nullable=False),
    Column("peak_score", Float, nullable=False),
    Column("minors", Integer, nullable=False),
    Column("raised_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("window_start", BigInteger, nullable=False),
    Column("window_end", BigInteger, nullable=False),
    Column("explanation", Text, nullable=False),
    Column("counterfactual", Text, nullable=False),
    Column("policy_version", String(40), nullable=False),
    Column("shadow", Boolean, nullable=False),
    Column("records", Integer, nullable=False),
    Column("evidence", Text, nullable=False),
    Index("ix_flags_case_id", "case_id", "detector", "shadow"),
)

contacts = Table(
    "contacts",
    metadata,
    Column("case_id", ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True),
    Column("other", Pseudonym, primary_key=True),
    Column("age_band", String(8), nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("outcomes", Integer, nullable=False, default=0),
    Column("signs", Integer, nullable=False, default=0),
    Column("mutual_friends", Integer),
    Column("requests", Integer, nullable=False, default=0),
    Column("messages", Integer, nullable=False, default=0),
    Index("ix_contacts_other", "other", "case_id"),
    sqlite_with_rowid=False,
)

# who else reaches for the same targets, as contexts name them
sharers = Table(
    "sharers",
    metadata,
    Column("case_id", ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True),
    Column("other", Pseudonym, primary_key=True),
    Column("shared", Integer, nullable=False),
    Index("ix_sharers_other", "other", "case_id"),
    sqlite_with_rowid=False,
)

# whom accounts under review reach for (console/reached.py)
reached = Table(
    "reached",
    metadata,
    Column("account", Pseudonym, primary_key=True),
    Column("age_band", String(8), nullable=False),
    Column("suspects", Integer, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("answered", Boolean, nullable=False),
    Index("ix_reached_order", "suspects", "severity", "account"),
)

# how far upkeep has come with what it works out a part at a time
sweeps = Table(
    "sweeps",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("position", Pseudonym, nullable=False),
    Column("began_at", BigInteger, nullable=False),
    Column("whole_at", BigInteger),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_id", BigInteger, nullable=False),
)

activity = Table(
    "activity",
    metadata,
    Column("case_id", ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True),
    Column("hour", BigInteger, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("count", Integer, nullable=False),
)

flag_hours = Table(
    "flag_hours",
    metadata,
    Column("hour", BigInteger, primary_key=True),
    Column("detector", String(64), primary_key=True),
    Column("shadow", Boolean, primary_key=True),
    Column("count", Integer, nullable=False),
)

offsets = Table(
    "offsets",
    metadata,
    Column("topic", String(249), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
    Column("end_offset", BigInteger, nullable=False),
    Column("read_at", BigInteger, nullable=False),
)

refused = Table(
    "refused",
    metadata,
    Column("topic", String(249), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", Key, primary_key=True),
    Column("login", String(120), nullable=False, unique=True),
    Column("name", String(120), nullable=False),
    Column("role", String(8), nullable=False),
    Column("password", String(200)),
    Column("subject", String(400), unique=True),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("failed", Integer, nullable=False, default=0),
    Column("locked_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger),
    Column("max_severity", Integer, nullable=False, default=3),
    Column("batch", Integer, nullable=False, default=20),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("csrf", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("break_until", BigInteger),
)

views = Table(
    "views",
    metadata,
    Column("id", Key, primary_key=True),
    Column("owner", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(60), nullable=False),
    Column("query", Text, nullable=False),
    Column("shared", Boolean, nullable=False),
    Unique("owner", "name"),
)

unmaskings = Table(
    "unmaskings",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("account", Pseudonym, primary_key=True),
    Column("until", BigInteger, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Key, primary_key=True),
    Column("case_id", ForeignKey("cases.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("bulk_id", ForeignKey("bulks.id")),
    Column("at", BigInteger, nullable=False, index=True),
    Column("action", String(16), nullable=False),
    Column("reason", String(40)),
    Column("policy", String(40)),
    Column("note", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("detectors", Text, nullable=False),
    Column("policy_version", String(40), nullable=False),
    Column("severity", Integer, nullable=False),
    Column("seconds_open", Integer, nullable=False),
    Column("undone_at", BigInteger),
    Column("disposition_id", String(64)),
)

bulks = Table(
    "bulks",
    metadata,
    Column("id", Key, primary_key=True),
    Column("proposer", ForeignKey("users.id"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("action", String(16), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("policy", String(40), nullable=False),
    Column("note", Text, nullable=False),
    Column("case_ids", Text, nullable=False),
    Column("state", String(9), nullable=False, index=True),
    Column("second", ForeignKey("users.id")),
    Column("second_at", BigInteger),
    Column("answer", Text),
)

protections = Table(
    "protections",
    metadata,
    Column("id", Key, primary_key=True),
    Column("account", Pseudonym, nullable=False, index=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("step", String(24), nullable=False),
    Column("note", Text, nullable=False),
)

exposures = Table(
    "exposures",
    metadata,
    Column("id", Key, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("case_id", BigInteger, nullable=False),
    Column("severity", Integer, nullable=False),
    Index("ix_exposures_user", "user_id", "at"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(120), nullable=False, index=True),
    Column("action", String(40), nullable=False, index=True),
    Column("object", String(120), nullable=False, index=True),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_audit_looks", "actor", "action", "object", "at"),
)

audit_anchors = Table(
    "audit_anchors",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("seal", String(64), nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Key, primary_key=True),
    Column("case_id", BigInteger, nullable=False, index=True),
    Column("key", Exact, nullable=False),
    Column("value", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Index("ix_outbox_waiting", "sent_at", "id"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", String(60), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("scopes", String(200), nullable=False),
    Column("owner", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Column("revoked_at", BigInteger),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Key, primary_key=True),
    Column("url", String(500), nullable=False),
    Column("secret", String(80), nullable=False),
    Column("events", String(200), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Key, primary_key=True),
    Column("webhook_id", ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("event", String(40), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, index=True),
    Column("done_at", BigInteger),
    Column("problem", String(200)),
)

erasures = Table(
    "erasures",
    metadata,
    Column("account", Pseudonym, primary_key=True),
    Column("asked_at", BigInteger, nullable=False),
    Column("done_at", BigInteger),
    Column("held_by", String(60)),
)
