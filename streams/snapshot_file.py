"""One snapshot as a file: a header that can be read without the key, then the state in checked, compressed frames.

    "KITHSNAP" | length, header (MessagePack), its XXH3-128 | length, frame | ... | XXH3-128 of all before

A frame is one byte that says what it is, and a piece of the state compressed with zstd: first the manifest (the tree of
`graph.kept` with numbers in place of its arrays), then the arrays, one after the other, then a frame that ends the
file. With a key, each frame is sealed with AES-256-GCM by a key of its own file (HKDF-SHA256 of the given one and a
random salt). The frame's number is the nonce and the header is authenticated with it, so that frames cannot be left
out, moved, or taken over from another file (after the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizar,
2015).

Without a key the checksum tells damage, not malice: who can write the folder can change the state.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, BinaryIO, Final

import msgspec
import numpy as np
import xxhash
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = [
    "FORMAT",
    "DamagedError",
    "Header",
    "SnapshotError",
    "key_name",
    "pack_tree",
    "read_header",
    "read_tree",
    "write_file",
]

MAGIC: Final = b"KITHSNAP"
FORMAT: Final = 1
PIECE: Final = 4 << 20
"""Bytes of state in one frame, at most."""
MOST_FRAME: Final = PIECE + (PIECE >> 6) + 1024
"""A frame is never longer: what zstd adds to bytes that it cannot compress, and the seal."""
MOST_HEADER: Final = 64 << 10
UNPACKING: Final = min(4, os.cpu_count() or 1)
"""Threads that unpack a snapshot."""
AHEAD: Final = 4 * UNPACKING
"""Pieces read before they are unpacked, at most."""
STATE: Final = b"\1"
END_OF_MANIFEST: Final = b"\2"
END: Final = b"\3"
LENGTH: Final = struct.Struct("<I")
DIGEST: Final = 16


class SnapshotError(Exception):
    """A snapshot cannot be read: damaged, of another version, or sealed with another key. The text is one line."""


_DAMAGES: Final = (
    *(zstandard.ZstdError, InvalidTag, msgspec.MsgspecError),
    *(MemoryError, ValueError, TypeError, LookupError, StopIteration),
)
"""What reading a damaged file can come to."""


class DamagedError(SnapshotError):
    """A snapshot is not what was written."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot is of.

    Attributes
    ----------
    format : int
        Version of the file's format.
    layout : str
        Digest of the names and types of the state (`streams.snapshots.LAYOUT`).
    program : str
        The version that wrote it.
    shard, shards : int
        Which shard, of how many.
    position : int
        Offset of the first record of the shard's log that it has not seen.
    anchor : bytes
        Digest of the record before that, by which the log is known again; empty at the beginning of a log.
    policy : str
        Version of the policy in force.
    erased : int
        Accounts erased so far: what was written before the newest erasure still holds its bytes.
    key, salt : bytes
        Name of the key that sealed it, and the file's salt; empty without one.
    """

    format: int = FORMAT
    layout: str
    program: str
    shard: int
    shards: int
    position: int
    anchor: bytes
    policy: str
    erased: int
    key: bytes = b""
    salt: bytes = b""


def key_name(key: bytes) -> bytes:
    """Return eight bytes by which a key is known, and from which it cannot be told."""
    return HKDF(SHA256(), 8, None, b"kithwatch snapshot key name").derive(key)


# -- from a tree to frames


def pack_tree(tree: dict[str, Any]) -> Iterator[bytes]:
    """Yield a tree as frames: the manifest, then the arrays, then the end."""
    arrays: list[np.ndarray[Any, Any]] = []
    manifest = msgspec.msgpack.encode(_without_arrays(tree, arrays))
    compress = zstandard.ZstdCompressor(level=1).compress
    for piece in _pieces(memoryview(manifest)):
        yield STATE + compress(piece)
    yield END_OF_MANIFEST
    for array in arrays:
        if array.nbytes:
            for piece in _pieces(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data):
                yield STATE + compress(piece)
    yield END


def _pieces(data: memoryview) -> Iterator[memoryview]:
    for at in range(0, len(data), PIECE):
        yield data[at : at + PIECE]


def _without_arrays(tree: Any, arrays: list[Any]) -> Any:
    if isinstance(tree, dict):
        return {name: _without_arrays(part, arrays) for name, part in tree.items()}
    if isinstance(tree, np.ndarray):
        arrays.append(tree)
        kind = tree.dtype.descr if tree.dtype.names else tree.dtype.str
        return {"#": len(arrays) - 1, "dtype": kind, "shape": tree.shape}
    return tree


def _with_arrays(tree: Any, arrays: dict[int, Any]) -> Any:
    """Put empty arrays where the manifest has their descriptions, and note them in `arrays`."""
    if not isinstance(tree, dict):
        return tree
    if "#" not in tree:
        return {name: _with_arrays(part, arrays) for name, part in tree.items()}
    kind = tree["dtype"]
    # JSON and MessagePack know no tuples, of which numpy wants its descriptions
    fields = kind if isinstance(kind, str) else [(f[0], f[1], *map(tuple, f[2:])) for f in kind]
    array = arrays[tree["#"]] = np.empty(tuple(tree["shape"]), np.dtype(fields))
    if array.dtype.hasobject:
        raise ValueError("an array of objects")
    return array


# -- from frames to a file and back


class _Seal:
    """Seals and opens the frames of one file, in order."""

    def __init__(self, key: bytes | None, header: bytes, salt: bytes) -> None:
        self._header = header
        self._number = 0
        derived = HKDF(SHA256(), 32, salt, b"kithwatch snapshot").derive(key) if key else None
        self._cipher = AESGCM(derived) if derived else None

    def close(self, frame: bytes) -> bytes:
        return frame if self._cipher is None else self._cipher.encrypt(self._nonce(), frame, self._header)

    def open(self, frame: bytes) -> bytes:
        return frame if self._cipher is None else self._cipher.decrypt(self._nonce(), frame, self._header)

    def _nonce(self) -> bytes:
        self._number += 1
        return self._number.to_bytes(12, "big")


def write_file(out: BinaryIO, header: Header, frames: Iterable[bytes], key: bytes | None = None) -> int:
    """Write a snapshot; return its bytes.

    Parameters
    ----------
    out : binary file
    header : Header
    frames : iterable of bytes
        As `pack_tree` yields them.
    key : bytes, optional
        To seal it with, 32 bytes.

    Raises
    ------
    SnapshotError
        If the frames end too soon.
    """
    if key:
        header = msgspec.structs.replace(header, key=key_name(key), salt=os.urandom(32))
    head = msgspec.msgpack.encode(header)
    seal = _Seal(key, head, header.salt)
    digest = xxhash.xxh3_128()
    size = 0
    last = b""

    def put(*parts: bytes) -> None:
        nonlocal size
        for part in parts:
            digest.update(part)
            out.write(part)
            size += len(part)

    put(MAGIC, LENGTH.pack(len(head)), head, xxhash.xxh3_128_digest(head))
    for frame in frames:
        sealed = seal.close(frame)
        put(LENGTH.pack(len(sealed)), sealed)
        last = frame
    if last != END:
        raise SnapshotError("its making ended too soon")
    out.write(digest.digest())
    return size + DIGEST


class _Reader:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = xxhash.xxh3_128()

    def take(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) != count:
            raise DamagedError("it is cut off")
        self.digest.update(data)
        return data

    def take_long(self, most: int) -> bytes:
        """Return what stands behind its length."""
        (count,) = LENGTH.unpack(self.take(LENGTH.size))
        if count > most:
            raise DamagedError("it is damaged")
        return self.take(count)


def read_header(file: BinaryIO) -> Header:
    """Read a snapshot's header.

    Raises
    ------
    SnapshotError
        If it is no snapshot, or of a format that this version does not know.
    """
    return _read_header(_Reader(file))[0]


def _read_header(reader: _Reader) -> tuple[Header, bytes]:
    if reader.take(len(MAGIC)) != MAGIC:
        raise DamagedError("it is no snapshot, or damaged")
    head = reader.take_long(MOST_HEADER)
    if reader.take(DIGEST) != xxhash.xxh3_128_digest(head):
        raise DamagedError("it is damaged")  # told from another version, whose header is whole
    try:
        version = msgspec.msgpack.decode(head).get("format")
        if version != FORMAT:
            raise SnapshotError(f"it has format {version}, and this version of kithwatch reads format {FORMAT}")
        return msgspec.msgpack.decode(head, type=Header), head
    except (msgspec.MsgspecError, AttributeError, ValueError):
        raise DamagedError("it is damaged") from None


def read_tree(file: BinaryIO, key: bytes | None = None) -> tuple[Header, dict[str, Any]]:
    """Read a snapshot whole; what is returned is what was written, to the byte.

    Raises
    ------
    SnapshotError
        If it is damaged or cut off, of another format, or sealed with another key.
    """
    reader = _Reader(file)
    header, head = _read_header(reader)
    if header.key and not key:
        raise SnapshotError("it is encrypted, and no key is given")
    if key and not header.key:
        raise SnapshotError("it is not encrypted, though a key is given")
    if key and header.key != key_name(key):
        raise SnapshotError("it is encrypted with another key")
    try:
        with ThreadPoolExecutor(UNPACKING) as pool:
            tree = _read_body(_frames(reader, _Seal(key, head, header.salt)), pool)
    except _DAMAGES:
        raise DamagedError("it is damaged") from None
    if file.read(DIGEST + 1) != reader.digest.digest():
        raise DamagedError("it is damaged, or cut off")
    return header, tree


def _frames(reader: _Reader, seal: _Seal) -> Iterator[tuple[bytes, memoryview, int]]:
    """Yield what each frame is, its compressed piece of the state, and how long that is unpacked."""
    while True:
        frame = memoryview(seal.open(reader.take_long(MOST_FRAME)))
        kind, data = bytes(frame[:1]), frame[1:]
        size = zstandard.get_frame_parameters(data).content_size if kind == STATE else 0
        if size > PIECE:
            raise ValueError("a frame that would not fit")
        yield kind, data, size
        if kind == END:
            return


def _unpack(data: memoryview, into: memoryview) -> None:
    """Unpack a piece where it belongs, so that no page of memory is touched twice."""
    with zstandard.ZstdDecompressor().stream_reader(data) as stream:
        at = 0
        while at < len(into):
            got = stream.readinto(into[at:])
            if not got:
                raise ValueError("a piece is too short")
            at += got


def _read_body(frames: Iterator[tuple[bytes, memoryview, int]], pool: Executor) -> dict[str, Any]:
    manifest = bytearray()
    for kind, data, _ in frames:
        if kind == END_OF_MANIFEST:
            break
        manifest += zstandard.ZstdDecompressor().decompress(data)
    arrays: dict[int, Any] = {}
    tree: dict[str, Any] = _with_arrays(msgspec.msgpack.decode(manifest), arrays)
    unpacking: deque[Future[None]] = deque()
    for number in sorted(arrays):
        flat = arrays[number].view(np.uint8).reshape(-1).data
        at = 0
        while at < len(flat):
            _, data, size = next(frames)
            if not 0 < size <= len(flat) - at:
                raise ValueError("a piece that does not fit its array")
            unpacking.append(pool.submit(_unpack, data, flat[at : at + size]))
            at += size
            if len(unpacking) > AHEAD:
                unpacking.popleft().result()
    if next(frames)[0] != END:
        raise ValueError("more than the manifest names")
    for piece in unpacking:
        piece.result()
    return tree
