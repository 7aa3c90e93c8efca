"""Python's garbage collector, told what is not worth its while."""

from __future__ import annotations

import gc

__all__ = ["spare"]


def spare() -> None:
    """Leave out what lives now, and look at what is new less often. For programs, once, when all is loaded.

    Records and findings die young, by their reference counts. Without this, a tenth of the time goes into looking at
    the objects that live.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
