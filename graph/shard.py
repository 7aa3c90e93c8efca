"""A shard: the accounts whose hash falls to one partition, with everything that is known of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from graph.accounts import find_account, index_accounts, spell
from graph.batch import EventBatch
from graph.callers import forget_erased, sweep
from graph.clock import jump, landing, refill
from graph.local import DONE, POOL_FULL, TICK, process_events
from graph.pairs import index_pairs
from graph.rows import pass_time
from graph.state import COLUMNS, DAY, FEATURES, HOUR, LIVE, NIL, State, Var, create, grown
from graph.upkeep import close_up_text, forget_silent

__all__ = ["Rows", "Settings", "Shard", "Tick"]

SLICE: Final = 4096
"""Events worked through between two looks at the room left."""
ROWS: Final = 4096
"""Rows of features handed over at a time, at most."""
MAX_LOAD: Final = 0.7
"""Of the open-addressing tables."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a shard is told about time, all in milliseconds.

    Attributes
    ----------
    answer_time : int
        A contact without any answer for this long counts as ignored.
    horizon : int
        A contact is held until this long after the pair's latest request or message.
    friend_horizon : int
        A friendship is held until neither side was seen for this long.
    lateness : int
        A contact this much older than the clock is late and kept out.
    max_jump : int
        A longer step of the clock is believed only when several accounts bear it out.
    withdrawal : int
        A request cancelled within this time, unanswered, is uncounted.
    tick : int
        How often the baselines learn.
    """

    answer_time: int = 12 * HOUR
    horizon: int = 30 * DAY
    friend_horizon: int = 730 * DAY
    lateness: int = DAY
    max_jump: int = 2 * DAY
    withdrawal: int = 10 * 60_000
    tick: int = 6 * HOUR


@dataclass(frozen=True, slots=True)
class Rows:
    """Features in the order of the events, and ends of answer times, that led to them: an ndarray of FEATURES."""

    table: NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Tick:
    """The clock stands at a multiple of `Settings.tick`: all earlier events are counted, none at or after it.

    Ticks rise, but for once: after a clock that hardly anything bore out went back (see `graph.clock`).
    """

    time: int


class Shard:
    """The rolling contact graph of one partition.

    Parameters
    ----------
    settings : Settings, optional
    rows : int
        Accounts and contacts to make room for at first; every array grows by itself.

    Examples
    --------
    >>> shard = Shard()
    >>> shard.accounts, shard.contacts, shard.friendships
    (0, 0, 0)
    """

    STATE: ClassVar = ("state",)
    SCRATCH: ClassVar = ("out",)

    def __init__(self, settings: Settings | None = None, *, rows: int = 1024) -> None:
        self.settings = settings or Settings()
        self.state: State = create(
            answer_time=self.settings.answer_time,
            horizon=self.settings.horizon,
            lateness=self.settings.lateness,
            max_jump=self.settings.max_jump,
            withdrawal=self.settings.withdrawal,
            tick=self.settings.tick,
            accounts=rows,
        )
        self._scratch = np.zeros((3, 512), np.uint32)
        self.out = np.empty(ROWS, FEATURES)

    # what it holds

    @property
    def clock(self) -> int:
        """The highest event time seen, guarded, epoch ms; -1 before the first event."""
        return int(self.state.vars[Var.CLOCK])

    @property
    def next_tick(self) -> int:
        """The next time at which the clock stops, epoch ms; -1 before the first event."""
        return int(self.state.vars[Var.TICK])

    @property
    def accounts(self) -> int:
        """Accounts held."""
        return int(self.state.vars[Var.ACCOUNTS])

    @property
    def contacts(self) -> int:
        """Contacts (pairs of actor and target) held."""
        return int(self.state.vars[Var.HELD])

    @property
    def friendships(self) -> int:
        """Friendships held with both ends in this shard, plus half of those with one."""
        return int(self.state.vars[Var.FRIENDSHIPS]) // 2

    @property
    def nbytes(self) -> dict[str, int]:
        """Bytes allocated: for accounts, contacts, friendships, and to know second deliveries.

        Room in the text arena is split as what has been used of it: ids of accounts, and of contacts' events, whose
        texts are also what dies there.
        """
        s, v = self.state, self.state.vars
        held = int(v[Var.TEXT_TOP] - v[Var.TEXT_DEAD] - v[Var.TEXT_EVENTS])
        names = s.text.nbytes * held // max(1, int(v[Var.TEXT_TOP]))
        return {
            "accounts": s.accounts.nbytes
            + s.account_index.nbytes
            + s.counts.nbytes
            + s.owner.nbytes
            + s.newest.nbytes
            + s.ties_of.nbytes
            + s.erased.nbytes
            + names,
            "contacts": s.pairs.nbytes
            + s.pair_index.nbytes
            + s.buckets.nbytes
            + s.ties.nbytes
            + s.callers.nbytes
            + (s.text.nbytes - names),
            "friendships": s.pool.nbytes,
            "deduplication": s.seen.nbytes,
        }

    def counter(self, which: int) -> int:
        """Return one of the counters `Var.N_*`."""
        return int(self.state.vars[which])

    # the way of events

    def process(self, batch: EventBatch) -> Iterator[Rows | Tick]:
        """Work through a batch in order; yield rows of features, cut at ticks of the clock.

        What comes out, joined up, does not depend on how the stream is cut into batches. The tables
        yielded are views into a buffer that the next step overwrites. Contacts that a row rests on are
        still there when it is yielded (see `graph.local.process_events`), but for event ids of contacts that
        left the 7 d window since: those of contacts later than `next_tick` less 7 d are held.
        """
        for start in range(0, len(batch), SLICE):
            yield from self._process_slice(batch.rows[start : start + SLICE], batch.text, start)

    def _process_slice(self, events: NDArray[np.void], text: NDArray[np.uint8], base: int) -> Iterator[Rows | Tick]:
        self.reserve(events)
        at = 0
        while True:
            at, n, code = process_events(self.state, events, text, at, self.out, 0, self._scratch)
            if n:
                self.out["source"][:n] += base
                yield Rows(self.out[:n])
            if code == DONE:
                return
            if code == POOL_FULL:
                self.grow_pool()
            elif code == TICK:
                yield from self.pass_ticks_before(events[at], base + at)

    def pass_ticks_before(self, event: np.void, source: int) -> Iterator[Rows | Tick]:
        """Move the clock to where it has to stand before an event, stopping at every tick on the way."""
        goal = int(landing(self.state, event["time"], event["actor"]))
        ahead = event["time"] > self.clock + self.settings.max_jump
        yield from self.pass_ticks(goal, source)
        if ahead:  # over a gap, which takes several events to be believed
            yield from self._pass_time(goal, source)
            jump(self.state)

    def pass_ticks(self, upto: int, source: int = 0) -> Iterator[Rows | Tick]:
        """Move the clock up to the last tick that is not after `upto`, stopping at each on the way.

        Yields the rows of contacts whose answer time is over before the tick, and the tick. In a gap longer than the
        horizon, the ticks between the emptying of the windows and the last are left out.

        Parameters
        ----------
        upto : int
            Epoch ms.
        source : int
            What moves the clock, for the rows.
        """
        v, width = self.state.vars, self.settings.tick
        emptied = self.clock + self.settings.horizon
        while 0 <= self.next_tick <= upto:
            tick = self.next_tick
            yield from self._pass_time(tick, source)
            self._forget(tick)
            v[Var.TICK] = tick + width
            if tick > emptied:
                v[Var.TICK] = max(tick + width, upto // width * width)
            yield Tick(tick)

    def _pass_time(self, clock: int, source: int) -> Iterator[Rows]:
        done = self.clock >= clock
        while not done:
            n, done = pass_time(self.state, clock, self.out, 0, source)
            if n:
                yield Rows(self.out[:n])

    def _forget(self, tick: int) -> None:
        """Do the upkeep of a tick: before it, so that what it does is the same however the stream is cut."""
        s = self.state
        erased = int(s.vars[Var.ERASED])
        if erased:
            forget_erased(s, np.unique(s.erased[:erased]))
        if tick % DAY < self.settings.tick:
            sweep(s)

    # room

    def reserve(self, events: NDArray[np.void]) -> None:
        """Make room for the worst that `events` can bring."""
        text = int(events["event_len"].sum() + events["actor_len"].sum() + events["target_len"].sum(dtype=np.int64))
        self.reserve_rows(accounts=2 * len(events), pairs=len(events), text=text, events=len(events))

    def reserve_rows(self, *, accounts: int, pairs: int, text: int, events: int) -> None:
        """Make room for so many more accounts, contacts, bytes of id text and event ids."""
        s, v = self.state, self.state.vars
        needed_text = int(v[Var.TEXT_TOP]) + text
        if needed_text > len(s.text) and v[Var.TEXT_DEAD] > needed_text // 4:
            fresh = np.zeros(len(s.text), np.uint8)
            close_up_text(s, fresh)  # rewrites references: before any of the arrays is copied
            s = s._replace(text=fresh)
        changed: dict[str, NDArray[Any]] = {}
        changed["accounts"] = grown(s.accounts, int(v[Var.ACCOUNTS_TOP]) + accounts)
        changed["pairs"] = grown(s.pairs, int(v[Var.PAIRS_TOP]) + pairs)
        for name in ("counts", "owner", "newest", "ties_of"):
            changed[name] = grown(getattr(s, name), int(v[Var.ACTIVITY_TOP]) + pairs)
        for name, top in (("ties", Var.TIES_TOP), ("callers", Var.CALLERS_TOP), ("erased", Var.ERASED)):
            changed[name] = grown(getattr(s, name), int(v[top]) + pairs)
        changed["text"] = grown(s.text, int(v[Var.TEXT_TOP]) + text)
        self.state = s._replace(**changed)
        self._grow_index("account_index", int(v[Var.ACCOUNTS]) + accounts, index_accounts)
        self._grow_index("pair_index", int(v[Var.PAIRS]) + pairs, index_pairs)
        self._grow_seen(int(v[Var.SEEN_CURRENT]) + events)

    def _grow_index(self, name: str, needed: int, fill: Any) -> None:
        have = len(getattr(self.state, name))
        size = have
        while needed > MAX_LOAD * size:
            size *= 2
        if size != have:
            bigger: dict[str, Any] = {name: np.full(size, NIL, np.uint32)}
            self.state = self.state._replace(**bigger)
            fill(self.state)

    def _grow_seen(self, needed: int) -> None:
        seen = self.state.seen
        size = seen.shape[1]
        while needed > MAX_LOAD * size:
            size *= 2
        if size == seen.shape[1]:
            return
        bigger = np.zeros((2, size), np.uint64)
        refill(seen, bigger)
        self.state = self.state._replace(seen=bigger)

    def grow_pool(self) -> None:
        """Make the pool of neighbour lists half as long again."""
        self.state = self.state._replace(pool=grown(self.state.pool, len(self.state.pool) + 2))

    # what others tell it

    def set_suspicion(self, accounts: NDArray[np.uint32], values: NDArray[np.uint8]) -> None:
        """Say how far accounts are under suspicion; it stands beside what they do from now on (see `graph.callers`).

        To be called when a tick is yielded and at no other time, so that it does not depend on how the stream is cut.

        Parameters
        ----------
        accounts : ndarray of uint32
            Rows; those of deleted accounts are passed over.
        values : ndarray of uint8, of the same length
            0 for none. A new account has none.
        """
        held = self.state.accounts["state"][accounts] == LIVE
        self.state.accounts["suspicion"][accounts[held]] = values[held]

    # upkeep

    def forget_silent(self) -> NDArray[np.uint32]:
        """Forget friendships and accounts beyond the friend horizon; return the rows freed."""
        released = np.empty(int(self.state.vars[Var.ACCOUNTS_TOP]), np.uint32)
        before = max(0, self.clock - self.settings.friend_horizon) // 1000
        n = forget_silent(self.state, before, self._scratch[0], self._scratch[1], released)
        return released[:n]

    # reading

    def find(self, key: int) -> int | None:
        """Return the row of the account with hash `key`, or None."""
        row = int(find_account(self.state, np.uint64(key)))
        return None if row == NIL else row

    def name(self, row: int) -> str:
        """Return the id of the account in `row`; empty if it was deleted."""
        return self.read_text(int(self.state.accounts["text"][row]))

    def read_text(self, reference: int) -> str:
        """Return a text of the arena; empty for reference 0."""
        return self.read_texts(np.array([reference], np.uint64))[0]

    def read_texts(self, references: NDArray[np.uint64]) -> list[str]:
        """Return texts of the arena, as `read_text` does, in one go."""
        ends = np.empty(len(references), np.int64)
        out = np.empty(64 * len(references), np.uint8)
        needed = int(spell(self.state.text, references, out, ends))
        if needed > len(out):
            out = np.empty(needed, np.uint8)
            spell(self.state.text, references, out, ends)
        whole, start, texts = out[:needed].tobytes(), 0, []
        text = whole.decode()
        alike = len(text) == len(whole)  # ASCII: places in the bytes are places in the text
        for end in ends.tolist():
            texts.append(text[start:end] if alike else whole[start:end].decode())
            start = end
        return texts

    def counts(self, row: int) -> dict[str, int]:
        """Return the window counts of the account in `row`, as of the clock."""
        activity = int(self.state.accounts["activity"][row])
        values = np.zeros(len(COLUMNS), np.uint32) if activity == NIL else self.state.counts[activity]
        return dict(zip(COLUMNS, values.tolist(), strict=True))
