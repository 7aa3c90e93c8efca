"""Accounts: from an id's hash to a dense row, and back to its text."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from graph.batch import NOT_GIVEN
from graph.callers import drop_callers
from graph.jit import copy, njit
from graph.state import DELETED, FREE, LIVE, NIL, Var

__all__ = [
    "PACKED",
    "erase_text",
    "find_account",
    "intern_account",
    "learn_age",
    "put_text",
    "release_account",
    "spell",
    "text_length",
]

PACKED: Final = 0x8000
"""In a reference to a text: it is a UUID, as its 16 bytes."""


@njit
def slot_of(key: Any, size: int) -> Any:
    """Return the home slot of a 64-bit key in a table of `size` (a power of two, up to 2**32): Fibonacci hashing.

    The upper half of the product depends on all bits of the key; the bits below it only on the key's lower half,
    which for a pair is its target: those who contact a popular account would share a few slots.
    """
    return np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & (size - 1)


@njit
def find_account(s: Any, key: Any) -> Any:
    """Return the row of the account with hash `key`, or NIL."""
    size = len(s.account_index)
    slot = slot_of(key, size)
    while True:
        row = s.account_index[slot]
        if row == NIL:
            return NIL
        if s.accounts[row].hash == key:
            return np.int64(row)
        slot = (slot + 1) & (size - 1)


@njit
def nibble(byte: int) -> Any:
    """Return what a lower-case hexadecimal digit stands for, or -1."""
    if 48 <= byte <= 57:
        return byte - 48
    return byte - 87 if 97 <= byte <= 102 else -1


@njit
def digit(value: Any) -> Any:
    """Return the lower-case hexadecimal digit, as ASCII, of a number below 16."""
    return value + 48 if value < 10 else value + 87


@njit
def pack_uuid(text: Any, at: int, arena: Any, start: int) -> Any:
    """Write the 16 bytes of a lower-case UUID of 36 characters; return False if it is none."""
    digits = 0
    high = 0
    for i in range(36):
        byte = np.int64(text[at + i])
        if i in (8, 13, 18, 23):
            if byte != 45:
                return False
            continue
        value = nibble(byte)
        if value < 0:
            return False
        if digits & 1:
            arena[start + (digits >> 1)] = high | value
        else:
            high = value << 4
        digits += 1
    return True


@njit
def put_text(s: Any, text: Any, at: int, length: int) -> Any:
    """Copy an id's bytes into the arena and return its reference.

    A reference is offset << 16 | bytes, with `PACKED` set where a UUID stands as its 16 bytes.
    """
    start = s.vars[Var.TEXT_TOP]
    kept: Any = np.int64(length)
    mark = 0
    if length == 36 and pack_uuid(text, at, s.text, start):
        kept = 16
        mark = PACKED
    else:
        copy(text, at, length, s.text, start)
    s.vars[Var.TEXT_TOP] = start + kept
    return np.uint64((start << 16) | mark | kept)


@njit
def spell(arena: Any, references: Any, out: Any, ends: Any) -> Any:
    """Write texts one after the other, those of packed UUIDs spelled out, and where each ends.

    Returns the bytes needed; when `out` has no room for them, what it holds is of no use.
    """
    top = np.int64(0)
    for i in range(len(references)):
        start = np.int64(references[i] >> np.uint64(16))
        kept = text_length(references[i])
        packed = references[i] & np.uint64(PACKED)
        length = np.int64(36) if packed else kept
        if top + length <= len(out):
            if packed:
                at = top
                for j in range(kept):
                    if j == 4 or j == 6 or j == 8 or j == 10:
                        out[at] = 45
                        at += 1
                    out[at], out[at + 1] = digit(arena[start + j] >> 4), digit(arena[start + j] & 15)
                    at += 2
            else:
                copy(arena, start, kept, out, top)
        top += length
        ends[i] = top
    return top


@njit
def text_length(reference: Any) -> Any:
    """Return how many bytes of the arena a reference stands for."""
    return np.int64(reference & np.uint64(PACKED - 1))


@njit
def erase_text(s: Any, reference: Any) -> Any:
    """Overwrite a text in the arena with zeros and count its bytes as dead."""
    start = np.int64(reference >> np.uint64(16))
    length = text_length(reference)
    s.text[start : start + length] = 0
    s.vars[Var.TEXT_DEAD] += length


@njit
def intern_account(s: Any, key: Any, text: Any, at: int, length: int) -> Any:
    """Return the row of the account with hash `key`; make one, with its text, if there is none."""
    size = len(s.account_index)
    slot = slot_of(key, size)
    while True:
        row = s.account_index[slot]
        if row == NIL:
            break
        if s.accounts[row].hash == key:
            return np.int64(row)
        slot = (slot + 1) & (size - 1)
    fresh = s.vars[Var.ACCOUNTS_FREE]
    if fresh == NIL:
        fresh = s.vars[Var.ACCOUNTS_TOP]
        s.vars[Var.ACCOUNTS_TOP] = fresh + 1
    else:
        s.vars[Var.ACCOUNTS_FREE] = s.accounts[fresh].activity
    s.vars[Var.ACCOUNTS] += 1
    s.account_index[slot] = fresh
    account = s.accounts[fresh]
    account.hash = key
    account.text = put_text(s, text, at, length)
    account.seen = 0
    account.created = 0
    account.friends_at = 0
    account.friends = 0
    account.friends_class = 255
    account.triangles = 0
    account.refs = 0
    account.activity = NIL
    account.roles = 0
    account.age = 0
    account.age_source = 0
    account.state = LIVE
    account.suspicion = 0
    account.callers = NIL
    return np.int64(fresh)


@njit
def unindex_account(s: Any, key: Any) -> Any:
    """Take the account with hash `key` out of the index, closing the gap (backward shift)."""
    index = s.account_index
    mask = len(index) - 1
    hole = slot_of(key, len(index))
    while s.accounts[index[hole]].hash != key:
        hole = (hole + 1) & mask
    probe = hole
    while True:
        probe = (probe + 1) & mask
        row = index[probe]
        if row == NIL:
            break
        home = slot_of(s.accounts[row].hash, len(index))
        if ((probe - home) & mask) >= ((probe - hole) & mask):
            index[hole] = row
            hole = probe
    index[hole] = NIL


@njit
def release_account(s: Any, row: int) -> Any:
    """Free a row that nothing names any more; a live one leaves the index and its text is erased."""
    account = s.accounts[row]
    if account.state == LIVE:
        unindex_account(s, account.hash)
        erase_text(s, account.text)
        drop_callers(s, row)
    account.hash = 0
    account.text = 0
    account.state = FREE
    account.activity = s.vars[Var.ACCOUNTS_FREE]
    s.vars[Var.ACCOUNTS_FREE] = row
    s.vars[Var.ACCOUNTS] -= 1


@njit
def bury_account(s: Any, row: int) -> Any:
    """Forget who a deleted account was; its row stays, nameless, for as long as others name it."""
    account = s.accounts[row]
    unindex_account(s, account.hash)
    erase_text(s, account.text)
    drop_callers(s, row)
    account.hash = 0
    account.text = 0
    account.suspicion = 0
    account.age = 0
    account.age_source = 0
    account.roles = 0
    account.created = 0
    account.seen = 0
    account.triangles = 0
    account.state = DELETED


@njit
def unref(s: Any, row: int) -> Any:
    """Drop one reference to a row; a deleted account's row is free with the last."""
    account = s.accounts[row]
    account.refs -= 1
    if account.refs == 0 and account.state == DELETED:
        release_account(s, row)


@njit
def learn_age(s: Any, row: int, age: int) -> Any:
    """Take an age band that another event carried: it never overrides an account fact."""
    account = s.accounts[row]
    if age not in (NOT_GIVEN, 0) and account.age_source == 0:
        account.age = age


@njit
def index_accounts(s: Any) -> Any:
    """Fill an empty index from the rows."""
    mask = len(s.account_index) - 1
    for row in range(s.vars[Var.ACCOUNTS_TOP]):
        if s.accounts[row].state == LIVE:
            slot = slot_of(s.accounts[row].hash, mask + 1)
            while s.account_index[slot] != NIL:
                slot = (slot + 1) & mask
            s.account_index[slot] = row
