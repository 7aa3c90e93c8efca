"""The shard beside the model: what must be equal, and how streams are drawn so that things collide."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import numpy as np

from graph.batch import NO_ROLES, NO_TIME, NOT_GIVEN, EventKind
from graph.check import problems
from graph.shard import Settings, Shard, Tick
from graph.state import ALL_SIGNS, COLUMNS, DAY, FEATURES, HOUR, NIL, SIGN_BITS, SILENCE, WINDOWS, Var
from graph.views import callers_of, evidence, ties_of
from tests.graph.build import START, Event, batch_of, hash_of
from tests.graph.model import MASKS, Model, Row, account_state

__all__ = ["KINDS", "SETTINGS", "STEPS", "Pair", "events_from", "name_of"]

K = EventKind
MINUTE = 60_000
SETTINGS = (
    Settings(),
    Settings(answer_time=90 * MINUTE, horizon=9 * DAY, lateness=2 * HOUR, max_jump=DAY, withdrawal=2 * HOUR, tick=HOUR),
    Settings(answer_time=7 * DAY - 1, horizon=45 * DAY, friend_horizon=60 * DAY, lateness=DAY, max_jump=30 * DAY),
)
KINDS = (
    *(K.REQUEST_SENT, K.MESSAGE_SENT) * 5,
    *(K.REQUEST_ACCEPTED, K.REQUEST_CANCELLED, K.FRIENDSHIP_CREATED) * 2,
    *(K.REQUEST_DECLINED, K.FRIENDSHIP_REMOVED, K.ACCOUNT_UPDATED),
    *(K.ACCOUNT_DELETED, K.ACCOUNT_BLOCKED, K.ACCOUNT_REPORTED),
)
_WIDTHS = (HOUR, 90 * MINUTE, 2 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 7 * DAY, 9 * DAY, 30 * DAY)
STEPS = (
    *(0, 1, 40, 1000, 20_000, 65_536, 10 * MINUTE, 15 * MINUTE, 25 * MINUTE, HOUR // 2) * 3,
    *(width + edge for width in _WIDTHS for edge in (-1, 0, 1)),
    *(-1, -1000, -MINUTE, -10 * MINUTE, -HOUR, -2 * HOUR, -12 * HOUR, -DAY, -DAY - 1, -3 * DAY),
    *(2 * DAY, 2 * DAY + 1, 5 * DAY, 20 * DAY, 55 * DAY, 200 * DAY, 1500 * DAY),
)
"""How far the next event lies from the stream's time, ms: at windows' edges, behind, far ahead."""
FIELDS = tuple({*(FEATURES.names or ())} - {"hash", "counts", "account", "pair", "ingested_at"})
_COUNTERS = {
    "events": Var.N_EVENTS,
    "duplicate": Var.N_DUPLICATE,
    "late": Var.N_LATE,
    "ahead": Var.N_AHEAD,
    "first": Var.N_FIRST,
    "unmatched": Var.N_UNMATCHED,
    "erased": Var.N_ERASED,
}


def name_of(number: int, prefix: str) -> str:
    """Return an id: a short one, a UUID, or what looks like one."""
    uuid = str(UUID(int=(number + 1) * 0x1234_5678_9ABC_DEF1_0F0E_0D0C))
    return (f"{prefix}{number}", uuid, uuid.upper(), f"{prefix}{uuid[1:]}")[number % 4]


def events_from(draw: Callable[[int], int], accounts: int, length: int) -> list[Event]:
    """Make a stream; `draw(n)` gives a number below n, and 0 is always the plainest choice."""
    now = START
    made: list[Event] = []
    fresh = itertools.count()
    for _ in range(length):
        if made and draw(20) == 19:
            made.append(made[-1 - draw(min(len(made), 8))])
            continue
        kind = KINDS[draw(len(KINDS))]
        step = STEPS[draw(len(STEPS))]
        # most steps are taken back again, or a stream would be all gaps
        time = now + step
        if 0 < step <= HOUR or draw(3) == 1:
            now = max(now, time)
        actor = draw(accounts)
        other = (actor + 1 + draw(accounts - 1)) % accounts
        extra = draw(12)
        fields: dict[str, Any] = {}
        if extra == 1:
            fields["mutual"] = draw(3)
        if extra in (2, 3):
            fields["target_age"] = (1, 2, 3, 4, 5, 0)[draw(6)]
        if extra in (3, 4):
            fields["actor_age"] = (5, 4, 0, 3)[draw(4)]
        if extra in (5, 6) and kind == K.MESSAGE_SENT:
            fields["signs"] = (1, 2, 3, 256, 511)[draw(5)]
        if kind == K.ACCOUNT_UPDATED:
            fields = {
                "actor_age": (5, 2, 3, 4, 0, NOT_GIVEN)[draw(6)],
                "age_source": draw(4),
                "roles": (NO_ROLES, 0, 3)[draw(3)],
                "created_at": (NO_TIME, START - 5 * DAY + 7)[draw(2)],
            }
        target = "" if kind in (K.ACCOUNT_UPDATED, K.ACCOUNT_DELETED) else name_of(other, "t")
        made.append(Event(kind, time, name_of(next(fresh), "event-"), name_of(actor, "t"), target, **fields))
    return made


def in_groups(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put silences that fall on the same moment in an order of their own: which comes first means nothing."""
    groups = itertools.groupby(rows, key=lambda row: (row["what"] == SILENCE, row["time"], row["source"]))
    return [row for (silent, *_), group in groups for row in (sorted(group, key=str) if silent else group)]


class Pair:
    """A shard and the model, fed the same."""

    def __init__(self, settings: Settings | None = None, *, rows: int = 1024) -> None:
        self.model = Model(settings)
        self.shard = Shard(settings, rows=rows)
        self.ticks: list[int] = []

    def feed(self, events: Sequence[Event]) -> None:
        """Give both the same events; the rows must agree."""
        expected = [self.of_model(row) for row in self.model.process(list(events))]
        found = []
        for step in self.shard.process(batch_of(events)):
            if isinstance(step, Tick):
                self.ticks.append(step.time)
            else:
                found += [self.of_shard(row) for row in step.table]
        assert in_groups(found) == in_groups(expected)

    def of_model(self, want: Row) -> dict[str, Any]:
        """Return a row of the model."""
        shown = {} if want.kind == K.ACCOUNT_DELETED else want.evidence
        return {name: getattr(want, name) for name in FIELDS} | {
            "hash": hash_of(want.account),
            "counts": want.counts,
            "evidence": shown,
        }

    def of_shard(self, row: Any) -> dict[str, Any]:
        """Return a row of features, with the evidence as it stands."""
        since, masks = self.shard.next_tick - WINDOWS["7d"], () if row["kind"] == K.ACCOUNT_DELETED else MASKS
        account, pair = int(row["account"]), int(row["pair"])
        return {name: int(row[name]) for name in FIELDS} | {
            "hash": int(row["hash"]),
            "counts": dict(zip(COLUMNS, row["counts"].tolist(), strict=True)),
            "evidence": {m: evidence(self.shard, account, pair, since=since, mask=m, limit=3)[1:] for m in masks},
        }

    def suspect(self, name: str, value: int) -> None:
        """Set an account's suspicion, if there is such an account."""
        row = self.shard.find(hash_of(name))
        if row is not None:
            self.shard.set_suspicion(np.array([row], np.uint32), np.array([value], np.uint8))
            self.model.accounts[name].suspicion = value

    def compare(self) -> None:
        """Compare all that both hold."""
        shard, model = self.shard, self.model
        assert problems(shard) == []
        assert shard.clock == model.clock
        assert shard.next_tick == model.next_tick
        assert self.ticks == model.ticks
        for name, which in _COUNTERS.items():
            assert shard.counter(which) == model.counters[name], name
        live = {shard.name(row): row for row in np.flatnonzero(shard.state.accounts["state"] == 1).tolist()}
        assert live.keys() == model.accounts.keys()
        for name, row in live.items():
            assert shard.find(hash_of(name)) == row
            assert self.account(row) == account_state(model, name), name
        held = sum(c.actor.alive for c in model.contacts.values())
        assert shard.friendships == model.friends.number_of_edges()
        assert shard.contacts >= held

    def account(self, row: int) -> dict[str, Any]:
        """Return everything that is to be compared of one account of the shard."""
        shard, s = self.shard, self.shard.state
        account = s.accounts[row]
        at = int(account["friends_at"])
        friends = s.pool[at : at + int(account["friends"])].tolist()
        contacts = []
        p = NIL if account["activity"] == NIL else int(s.newest[account["activity"]])
        while p != NIL:
            pair = s.pairs[p]
            contacts.append(
                (
                    shard.name(int(pair["target"])),
                    int(pair["first"]),
                    int(pair["last"]),
                    int(pair["flags"]),
                    int(pair["signs"]) & ALL_SIGNS,
                    int(pair["signs"]) >> SIGN_BITS,
                    shard.read_text(int(pair["event"])),
                )
            )
            p = int(pair["earlier"])
        return {
            **{name: int(account[name]) for name in ("age", "age_source", "roles", "created", "seen", "suspicion")},
            "callers": [(caller.actor, caller.at // 1000, caller.suspicion) for caller in callers_of(shard, row)],
            "ties": ties_of(shard, row),
            "friends": sorted(shard.name(friend) for friend in friends),
            "triangles": int(account["triangles"]),
            "counts": shard.counts(row),
            "contacts": contacts,
        }
