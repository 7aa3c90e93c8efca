"""Where snapshots lie: a folder a shard below an fsspec URL, one file a snapshot, named by its offset.

    URL / group / shard-0003-of-0008 / 00000000000000123456.snap

A snapshot appears whole or not at all. The newest `KEEP` are kept; a damaged one costs the way from the one before, and
with none left a shard is rebuilt from the beginning of its log. On the local disk files are readable by their owner
only. fsspec knows many stores by their URL (https://filesystem-spec.readthedocs.io); what a store needs besides, such
as `s3fs` for `s3://`, is installed beside kithwatch.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO, Final

import fsspec
import msgspec
import platformdirs

from graph.shard import Settings, Shard
from graph.state import ACCOUNT, BUCKET_BITS, COLUMNS, PAIR, WINDOWS, Var
from streams.snapshot_file import Header, SnapshotError, read_header, read_tree, write_file

__all__ = ["KEEP", "LAYOUT", "Found", "SnapshotSettings", "SnapshotStore", "layout_of", "read_key"]

KEEP: Final = 2
"""Snapshots of a shard that are kept: the newest, and one to fall back on."""
KEY_VARIABLE: Final = "KITHWATCH_SNAPSHOT_KEY"
NAME: Final = re.compile(r"(\d{20})\.snap")
PRIVATE: Final = 0o077


def layout_of(settings: Settings) -> str:
    """Return a digest of what the numbers in a shard's arrays mean: names, types, windows, horizons."""
    state = Shard(settings).state
    arrays = [(name, getattr(state, name).dtype.descr) for name in state._fields]
    meaning = (arrays, ACCOUNT.descr, PAIR.descr, Var._asdict(), COLUMNS, WINDOWS, BUCKET_BITS, settings)
    return hashlib.sha256(repr(meaning).encode()).hexdigest()[:16]


LAYOUT: Final = layout_of(Settings())
MIGRATIONS: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {}
"""By a former layout: what makes a tree of that layout one of today's. A layout that is neither is refused."""


class SnapshotSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where snapshots go, and how often.

    Attributes
    ----------
    url : str or None
        An fsspec URL or a local path; None: no snapshots.
    every : float
        Seconds between two snapshots of a shard.
    key : bytes or None
        To encrypt them with, 32 bytes.
    """

    url: str | None = None
    every: float = 300.0
    key: bytes | None = None

    @classmethod
    def from_env(
        cls, *, url: str | None = None, every_ms: int | None = None, environ: Mapping[str, str] | None = None
    ) -> SnapshotSettings:
        """Return the settings: what is given here, else what the environment says, else a folder of the user's.

        Raises
        ------
        ValueError
            If the key is none.
        """
        env = os.environ if environ is None else environ
        where = (
            url or env.get("KITHWATCH_SNAPSHOTS") or os.path.join(platformdirs.user_data_dir("kithwatch"), "snapshots")
        )
        return cls(
            url=None if where == "none" else where,
            every=300.0 if every_ms is None else every_ms / 1000,
            key=read_key(env.get(KEY_VARIABLE)),
        )


def read_key(text: str | None) -> bytes | None:
    """Return the key that a text stands for: 32 bytes in base64; None for none.

    Raises
    ------
    ValueError
        If it is anything else; the text is not repeated.
    """
    if not text:
        return None
    with contextlib.suppress(binascii.Error, ValueError):
        key = base64.b64decode(text, validate=True)
        if len(key) == 32:
            return key
    raise ValueError(f"{KEY_VARIABLE} must be 32 bytes in base64, as `openssl rand -base64 32` prints them")


class Found(msgspec.Struct, frozen=True):
    """A snapshot that is there: its path, and the offset at which its shard goes on."""

    path: str
    position: int


class SnapshotStore:
    """The snapshots of one group of workers.

    Parameters
    ----------
    url : str
        An fsspec URL or a local path.
    group : str
        The workers' consumer group.
    key : bytes, optional
        To encrypt with.

    Raises
    ------
    ValueError
        If fsspec does not know the URL, or lacks what it takes to reach it.
    """

    def __init__(self, url: str, group: str, key: bytes | None = None) -> None:
        try:
            self._fs, root = fsspec.url_to_fs(url)
        except (ValueError, ImportError) as problem:
            raise ValueError(f"snapshots cannot be kept at {url}: {problem}") from None
        self._local = "file" in (self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,))
        self._root = f"{root.rstrip('/')}/{re.sub(r'[^A-Za-z0-9._-]', '_', group)}"
        self._key = key

    def folder(self, shard: int, shards: int) -> str:
        """Return the folder of a shard's snapshots."""
        return f"{self._root}/shard-{shard:04}-of-{shards:04}"

    def check(self) -> None:
        """Make sure that snapshots can be written here.

        Raises
        ------
        OSError
            If not.
        """
        self._make_folder(self._root)
        if self._local:
            probe = f"{self._root}/.probe-{os.getpid()}"
            os.close(os.open(probe, os.O_CREAT | os.O_WRONLY, 0o600))
            os.unlink(probe)

    def _make_folder(self, folder: str) -> None:
        if not self._local:
            self._fs.makedirs(folder, exist_ok=True)
            return
        mask = os.umask(PRIVATE)
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
        finally:
            os.umask(mask)

    def list(self, shard: int, shards: int) -> list[Found]:
        """Return a shard's snapshots, the newest first."""
        folder = self.folder(shard, shards)
        self._fs.invalidate_cache()
        try:
            paths = self._fs.ls(folder, detail=False)
        except FileNotFoundError:
            return []
        names = ((path, NAME.fullmatch(path.rstrip("/").rpartition("/")[2])) for path in paths)
        return sorted((Found(p, int(m[1])) for p, m in names if m), key=lambda found: -found.position)

    def header(self, found: Found) -> Header:
        """Read a snapshot's header.

        Raises
        ------
        SnapshotError, OSError
            If it cannot be read.
        """
        with self._fs.open(found.path, "rb") as file:
            return read_header(file)

    def read(self, found: Found) -> tuple[Header, dict[str, Any]]:
        """Read a snapshot, brought to today's layout.

        Raises
        ------
        SnapshotError, OSError
            If it cannot be read: damaged, of another version, sealed with another key.
        """
        with self._fs.open(found.path, "rb") as file:
            header, tree = read_tree(file, self._key)
        if header.layout != LAYOUT:
            if header.layout not in MIGRATIONS:
                raise SnapshotError(f"its state has another layout: kithwatch {header.program} wrote it")
            tree = MIGRATIONS[header.layout](tree)
        return header, tree

    def write(self, header: Header, frames: Iterable[bytes]) -> int:
        """Write a snapshot and drop those that are too many; return its bytes.

        Raises
        ------
        SnapshotError, OSError
            If it cannot be written whole. What was there before is there still.
        """
        folder = self.folder(header.shard, header.shards)
        self._make_folder(folder)
        path = f"{folder}/{header.position:020}.snap"
        write = self._write_local if self._local else self._write_away
        size = write(path, lambda file: write_file(file, header, frames, self._key))
        self._prune(header.shard, header.shards, path)
        return size

    def _write_local(self, path: str, fill: Callable[[BinaryIO], int]) -> int:
        draft = f"{path}.{os.getpid()}.part"
        try:
            with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
                size = fill(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        try:
            os.fsync(folder)  # or the new name could be lost with the power
        finally:
            os.close(folder)
        return size

    def _write_away(self, path: str, fill: Callable[[BinaryIO], int]) -> int:
        draft = f"{path}.{os.getpid()}.part"
        try:
            with self._fs.open(draft, "wb") as file:
                size = fill(file)
            self._fs.mv(draft, path)
        except BaseException:
            with contextlib.suppress(Exception):
                self._fs.rm(draft)
            raise
        return size

    def _prune(self, shard: int, shards: int, path: str) -> None:
        there = self.list(shard, shards)
        there = there[next((i for i, found in enumerate(there) if found.path.endswith(path)), 0) :]
        for found in there[KEEP:]:
            self._drop(found.path)
        for left in self._fs.ls(self.folder(shard, shards), detail=False):
            if left.endswith(".damaged"):
                self._drop(left)

    def forget_erased(self, shard: int, shards: int) -> None:
        """Drop snapshots from before an erasure, if the newest one, read back, can do without them.

        As long as a shard moves, they go as too many anyway. This is for one that stands still.

        Raises
        ------
        SnapshotError, OSError
            If the newest one cannot be read; then nothing is dropped.
        """
        there = self.list(shard, shards)
        older = [found for found in there[1:] if self._erased(found) != self._erased(there[0])]
        if older:
            self.read(there[0])
            for found in older:
                self._drop(found.path)

    def _erased(self, found: Found) -> int:
        try:
            return self.header(found).erased
        except (SnapshotError, OSError):
            return -1

    def _drop(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):  # another worker was quicker
            self._fs.rm(path)

    def set_aside(self, found: Found, why: str) -> None:
        """Give a snapshot a name by which it is not found again, ending in `why`."""
        with contextlib.suppress(OSError):
            self._fs.mv(found.path, f"{found.path}.{why}")
