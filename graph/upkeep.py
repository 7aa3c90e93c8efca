"""What is done now and then, not an event at a time: forgetting the long silent, closing up the text arena."""

from __future__ import annotations

from typing import Any

import numpy as np

from graph.accounts import release_account, text_length
from graph.friends import unfriend
from graph.jit import copy, njit
from graph.state import LIVE, NIL, Var

__all__ = ["close_up_text", "forget_silent"]


@njit
def forget_silent(s: Any, before: int, drawn: Any, common: Any, released: Any) -> Any:
    """End friendships of which neither side was seen since `before` (epoch s); free accounts nothing holds.

    Writes the freed rows into `released` (as long as there are accounts) and returns how many.
    """
    n = 0
    for row in range(s.vars[Var.ACCOUNTS_TOP]):
        account = s.accounts[row]
        if account.state != LIVE or account.seen >= before:
            continue
        i = 0
        while i < account.friends:
            other = np.int64(s.pool[np.int64(account.friends_at) + i])
            if s.accounts[other].seen < before:
                unfriend(s, row, other, drawn, common)
            else:
                i += 1
    for row in range(s.vars[Var.ACCOUNTS_TOP]):
        account = s.accounts[row]
        idle = account.state == LIVE and account.seen < before
        if idle and account.refs == 0 and account.activity == NIL and account.friends == 0:
            release_account(s, row)
            released[n] = row
            n += 1
    return n


@njit
def close_up_text(s: Any, fresh: Any) -> Any:
    """Copy every text that is still referred to into `fresh` and point the references there."""
    top = np.int64(0)
    for row in range(s.vars[Var.ACCOUNTS_TOP]):
        if s.accounts[row].state == LIVE:
            s.accounts[row].text = move_text(s, fresh, top, s.accounts[row].text)
            top += text_length(s.accounts[row].text)
    for p in range(s.vars[Var.PAIRS_TOP]):
        if s.pairs[p].activity != NIL and s.pairs[p].event:
            s.pairs[p].event = move_text(s, fresh, top, s.pairs[p].event)
            top += text_length(s.pairs[p].event)
    s.vars[Var.TEXT_TOP] = top
    s.vars[Var.TEXT_DEAD] = 0


@njit
def move_text(s: Any, fresh: Any, top: int, reference: Any) -> Any:
    """Copy one text to `fresh[top:]` and return its new reference."""
    start = np.int64(reference >> np.uint64(16))
    length = text_length(reference)
    copy(s.text, start, length, fresh, top)
    return np.uint64(top << 16) | (reference & np.uint64(0xFFFF))
