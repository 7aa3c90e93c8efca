"""Runs the migrations on the connection that `console.database` hands in."""

from __future__ import annotations

from alembic import context

from console.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=False
)
context.run_migrations()
