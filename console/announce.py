"""Puts news of cases into the queue of webhooks, within the transaction of what it tells."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, insert, select

from console.tables import deliveries, webhooks

__all__ = ["EVENTS", "announce", "listened"]

EVENTS: Final = ("case.opened", "case.reopened", "case.decided", "case.undone")


def listened(connection: Connection, event: str) -> list[int]:
    """Return the numbers of the receivers that want to hear of an event."""
    wanted = select(webhooks.c.id, webhooks.c.events).where(webhooks.c.active)
    return [row.id for row in connection.execute(wanted) if event in row.events.split(",")]


def announce(connection: Connection, event: str, data: dict[str, Any], now: int) -> None:
    """Put an event into the queue of every receiver that wants it, within the transaction of what it tells."""
    to = listened(connection, event)
    if to:
        body = msgspec.json.encode({"type": event, "timestamp": now, "data": data}).decode()
        row = {"event": event, "body": body, "created_at": now, "attempts": 0, "next_at": now}
        connection.execute(insert(deliveries), [{"webhook_id": number, **row} for number in to])
