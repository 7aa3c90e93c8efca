"""The rolling contact graph as a plain definition: slow, obvious, and what the kernels are compared with.

Friendships are a `networkx.Graph`, contacts a dict, and every count is taken afresh from all contacts whenever it
is asked for. A window of width w at clock c holds the contacts with times in (c - w, c]. Nothing is incremental but
the clock, the facts of accounts and what happened to a contact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from graph.batch import NO_ROLES, NOT_GIVEN, EventKind
from graph.shard import Settings
from graph.state import COLUMNS, WINDOWS
from tests.graph.build import Event

K = EventKind
FLAGS = ("stranger", "linked", "minor", "accepted", "declined", "ignored", "blocked", "reported", "replied")
COLUMN_FLAG = {"strangers": "stranger", "minors": "minor"}
BIT = {name: 1 << i for i, name in enumerate((*FLAGS, "cancelled", "contact", "lone"))}
ANSWERS = {"accepted", "declined", "blocked", "reported", "replied"}
OUTCOME = {
    K.REQUEST_ACCEPTED: "accepted",
    K.REQUEST_DECLINED: "declined",
    K.ACCOUNT_BLOCKED: "blocked",
    K.ACCOUNT_REPORTED: "reported",
}
YEARS = (0.0, 11.0, 14.0, 16.5, 19.0, 30.0)
WITNESSES = 3
MASKS = (1, 2, 4, 7)


@dataclass
class Account:
    """What is known of an account itself."""

    id: str
    age: int = 0
    age_source: int = 0
    roles: int = 0
    created: int = 0
    seen: int = 0
    alive: bool = True


@dataclass(eq=False)
class Contact:
    """What one actor did towards one target, and what came of it."""

    actor: Account
    target: Account
    first: int
    last: int
    number: int  # in order of arrival
    event: str = ""
    marks: set[str] = field(default_factory=set)  # all of FLAGS but "ignored", and contact, lone
    cancelled_at: int | None = None
    was_ignored_at: int | None = None


@dataclass
class Row:
    """What `graph.state.FEATURES` should say."""

    source: int
    account: str
    kind: int
    time: int
    first: bool
    counts: dict[str, int]
    friends: int
    triangles: int
    created: int
    mutual: int
    roles: int
    flags: int
    age: int
    target_age: int
    evidence: dict[int, tuple[list[str], list[str]]]  # by mask of flags


class Model:
    """One shard, by definition."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.clock = -1
        self.support = 0
        self.ahead: list[tuple[int, str]] = []
        self.accounts: dict[str, Account] = {}
        self.friends: nx.Graph = nx.Graph()
        self.contacts: dict[tuple[int, int], Contact] = {}  # by the identities of the two accounts
        self.seen: dict[str, None] = {}
        self.young: set[str] = set()  # event ids of the two generations
        self.old: set[str] = set()
        self.rotate_at = 0
        self.number = 0
        self.next_tick = -1
        self.ticks: list[int] = []
        self.counters = dict.fromkeys(("events", "duplicate", "late", "ahead", "first", "unmatched", "erased"), 0)

    # what it says of an account

    def counts(self, account: Account) -> dict[str, int]:
        """Return all count columns, by definition."""
        mine = [c for c in self.contacts.values() if c.actor is account]
        found = dict.fromkeys(COLUMNS, 0)
        for column in COLUMNS:
            name, window = column.split("_")
            since = self.clock - WINDOWS[window]
            if name == "targets":
                found[column] = sum("contact" in c.marks and c.last > since for c in mine)
            else:
                flag = COLUMN_FLAG.get(name, name)
                found[column] = sum(flag in self.marks(c) and c.first > since for c in mine)
        return found

    def marks(self, contact: Contact) -> set[str]:
        """Return a contact's marks, with "ignored" by definition."""
        marks = set(contact.marks)
        if contact.cancelled_at is not None:
            marks.add("cancelled")
        over = contact.first + self.settings.answer_time
        in_time = contact.cancelled_at is not None and contact.cancelled_at < over
        if "contact" in marks and not marks & ANSWERS and not in_time and self.clock >= over:
            marks.add("ignored")
        return marks

    def flags(self, contact: Contact) -> int:
        """Return the marks as bits."""
        return sum(BIT[mark] for mark in self.marks(contact))

    def mutual(self, a: Account, b: Account) -> set[str]:
        """Return the ids of mutual friends."""
        if a.id not in self.friends or b.id not in self.friends:
            return set()
        return set(self.friends[a.id]) & set(self.friends[b.id])

    def degree(self, account: Account) -> int:
        """Return the number of friends."""
        return int(self.friends.degree(account.id)) if account.id in self.friends else 0

    def triangles(self, account: Account) -> int:
        """Return how many pairs of friends are friends of one another."""
        return int(nx.triangles(self.friends, account.id)) if account.id in self.friends else 0

    def of(self, actor: Account, target: Account) -> Contact | None:
        """Return the contact of a pair, or None."""
        return self.contacts.get((id(actor), id(target)))

    def chain(self, account: Account) -> list[Contact]:
        """Return an account's contacts, the newest arrival first."""
        return sorted((c for c in self.contacts.values() if c.actor is account), key=lambda c: -c.number)

    # events

    def process(self, events: list[Event]) -> list[Row]:
        """Take events in the order of arrival; return the rows they lead to."""
        rows: list[Row] = []
        for source, event in enumerate(events):
            rows += self.take(source, event)
        return rows

    def take(self, source: int, e: Event) -> list[Row]:
        """Take one event."""
        self.turn_over()
        if e.id in self.young or e.id in self.old:
            self.counters["duplicate"] += 1
            return []
        self.counters["events"] += 1
        self.pass_ticks(e)
        self.turn_over()  # at the clock to which a tick has brought it
        self.young.add(e.id)
        time, late = self.keep_time(e)
        self.counters["late"] += late
        if e.kind == K.ACCOUNT_DELETED:
            return self.delete(source, e, time)
        a = self.intern(e.actor)
        a.seen = max(a.seen, time // 1000)
        if e.kind == K.ACCOUNT_UPDATED:
            self.update(a, e)
            return []
        self.learn_age(a, e.actor_age)
        b = self.intern(e.target)
        self.learn_age(b, e.target_age)
        if e.kind in (K.MESSAGE_SENT, K.REQUEST_SENT):
            return [] if late else self.contact(source, e, a, b, time)
        if e.kind in (K.FRIENDSHIP_CREATED, K.REQUEST_ACCEPTED) and a is not b:
            self.friends.add_edge(a.id, b.id)
        if e.kind == K.FRIENDSHIP_REMOVED and self.friends.has_edge(a.id, b.id):
            self.friends.remove_edge(a.id, b.id)
        if e.kind == K.REQUEST_CANCELLED:
            self.cancel(a, b, time)
        if e.kind in OUTCOME:
            return self.outcome(source, e, b, a, time, late)
        return []

    def contact(self, source: int, e: Event, a: Account, b: Account, time: int) -> list[Row]:
        """Take a request or message."""
        known = self.of(a, b)
        if known is not None and "contact" in known.marks:
            known.last = max(known.last, time)
            known.marks.discard("lone")
            return []
        rows = []
        since = self.clock - WINDOWS["7d"]
        recent = [c.target for c in self.chain(a) if "contact" in c.marks and c.first > since][:64]
        friend = self.friends.has_edge(a.id, b.id)
        mutual = e.mutual if e.mutual >= 0 else len(self.mutual(a, b))
        links = sum(o is not b and o.alive and self.friends.has_edge(b.id, o.id) for o in recent)
        reverse = self.of(b, a)
        began = answered = False
        if reverse is not None and "contact" in reverse.marks:
            began = reverse.first <= time
            answered = not began
        if began and reverse is not None and "replied" not in reverse.marks:
            reverse.marks.add("replied")
            rows.append(self.row(source, e, b, time, reverse, first=False))
        made = Contact(a, b, time, time, self.number)
        self.number += 1
        if known is not None:
            made.marks |= known.marks & ANSWERS
            del self.contacts[id(a), id(b)]
        self.contacts[id(a), id(b)] = made
        made.marks.add("contact")
        if e.kind == K.REQUEST_SENT:
            made.marks.add("lone")
        if not friend and mutual == 0 and not began:
            made.marks.add("stranger")
            made.event = e.id
            if links >= 1 and links / len(recent) >= 0.1:
                made.marks.add("linked")
            if b.age in (1, 2, 3) and (a.age == 0 or (a.age > 3 and YEARS[a.age] - YEARS[b.age] >= 3.5)):
                made.marks.add("minor")
        if answered:
            made.marks.add("replied")
        self.counters["first"] += 1
        rows.append(self.row(source, e, a, time, made, first=True, mutual=mutual))
        return rows

    def outcome(self, source: int, e: Event, about: Account, by: Account, time: int, late: bool) -> list[Row]:
        """Take what somebody did with a contact of another."""
        mark = OUTCOME[e.kind]
        severe = mark in ("blocked", "reported")
        known = self.of(about, by)
        if known is None or ("contact" not in known.marks and not severe):
            if late or not severe:
                self.counters["unmatched"] += 1
                return []
            known = Contact(about, by, time, time, self.number)
            self.number += 1
            self.contacts[id(about), id(by)] = known
        if mark in known.marks:
            return []
        known.marks.add(mark)
        return [self.row(source, e, about, time, known, first=False)]

    def cancel(self, a: Account, b: Account, time: int) -> None:
        """Take a cancelled request."""
        known = self.of(a, b)
        if known is None or "lone" not in known.marks or known.marks & ANSWERS:
            return
        known.cancelled_at = time if known.cancelled_at is None else min(known.cancelled_at, time)
        if time - known.first <= self.settings.withdrawal:
            known.marks.clear()
            known.event = ""

    def delete(self, source: int, e: Event, time: int) -> list[Row]:
        """Forget an account."""
        account = self.accounts.get(e.actor)
        if account is None:
            return []
        row = self.row(source, e, account, time, None, first=False)
        for key in [key for key, c in self.contacts.items() if c.actor is account]:
            del self.contacts[key]
        if account.id in self.friends:
            self.friends.remove_node(account.id)
        account.alive = False
        account.age = 0
        del self.accounts[account.id]
        self.counters["erased"] += 1
        return [row]

    def update(self, a: Account, e: Event) -> None:
        """Take account facts."""
        if e.actor_age != NOT_GIVEN and (a.age_source < 3 or e.age_source >= 3):
            a.age, a.age_source = e.actor_age, max(e.age_source, 1)
        if e.roles != NO_ROLES:
            a.roles = e.roles
        if e.created_at >= 0:
            a.created = e.created_at // 1000

    def learn_age(self, account: Account, age: int) -> None:
        """Take a hint."""
        if age not in (0, NOT_GIVEN) and account.age_source == 0:
            account.age = age

    def intern(self, name: str) -> Account:
        """Return an account, known or new."""
        return self.accounts.setdefault(name, Account(name))

    def row(
        self, source: int, e: Event, about: Account, time: int, c: Contact | None, *, first: bool, mutual: int = -1
    ) -> Row:
        """Return the features of an account as they stand."""
        newest = next(iter(self.chain(about)), None)
        since = self.next_tick - WINDOWS["7d"]
        return Row(
            source=source,
            account=about.id,
            kind=int(e.kind),
            time=time,
            first=first,
            counts=self.counts(about),
            friends=self.degree(about),
            triangles=self.triangles(about),
            created=about.created,
            mutual=mutual,
            roles=about.roles,
            flags=self.flags(c) if c is not None else 0,
            age=about.age,
            target_age=c.target.age if c is not None else 0,
            evidence={mask: self.evidence(newest, since=since, mask=mask, limit=3) for mask in MASKS},
        )

    # time

    def turn_over(self) -> None:
        """Forget the older generation of event ids."""
        if self.clock > self.rotate_at:
            self.young, self.old = set(), self.young
            self.rotate_at = self.clock + self.settings.lateness

    def keep_time(self, e: Event) -> tuple[int, bool]:
        """Let an event move the clock; return the time to take for it, and whether it is late."""
        late, jump = self.settings.lateness, self.settings.max_jump
        if self.clock < 0:
            self.set_clock(e.time)
            self.support = 1
            return e.time, False
        if e.time > self.clock + jump:
            self.ahead = self.witnesses(e)
            if len(self.ahead) < WITNESSES:
                self.counters["ahead"] += 1
                return self.clock, False
            self.land()
        if e.time < self.clock - late:
            if self.support >= WITNESSES:
                return e.time, True
            self.rebase(e.time)
            return e.time, False
        self.support += 1
        self.ahead = []
        self.move(max(self.clock, e.time))
        return e.time, False

    def witnesses(self, e: Event) -> list[tuple[int, str]]:
        """Return the row of events too far ahead, with this one."""
        if not self.ahead or abs(e.time - min(self.ahead)[0]) > self.settings.max_jump:
            return [(e.time, e.actor)]
        if self.ahead[-1][1] == e.actor:
            return self.ahead
        return [*self.ahead, (e.time, e.actor)]

    def land(self) -> None:
        """Move the clock over a gap that has been borne out."""
        goal = min(self.ahead)[0]
        self.ahead, self.support = [], WITNESSES
        self.move(max(self.clock, goal))

    def pass_ticks(self, e: Event) -> None:
        """Stop at the ticks on the way of an event."""
        if self.clock < 0:
            return
        goal, ahead = e.time, e.time > self.clock + self.settings.max_jump
        if ahead:
            witnesses = self.witnesses(e)
            if len(witnesses) < WITNESSES:
                return
            goal = min(witnesses)[0]
        if goal < self.next_tick:
            return
        emptied = self.clock + self.settings.horizon
        width = self.settings.tick
        while self.next_tick <= goal:
            self.move(max(self.clock, self.next_tick))
            self.ticks.append(self.next_tick)
            if self.next_tick > emptied:
                self.next_tick = max(self.next_tick + width, goal // width * width)
            else:
                self.next_tick += width
        if ahead:
            self.ahead = witnesses
            self.land()
            self.turn_over()
            self.pass_ticks(e)

    def move(self, clock: int) -> None:
        """Move the clock and forget what is beyond the horizon."""
        self.clock = clock
        for key, contact in list(self.contacts.items()):
            if contact.last <= clock - self.settings.horizon:
                del self.contacts[key]
            if contact.first <= clock - WINDOWS["7d"]:
                contact.event = ""  # no longer wanted as evidence

    def set_clock(self, clock: int) -> None:
        """Set the clock to where nothing is known of the time before."""
        self.clock = clock
        self.rotate_at = clock + self.settings.lateness
        self.next_tick = (clock // self.settings.tick + 1) * self.settings.tick

    def rebase(self, clock: int) -> None:
        """Set the clock back."""
        self.set_clock(clock)
        self.support, self.ahead = 1, []
        for contact in self.contacts.values():
            contact.first = contact.last = clock
        for account in self.accounts.values():
            account.seen = min(account.seen, clock // 1000)

    # upkeep

    def forget_silent(self) -> set[str]:
        """Forget friendships and accounts beyond the friend horizon; return the accounts."""
        before = max(0, self.clock - self.settings.friend_horizon) // 1000
        silent = {name for name, account in self.accounts.items() if account.seen < before}
        self.friends.remove_edges_from([(a, b) for a, b in self.friends.edges if a in silent and b in silent])
        gone = set()
        for name in silent:
            account = self.accounts[name]
            named = any(account in (c.actor, c.target) for c in self.contacts.values())
            if not named and self.degree(account) == 0:
                gone.add(name)
                del self.accounts[name]
        return gone

    # views

    def evidence(self, contact: Contact | None, *, since: int, mask: int, limit: int) -> tuple[list[str], list[str]]:
        """Return the newest targets and event ids of contacts at or before one."""
        if contact is None:
            return [], []
        found = [
            c
            for c in self.chain(contact.actor)
            if c.number <= contact.number and c.first > since and self.flags(c) & mask and c.target.alive
        ][:limit]
        return [c.target.id for c in found], [c.event for c in found if c.event]


def account_state(model: Model, name: str) -> dict[str, Any]:
    """Return everything that is to be compared of one account."""
    account = model.accounts[name]
    return {
        "age": account.age,
        "age_source": account.age_source,
        "roles": account.roles,
        "created": account.created,
        "seen": account.seen,
        "friends": sorted(model.friends[name]) if name in model.friends else [],
        "triangles": model.triangles(account),
        "counts": model.counts(account),
        "contacts": [
            (c.target.id if c.target.alive else "", c.first, c.last, model.flags(c), c.event)
            for c in model.chain(account)
        ],
    }
