"""From records of `kithwatch.dispositions` to rows of reviews in the logs of their accounts' shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.policy import SEVERITIES
from detectors.reviews import DISMISSED, STANDS, UNDONE
from graph.message import REVIEW, Kind, Message, owner_of
from streams.cli import UserError
from streams.dispositions import Disposition
from streams.files import read_blocks
from streams.hashing import hash_id
from streams.timestamps import epoch_ms

__all__ = ["NO_REVIEWS", "read_dispositions", "read_reviews", "split_reviews"]

_DECODER: Final = msgspec.json.Decoder(Disposition)
NO_REVIEWS: Final = np.empty(0, REVIEW)
NO_TEXT: Final = np.empty(0, np.uint8)
NO_HASHES: Final = np.empty(0, np.uint64)


def read_dispositions(values: Sequence[bytes | None]) -> tuple[NDArray[np.void], list[tuple[int, str]]]:
    """Turn records into rows, one a flag, in order.

    Returns
    -------
    rows : ndarray of REVIEW
    refused : list of (int, str)
        Which records are no dispositions, and why. A record without a value is nothing.
    """
    rows: list[tuple[int, int, int, tuple[int, int], int, int]] = []
    refused: list[tuple[int, str]] = []
    for index, value in enumerate(values):
        if value is None:
            continue
        try:
            made = _DECODER.decode(value)
            time = epoch_ms(made.decided_at)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as problem:
            refused.append((index, f"not a disposition: {problem}"))
            continue
        what = UNDONE if made.type == "disposition.undone" else DISMISSED if made.outcome == "dismissed" else STANDS
        account, decision = hash_id(made.account_id), hash_id(made.disposition_id)
        severity = SEVERITIES.index(made.severity)
        rows += [(time, account, decision, halves, severity, what) for halves in _halves(made.flag_ids)]
    return np.array(rows, REVIEW), refused


def read_reviews(path: str | None) -> NDArray[np.void]:
    """Read a file of dispositions, JSON Lines, plain or compressed; None means none.

    Raises
    ------
    UserError
        If it cannot be read, or a line is no disposition.
    """
    found = [NO_REVIEWS]
    for block in read_blocks(path) if path is not None else ():
        lines = [line if line.strip() else None for line in block.data.split(b"\n")]
        rows, refused = read_dispositions(lines)
        if refused:
            index, why = refused[0]
            raise UserError(f"{path}, line {block.first_line + index}: {why}")
        found.append(rows)
    return np.concatenate(found)


def _halves(flag_ids: list[str]) -> Iterator[tuple[int, int]]:
    """Yield the ids of flags as two numbers each; what is no id of ours is passed over."""
    for text in flag_ids:
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            continue
        if len(raw) == 16:
            yield int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little")


def split_reviews(rows: NDArray[np.void], shards: int) -> list[tuple[int, Message]]:
    """Return a message for each shard that has to know, in order of shards."""
    to = owner_of(rows["account"], shards)
    return [
        (int(shard), Message(Kind.REVIEWS, -1, -1, 0, rows[to == shard], NO_TEXT, NO_HASHES)) for shard in np.unique(to)
    ]
