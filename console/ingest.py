"""From flags to cases: takes a batch of records of the flag topic into the database, in one transaction.

Idempotent by `flag_id`: a record that is known, or older than what is known, changes nothing. The offsets are stored
with the rows, so that a record is neither lost nor counted twice whatever happens to the console.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Table, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from console.bulkwrite import among, insert_many, update_many
from console.judging import Brief, Known, brief_of, judge, read_briefs, replaced, top_of
from console.keys import Keys
from console.locks import locking
from console.rules import Rules
from console.tables import cases, contacts, flag_hours, flags, identities
from console.times import ms
from console.words import level
from streams.flags import Flag

__all__ = ["Ingest", "Taken"]

HOUR: Final = 3_600_000
CACHE: Final = 300_000

Row = dict[str, Any]
_JUDGED: Final = select(
    *(flags.c[name] for name in ("case_id", "flag_id", "type", "detector", "shadow", "peak_severity", "peak_score")),
    *(flags.c[name] for name in ("minors", "raised_at", "updated_at")),
)
"""What a case is judged by: not the evidence, which is most of a flag."""
_KNOWN: Final = select(
    *(flags.c[name] for name in ("flag_id", "case_id", "type", "updated_at", "raised_at", "peak_severity")),
    *(flags.c[name] for name in ("peak_score", "shadow", "records", "evidence")),
)
"""What the next record of a flag is merged with."""
_CASE: Final = select(*(cases.c[name] for name in Known.__struct_fields__))
_SELDOM: Final = ("state", "severity", "shadow", "opened_at", "due_at", "held_until", "assignee", "reopened_because")
"""What a flag seldom changes of a case. An UPDATE that names them rewrites every index of the queue."""


class Targets(msgspec.Struct, gc=False):
    """Of the evidence that is held: whom the flag names."""

    targets: list[str]


_TARGETS: Final = msgspec.json.Decoder(Targets)
_EVIDENCE: Final = msgspec.json.Encoder()


class Taken(msgspec.Struct, frozen=True):
    """What a batch led to."""

    records: int
    news: int
    opened: tuple[int, ...]
    reopened: tuple[int, ...]
    changed: tuple[int, ...]


def upsert(connection: Connection, table: Table) -> Any:
    """Return the database's own INSERT, which can say what to do on a conflict."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


class Ingest:
    """Takes flags into cases.

    Parameters
    ----------
    keys : Keys
    rules : Rules
    """

    def __init__(self, keys: Keys, rules: Rules) -> None:
        self.keys = keys
        self.rules = rules
        self._pseudonyms: dict[str, str] = {}

    def pseudonyms(self, account_ids: Iterable[str]) -> list[str]:
        """Return the pseudonyms of accounts."""
        known, make = self._pseudonyms.get, self.pseudonym
        return [known(account_id) or make(account_id) for account_id in account_ids]

    def pseudonym(self, account_id: str) -> str:
        """Return an account's pseudonym, remembered."""
        known = self._pseudonyms.get(account_id)
        if known is None:
            if len(self._pseudonyms) >= CACHE:
                del self._pseudonyms[next(iter(self._pseudonyms))]  # the oldest
            known = self._pseudonyms[account_id] = self.keys.pseudonym_of(account_id)
        return known

    def take(self, connection: Connection, records: Sequence[Flag], now: int) -> Taken:
        """Take records in the order in which they came.

        Parameters
        ----------
        connection : Connection
            A writing transaction.
        records : sequence of Flag
        now : int
            Wall clock, epoch ms.
        """
        if not records:
            return Taken(0, 0, (), (), ())
        accounts = {record.account_id: self.pseudonym(record.account_id) for record in records}
        numbers = self._cases(connection, records, accounts, now)
        ids = {record.flag_id for record in records}
        known = {row["flag_id"]: row for row in _rows_of(connection, _KNOWN, flags.c.flag_id, ids)}
        merged: dict[str, Row] = {}
        reached: dict[tuple[int, str], Row] = {}
        hours: Counter[tuple[int, str, bool]] = Counter()
        named: set[str] = set()
        news = 0
        for record in records:
            case = numbers[accounts[record.account_id], record.role]
            before = merged.get(record.flag_id) or known.get(record.flag_id)
            targets = self.pseudonyms(record.evidence.targets)
            row = self._merge(before, record, case, targets)
            if row is None:
                continue
            news += 1
            if before is None:
                hours[row["raised_at"] // HOUR * HOUR, record.detector, record.shadow] += 1
                named.add(record.account_id)
            self._reach(reached, named, before, row, record, targets)
            merged[record.flag_id] = row
        # an account that is known was written down before: with its case, or when it was first reached for
        rows = [{"account": self.pseudonym(name), "account_id": name} for name in sorted(named)]
        insert_many(connection, upsert(connection, identities).on_conflict_do_nothing(), rows)
        self._write_flags(connection, list(merged.values()), known)
        self._write_contacts(connection, list(reached.values()))
        _count_hours(connection, hours)
        touched: defaultdict[int, dict[str, Row]] = defaultdict(dict)
        for flag_id, row in merged.items():
            touched[row["case_id"]][flag_id] = row
        opened, reopened = self._refresh(connection, touched, now)
        return Taken(len(records), news, tuple(opened), tuple(reopened), tuple(sorted(touched)))

    def _cases(
        self, connection: Connection, records: Iterable[Flag], accounts: dict[str, str], now: int
    ) -> dict[tuple[str, str], int]:
        """Return the number of each record's case, made if need be."""
        first: dict[tuple[str, str], Flag] = {}
        for record in records:
            first.setdefault((accounts[record.account_id], record.role), record)
        numbers = _case_numbers(connection, first)
        fresh = [key for key in first if key not in numbers]
        if not fresh:
            return numbers
        rows = [self.empty_case(*key, now) for key in fresh]
        connection.execute(insert(cases), rows)
        return numbers | _case_numbers(connection, fresh)

    def empty_case(self, account: str, role: str, now: int) -> Row:
        """Return a case no flag has said anything about yet: nobody sees it until one does."""
        return {
            "account": account,
            "role": role,
            "state": "withdrawn",
            "severity": 0,
            "score": 0.0,
            "minors": 0,
            "detectors": "",
            "shadow": True,
            "age_band": "unknown",
            "headline": "",
            "flags": 0,
            "policy_version": "",
            "first_flag_at": now,
            "last_flag_at": now,
            "opened_at": now,
            "changed_at": now,
            "rank": 0.0,
            "legal_hold": False,
            "version": 0,
            "briefs": "[]",
        }

    def _merge(self, before: Row | None, record: Flag, case: int, targets: list[str]) -> Row | None:
        """Return a flag's row after a record; None when the record is no news."""
        updated, severity = ms(record.updated_at), level(record.severity)
        if before is not None:
            if updated < before["updated_at"] or (updated, record.type) == (before["updated_at"], before["type"]):
                return None
            if before["case_id"] != case:  # one id for two accounts: the first keeps it
                return None
        evidence = record.evidence
        held = {
            "features": evidence.features,
            "thresholds": evidence.thresholds,
            "baseline": evidence.baseline,
            "targets": targets,
            "event_ids": evidence.event_ids,
        }
        return {
            "flag_id": record.flag_id,
            "case_id": case,
            "type": record.type,
            "detector": record.detector,
            "severity": severity,
            "score": record.score,
            "peak_severity": severity if before is None else max(severity, before["peak_severity"]),
            "peak_score": record.score if before is None else max(record.score, before["peak_score"]),
            "raised_at": ms(record.raised_at) if before is None else before["raised_at"],
            "updated_at": updated,
            "window_start": ms(record.window.start),
            "window_end": ms(record.window.end),
            "explanation": record.explanation,
            "counterfactual": record.counterfactual,
            "policy_version": record.policy_version,
            # an episode that was opened to reviewers once stays open to them
            "shadow": record.shadow if before is None else record.shadow and before["shadow"],
            "minors": _minors(evidence.features),
            "records": 1 if before is None else before["records"] + 1,
            "evidence": _EVIDENCE.encode(held).decode(),
        }

    def _reach(
        self,
        reached: dict[tuple[int, str], Row],
        named: set[str],
        before: Row | None,
        row: Row,
        record: Flag,
        targets: list[str],
    ) -> None:
        """Note the targets that an earlier record of the flag did not name."""
        old = () if before is None else set(_TARGETS.decode(before["evidence"]).targets)
        for target, other in zip(record.evidence.targets, targets, strict=True):
            if other not in old:
                named.add(target)
                reached.setdefault(
                    (row["case_id"], other),
                    {
                        "case_id": row["case_id"],
                        "other": other,
                        "age_band": "unknown",
                        "outcomes": 0,
                        "first_at": row["updated_at"],
                        "last_at": row["updated_at"],
                        "signs": 0,
                        "mutual_friends": None,
                        "requests": 0,
                        "messages": 0,
                    },
                )

    def _write_flags(self, connection: Connection, rows: list[Row], known: dict[str, Row]) -> None:
        """Write flags down: `shadow` only where it changed, which spares an index of the rest."""
        turned = [row for row in rows if known.get(row["flag_id"], row)["shadow"] != row["shadow"]]
        rest = [row for row in rows if known.get(row["flag_id"], row)["shadow"] == row["shadow"]] if turned else rows
        keep = ("flag_id", "case_id", "detector", "raised_at")
        for some, kept in ((rest, (*keep, "shadow")), (turned, keep)):
            statement = upsert(connection, flags)
            changed = {column.name: statement.excluded[column.name] for column in flags.c if column.name not in kept}
            insert_many(connection, statement.on_conflict_do_update(index_elements=["flag_id"], set_=changed), some)

    def _write_contacts(self, connection: Connection, rows: list[Row]) -> None:
        insert_many(connection, upsert(connection, contacts).on_conflict_do_nothing(), rows)

    def _refresh(
        self, connection: Connection, touched: dict[int, dict[str, Row]], now: int
    ) -> tuple[list[int], list[int]]:
        """Judge the cases anew by their flags; return which are new, and which are open again.

        Parameters
        ----------
        touched : dict
            Number of a case to the rows of its flags that are news, by their id.
        """
        # locked in the order of numbers, as whoever else changes several cases does: decisions come at the same time
        query = locking(_CASE.where(among(connection, cases.c.id, touched)).order_by(cases.c.id))
        before = [Known(*row) for row in connection.execute(query)]
        own = self._briefs(connection, before)
        changed: list[Row] = []
        headless: dict[str, Row] = {}
        opened: list[int] = []
        reopened: list[int] = []
        for case in before:
            old, news = own[case.id], touched[case.id]
            briefs = replaced(old, {flag_id: brief_of(row) for flag_id, row in news.items()})
            row = judge(case, briefs, now, self.rules)
            row |= {"headline": case.headline, "policy_version": case.policy_version}
            changed.append(row)
            top = top_of(briefs)
            if top.flag_id in news:
                row |= _head(news[top.flag_id])
            elif case.briefs is None or not old or top_of(old).flag_id != top.flag_id:
                headless[top.flag_id] = row
            if not case.flags:
                opened.append(case.id)
            elif row["reopened_because"] and case.state != "open" and row["state"] == "open":
                reopened.append(case.id)
        if headless:
            query = select(flags.c.flag_id, flags.c.explanation, flags.c.policy_version)
            for found in connection.execute(query.where(among(connection, flags.c.flag_id, headless))).mappings():
                headless[found["flag_id"]] |= _head(found)
        _write_cases(connection, before, changed)
        return opened, reopened

    def _briefs(self, connection: Connection, known: list[Known]) -> dict[int, list[Brief]]:
        """Return the flags of cases in short: from the case, or where it keeps none, from the flags as they are now."""
        own = {case.id: [] if case.briefs is None else read_briefs(case.briefs) for case in known}
        unread = [case.id for case in known if case.briefs is None]
        for row in _rows_of(connection, _JUDGED, flags.c.case_id, unread):
            own[row["case_id"]].append(brief_of(row))
        return own


def _head(row: Any) -> Row:
    return {"headline": row["explanation"], "policy_version": row["policy_version"]}


def _write_cases(connection: Connection, before: list[Known], changed: list[Row]) -> None:
    """Write cases down: of most only what flags often change, which spares the indexes of the rest."""
    whole: list[Row] = []
    part: list[Row] = []
    for case, row in zip(before, changed, strict=True):
        if any(getattr(case, name) != row[name] for name in _SELDOM):
            whole.append(row)
        else:
            part.append({name: value for name, value in row.items() if name not in _SELDOM})
    update_many(connection, cases, whole)
    update_many(connection, cases, part)


def _minors(features: dict[str, float]) -> int:
    return int(max((value for name, value in features.items() if name.startswith("minors_")), default=0))


def _case_numbers(connection: Connection, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    query = select(cases.c.account, cases.c.role, cases.c.id)
    found = connection.execute(query.where(among(connection, cases.c.account, {account for account, _ in keys})))
    return {(account, role): number for account, role, number in found}


def _rows_of(connection: Connection, wanted_of: Any, column: Any, values: Collection[Any]) -> list[Row]:
    if not values:
        return []
    rows = connection.execute(wanted_of.where(among(connection, column, values)))
    names = tuple(rows.keys())
    return [dict(zip(names, row, strict=True)) for row in rows.all()]


def _count_hours(connection: Connection, hours: Counter[tuple[int, str, bool]]) -> None:
    if not hours:
        return
    statement = upsert(connection, flag_hours)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["hour", "detector", "shadow"],
            set_={"count": flag_hours.c.count + statement.excluded["count"]},
        ),
        [
            {"hour": hour, "detector": detector, "shadow": shadow, "count": count}
            for (hour, detector, shadow), count in sorted(hours.items())
        ],
    )
