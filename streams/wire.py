"""Messages between shards as bytes: a small MessagePack array around the raw columns.

The columns are numpy arrays of fixed little-endian dtypes, so that packing and unpacking cost a copy. The first
element is the format's version; a worker refuses one that it does not know rather than guess.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from graph.batch import EVENT
from graph.message import ASK, REVIEW, Kind, Message

__all__ = ["WireError", "pack", "unpack"]

VERSION: Final = 2


class WireError(ValueError):
    """Bytes that are no message of a version this worker knows."""


class _Frame(msgspec.Struct, array_like=True, frozen=True, gc=False):
    version: int
    kind: int
    source: int
    offset: int
    part: int
    rows: bytes
    text: bytes
    hashes: bytes


_ROWS: Final = {Kind.EVENTS: EVENT, Kind.ASKS: ASK, Kind.ANSWERS: ASK, Kind.REVIEWS: REVIEW}
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Frame)


def pack(message: Message) -> bytes:
    """Return a message as bytes."""
    return _ENCODER.encode(
        _Frame(
            VERSION,
            int(message.kind),
            message.source,
            message.offset,
            message.part,
            message.rows.tobytes(),
            message.text.tobytes(),
            message.hashes.tobytes(),
        )
    )


def unpack(data: bytes | None) -> Message:
    """Read a message.

    Raises
    ------
    WireError
        If it is none, or of another version.
    """
    try:
        frame = _DECODER.decode(data or b"")
        if frame.version != VERSION:
            raise WireError(f"exchange format {frame.version}, not {VERSION}: let all workers be of one version")
        kind = Kind(frame.kind)
        rows = np.frombuffer(frame.rows, _ROWS[kind])
        text = np.frombuffer(frame.text, np.uint8)
        hashes = np.frombuffer(frame.hashes, np.uint64)
    except WireError:
        raise
    except (msgspec.DecodeError, ValueError) as problem:
        raise WireError(f"not an exchange message: {problem}") from None
    return Message(kind, frame.source, frame.offset, frame.part, rows, text, hashes)
