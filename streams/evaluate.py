"""`kithwatch evaluate`: how good the flags of a labelled stream are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from streams.cli import UserError
from streams.labelled import Contacts, read_contacts, read_flags, read_labels, read_victims
from streams.measures import report

__all__ = ["evaluate"]


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
    table.add_row(f"recall, {found['at_share']['share']:.0%} of innocent flagged", _text(found["at_share"]["recall"]))
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
    _show_classes(console, found["classes"], True, "Attacks: share of accounts", "at_share", "1 % of innocent flagged")
    _show_classes(console, found["classes"], False, "Innocent: share of accounts", "medium_or_above", "medium or above")
    for kind, cohorts in found.get("cohorts", {}).items():
        _show_cohorts(console, kind, cohorts)


def _show_cohorts(console: Console, kind: str, cohorts: dict[str, Any]) -> None:
    """Show the error rates of accounts that reached out, by what the platform tells of them."""
    caption = "of accounts that reached out; in brackets: 95 % interval (Wilson)"
    table = Table(title=f"Error rates by {kind.replace('_', ' ')}, medium or above", caption=caption)
    table.add_column(kind.replace("_", " "), no_wrap=True)
    for column in ("innocent", "wrongly flagged", "harmful", "missed"):
        table.add_column(column, justify="right")
    for name, entry in cohorts.items():
        right = entry["harmful_medium"]
        missed: dict[str, Any] = {"value": None, "low": None, "high": None}
        if right["value"] is not None:
            missed = {"value": 1 - right["value"], "low": 1 - right["high"], "high": 1 - right["low"]}
        counts = f"{entry['innocent']:,}", f"{entry['harmful']:,}"
        table.add_row(name, counts[0], _text(entry["innocent_medium"]), counts[1], _text(missed))
    console.print(table)


def _show_classes(
    console: Console, classes: dict[str, Any], harmful: bool, title: str, measure: str, heading: str
) -> None:
    """Show the classes of attack, or the innocent ones, the worst first."""
    shown = [(name, entry) for name, entry in classes.items() if entry["harmful"] == harmful]
    if not shown:
        return
    table = Table(title=title, caption="in brackets: 95 % interval (Wilson)")
    table.add_column("class", no_wrap=True)
    for column in ("accounts", "in budget", "flagged", heading):
        table.add_column(column, justify="right")
    for name, entry in sorted(shown, key=lambda pair: (pair[1][measure] * (1 if harmful else -1), pair[0])):
        low, high = entry[f"{measure}_interval"]
        shares = [f"{entry[key]:.3f}" for key in ("in_budget", "flagged")]
        table.add_row(name, f"{entry['accounts']:,}", *shares, f"{entry[measure]:.3f} ({low:.2f}–{high:.2f})")
    console.print(table)


def _contacts(events: Path | None, victims: Path | None, labels: Any) -> Contacts | None:
    if events is None:
        if victims is not None:
            raise UserError("--victims needs --events as well")
        return None
    contacts = read_contacts(events, labels)
    if victims is not None:
        contacts.child = read_victims(victims, labels)
    return contacts


@click.command()
@click.option("--flags", type=click.Path(path_type=Path), required=True, help="Flags, JSON Lines.")
@click.option("--labels", type=click.Path(path_type=Path), required=True, help="Labels, JSON Lines.")
@click.option(
    "--events", type=click.Path(path_type=Path), help="The events: for delay, contacts and harm before a flag."
)
@click.option(
    "--victims",
    type=click.Path(path_type=Path),
    help="Whom attackers reached, JSON Lines: for harm by what happened and not by the ages in the events.",
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
@click.option(
    "--report", "page", type=click.Path(path_type=Path, dir_okay=False), help="Also write a page with plots (HTML)."
)
def evaluate(
    flags: Path,
    labels: Path,
    events: Path | None,
    victims: Path | None,
    budget: float,
    rounds: int,
    seed: int,
    as_json: bool,
    page: Path | None,
) -> None:
    """Measure flags against labels: average precision, a review budget, delay and harm before the flag."""
    truth = read_labels(labels)
    raised = read_flags(flags, truth)
    contacts = _contacts(events, victims, truth)
    found = report(truth, raised, contacts, budget=budget, seed=seed, rounds=rounds)
    if page is not None:
        write_page(page, found, raised.score, truth.harmful)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        _show(found)


def write_page(path: Path, found: dict[str, Any], score: Any, harmful: Any) -> None:
    """Write the page with plots; whoever wants none need not have what draws them.

    Raises
    ------
    UserError
        If matplotlib is missing, or the page cannot be written.
    """
    try:
        from streams.plots import page_of
    except ModuleNotFoundError as missing:
        raise UserError(
            f"--report needs {missing.name}, which is not installed: pip install kithwatch[plots]"
        ) from None
    try:
        path.write_bytes(page_of(found, score, harmful))
    except OSError as problem:
        raise UserError(f"{path}: cannot be written ({problem.strerror})") from None
