"""JSON Lines from files: plain, `.gz`, `.zst`, or `-` for standard input, in blocks of whole lines.

Memory stays the same whatever the file: at most one block and one line are held, however far the data expands. A
line longer than a record may be is cut to just over that length, so that the decoder refuses it and
line numbers stay right. Compression is told by the first bytes, so that it works on standard input as well.
"""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import msgspec
import zstandard

from streams.cli import UserError
from streams.events import MAX_RECORD

__all__ = ["Block", "read_blocks", "size_of"]

BLOCK_SIZE: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_BOM: Final = b"\xef\xbb\xbf"
# what the zstd program allows unless told otherwise; a file may ask for gigabytes
_MAX_WINDOW: Final = 1 << 27
_MAX_ZSTD_BLOCK: Final = 1 << 17


class Block(msgspec.Struct, frozen=True, gc=False):
    """Some whole lines of a file.

    Attributes
    ----------
    data : bytes
        Lines with their line feeds; the last line of a file may lack it. A line of more than `MAX_RECORD` bytes
        is cut to `MAX_RECORD` + 1, which marks it as too long.
    first_line : int
        Number of the first line, counted from 1.
    position : int
        Bytes of the file (compressed, where it is) read so far, for a progress bar.
    """

    data: bytes
    first_line: int
    position: int


class _Source(io.RawIOBase):
    """Counts what is read, and hands out again what was looked at first."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.position = 0
        self.ahead = b""

    def readable(self) -> bool:
        return True

    def peek(self, size: int) -> bytes:
        while len(self.ahead) < size and (more := self.file.read(size - len(self.ahead))):
            self.ahead += more
        return self.ahead

    def read(self, size: int | None = -1) -> bytes:
        wanted = BLOCK_SIZE if size is None or size < 0 else size
        data, self.ahead = self.ahead[:wanted], self.ahead[wanted:]
        if not data:
            data = self.file.read(wanted)
        self.position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def exactly(self, size: int) -> bytes:
        """Return `size` bytes, or raise EOFError."""
        data = self.read(size)
        while len(data) < size:
            more = self.read(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data


def size_of(path: str) -> int | None:
    """Return the size of a file in bytes, or None where that is not known, as of standard input."""
    try:
        return os.stat(path).st_size if path != "-" and os.path.isfile(path) else None
    except OSError:
        return None


def read_blocks(path: str, *, block_size: int = BLOCK_SIZE, stdin: BinaryIO | None = None) -> Iterator[Block]:
    """Yield a file's lines in blocks.

    Parameters
    ----------
    path : str
        A file, or `-` for standard input.
    block_size : int
        Bytes to read at a time; a block is at most a line longer.
    stdin : binary file, optional
        What `-` stands for.

    Raises
    ------
    UserError
        When the file is missing, unreadable or damaged. Whole blocks before the damage have been yielded.
    """
    name = "standard input" if path == "-" else path
    try:
        if path == "-":
            yield from _blocks(stdin or sys.stdin.buffer, name, block_size)
        else:
            with open(path, "rb", buffering=0) as file:
                yield from _blocks(file, name, block_size)
    except FileNotFoundError:
        raise UserError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{name}: is a folder, not a file") from None
    except PermissionError:
        raise UserError(f"{name}: may not be read by this user") from None
    except OSError as bad:
        raise UserError(f"{name}: cannot be read ({bad.strerror or 'input/output error'})") from None


def _blocks(file: BinaryIO | io.FileIO, name: str, block_size: int) -> Iterator[Block]:
    source = _Source(file)
    line = 1
    held = bytearray()  # the beginning of a line whose end has not come yet
    for data in _expanded(source, name, block_size):
        head, feed, tail = data.rpartition(b"\n")
        if not feed:
            held += tail[: MAX_RECORD + 1 - len(held)]
            continue
        first, feed, rest = (head + feed).partition(b"\n")
        held += first[: MAX_RECORD + 1 - len(held)]
        block = bytes(held) + feed + _shortened(rest)
        yield Block(block, line, source.position)
        line += block.count(b"\n")
        held = bytearray(tail[: MAX_RECORD + 1])
    if held:
        yield Block(bytes(held), line, source.position)


def _shortened(lines: bytes) -> bytes:
    """Return lines, those that are too long cut."""
    if len(lines) <= MAX_RECORD or max(map(len, lines.split(b"\n"))) <= MAX_RECORD:
        return lines
    return b"\n".join(line[: MAX_RECORD + 1] for line in lines.split(b"\n"))


def _expanded(source: _Source, name: str, block_size: int) -> Iterator[bytes]:
    """Yield the content in pieces of about `block_size` bytes, without a byte order mark."""
    start = source.peek(4)
    if start.startswith(_GZIP):
        pieces = _gunzip(source, name, block_size)
    elif start == _ZSTD or (len(start) == 4 and start[1:] == b"\x2a\x4d\x18" and start[0] >> 4 == 5):
        pieces = _gathered(_unzstd(source, name), block_size)
    elif name.endswith((".gz", ".zst")):
        kind = "gzip" if name.endswith(".gz") else "zstd"
        raise UserError(f"{name}: is not a {kind} file" + ("" if start else " (it is empty)"))
    else:
        pieces = iter(lambda: source.read(block_size), b"")
    first = next(pieces, b"")
    while len(first) < len(_BOM) and _BOM.startswith(first) and (more := next(pieces, b"")):
        first += more
    if first := first.removeprefix(_BOM):
        yield first
    yield from pieces


def _gunzip(source: _Source, name: str, block_size: int) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=io.BufferedReader(source, 1 << 16), mode="rb") as file:
        while True:
            try:
                data = file.read1(block_size)
            except EOFError:
                raise UserError(f"{name}: ends too early, in byte {source.position} of the gzip data") from None
            except (zlib.error, gzip.BadGzipFile):
                raise UserError(f"{name}: damaged gzip data before byte {source.position}") from None
            if not data:
                return
            yield data


def _gathered(pieces: Iterator[bytes], block_size: int) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= block_size:
            yield b"".join(held)
            held.clear()
            size = 0
    if held:
        yield b"".join(held)


def _unzstd(source: _Source, name: str) -> Iterator[bytes]:
    """Yield what each zstd block holds, at most 128 KiB.

    The library's own reader neither tells a cut-off file from a whole one nor limits what one piece of input
    expands to. Feeding it one block of the format at a time does both (RFC 8878, section 3.1).
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    try:
        while magic := source.read(4):
            magic += source.exactly(4 - len(magic)) if len(magic) < 4 else b""
            if magic[1:] == b"\x2a\x4d\x18" and magic[0] >> 4 == 5:
                left = int.from_bytes(source.exactly(4), "little")
                while left:
                    left -= len(source.exactly(min(left, _MAX_ZSTD_BLOCK)))
                continue
            if magic != _ZSTD:
                raise zstandard.ZstdError
            yield from _frame(source, decompressor.decompressobj())
    except EOFError:
        raise UserError(f"{name}: ends too early, in byte {source.position} of the zstd data") from None
    except zstandard.ZstdError:
        raise UserError(f"{name}: damaged zstd data before byte {source.position}") from None


def _frame(source: _Source, unpack: zstandard.ZstdDecompressionObj) -> Iterator[bytes]:
    descriptor = source.exactly(1)
    single, checksum = descriptor[0] >> 5 & 1, descriptor[0] >> 2 & 1
    size_bytes = (single, 2, 4, 8)[descriptor[0] >> 6]
    header = source.exactly((not single) + (0, 1, 2, 4)[descriptor[0] & 3] + size_bytes)
    yield unpack.decompress(_ZSTD + descriptor + header)
    last = False
    while not last:
        head = source.exactly(3)
        number = int.from_bytes(head, "little")
        last, kind, size = bool(number & 1), number >> 1 & 3, number >> 3
        if kind == 3 or size > _MAX_ZSTD_BLOCK:
            raise zstandard.ZstdError
        yield unpack.decompress(head + source.exactly(1 if kind == 1 else size))
    if checksum:
        yield unpack.decompress(source.exactly(4))
