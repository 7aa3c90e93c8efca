"""`njit` for the kernels, with compiled code kept between runs.

Numba's own cache looks only at the file that a function stands in, so a change in a callee of another
module would go unseen. Here the cache folder is named after a digest of all kernel sources: any change
gives a new folder, and a second start of the same version compiles nothing. This is build plumbing:
what the kernels compute does not depend on it.
"""

from __future__ import annotations

import hashlib
import os
from importlib import resources
from typing import Any, Final

import numba
import platformdirs
from numba import config

__all__ = ["CACHE", "copy", "inlined", "njit"]

KERNEL_PACKAGES: Final = ("graph", "detectors")


def _digest() -> str:
    seen = hashlib.sha256()
    for package in KERNEL_PACKAGES:
        for entry in sorted(resources.files(package).iterdir(), key=lambda e: e.name):
            if entry.name.endswith(".py"):
                seen.update(entry.name.encode())
                seen.update(entry.read_bytes())
    return seen.hexdigest()[:16]


CACHE: Final = os.path.join(
    os.environ.get("KITHWATCH_CACHE_DIR") or platformdirs.user_cache_dir("kithwatch"),
    f"numba-{numba.__version__}-{_digest()}",
)
"""Where compiled kernels lie; `KITHWATCH_CACHE_DIR` moves it."""

# pickled code is loaded from here: only its owner may write to it
os.makedirs(CACHE, mode=0o700, exist_ok=True)
config.CACHE_DIR = CACHE


def njit(function: Any) -> Any:
    """Compile `function` on its first call, without the GIL and with C error semantics, and cache it.

    Numba's reference counting is off: with it, every call of one kernel by another counts each array of the state
    up and down, atomically, which took three quarters of the time. So kernels work on arrays that are handed in
    and allocate none, nor copy slices to slices (see `copy`); the caller holds what it hands in.
    """
    return numba.njit(function, cache=True, nogil=True, error_model="numpy", _nrt=False)


def inlined(function: Any) -> Any:
    """Compile `function` into each of its callers.

    A call hands over the state, some twenty arrays of seven words each, on the stack: fifty nanoseconds and more. For
    what every event does, in few places.
    """
    return numba.njit(function, cache=True, nogil=True, error_model="numpy", _nrt=False, forceinline=True)


@njit
def copy(source: Any, at: int, count: int, out: Any, to: int) -> Any:
    """Copy `source[at : at + count]` to `out[to:]`; the two do not overlap, or `to` lies below `at`."""
    for i in range(count):
        out[to + i] = source[at + i]
