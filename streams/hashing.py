"""XXH3 (64 bits, seeded) of short ids, compiled, so that ids are hashed where they lie and not one by one.

`hash_id` and the compiled `xxh3` give the same number as the `xxhash` package; 0 is reserved for "no account".
Source: Yann Collet, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md (XXH3, short inputs).
Little-endian machines only, like the dtypes of `graph.batch`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import resources
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
import xxhash
from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

from graph.jit import CACHE

__all__ = ["PADDING", "SEED", "byte", "compiled", "first_flag", "hash_id", "load64", "store64", "xxh3"]

SEED: Final = 0x6B_69_74_68
"""Seed of all id hashes, unless the deployment has its own ("kith")."""
PADDING: Final = 32
"""Bytes that must follow the last byte in a buffer handed to compiled code, which reads eight at a time."""

F = TypeVar("F", bound=Callable[..., Any])


def _cache_folder() -> str:
    # Numba looks only at the file a function stands in: name the folder after all files that call each other
    seen = hashlib.sha256()
    for name in ("hashing.py", "scan.py", "scan_json.py", "timestamps.py"):
        seen.update(resources.files("streams").joinpath(name).read_bytes())
    return f"{CACHE}-streams-{seen.hexdigest()[:16]}"


_CACHE: Final = _cache_folder()


def compiled(function: F) -> F:
    """Compile a function with Numba, off the interpreter lock, and keep the result on disk."""
    before = config.CACHE_DIR
    config.CACHE_DIR = _CACHE
    try:
        return cast(F, numba.njit(cache=True, nogil=True, forceinline=True)(function))
    finally:
        config.CACHE_DIR = before


def _intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    return cast(Callable[..., Any], intrinsic(function))


def _at(builder: Any, address: Any, bits: int) -> Any:
    return builder.inttoptr(address, ir.IntType(bits).as_pointer())


@_intrinsic
def byte(typing_context: Any, address: Any) -> Any:
    """Read one byte, as an int64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(builder.load(_at(builder, args[0], 8), align=1), ir.IntType(64))

    return types.int64(types.int64), generate


@_intrinsic
def load64(typing_context: Any, address: Any) -> Any:
    """Read eight bytes as one little-endian uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_at(builder, args[0], 64), align=1)

    return types.uint64(types.int64), generate


@_intrinsic
def store64(typing_context: Any, address: Any, value: Any) -> Any:
    """Write eight bytes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], _at(builder, args[0], 64), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.uint64), generate


@_intrinsic
def first_flag(typing_context: Any, flags: Any) -> Any:
    """Return the number of the lowest byte that has a bit set; `flags` must not be 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zeros = builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))
        return builder.lshr(zeros, ir.Constant(ir.IntType(64), 3))

    return types.int64(types.uint64), generate


@_intrinsic
def _fold(typing_context: Any, left: Any, right: Any) -> Any:
    """Multiply to 128 bits and fold the halves together."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))
        return builder.xor(builder.trunc(product, ir.IntType(64)), high)

    return types.uint64(types.uint64, types.uint64), generate


_SECRET: Final = np.frombuffer(
    bytes.fromhex(
        "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
        "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
        "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
        "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    ),
    dtype="<u8",
)
_U: Final = np.uint64
_PRIME_1: Final = np.uint64(0x9E3779B185EBCA87)
_PRIME_2: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_PRIME_3: Final = np.uint64(0x165667B19E3779F9)
_PRIME_MX1: Final = np.uint64(0x165667919E3779F9)
_PRIME_MX2: Final = np.uint64(0x9FB21C651E98DF25)
_LOW: Final = np.uint64(0xFFFFFFFF)


@compiled
def _rotate(value: Any, by: Any) -> Any:
    return (value << _U(by)) | (value >> _U(64 - by))


@compiled
def _swap(value: Any) -> Any:
    value = ((value & _U(0x00FF00FF00FF00FF)) << _U(8)) | ((value >> _U(8)) & _U(0x00FF00FF00FF00FF))
    value = ((value & _U(0x0000FFFF0000FFFF)) << _U(16)) | ((value >> _U(16)) & _U(0x0000FFFF0000FFFF))
    return (value << _U(32)) | (value >> _U(32))


@compiled
def _mix(at: Any, word: Any, seed: Any) -> Any:
    return _fold(
        load64(at) ^ (_SECRET[word] + seed),
        load64(at + 8) ^ (_SECRET[word + 1] - seed),
    )


@compiled
def _avalanche(h: Any) -> Any:
    h = (h ^ (h >> _U(37))) * _PRIME_MX1
    return h ^ (h >> _U(32))


@compiled
def xxh3(at: int, length: int, seed: Any) -> Any:
    """Hash `length` bytes at an address, 1 to 128 of them; 0 becomes 1. `PADDING` bytes must follow."""
    size = _U(length)
    if length <= 3:
        first = _U(byte(at))
        middle = _U(byte(at + (length >> 1)))
        last = _U(byte(at + length - 1))
        h = (first << _U(16)) | (middle << _U(24)) | last | (size << _U(8))
        h ^= ((_SECRET[0] & _LOW) ^ (_SECRET[0] >> _U(32))) + seed
        h = (h ^ (h >> _U(33))) * _PRIME_2
        h = (h ^ (h >> _U(29))) * _PRIME_3
        h ^= h >> _U(32)
    elif length <= 8:
        mixed = seed ^ (_swap(seed & _LOW) & (_LOW << _U(32)))
        head = load64(at) & _LOW
        tail = load64(at + length - 4) & _LOW
        h = (tail + (head << _U(32))) ^ ((_SECRET[1] ^ _SECRET[2]) - mixed)
        h ^= _rotate(h, 49) ^ _rotate(h, 24)
        h *= _PRIME_MX2
        h = (h ^ ((h >> _U(35)) + size)) * _PRIME_MX2
        h ^= h >> _U(28)
    elif length <= 16:
        low = load64(at) ^ ((_SECRET[3] ^ _SECRET[4]) + seed)
        high = load64(at + length - 8) ^ ((_SECRET[5] ^ _SECRET[6]) - seed)
        h = _avalanche(size + _swap(low) + high + _fold(low, high))
    else:
        h = size * _PRIME_1
        end = at + length
        if length > 32:
            if length > 64:
                if length > 96:
                    h += _mix(at + 48, 12, seed) + _mix(end - 64, 14, seed)
                h += _mix(at + 32, 8, seed) + _mix(end - 48, 10, seed)
            h += _mix(at + 16, 4, seed) + _mix(end - 32, 6, seed)
        h = _avalanche(h + _mix(at, 0, seed) + _mix(end - 16, 2, seed))
    return h if h != _U(0) else _U(1)


def hash_id(text: str, seed: int = SEED) -> int:
    """Return the hash under which an id travels: a function of the seed and the id's UTF-8 bytes, never 0.

    Examples
    --------
    >>> hash_id("u123") == hash_id("u123"), hash_id("u123") == hash_id("u124")
    (True, False)
    """
    return xxhash.xxh3_64_intdigest(text.encode(), seed) or 1
