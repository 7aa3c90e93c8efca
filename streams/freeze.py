"""The state of a moment, written out while the stream goes on.

Large states are frozen by `fork`: the child is a copy of the process as of that moment, for which the kernel copies a
page only when the parent changes it. The child packs the state and hands the frames over through a pipe; a thread of
the parent seals and stores them. So the stream stands still for the fork alone (`benchmarks/snapshot.py`), and memory
grows by what changes meanwhile, as in Redis' background saving. Small states are copied, which is quicker still.

A forked child of a process with threads may only do what needs no lock that one of them held: it walks arrays,
compresses and writes to the pipe, and opens, imports and logs nothing. Should it hang all the same, the reader gives it
up after `PATIENCE`, and the snapshot counts as failed.
"""

from __future__ import annotations

import contextlib
import copy
import fcntl
import gc
import os
import select
import signal
import struct
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from streams.snapshot_file import SnapshotError, pack_tree

__all__ = ["Frozen", "freeze", "size_of"]

Tree = dict[str, Any]
COPIED: Final = 8 << 20
"""States of fewer bytes than this are copied."""
PATIENCE: Final = 60.0
"""Seconds that the child may be silent."""
PIPE: Final = 1 << 20
LENGTH: Final = struct.Struct("<I")


class Frozen:
    """A state as of one moment. Take its frames once, or close it.

    Attributes
    ----------
    pause : float
        Seconds that the stream stood still for it.
    """

    def __init__(
        self, frames: Iterator[bytes], pause: float, child: int | None = None, pipe: int | None = None
    ) -> None:
        self.frames = frames
        self.pause = pause
        self._child, self._pipe = child, pipe

    def close(self) -> None:
        """End the child, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)


def freeze(tree_of: Callable[[], Tree], size: int) -> Frozen:
    """Freeze a state.

    Parameters
    ----------
    tree_of : callable
        Returns the state as a tree (`graph.kept`); called in the child, or here.
    size : int
        Bytes of the state, about.
    """
    begun = time.perf_counter()
    if size < COPIED or not hasattr(os, "fork"):
        tree = copy.deepcopy(tree_of())
        return Frozen(pack_tree(tree), time.perf_counter() - begun)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of threads; see above
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _write_out(tree_of, writing)
    os.close(writing)
    with contextlib.suppress(OSError, AttributeError):  # Linux only, and bounded there
        fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, PIPE)
    pause = time.perf_counter() - begun
    frozen = Frozen(iter(()), pause, child, reading)
    frozen.frames = _read_frames(frozen, reading)
    return frozen


def _write_out(tree_of: Callable[[], Tree], pipe: int) -> None:
    """In the child: pack the state into the pipe and end."""
    status = 1
    try:
        gc.disable()  # which would touch, and so copy, every page with a Python object
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)
        # the parent's sockets must not stay open when it ends
        os.closerange(3, pipe)
        os.closerange(pipe + 1, 1 << 16)
        with contextlib.suppress(OSError):
            os.nice(5)
        for frame in pack_tree(tree_of()):
            data = memoryview(LENGTH.pack(len(frame)) + frame)
            while data:
                data = data[os.write(pipe, data) :]
        status = 0
    finally:
        os._exit(status)


def _read_frames(frozen: Frozen, pipe: int) -> Iterator[bytes]:
    try:
        while True:
            head = _read(pipe, LENGTH.size)
            if not head:
                return
            yield _read(pipe, LENGTH.unpack(head)[0])
    finally:
        frozen.close()


def _read(pipe: int, count: int) -> bytes:
    data = bytearray(count)
    view, at = memoryview(data), 0
    news = select.poll()
    news.register(pipe, select.POLLIN)
    while at < count:
        if not news.poll(PATIENCE * 1000):
            raise SnapshotError(f"its making stood still for {PATIENCE:.0f} s")
        got = os.readv(pipe, [view[at:]])
        if not got:
            if at == 0:
                return b""
            raise SnapshotError("its making ended too soon")
        at += got
    return bytes(data)


def size_of(tree: Tree) -> int:
    """Return the bytes of the arrays in a tree."""
    return sum(
        part.nbytes if isinstance(part, np.ndarray) else size_of(part) if isinstance(part, dict) else 0
        for part in tree.values()
    )
