"""Follows the platform's events of accounts under review, and does what `account.deleted` asks for.

Of all events only those are kept that concern an account with an open case, and of these only whom, when, what came
of it and which signs. It begins with what comes after its first start: what was before is in the worker's context.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy import event as happens

from console.erasure import ask_for_erasure
from console.ingest import upsert
from console.locks import lock_cases
from console.service import Service
from console.surroundings import add_activity, add_contacts, bits, contact, count_hours, describe
from console.tables import cases, identities
from console.words import AGE_BANDS, OPEN, SIGNS
from streams.timestamps import epoch_ms

__all__ = ["Follower"]

AGAIN_MS: Final = 3_000
"""How old the list of accounts under review may be."""
REMEMBERED: Final = 50_000
"""Event ids, so that a second delivery is not counted again."""
LONGEST_ID: Final = 128
_ANSWERS: Final = {
    "friend_request.accepted": "accepted",
    "friend_request.declined": "declined",
    "account.blocked": "blocked",
    "account.reported": "reported",
}


class Seen(msgspec.Struct, gc=False):
    """What is read of an event; the rest is not even decoded."""

    type: str
    event_id: str
    occurred_at: str | int
    actor_id: str
    target_id: str | None = None
    target_age_band: str | None = None
    actor_age_band: str | None = None
    mutual_friends: int | None = None
    signs: list[str] | None = None
    age_band: str | None = None
    age_source: str | None = None
    created_at: str | int | None = None


_DECODER: Final = msgspec.json.Decoder(Seen)
Key = tuple[int, str]


class Follower:
    """Takes events of the input topics.

    Parameters
    ----------
    service : Service
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.ingest = service.ingest
        self._under_review: dict[str, int] = {}
        self._read_at = -AGAIN_MS
        self._ids: OrderedDict[str, None] = OrderedDict()

    def take(self, connection: Connection, records: list[Any], now: int) -> list[tuple[Any, str]]:
        """Take a batch of records; what is no event is the worker's to refuse, and passed over here."""
        if now - self._read_at >= AGAIN_MS:
            self._look(connection, now)
        review = self._under_review
        reached: dict[Key, dict[str, Any]] = {}
        happened: list[tuple[int, int, str]] = []
        facts: list[Seen] = []
        deleted: list[str] = []
        fresh: list[str] = []
        for record in records:
            try:
                event = _DECODER.decode(record.value or b"")
            except msgspec.MsgspecError:
                continue
            if event.type == "account.deleted":
                deleted.append(event.actor_id)
            elif (event.actor_id in review or event.target_id in review) and self._is_new(event.event_id):
                fresh.append(event.event_id)
                if event.type == "account.updated":
                    facts.append(event)
                else:
                    self._note(event, reached, happened)
        if fresh:
            happens.listen(connection, "rollback", lambda _: self._forget(fresh))
        lock_cases(connection, {self.ingest.pseudonym(event.actor_id) for event in facts}, by=cases.c.account)
        for event in facts:
            self._describe(connection, event)
        named = {other for _, other in reached}
        rows = [{"account": self.ingest.pseudonym(name), "account_id": name} for name in sorted(named)]
        if rows:
            connection.execute(upsert(connection, identities).on_conflict_do_nothing(), rows)
        add_contacts(connection, list(reached.values()))
        add_activity(connection, count_hours(happened))
        for account_id in deleted:
            ask_for_erasure(connection, self.ingest.pseudonym(account_id), now)
            self._under_review.pop(account_id, None)
        return []

    def _look(self, connection: Connection, now: int) -> None:
        query = (
            select(identities.c.account_id, cases.c.id)
            .join(cases, cases.c.account == identities.c.account)
            .where(cases.c.state.in_(OPEN), cases.c.role == "actor")
        )
        self._under_review = {row.account_id: row.id for row in connection.execute(query)}
        self._read_at = now

    def _is_new(self, event_id: str) -> bool:
        if event_id in self._ids:
            return False
        self._ids[event_id] = None
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)
        return True

    def _forget(self, event_ids: list[str]) -> None:
        """Take events as not seen: what became of them was rolled back, and they will come again."""
        for event_id in event_ids:
            self._ids.pop(event_id, None)

    def _note(
        self,
        event: Seen,
        reached: dict[Key, dict[str, Any]],
        happened: list[tuple[int, int, str]],
    ) -> None:
        try:
            at = event.occurred_at if isinstance(event.occurred_at, int) else epoch_ms(event.occurred_at)
        except ValueError:
            return
        case_id = self._under_review.get(event.actor_id)
        if case_id is not None and event.target_id:
            self._reach(event, event.target_id, case_id, at, reached, happened)
        answered = self._under_review.get(event.target_id or "")
        if answered is not None and event.target_id:
            outcome = _ANSWERS.get(event.type)
            if event.type == "message.sent":
                outcome = "replied"
            if outcome is not None:
                row = self._row(reached, answered, event.actor_id, at)
                row["outcomes"] |= bits([outcome])
                row["age_band"] = _age(event.actor_age_band) or row["age_band"]
                if outcome != "replied":
                    kind = "blocked" if outcome in ("blocked", "reported") else outcome
                    happened.append((answered, at, kind))

    def _reach(
        self,
        event: Seen,
        target: str,
        case_id: int,
        at: int,
        reached: dict[Key, dict[str, Any]],
        happened: list[tuple[int, int, str]],
    ) -> None:
        if event.type not in ("friend_request.sent", "friend_request.cancelled", "message.sent"):
            return
        row = self._row(reached, case_id, target, at)
        row["age_band"] = _age(event.target_age_band) or row["age_band"]
        if event.type == "friend_request.cancelled":
            row["outcomes"] |= bits(["cancelled"])
            return
        row["mutual_friends"] = row["mutual_friends"] if event.mutual_friends is None else event.mutual_friends
        if event.type == "friend_request.sent":
            row["requests"] += 1
            happened.append((case_id, at, "requests"))
            return
        row["messages"] += 1
        happened.append((case_id, at, "messages"))
        signs = sum(1 << SIGNS.index(sign) for sign in set(event.signs or ()) if sign in SIGNS)
        if signs:
            row["signs"] |= signs
            happened.append((case_id, at, "signs"))

    def _row(self, reached: dict[Key, dict[str, Any]], case_id: int, other: str, at: int) -> dict[str, Any]:
        key = (case_id, other[:LONGEST_ID])
        row = reached.get(key)
        if row is None:
            row = reached[key] = contact(case_id, self.ingest.pseudonym(key[1]), at)
        row["first_at"], row["last_at"] = min(row["first_at"], at), max(row["last_at"], at)
        return row

    def _describe(self, connection: Connection, event: Seen) -> None:
        created = event.created_at
        try:
            made = created if created is None or isinstance(created, int) else epoch_ms(created)
        except ValueError:
            made = None
        source = event.age_source if event.age_source in ("declared", "estimated", "verified") else None
        age = _age(event.age_band) or "unknown"
        describe(connection, self.ingest.pseudonym(event.actor_id), age, source, made)


def _age(band: str | None) -> str | None:
    return band if band in AGE_BANDS and band != "unknown" else None
