"""What a stateful object holds, as a plain tree, and an object made to hold it again.

A class with state names its attributes in `STATE`. `tree_of` reads them, through nested objects, into dicts whose
leaves are numpy arrays and plain values; `restore` puts such a tree into an object that was built with the same
settings. So a snapshot knows nothing of what it holds, and a new detector takes part by naming what it carries.

An attribute may hold: a number, text or None; an array; a named tuple of arrays; an object with `STATE`; a list of
such objects, each with a `name`; a dict, whose type then stands in `STATE_TYPES`. Attributes that begin with an
underscore, or stand in `SCRATCH`, are scratch or caches and belong in no tree; all others that change are state, and a
test holds classes to that (`tests/graph/test_kept.py`).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np

__all__ = ["LayoutError", "restore", "tree_of"]

PLAIN: Final = (bool, int, float, str, type(None))
GROWING_COLUMNS: Final = {"seen"}
"""Arrays whose rows grow longer; of all others only the number of rows may differ."""


class LayoutError(ValueError):
    """A tree does not fit the object: it was made by another version, or with other settings."""


def tree_of(thing: Any) -> dict[str, Any]:
    """Return the state of an object with `STATE`. Arrays are those of the object, not copies.

    Raises
    ------
    TypeError
        If an attribute holds what cannot be kept.
    """
    return {name: _leaf(getattr(thing, name), f"{type(thing).__name__}.{name}") for name in thing.STATE}


def _leaf(value: Any, path: str) -> Any:
    if isinstance(value, (np.ndarray, *PLAIN)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "_fields"):
        return {name: _leaf(getattr(value, name), f"{path}.{name}") for name in value._fields}
    if hasattr(value, "STATE"):
        return tree_of(value)
    if isinstance(value, list) and all(hasattr(each, "STATE") for each in value):
        return {each.name: tree_of(each) for each in value}
    if isinstance(value, dict):
        return msgspec.msgpack.encode(value)
    raise TypeError(f"{path}: no state can be kept of a {type(value).__name__}; see graph/kept.py")


def restore(thing: Any, tree: dict[str, Any], path: str = "") -> None:
    """Give an object the state in a tree, and take over its arrays.

    Objects in a list are found by name: one that the tree does not know keeps what it has, one that only the tree knows
    is left out. So a policy may switch detectors on and off.

    Raises
    ------
    LayoutError
        If the tree lacks something, has something else, or has it in another form.
    """
    path = path or type(thing).__name__
    _same_names(set(thing.STATE), set(tree), path)
    for name in thing.STATE:
        setattr(thing, name, _restored(thing, name, getattr(thing, name), tree[name], f"{path}.{name}"))


def _restored(thing: Any, name: str, value: Any, kept: Any, path: str) -> Any:
    if isinstance(value, np.ndarray):
        return _array(value, kept, path)
    if hasattr(value, "_fields"):
        _same_names(set(value._fields), set(kept) if isinstance(kept, dict) else set(), path)
        return type(value)(*(_array(getattr(value, part), kept[part], f"{path}.{part}") for part in value._fields))
    if hasattr(value, "STATE"):
        restore(value, kept, path)
        return value
    if isinstance(value, list):
        for each in value:
            if each.name in kept:
                restore(each, kept[each.name], f"{path}.{each.name}")
        return value
    if isinstance(value, dict):
        try:
            return msgspec.msgpack.decode(kept, type=thing.STATE_TYPES[name])
        except (msgspec.MsgspecError, TypeError) as problem:
            raise LayoutError(f"{path} is in another form: {problem}") from None
    if not isinstance(kept, PLAIN):
        raise LayoutError(f"{path} is in another form")
    return kept


def _array(value: Any, kept: Any, path: str) -> Any:
    if not isinstance(kept, np.ndarray) or kept.dtype != value.dtype or kept.ndim != value.ndim:
        raise LayoutError(f"{path} is in another form")
    if kept.shape[1:] != value.shape[1:] and path.rpartition(".")[2] not in GROWING_COLUMNS:
        raise LayoutError(f"{path} has another shape")
    return kept


def _same_names(here: set[str], there: set[str], path: str) -> None:
    if missing := sorted(here - there):
        raise LayoutError(f"{path} lacks {', '.join(missing)}")
    if unknown := sorted(there - here):
        raise LayoutError(f"{path} has unknown {', '.join(unknown)}")
