"""Two objects compared down to the last array, but for scratch: `_names`, and those in `SCRATCH`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["differences"]


def _attributes(thing: Any) -> dict[str, Any]:
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    return {**getattr(thing, "__dict__", {}), **{name: getattr(thing, name) for name in slots if hasattr(thing, name)}}


def differences(a: Any, b: Any, path: str = "") -> Iterator[str]:
    """Yield the paths at which two objects differ."""
    if isinstance(a, np.ndarray):
        same = isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        if not same:
            yield path
    elif type(a) is not type(b):
        yield path
    elif isinstance(a, dict):
        if a.keys() != b.keys():
            yield path
        for key in a.keys() & b.keys():
            yield from differences(a[key], b[key], f"{path}[{key}]")
    elif isinstance(a, (list, tuple)):
        if len(a) != len(b):
            yield path
        for i, (x, y) in enumerate(zip(a, b, strict=False)):
            yield from differences(x, y, f"{path}[{i}]")
    elif type(a).__module__.split(".")[0] in ("graph", "detectors", "streams"):
        ours, theirs = _attributes(a), _attributes(b)
        for name in sorted(ours.keys() | theirs.keys()):
            if not name.startswith("_") and name not in getattr(type(a), "SCRATCH", ()):
                yield from differences(ours.get(name), theirs.get(name), f"{path}.{name}")
    elif a != b and not (a != a and b != b):  # NaN is itself here
        yield path
