"""The three steps of an event: probe at the actor, resolve at the target, assess back at the actor.

Each step reads and writes one shard only. `graph.local` calls them one after the other on a single shard;
`graph.exchange` runs them on different shards with messages in between. What travels is in the arguments:
the probe hands over a drawing of the actor's friends and of its recent targets, the resolve hands back
what it found.

A **first contact** is the first request or message of an actor to a target within the horizon. A
**stranger** is a target with whom the actor has no friendship and no mutual friend, and who has not
reached out to the actor first. The platform's own `mutual_friends` is believed when an event has it.

* "First" goes by arrival, as far as one pair is concerned. Which of two accounts reached out first goes by event
  time, since their events may come over different topics: who answers before the question has come is not the
  one who began. The contact that comes second is then answered (replied) as soon as it is there.
* A block or report may come before any contact. The contact's first time is then that of the contact, whenever
  it comes; the outcome moves with it.
* Outcomes belong to the time of the first contact: `declined_7d` counts the first contacts of the last 7 days
  that were declined, whenever that was.
* A contact is *ignored* from the answer time on until there is an answer. A request that was cancelled before is not.
* Only what is one request and nothing else so far (`LONE`) can be cancelled. Cancelled within the withdrawal time
  and before any answer, it counts as never sent: what the actor sends next is a first contact again.
* So may an acceptance or refusal, since requests and answers may come over different topics or through different
  shards. It is held, uncounted, and is the contact's if that comes with a time no later; of a contact that begins
  later, it cannot be the answer. A late one is unmatched, as is a late block or report.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from graph.accounts import bury_account, put_text, release_account, text_length
from graph.batch import EventKind
from graph.buckets import ANSWER, FIRST_7D, LAST, LAST_1H, LAST_7D, LAST_24H, link_first, link_last, unlink_last
from graph.calendar import BIT_IGNORED, TARGETS_1H, TARGETS_7D, TARGETS_24H, add_targets, count_bit, uncount_bit
from graph.callers import note_erased
from graph.friends import common_friends, is_friend, scaled, unfriend
from graph.jit import inlined, njit
from graph.pairs import add_pair, detach_pair, erase_event, find_pair
from graph.state import (
    ACCEPTED,
    ALL_SIGNS,
    ANSWERED,
    BUCKET_BITS,
    BUCKETS,
    CANCELLED,
    CONTACT,
    COUNTED_BITS,
    DECLINED,
    EARLY_ACCEPTED,
    EARLY_DECLINED,
    LONE,
    MOST_MESSAGES,
    NIL,
    PENDING,
    SIGN_BITS,
    Var,
)

__all__ = [
    "RECENT",
    "assess_contact",
    "cancel_contact",
    "count_links",
    "draw_recent",
    "early_answers",
    "erase_account",
    "is_withdrawal",
    "note_message",
    "note_outcome",
    "open_contact",
    "resolve_contact",
    "touch",
]

RECENT: Final = 64
"""How many of the actor's newest targets the target's friends are compared with."""
LINKED_SHARE: Final = 0.1
"""A target is linked when it is a friend of at least this share of them (and of one)."""

BIT_STRANGER: Final = 0
BIT_LINKED: Final = 1
BIT_MINOR: Final = 2
BIT_ACCEPTED: Final = 3
BIT_DECLINED: Final = 4
BIT_BLOCKED: Final = 6
BIT_REPORTED: Final = 7
BIT_REPLIED: Final = 8

REQUEST_ACCEPTED: Final = int(EventKind.REQUEST_ACCEPTED)
REQUEST_DECLINED: Final = int(EventKind.REQUEST_DECLINED)
ACCOUNT_BLOCKED: Final = int(EventKind.ACCOUNT_BLOCKED)
ACCOUNT_REPORTED: Final = int(EventKind.ACCOUNT_REPORTED)

# age in years that stands for each AgeBand: the middle of the band, 30 for 21 and over
YEARS: Final = (0.0, 11.0, 14.0, 16.5, 19.0, 30.0)
PEER_GAP: Final = 3.5
"""Years; an 18-20 is a near-peer of a 16-17 (2.5 by the bands' middles), not of a 13-15 (5)."""
_CHILD_OF = np.zeros((6, 6), np.bool_)
for _actor in (0, 4, 5):
    for _target in (1, 2, 3):
        _CHILD_OF[_actor, _target] = _actor == 0 or YEARS[_actor] - YEARS[_target] >= PEER_GAP
CHILD_OF: Final = _CHILD_OF
"""`CHILD_OF[actor, target]`: the target is a minor and the actor, by age band, an adult who is no peer, or unknown."""


@njit
def draw_recent(s: Any, actor: int, drawn: Any) -> Any:
    """Write the actor's newest targets of the last 7 days into `drawn`; return how many (at most `RECENT`)."""
    activity = s.accounts[actor].activity
    if activity == NIL:
        return 0
    n = 0
    p = np.int64(s.newest[activity])
    since = s.cursor_at[FIRST_7D]
    while p != NIL and n < RECENT:
        pair = s.pairs[p]
        if pair.first > since:
            if pair.flags & CONTACT:
                drawn[n] = pair.target
                n += 1
        elif pair.first <= since - s.vars[Var.LATENESS]:
            break  # whatever came before this is older than the window, even if this came late
        p = np.int64(pair.earlier)
    return n


@inlined
def touch(s: Any, p: int, time: int) -> Any:
    """Note a further request or message of a known pair."""
    pair = s.pairs[p]
    pair.flags &= 0xFFFF ^ LONE
    if time <= pair.last:
        return
    if pair.last <= s.cursor_at[LAST_1H]:
        row = pair.activity
        if time > s.cursor_at[LAST_1H]:
            s.counts[row, TARGETS_1H] += 1
        if pair.last <= s.cursor_at[LAST_24H] and time > s.cursor_at[LAST_24H]:
            s.counts[row, TARGETS_24H] += 1
        if pair.last <= s.cursor_at[LAST_7D] and time > s.cursor_at[LAST_7D]:
            s.counts[row, TARGETS_7D] += 1
    bucket = time >> BUCKET_BITS
    if bucket == pair.last >> BUCKET_BITS:
        stays = True
        for c in range(LAST_1H, LAST_1H + 4):
            stays &= s.cursor_bucket[c] != bucket
        if stays:  # no cursor reads this bucket yet, and its order does not matter before
            s.in_order[LAST, bucket & (BUCKETS - 1)] = False
            pair.last = time
            return
    unlink_last(s, p)
    pair.last = time
    link_last(s, p)


@njit
def note_message(s: Any, p: int, signs: int) -> Any:
    """Count a message of contact `p` and keep the signs that it carries; return those new to the pair."""
    pair = s.pairs[p]
    fresh = signs & ALL_SIGNS & ~np.int64(pair.signs)
    messages: Any = min((np.int64(pair.signs) >> SIGN_BITS) + 1, MOST_MESSAGES)
    pair.signs = (messages << SIGN_BITS) | ((np.int64(pair.signs) | signs) & ALL_SIGNS)
    return fresh


@njit
def answer(s: Any, p: int, bit: int) -> Any:
    """Set an outcome of contact `p`; return False if it was set."""
    if s.pairs[p].flags & (1 << bit):
        return False
    uncount_bit(s, p, BIT_IGNORED)
    count_bit(s, p, bit)
    return True


@njit
def count_links(s: Any, target: int, recent: Any, m: int) -> Any:
    """Return how many of `recent[:m]` are friends of `target`."""
    links = 0
    for i in range(m):
        if recent[i] != target and is_friend(s, target, recent[i]):
            links += 1
    return links


@inlined
def resolve_contact(
    s: Any, actor: int, target: int, time: int, drawn: Any, n: int, friends: int, recent: Any, m: int, common: Any
) -> Any:
    """Say, at the target's shard, how it stands to the actor.

    Parameters
    ----------
    actor, target : int
        Rows in this shard; `actor` is NIL if the shard has never heard of it.
    time : int
        Of the contact, ms.
    drawn : array of row
        The first `n` are friends of the actor, all of its `friends` or a sample of them.
    recent : array of row
        The first `m` are other recent targets of the actor.
    common : array of row
        Room for the mutual friends found.

    Returns
    -------
    friend : bool
    mutual : int
        Mutual friends, scaled up from the sample.
    links : int
        How many of `recent` are friends of the target.
    reverse : int
        The target's contact to the actor, if its time is no later than this one's, or NIL.
    answered : bool
        The target has answered already: it contacted the actor after the time of this contact.
    """
    reverse = np.int64(NIL)
    friend = False
    answered = False
    if actor != NIL:
        friend = is_friend(s, target, actor)
        reverse = find_pair(s, target, actor)
        if reverse != NIL and (not s.pairs[reverse].flags & CONTACT or s.pairs[reverse].first > time):
            answered = bool(s.pairs[reverse].flags & CONTACT)
            reverse = np.int64(NIL)
    mutual = 0
    links = 0
    if s.accounts[target].friends:
        found = common_friends(s, target, drawn, n, common)
        mutual = scaled(found, n, friends)
        links = count_links(s, target, recent, m)
    return friend, mutual, links, reverse, answered


@njit
def early_answers(s: Any, p: int, time: int) -> Any:
    """Return the flags of answers held in pair `p` that are those of a contact at `time`."""
    flags = s.pairs[p].flags
    found: Any = 0
    if time <= s.pairs[p].last:
        if flags & EARLY_ACCEPTED:
            found |= ACCEPTED
        if flags & EARLY_DECLINED:
            found |= DECLINED
    return found


@njit
def hold_answer(s: Any, p: int, about: int, by: int, accepted: bool, time: int) -> Any:
    """Hold an answer whose contact has not come, in pair `p` of which only outcomes are held, or a new one (NIL)."""
    if p == NIL:
        p = add_pair(s, about, by, time, np.uint64(0))
        link_first(s, p)
        link_last(s, p)
    elif time > s.pairs[p].last:
        unlink_last(s, p)
        s.pairs[p].last = time
        link_last(s, p)
    s.pairs[p].flags |= EARLY_ACCEPTED if accepted else EARLY_DECLINED


@njit
def renew_pair(s: Any, p: int, actor: int, target: int, time: int, event: Any) -> Any:
    """Replace a pair of which only outcomes are held, or a withdrawn request, by a new one; return its row.

    So a pair's place among the actor's contacts is that of the contact, and so are its first and latest time.
    """
    kept = (s.pairs[p].flags & ANSWERED) | early_answers(s, p, time)
    for bit in range(COUNTED_BITS):
        uncount_bit(s, p, bit)
    fresh = add_pair(s, actor, target, time, event)
    detach_pair(s, p)  # last, or the actor might be left with no contact; the row waits in the calendars
    for bit in range(COUNTED_BITS):
        if kept & (1 << bit):
            count_bit(s, fresh, bit)
    return fresh


@inlined
def open_contact(s: Any, actor: int, target: int, time: int, request: bool, signs: int) -> Any:
    """Enter a first contact at the actor's shard, where nothing is known yet of how it stands; return its row."""
    p = find_pair(s, actor, target)
    event = np.uint64(0)
    p = add_pair(s, actor, target, time, event) if p == NIL else renew_pair(s, p, actor, target, time, event)
    link_first(s, p)
    link_last(s, p)
    s.pairs[p].flags |= CONTACT | LONE if request else CONTACT
    if not request:
        note_message(s, p, signs)
    add_targets(s, p, 1)
    if time <= s.cursor_at[ANSWER] and not s.pairs[p].flags & ANSWERED:
        count_bit(s, p, BIT_IGNORED)  # it came so late that its answer time is over
    return p


@inlined
def assess_contact(
    s: Any,
    p: int,
    text: Any,
    event_at: int,
    event_len: int,
    stranger: bool,
    answered: bool,
    links: int,
    m: int,
    target_age: int,
) -> Any:
    """Count contact `p` by what the target's shard had to say."""
    if stranger:
        event = put_text(s, text, event_at, event_len)
        s.vars[Var.TEXT_EVENTS] += text_length(event)
        s.pairs[p].event = event
        count_bit(s, p, BIT_STRANGER)
        if links >= 1 and links >= LINKED_SHARE * m:
            count_bit(s, p, BIT_LINKED)
        if CHILD_OF[s.accounts[s.owner[s.pairs[p].activity]].age, target_age]:
            count_bit(s, p, BIT_MINOR)
    if answered:
        answer(s, p, BIT_REPLIED)


@njit
def note_outcome(s: Any, about: int, by: int, kind: int, time: int, late: bool) -> Any:
    """Note what account `by` did with the contact of account `about`; return the contact if this is news, or NIL.

    A block or report counts even if the graph holds no contact of the two; another answer is held until there is one.
    """
    p = find_pair(s, about, by)
    severe = kind in (ACCOUNT_BLOCKED, ACCOUNT_REPORTED)
    if p == NIL or (not severe and not s.pairs[p].flags & CONTACT):
        if late or not severe:
            s.vars[Var.N_UNMATCHED] += 1
            if not late:
                hold_answer(s, p, about, by, kind == REQUEST_ACCEPTED, time)
            return np.int64(NIL)
        p = add_pair(s, about, by, time, np.uint64(0))
        link_first(s, p)
        link_last(s, p)
    bit = BIT_REPORTED
    if kind == REQUEST_ACCEPTED:
        bit = BIT_ACCEPTED
    elif kind == REQUEST_DECLINED:
        bit = BIT_DECLINED
    elif kind == ACCOUNT_BLOCKED:
        bit = BIT_BLOCKED
    return p if answer(s, p, bit) else np.int64(NIL)


@njit
def is_withdrawal(s: Any, p: int, time: int) -> Any:
    """Tell whether a cancellation at `time` makes contact `p` (or NIL) as if it had never been."""
    if p == NIL or s.pairs[p].flags & ANSWERED or not s.pairs[p].flags & LONE:
        return False
    return time - s.pairs[p].first <= s.vars[Var.WITHDRAWAL]


@njit
def cancel_contact(s: Any, actor: int, target: int, time: int) -> Any:
    """Note that the actor took a request back.

    Returns
    -------
    p : int
        The contact, if it is as if it had never been and a row has told of it; or NIL.
    flags : int
        What they were.
    """
    p = find_pair(s, actor, target)
    flags: Any = 0
    if is_withdrawal(s, p, time):
        flags = np.int64(s.pairs[p].flags)
        add_targets(s, p, -1)
        for bit in range(COUNTED_BITS):
            uncount_bit(s, p, bit)
        s.pairs[p].flags = CANCELLED
        erase_event(s, p)
    elif p != NIL and s.pairs[p].flags & LONE and not s.pairs[p].flags & ANSWERED:
        s.pairs[p].flags |= CANCELLED
        if time < s.pairs[p].first + s.cursor_width[ANSWER]:
            uncount_bit(s, p, BIT_IGNORED)
    return (p if flags and not flags & PENDING else np.int64(NIL)), flags


@njit
def erase_account(s: Any, row: int, drawn: Any, common: Any) -> Any:
    """Forget an account: its facts, contacts and friendships, and its name wherever others name it."""
    while s.accounts[row].activity != NIL:
        detach_pair(s, s.newest[s.accounts[row].activity])
    while s.accounts[row].friends:
        unfriend(s, row, s.pool[np.int64(s.accounts[row].friends_at)], drawn, common)
    note_erased(s, s.accounts[row].hash)
    bury_account(s, row)
    if s.accounts[row].refs == 0:
        release_account(s, row)
    s.vars[Var.N_ERASED] += 1
