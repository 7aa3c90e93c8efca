"""What becomes of a record that is no event: its own bytes, with the reason and where it came from in the headers."""

from __future__ import annotations

from typing import Any, Final

from aiokafka import ConsumerRecord

from streams.flags import dead_letter_headers

__all__ = ["LARGEST", "dead_letter"]

LARGEST: Final = 900_000
"""Bytes of a dead letter: with its headers it has to fit into a record of Kafka's usual 1 MiB. More is cut off."""


def dead_letter(record: ConsumerRecord, reason: str) -> tuple[bytes | None, dict[str, Any]]:
    """Return the value of a dead letter, and its key and headers as a producer takes them.

    What is too large for a record is cut, and `kithwatch.length` then says how long it was.
    """
    headers = dead_letter_headers(reason, record.topic, record.partition, record.offset)
    value, key = record.value, record.key
    if len(value or b"") + len(key or b"") > LARGEST:
        headers.append(("kithwatch.length", str(len(value or b"")).encode()))
        value, key = (value or b"")[:LARGEST], None
    elif value is None and key is None:
        key = b""  # no client sends a record of neither
    return value, {"key": key, "headers": headers}
