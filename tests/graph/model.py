"""The rolling contact graph as a plain definition: slow, obvious, and what the kernels are compared with.

Friendships are a `networkx.Graph`, contacts a dict, and every count is taken afresh from all contacts whenever it
is asked for. A window of width w at clock c holds the contacts with times in (c - w, c]. Nothing is incremental but
the clock, the facts of accounts and what happened to a contact.
"""

from __future__ import annotations

from typing import Any

import networkx as nx

from graph.batch import NO_ROLES, NOT_GIVEN, EventKind
from graph.shard import Settings
from graph.state import COLUMNS, CORRECTED, EXPOSED, FIRST, OUTCOME, SIGNED, SILENCE, WINDOWS, WITHDRAWN
from tests.graph.build import Event, hash_of
from tests.graph.records import WEEK, Account, Caller, Contact, Row, Ties
from tests.graph.timekeeper import Timekeeper

K = EventKind
FLAGS = ("stranger", "linked", "minor", "accepted", "declined", "ignored", "blocked", "reported", "replied")
COLUMN_FLAG = {"strangers": "stranger", "minors": "minor"}
BIT = {name: 1 << i for i, name in enumerate((*FLAGS, "cancelled", "contact", "lone"))}
BIT |= {"early_accepted": 1 << 13, "early_declined": 1 << 14}
ANSWERS = {"accepted", "declined", "blocked", "reported", "replied"}
OUTCOME_OF = {
    K.REQUEST_ACCEPTED: "accepted",
    K.REQUEST_DECLINED: "declined",
    K.ACCOUNT_BLOCKED: "blocked",
    K.ACCOUNT_REPORTED: "reported",
}
YEARS = (0.0, 11.0, 14.0, 16.5, 19.0, 30.0)
MASKS = (1, 2, 4, 7)


class Model(Timekeeper):
    """One shard, by definition."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings or Settings())
        self.rows: list[Row] = []
        self.source = 0
        self.accounts: dict[str, Account] = {}
        self.friends: nx.Graph = nx.Graph()
        self.contacts: dict[tuple[int, int], Contact] = {}  # by the identities of the two accounts
        self.number = 0
        self.erased: set[str] = set()

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
        self.rows = []
        for self.source, event in enumerate(events):
            self.rows += self.take(self.source, event)
        return self.rows

    def take(self, source: int, e: Event) -> list[Row]:
        """Take one event; return its own rows."""
        if self.is_known(e.id):
            self.counters["duplicate"] += 1
            return []
        self.counters["events"] += 1
        self.pass_ticks(e)
        time, late = self.keep_time(e)
        self.remember(e.id)
        self.counters["late"] += late
        if e.kind == K.ACCOUNT_DELETED:
            return self.delete(source, e, time)
        a = self.intern(e.actor)
        a.seen = max(a.seen, time // 1000)
        if e.kind == K.ACCOUNT_UPDATED:
            return self.update(source, a, e, time)
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
            return self.cancel(source, e, a, b, time)
        if e.kind in OUTCOME_OF:
            return self.outcome(source, e, b, a, time, late)
        return []

    def contact(self, source: int, e: Event, a: Account, b: Account, time: int) -> list[Row]:
        """Take a request or message."""
        known = self.of(a, b)
        if known is not None and "contact" in known.marks:
            known.last = max(known.last, time)
            known.marks.discard("lone")
            fresh = e.signs & ~known.signs
            self.hear(known, e)
            return [self.row(source, e, a, time, known, SIGNED, new_signs=fresh)] if fresh else []
        rows = []
        since = self.clock - WINDOWS["7d"]
        recent = [c.target for c in self.chain(a) if "contact" in c.marks and c.first > since][:64]
        early = self.early(known, time)
        friend = self.friends.has_edge(a.id, b.id) and "accepted" not in early
        mutual = e.mutual if e.mutual >= 0 else len(self.mutual(a, b))
        links = sum(o is not b and o.alive and self.friends.has_edge(b.id, o.id) for o in recent)
        reverse = self.of(b, a)
        began = answered = False
        if reverse is not None and "contact" in reverse.marks:
            began = reverse.first <= time
            answered = not began
        if began and reverse is not None and "replied" not in reverse.marks:
            reverse.marks.add("replied")
            rows.append(self.row(source, e, b, time, reverse, OUTCOME))
        made = Contact(a, b, time, time, self.number)
        self.number += 1
        if known is not None:
            made.marks |= (known.marks & ANSWERS) | early
            del self.contacts[id(a), id(b)]
        self.contacts[id(a), id(b)] = made
        made.marks.add("contact")
        if e.kind == K.REQUEST_SENT:
            made.marks.add("lone")
        self.hear(made, e)
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
        found, again = self.call(a, b, time, "stranger" in made.marks)
        if "stranger" in made.marks and found and not again:
            a.ties = a.ties or Ties(self.last_halving(a))
            a.ties.meet([caller.actor for caller in found], self.clock)
        row = self.row(source, e, a, time, made, FIRST, mutual=mutual, new_signs=made.signs)
        row.callers = len(found)
        row.suspects = sum(caller.suspicion > 0 for caller in found)
        if "stranger" in made.marks and a.suspicion and b.age in (1, 2, 3):
            exposed = self.row(source, e, b, time, None, EXPOSED)
            exposed.callers = len(found) + 1
            exposed.suspects = row.suspects + 1
            exposed.strong = sum(suspicion > 1 for suspicion in (a.suspicion, *(c.suspicion for c in found)))
            rows.append(exposed)
        rows.append(row)
        return rows

    def last_halving(self, a: Account) -> int:
        """Return when the ties of an account were to be halved last: at a moment of the week that is its own."""
        now = self.clock // 1000
        return now - (now - (hash_of(a.id) & 0xFFFFFFFF)) % WEEK

    def call(self, a: Account, b: Account, time: int, enter: bool) -> tuple[list[Caller], bool]:
        """Return who else called on `b` within a week, and whether `a` did; enter the call of `a`."""
        since = (self.clock - WINDOWS["7d"]) // 1000
        held = [caller for caller in b.callers if caller.at > since]
        if enter:
            others = [caller for caller in b.callers if caller.actor != a.id]
            b.callers = [Caller(a.id, time // 1000, a.suspicion), *others][:8]
        return [caller for caller in held if caller.actor != a.id], any(caller.actor == a.id for caller in held)

    def hear(self, contact: Contact, e: Event) -> None:
        """Note a message of a contact."""
        if e.kind == K.MESSAGE_SENT:
            contact.messages += 1
            contact.signs |= e.signs

    def outcome(self, source: int, e: Event, about: Account, by: Account, time: int, late: bool) -> list[Row]:
        """Take what somebody did with a contact of another."""
        mark = OUTCOME_OF[e.kind]
        severe = mark in ("blocked", "reported")
        known = self.of(about, by)
        if known is None or ("contact" not in known.marks and not severe):
            if late or not severe:
                self.counters["unmatched"] += 1
                if not late:
                    self.hold(known, about, by, time, mark)
                return []
            known = Contact(about, by, time, time, self.number)
            self.number += 1
            self.contacts[id(about), id(by)] = known
        if mark in known.marks:
            return []
        known.marks.add(mark)
        return [self.row(source, e, about, time, known, OUTCOME)]

    def hold(self, known: Contact | None, about: Account, by: Account, time: int, mark: str) -> None:
        """Hold an answer that came before its contact."""
        if known is None:
            known = Contact(about, by, time, time, self.number)
            self.number += 1
            self.contacts[id(about), id(by)] = known
        known.last = max(known.last, time)
        known.marks.add(f"early_{mark}")

    def early(self, known: Contact | None, time: int) -> set[str]:
        """Return the answers held that are those of a contact at a time."""
        if known is None or time > known.last:
            return set()
        return {mark.removeprefix("early_") for mark in known.marks if mark.startswith("early_")}

    def cancel(self, source: int, e: Event, a: Account, b: Account, time: int) -> list[Row]:
        """Take a cancelled request."""
        known = self.of(a, b)
        if known is None or "lone" not in known.marks or known.marks & ANSWERS:
            return []
        flags = self.flags(known)
        known.cancelled_at = time if known.cancelled_at is None else min(known.cancelled_at, time)
        if time - known.first <= self.settings.withdrawal:
            known.marks.clear()
            known.event = ""
            row = self.row(source, e, a, time, known, WITHDRAWN)
            row.flags = flags
            return [row]
        return []

    def delete(self, source: int, e: Event, time: int) -> list[Row]:
        """Forget an account."""
        account = self.accounts.get(e.actor)
        if account is None:
            return []
        row = self.row(source, e, account, time, None, OUTCOME)
        for key in [key for key, c in self.contacts.items() if c.actor is account]:
            del self.contacts[key]
        self.erased.add(account.id)
        if account.id in self.friends:
            self.friends.remove_node(account.id)
        account.alive = False
        account.age = 0
        del self.accounts[account.id]
        self.counters["erased"] += 1
        return [row]

    def update(self, source: int, a: Account, e: Event, time: int) -> list[Row]:
        """Take account facts."""
        age = a.age
        if e.actor_age != NOT_GIVEN and (a.age_source < 3 or e.age_source >= 3):
            a.age, a.age_source = e.actor_age, max(e.age_source, 1)
        if e.roles != NO_ROLES:
            a.roles = e.roles
        if e.created_at >= 0:
            a.created = e.created_at // 1000
        if a.age == age or not self.chain(a):
            return []
        row = self.row(source, e, a, time, None, CORRECTED)
        row.target_age = age
        return [row]

    def learn_age(self, account: Account, age: int) -> None:
        """Take a hint."""
        if age not in (0, NOT_GIVEN) and account.age_source == 0:
            account.age = age

    def intern(self, name: str) -> Account:
        """Return an account, known or new."""
        return self.accounts.setdefault(name, Account(name))

    def row(
        self,
        source: int,
        e: Event | None,
        about: Account,
        time: int,
        c: Contact | None,
        what: int,
        *,
        mutual: int = -1,
        new_signs: int = 0,
    ) -> Row:
        """Return the features of an account as they stand."""
        newest = next(iter(self.chain(about)), None)
        since = self.next_tick - WINDOWS["7d"]
        ties = about.ties.faded(self.clock) if about.ties else {}
        return Row(
            source=source,
            account=about.id,
            kind=int(e.kind) if e else 0,
            time=time,
            what=what,
            counts=self.counts(about),
            friends=self.degree(about),
            triangles=self.triangles(about),
            created=about.created,
            mutual=mutual,
            waited=max(time - c.first, 0) // 1000 if c is not None else 0,
            roles=about.roles,
            flags=self.flags(c) if c is not None else 0,
            age=about.age,
            target_age=c.target.age if c is not None else 0,
            signs=c.signs if c is not None else 0,
            new_signs=new_signs,
            messages=min(c.messages, 127) if c is not None else 0,
            callers=0,
            suspects=0,
            strong=0,
            shared=max(ties.values(), default=0),
            sharers=sum(count >= 3 for count in ties.values()),
            evidence={mask: self.evidence(newest, since=since, mask=mask, limit=3) for mask in MASKS},
        )

    # time

    def move(self, clock: int) -> None:
        """Move the clock by way of all ends of answer times; each contact ignored then has a row."""
        answer = self.settings.answer_time
        over = {c.first + answer for c in self.contacts.values()}
        for moment in sorted(moment for moment in over if self.clock < moment <= clock):
            self.stand(moment)
            for c in self.contacts.values():
                if c.first + answer == moment and "ignored" in self.marks(c) and c.actor.alive:
                    self.rows.append(self.row(self.source, None, c.actor, moment, c, SILENCE))
        self.stand(clock)

    def stand(self, clock: int) -> None:
        """Set the clock forward and forget what is beyond the horizon."""
        self.clock = clock
        for key, contact in list(self.contacts.items()):
            if contact.last <= clock - self.settings.horizon:
                del self.contacts[key]
            if contact.first <= clock - WINDOWS["7d"]:
                contact.event = ""  # no longer wanted as evidence
        active = {id(contact.actor) for contact in self.contacts.values()}
        for account in self.accounts.values():
            if id(account) not in active:
                account.ties = None

    def tick(self) -> None:
        """Do what is done at a tick."""
        for account in self.accounts.values():
            account.callers = [caller for caller in account.callers if caller.actor not in self.erased]
            if account.ties:
                account.ties.counts = {n: c for n, c in account.ties.counts.items() if n not in self.erased}
        self.erased = set()

    def rebase(self, clock: int) -> None:
        """Set the clock back."""
        super().rebase(clock)
        for contact in self.contacts.values():
            contact.first = contact.last = clock
            if contact.cancelled_at is not None:
                contact.cancelled_at = min(contact.cancelled_at, clock)
        for account in self.accounts.values():
            account.seen = min(account.seen, clock // 1000)
            account.callers, account.ties = [], None

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
    since = (model.clock - WINDOWS["7d"]) // 1000
    ties = account.ties.faded(model.clock) if account.ties else {}
    return {
        "age": account.age,
        "age_source": account.age_source,
        "roles": account.roles,
        "created": account.created,
        "seen": account.seen,
        "friends": sorted(model.friends[name]) if name in model.friends else [],
        "triangles": model.triangles(account),
        "counts": model.counts(account),
        "suspicion": account.suspicion,
        "callers": [(hash_of(c.actor) & 0xFFFFFFFF, c.at, c.suspicion) for c in account.callers if c.at > since],
        "ties": {hash_of(name) & 0xFFFFFFFF: count for name, count in ties.items()},
        "contacts": [
            (c.target.id if c.target.alive else "", c.first, c.last, model.flags(c), c.signs, c.messages, c.event)
            for c in model.chain(account)
        ],
    }
