"""`kithwatch evaluate`: how good the flags of a labelled stream are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, cast

import click
import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from detectors.evaluation import (
    HARM_SHARES,
    Interval,
    at_budget,
    average_precision,
    bootstrap,
    class_recall,
    false_flags_per_10k_weeks,
    harm_before,
    limit_for_share,
)
from streams.cli import UserError
from streams.files import read_blocks

__all__ = ["Flags", "Labels", "evaluate", "report"]

_WEEK: Final = 7 * 86_400_000
_MINORS: Final = frozenset({"under_13", "13_15", "16_17"})
_MEDIUM: Final = frozenset({"medium", "high", "critical"})
_T = TypeVar("_T")


class _Label(msgspec.Struct):
    account_id: str
    label: str
    harmful: bool


class _Flag(msgspec.Struct):
    type: Literal["flag.raised", "flag.updated", "flag.retracted"]
    flag_id: str
    account_id: str
    score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    severity: Literal["low", "medium", "high", "critical"]
    raised_at: datetime
    updated_at: datetime | None = None
    role: Literal["actor", "target"] = "actor"
    shadow: bool = False


class _Event(msgspec.Struct):
    type: str
    occurred_at: int | datetime
    actor_id: str
    target_id: str | None = None
    age_band: str | None = None
    birth_date: str | None = None
    actor_age_band: str | None = None
    target_age_band: str | None = None


@dataclass(slots=True)
class Labels:
    """What is true of each account, and where it stands in all arrays."""

    place: dict[str, int]
    label: list[str]
    harmful: NDArray[np.bool_]


@dataclass(slots=True)
class Flags:
    """Flags that accuse, by account.

    Attributes
    ----------
    score : highest score of each account.
    severe : whether any flag of it is medium or above.
    steps : (account, time, score) of every record of these flags, so that one can ask when a limit was crossed.
    count : number of flags of each account.
    """

    score: NDArray[np.float64]
    severe: NDArray[np.bool_]
    steps: list[tuple[int, int, float]]
    count: NDArray[np.int64]

    def crossed(self, limit: float) -> NDArray[np.float64]:
        """Return when each account first scored at a limit or above, epoch milliseconds; infinity for never."""
        times = np.full(len(self.score), np.inf)
        for account, time, score in self.steps:
            if score >= limit:
                times[account] = min(times[account], time)
        return times


@dataclass(slots=True)
class Contacts:
    """What the events say: who was active, and whom harmful accounts contacted when."""

    active: set[int] = field(default_factory=set)
    first: int = 0
    last: int = 0
    account: list[int] = field(default_factory=list)
    time: list[int] = field(default_factory=list)
    minor: list[bool] = field(default_factory=list)

    @property
    def days(self) -> float:
        """Length of the stream."""
        return (self.last - self.first) / _WEEK * 7.0


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the numbered lines of a JSON Lines file, plain or compressed; blank ones are left out.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    for block in read_blocks(str(path)):
        for number, line in enumerate(block.data.split(b"\n"), block.first_line):
            if line and not line.isspace():
                yield number, line


def _decode(kind: type[_T], path: Path) -> Iterator[tuple[int, _T]]:
    decode = msgspec.json.Decoder(kind).decode
    for number, line in lines(path):
        try:
            yield number, decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise UserError(f"{path}, line {number}: {problem}") from None


def read_labels(path: Path) -> Labels:
    """Read `labels.jsonl`."""
    place: dict[str, int] = {}
    label: list[str] = []
    harmful: list[bool] = []
    for number, entry in _decode(_Label, path):
        if entry.account_id in place:
            raise UserError(f"{path}, line {number}: account {entry.account_id} has a label already")
        place[entry.account_id] = len(label)
        label.append(entry.label)
        harmful.append(entry.harmful)
    if not label:
        raise UserError(f"{path} has no labels in it")
    return Labels(place, label, np.array(harmful))


def read_flags(path: Path, labels: Labels) -> Flags:
    """Read flags: the last record of each counts; shadow, retracted and `target` flags are left out."""
    last: dict[str, _Flag] = {}
    records: dict[str, list[tuple[int, float]]] = {}
    for number, flag in _decode(_Flag, path):
        if flag.account_id not in labels.place:
            raise UserError(f"{path}, line {number}: account {flag.account_id} has no label; are the files of one run?")
        when = flag.updated_at or flag.raised_at
        if when.tzinfo is None:
            raise UserError(f"{path}, line {number}: the time has no offset")
        last[flag.flag_id] = flag
        records.setdefault(flag.flag_id, []).append((round(when.timestamp() * 1000), flag.score))
    n = len(labels.label)
    flags = Flags(np.zeros(n), np.zeros(n, np.bool_), [], np.zeros(n, np.int64))
    for flag_id, flag in last.items():
        if flag.shadow or flag.role == "target" or flag.type == "flag.retracted":
            continue
        account = labels.place[flag.account_id]
        flags.score[account] = max(flags.score[account], flag.score)
        flags.severe[account] |= flag.severity in _MEDIUM
        flags.count[account] += 1
        # what counts is what the flag says in the end: a score that was corrected down was never crossed
        flags.steps += [(account, time, min(score, flag.score)) for time, score in records[flag_id]]
    return flags


def read_contacts(path: Path, labels: Labels) -> Contacts:
    """Read from events who was active, and the first contact of each harmful account with each target."""
    contacts, bands = Contacts(), dict[str, str]()
    known: set[tuple[str, str]] = set()
    for number, event in _decode(_Event, path):
        at = event.occurred_at
        time = at if isinstance(at, int) else round(at.timestamp() * 1000)
        if event.type == "account.updated":
            if event.birth_date is not None:
                bands[event.actor_id] = _band(event.birth_date, time, f"{path}, line {number}")
            elif event.age_band is not None:
                bands[event.actor_id] = event.age_band
        if event.actor_age_band is not None:
            bands[event.actor_id] = event.actor_age_band
        if event.target_id is None:
            continue
        if event.target_age_band is not None:
            bands[event.target_id] = event.target_age_band
        if event.type not in ("friend_request.sent", "message.sent"):
            continue
        contacts.first = contacts.first or time
        contacts.last = max(contacts.last, time)
        account = labels.place.get(event.actor_id)
        if account is None:
            raise UserError(f"{path}, line {number}: account {event.actor_id} has no label; are the files of one run?")
        contacts.active.add(account)
        pair = (event.actor_id, event.target_id)
        if labels.harmful[account] and pair not in known:
            known.add(pair)
            contacts.account.append(account)
            contacts.time.append(time)
            contacts.minor.append(bands.get(event.target_id) in _MINORS)
    return contacts


def _band(birth_date: str, time: int, where: str) -> str:
    """Return the age band of a birth date, roughly: here only minors matter."""
    try:
        born = datetime.fromisoformat(birth_date + "T00:00:00+00:00").timestamp()
    except ValueError:
        raise UserError(f"{where}: {birth_date!r} is no date") from None
    years = (time / 1000 - born) / (365.25 * 86_400)
    return "21_plus" if years >= 18 else "16_17"


def report(
    labels: Labels, flags: Flags, contacts: Contacts | None, *, budget: float, seed: int, rounds: int
) -> dict[str, Any]:
    """Return all measures as plain values, ready for JSON; NaN and infinity become null."""
    score, harmful = flags.score, labels.harmful
    n = len(score)
    active = len(contacts.active) if contacts else n
    reviews = max(1, round(budget * active))

    def interval(statistic: Any) -> dict[str, float]:
        return _plain(bootstrap(statistic, n, seed=seed, rounds=rounds))

    spent = at_budget(score, harmful, reviews)
    recall = class_recall(score, labels.label, spent.limit)
    flagged = class_recall(score, labels.label, 0.0)
    medium = class_recall(np.where(flags.severe, 1.0, 0.0), labels.label, 1.0)
    found: dict[str, Any] = {
        "accounts": n,
        "harmful": int(harmful.sum()),
        "active": active,
        "flags": int(flags.count.sum()),
        "flagged_accounts": int((score > 0).sum()),
        "average_precision": interval(lambda at: average_precision(score[at], harmful[at])),
        "budget": {
            "share": budget,
            "accounts": reviews,
            "reviewed": spent.reviewed,
            "limit": spent.limit,
            "precision": interval(lambda at: at_budget(score[at], harmful[at], reviews).precision),
            "recall": interval(lambda at: at_budget(score[at], harmful[at], reviews).recall),
        },
        "classes": {
            name: {
                "accounts": recall[name][1],
                "harmful": bool(harmful[labels.label.index(name)]),
                "in_budget": recall[name][0],
                "flagged": flagged[name][0],
                "medium_or_above": medium[name][0],
            }
            for name in sorted(recall)
        },
    }
    if contacts is not None:
        found |= _over_time(labels, flags, contacts, seed=seed, rounds=rounds)
    return cast(dict[str, Any], _finite(found))


def _over_time(labels: Labels, flags: Flags, contacts: Contacts, *, seed: int, rounds: int) -> dict[str, Any]:
    """Return what needs the events: delay, contacts before the flag, false flags a week, harm."""
    who, when = np.array(contacts.account, np.int64), np.array(contacts.time, np.float64)
    minor = np.array(contacts.minor, np.bool_)
    first = np.full(len(labels.label), np.inf)
    np.minimum.at(first, who, when)
    crossed = flags.crossed(0.0)
    caught = np.flatnonzero(np.isfinite(first) & np.isfinite(crossed) & labels.harmful)
    delay = (crossed[caught] - first[caught]) / 3_600_000.0
    before = np.bincount(who, weights=when <= crossed[who], minlength=len(first)).astype(np.float64)[caught]
    false = int(flags.count[~labels.harmful].sum())
    curve = {}
    for share in HARM_SHARES:
        limit = limit_for_share(flags.score, labels.harmful, share)
        harm = harm_before(who[minor], when[minor], flags.crossed(limit))
        each = harm[~np.isnan(harm)]
        curve[f"{share:g}"] = _mean(each, seed, rounds)
    return {
        "days": contacts.days,
        "false_flags_per_10k_weeks": false_flags_per_10k_weeks(false, int((~labels.harmful).sum()), contacts.days),
        "delay_hours": _spread(delay),
        "contacts_before_flag": _spread(before),
        "harm": curve,
    }


def _mean(values: NDArray[np.float64], seed: int, rounds: int) -> dict[str, float] | None:
    if not len(values):
        return None
    return _plain(bootstrap(lambda at: float(values[at].mean()), len(values), seed=seed, rounds=rounds))


def _spread(values: NDArray[np.float64]) -> dict[str, float] | None:
    if not len(values):
        return None
    middle, high = np.quantile(values, [0.5, 0.9])
    return {"median": float(middle), "p90": float(high), "accounts": len(values)}


def _plain(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _finite(value: Any) -> Any:
    """Return a value with NaN and infinity as None: JSON has neither."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _text(measure: dict[str, float] | None) -> str:
    if measure is None or measure["value"] is None:
        return "–"
    low, high = measure["low"], measure["high"]
    around = "" if low is None or high is None else f"  ({low:.3f}–{high:.3f})"
    return f"{measure['value']:.3f}{around}"


def _show(found: dict[str, Any]) -> None:
    console = Console()
    table = Table(title="Flags against labels", caption="in brackets: 95 % interval, bootstrap over accounts")
    table.add_column("measure")
    table.add_column("value", justify="right")
    budget = found["budget"]
    table.add_row(
        "accounts, harmful, flagged", f"{found['accounts']:,}, {found['harmful']:,}, {found['flagged_accounts']:,}"
    )
    table.add_row("average precision", _text(found["average_precision"]))
    named = f"reviewing {budget['reviewed']:,} of {found['active']:,}"
    table.add_row(f"precision, {named}", _text(budget["precision"]))
    table.add_row(f"recall, {named}", _text(budget["recall"]))
    if "harm" in found:
        rate = found["false_flags_per_10k_weeks"]
        table.add_row("false flags per 10,000 innocent account-weeks", "–" if rate is None else f"{rate:.1f}")
        for name, key, digits in (
            ("delay, hours", "delay_hours", 1),
            ("contacts before the flag", "contacts_before_flag", 0),
        ):
            spread = found[key]
            shown = "–" if spread is None else f"{spread['median']:.{digits}f}, {spread['p90']:.{digits}f}"
            table.add_row(f"{name}: median, 90th percentile", shown)
        for share, harm in found["harm"].items():
            table.add_row(f"harm before the flag, {float(share):.1%} of innocent flagged", _text(harm))
    console.print(table)
    classes = Table(title="By class: share of accounts")
    for column in ("class", "accounts", "in the budget", "flagged", "medium or above"):
        classes.add_column(column, justify="left" if column == "class" else "right")
    for name, entry in sorted(found["classes"].items(), key=lambda pair: (not pair[1]["harmful"], pair[0])):
        shares = (f"{entry[key]:.3f}" for key in ("in_budget", "flagged", "medium_or_above"))
        classes.add_row(f"{name} (harmful)" if entry["harmful"] else name, f"{entry['accounts']:,}", *shares)
    console.print(classes)


@click.command()
@click.option("--flags", type=click.Path(path_type=Path), required=True, help="Flags, JSON Lines.")
@click.option("--labels", type=click.Path(path_type=Path), required=True, help="Labels, JSON Lines.")
@click.option(
    "--events", type=click.Path(path_type=Path), help="The events: for delay, contacts and harm before a flag."
)
@click.option(
    "--budget",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.01,
    show_default=True,
    help="Share of active accounts that a team reviews (without --events: of all labelled accounts).",
)
@click.option("--rounds", type=click.IntRange(0, 10_000), default=200, show_default=True, help="Of the bootstrap.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of tables.")
def evaluate(
    flags: Path, labels: Path, events: Path | None, budget: float, rounds: int, seed: int, as_json: bool
) -> None:
    """Measure flags against labels: average precision, a review budget, delay and harm before the flag."""
    truth = read_labels(labels)
    raised = read_flags(flags, truth)
    contacts = read_contacts(events, truth) if events else None
    found = report(truth, raised, contacts, budget=budget, seed=seed, rounds=rounds)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        _show(found)
