"""From flags to cases: takes a batch of records of the flag topic into the database, in one transaction.

Idempotent by `flag_id`: a record that is known, or older than what is known, changes nothing. The offsets are stored
with the rows, so that a record is neither lost nor counted twice whatever happens to the console.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Table, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from console.bulkwrite import write_many
from console.keys import Keys
from console.priority import fused, rank_of
from console.rules import Rules
from console.tables import cases, contacts, flag_hours, flags, identities
from console.times import ms
from console.words import OPEN, SEVERITIES, level
from streams.flags import Flag

__all__ = ["Ingest", "Taken"]

HOUR: Final = 3_600_000
CHUNK: Final = 4_000
"""Values in one IN (…): below the limits of both databases."""
CACHE: Final = 300_000
GROWN: Final = 5
"""A decided case is opened again when the minors reached doubled, and are at least so many."""

Row = dict[str, Any]
_JUDGED: Final = select(
    *(flags.c[name] for name in ("case_id", "type", "detector", "shadow", "peak_severity", "peak_score", "minors")),
    *(flags.c[name] for name in ("raised_at", "updated_at", "explanation", "policy_version")),
)
"""What a case is judged by: not the evidence, which is most of a flag."""
_KNOWN: Final = select(
    *(flags.c[name] for name in ("flag_id", "type", "updated_at", "raised_at", "peak_severity", "peak_score")),
    *(flags.c[name] for name in ("shadow", "records", "evidence")),
)
"""What the next record of a flag is merged with."""


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
            row = self._merge(before, record, case)
            if row is None:
                continue
            news += 1
            if before is None:
                hours[row["raised_at"] // HOUR * HOUR, record.detector, record.shadow] += 1
                named.add(record.account_id)
            self._reach(reached, named, before, row, record)
            merged[record.flag_id] = row
        # an account that is known was written down before: with its case, or when it was first reached for
        rows = [{"account": self.pseudonym(name), "account_id": name} for name in sorted(named)]
        write_many(connection, upsert(connection, identities).on_conflict_do_nothing(), rows)
        self._write_flags(connection, list(merged.values()))
        self._write_contacts(connection, list(reached.values()))
        _count_hours(connection, hours)
        touched = sorted({row["case_id"] for row in merged.values()})
        opened, reopened = self._refresh(connection, touched, now)
        return Taken(len(records), news, tuple(opened), tuple(reopened), tuple(touched))

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
        }

    def _merge(self, before: Row | None, record: Flag, case: int) -> Row | None:
        """Return a flag's row after a record; None when the record is no news."""
        updated, severity = ms(record.updated_at), level(record.severity)
        if before is not None and (updated, record.type) != (before["updated_at"], before["type"]):
            if updated < before["updated_at"]:
                return None
        elif before is not None:
            return None
        evidence = record.evidence
        held = {
            "features": evidence.features,
            "thresholds": evidence.thresholds,
            "baseline": evidence.baseline,
            "targets": [self.pseudonym(target) for target in evidence.targets],
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
            "evidence": msgspec.json.encode(held).decode(),
        }

    def _reach(
        self,
        reached: dict[tuple[int, str], Row],
        named: set[str],
        before: Row | None,
        row: Row,
        record: Flag,
    ) -> None:
        """Note the targets that an earlier record of the flag did not name."""
        old = () if before is None else msgspec.json.decode(before["evidence"])["targets"]
        for target in record.evidence.targets:
            other = self.pseudonym(target)
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

    def _write_flags(self, connection: Connection, rows: list[Row]) -> None:
        statement = upsert(connection, flags)
        keep = ("flag_id", "case_id", "raised_at")
        changed = {column.name: statement.excluded[column.name] for column in flags.c if column.name not in keep}
        write_many(connection, statement.on_conflict_do_update(index_elements=["flag_id"], set_=changed), rows)

    def _write_contacts(self, connection: Connection, rows: list[Row]) -> None:
        write_many(connection, upsert(connection, contacts).on_conflict_do_nothing(), rows)

    def _refresh(self, connection: Connection, touched: list[int], now: int) -> tuple[list[int], list[int]]:
        """Work out anew what the cases' flags say; return which are new, and which are open again."""
        live: defaultdict[int, list[Row]] = defaultdict(list)
        for flag in _rows_of(connection, _JUDGED, flags.c.case_id, touched):
            live[flag["case_id"]].append(flag)
        changed: list[Row] = []
        reopened: list[int] = []
        opened: list[int] = []
        for case in _rows_of(connection, select(cases), cases.c.id, touched):
            row = self._judge(case, live[case["id"]], now)
            changed.append(row)
            if not case["flags"]:
                opened.append(case["id"])
            elif row["reopened_because"] and case["state"] != "open" and row["state"] == "open":
                reopened.append(case["id"])
        write_many(connection, update(cases).where(cases.c.id == bindparam("number")), changed)
        return opened, reopened

    def _judge(self, case: Row, own: list[Row], now: int) -> Row:
        standing = [flag for flag in own if flag["type"] != "flag.retracted"]
        seen = [flag for flag in standing if not flag["shadow"]] or standing
        top = max(seen or own, key=lambda flag: (flag["peak_severity"], flag["peak_score"], flag["updated_at"]))
        severity = max((flag["peak_severity"] for flag in seen), default=0)
        best: dict[str, float] = {}
        for flag in seen:
            best[flag["detector"]] = max(best.get(flag["detector"], 0.0), flag["peak_score"])
        score, minors = fused(best.values()), max((flag["minors"] for flag in seen), default=0)
        row = {
            "number": case["id"],
            "state": case["state"],
            "severity": severity,
            "score": score,
            "minors": minors,
            "detectors": "," + ",".join(sorted({flag["detector"] for flag in own})) + ",",
            "shadow": all(flag["shadow"] for flag in own),
            "headline": top["explanation"],
            "flags": len(own),
            "policy_version": top["policy_version"],
            "first_flag_at": min(flag["raised_at"] for flag in own),
            "last_flag_at": max(flag["updated_at"] for flag in own),
            "changed_at": now,
            "opened_at": case["opened_at"],
            "due_at": case["due_at"],
            "held_until": case["held_until"],
            "assignee": case["assignee"],
            "reopened_because": case["reopened_because"],
            "version": case["version"] + 1,
        }
        latest = now + self.rules.deadlines.ms(severity)
        if not case["flags"]:  # nobody has seen it yet
            row |= {"state": "open", "opened_at": now}
        if case["due_at"] is None or severity > case["severity"]:
            row["due_at"] = latest if case["due_at"] is None else min(case["due_at"], latest)
        because = _grown(case, row, own)
        if not standing and (case["state"] in OPEN or not case["flags"]):
            row["state"] = "withdrawn"
        elif because:
            row |= {"state": "open", "reopened_because": because, "opened_at": now, "due_at": latest}
            row |= {"held_until": None, "assignee": None if case["state"] not in OPEN else case["assignee"]}
        row["rank"] = rank_of(score, severity, minors, row["opened_at"])
        return row


def _grown(case: Row, row: Row, own: list[Row]) -> str | None:
    """Return why a case that was laid aside or decided has to be looked at again."""
    if not case["flags"]:
        return None
    if case["state"] == "withdrawn":
        return "a new flag was raised" if any(flag["type"] != "flag.retracted" for flag in own) else None
    if case["state"] in ("held", "waiting"):
        if row["severity"] > case["severity"]:
            return f"severity rose to {SEVERITIES[row['severity']]}"
        return None
    if case["state"] not in ("confirmed", "dismissed"):
        return None
    decided = case["decided_severity"] or 0
    if row["severity"] > decided:
        return f"severity rose from {SEVERITIES[decided]} to {SEVERITIES[row['severity']]}"
    minors = case["decided_minors"] or 0
    if row["minors"] >= max(2 * minors, GROWN) and row["minors"] > minors:
        return f"minors reached rose from {minors} to {row['minors']}"
    if row["flags"] > case["flags"] and row["severity"] >= 1:
        return "a new episode was flagged"
    return None


def _minors(features: dict[str, float]) -> int:
    return int(max((value for name, value in features.items() if name.startswith("minors_")), default=0))


def _case_numbers(connection: Connection, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    wanted = list(keys)
    numbers: dict[tuple[str, str], int] = {}
    for at in range(0, len(wanted), CHUNK):
        part = wanted[at : at + CHUNK]
        query = select(cases.c.id, cases.c.account, cases.c.role).where(
            cases.c.account.in_({account for account, _ in part})
        )
        numbers |= {(row.account, row.role): row.id for row in connection.execute(query)}
    return numbers


def _rows_of(connection: Connection, wanted_of: Any, column: Any, values: Iterable[Any]) -> list[Row]:
    wanted = list(values)
    found: list[Row] = []
    for at in range(0, len(wanted), CHUNK):
        rows = connection.execute(wanted_of.where(column.in_(wanted[at : at + CHUNK])))
        names = tuple(rows.keys())
        found.extend(dict(zip(names, row, strict=True)) for row in rows)
    return found


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
