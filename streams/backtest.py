"""`kithwatch backtest`: several policies over the same history, by the code that runs live.

Each policy has a shard, baselines and episodes of its own, and sees every event once, in order, with nothing known of
what comes after it. `default` stands for the default policy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from detectors.policy import Policy
from streams.cli import UserError
from streams.comparing import Decisions, Run, compare
from streams.dispositions import Disposition
from streams.files import read_blocks
from streams.labelled import Labels, read_labels
from streams.lists import read_lists
from streams.options import read_policy, read_time
from streams.replay import Bar, Replay

__all__ = ["backtest", "last_decisions"]

MOST: Final = 6
DEFAULT: Final = "default"


def _named(paths: tuple[str, ...]) -> list[tuple[str, Policy]]:
    """Return policies with names to tell them apart by."""
    if not 2 <= len(paths) <= MOST:
        raise UserError(f"give --policy two to {MOST} times: files, or `{DEFAULT}`")
    stems = Counter(Path(path).stem for path in paths)
    names = [path if stems[Path(path).stem] > 1 else Path(path).stem for path in paths]
    if len(set(names)) < len(names):
        raise UserError("the same policy is given twice")
    return [(name, read_policy(None if path == DEFAULT else path)) for name, path in zip(names, paths, strict=True)]


def read_decisions(path: str) -> Decisions:
    """Read a file of dispositions: of each account, whether its last decision confirmed or dismissed it.

    Raises
    ------
    UserError
        If it cannot be read, or a line is no disposition.
    """
    outcome = {account: decided.outcome for account, decided in last_decisions(path).items()}
    return Decisions(
        frozenset(account for account, how in outcome.items() if how == "confirmed"),
        frozenset(account for account, how in outcome.items() if how == "dismissed"),
    )


def last_decisions(path: str) -> dict[str, Disposition]:
    """Read a file of dispositions; return the last decision about each account under suspicion that stands.

    Raises
    ------
    UserError
        If it cannot be read, or a line is no disposition.
    """
    decode = msgspec.json.Decoder(Disposition).decode
    last: dict[str, list[Disposition]] = {}
    for number, line in _lines(path):
        try:
            made = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise UserError(f"{path}, line {number}: not a disposition: {problem}") from None
        if made.role == "target":
            continue
        own = last.setdefault(made.account_id, [])
        if made.type == "disposition.undone":
            own[:] = [one for one in own if one.disposition_id != made.disposition_id]
        else:
            own.append(made)
    return {account: max(own, key=lambda one: one.decided_at) for account, own in last.items() if own}


def _lines(path: str) -> Iterator[tuple[int, bytes]]:
    for block in read_blocks(path):
        for number, line in enumerate(block.data.split(b"\n"), block.first_line):
            if line.strip():
                yield number, line


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--policy", "policies", multiple=True, required=True, metavar="FILE", help="Two to six; `default` is the default."
)
@click.option("--labels", type=click.Path(path_type=Path), help="What is true of accounts, as `evaluate` takes it.")
@click.option("--dispositions", "decided", metavar="FILE", help="What reviewers decided, to be compared with.")
@click.option("--lists", "lists_paths", multiple=True, metavar="FILE", help="Who stands on the policies' lists.")
@click.option("--raise-after", metavar="TIME", help="Count no flag before this event time (for loading history).")
@click.option("--rounds", type=click.IntRange(0, 10_000), default=200, show_default=True, help="Of the bootstrap.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of tables.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Also write a page with plots.")
def backtest(
    files: tuple[str, ...],
    policies: tuple[str, ...],
    labels: Path | None,
    decided: str | None,
    lists_paths: tuple[str, ...],
    raise_after: str | None,
    rounds: int,
    seed: int,
    as_json: bool,
    page: Path | None,
) -> None:
    """Compare policies over the same events: flag volume, overlap, precision and recall where something is known."""
    after = read_time(raise_after, "--raise-after")
    named = _named(policies)
    truth = read_labels(labels) if labels is not None else None
    decisions = read_decisions(decided) if decided is not None else None
    runs = [Run(name, policy.version) for name, policy in named]
    replays = [Replay(policy, raise_after=after, lists=read_lists(lists_paths, policy)) for _, policy in named]
    refused = _replay(files, runs, replays)
    if truth is not None:
        _check_labels(runs, truth)
    found = compare(runs, labels=truth, decisions=decisions, rounds=rounds, seed=seed)
    found = {"events": replays[0].events, "refused": refused, **found}
    if page is not None:
        _write(page, found)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        show(found)


def _replay(files: tuple[str, ...], runs: list[Run], replays: list[Replay]) -> int:
    """Hand every block of lines to every policy; return how many lines were no events."""
    refused = 0
    with ExitStack() as stack:
        bar = Bar(list(files), stack)
        for path in files:
            position = 0
            for block in read_blocks(path):
                for run, replay in zip(runs, replays, strict=True):
                    for record in replay.feed(block.data):
                        run.take(record)
                refused += len(replays[0].refused)
                position = block.position
                bar.move(position, replays[0].events, sum(len(run.flags) for run in runs))
            bar.next_file(position)
    return refused


def _check_labels(runs: list[Run], labels: Labels) -> None:
    for run in runs:
        for flag in run.accusing().values():
            if flag.account_id not in labels.place:
                raise UserError(f"account {flag.account_id} has no label; are the files of one run?")


def _write(path: Path, found: dict[str, Any]) -> None:
    try:
        from streams.backtest_page import page_of
    except ModuleNotFoundError as missing:
        raise UserError(f"--html needs {missing.name}, which is not installed: pip install kithwatch[plots]") from None
    try:
        path.write_bytes(page_of(found))
    except OSError as problem:
        raise UserError(f"{path}: cannot be written ({problem.strerror})") from None


def share_text(share: dict[str, Any] | None) -> str:
    """Return a share with its interval."""
    if share is None or share["value"] is None:
        return "–"
    if share["low"] is None:
        return f"{share['value']:.3f}"
    return f"{share['value']:.3f} ({share['low']:.3f}–{share['high']:.3f})"


def rows_of(found: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return the comparison as rows of text: a measure, and a value for each policy."""
    policies = found["policies"]

    def row(name: str, value: Any) -> tuple[str, list[str]]:
        return name, [value(policy) for policy in policies]

    rows = [
        row("policy version", lambda p: p["policy_version"]),
        row("accounts flagged", lambda p: f"{p['accounts']:,}"),
        *(
            row(f"accounts at {name}", lambda p, name=name: f"{p['accounts_by_severity'][name]:,}")
            for name in ("low", "medium", "high", "critical")
        ),
        row("flags", lambda p: f"{p['flags']:,}"),
        row("flags in shadow", lambda p: f"{sum(p['shadow_by_detector'].values()):,}"),
        row("minors at risk", lambda p: f"{p['minors_at_risk']:,}"),
    ]
    if "labels" in policies[0]:
        rows += [
            row("average precision", lambda p: share_text(p["labels"]["average_precision"])),
            row("recall, 1 % of innocent flagged", lambda p: share_text(p["labels"]["at_share"]["recall"])),
            row("precision, medium and above", lambda p: share_text(p["labels"]["case"]["precision"])),
            row("recall, medium and above", lambda p: share_text(p["labels"]["case"]["recall"])),
            row("innocent flagged, medium and above", lambda p: share_text(p["labels"]["case"]["innocent"])),
        ]
    if "decisions" in policies[0]:
        rows += [
            row(
                "confirmed of those decided, medium and above",
                lambda p: share_text(p["decisions"]["case"]["precision"]),
            ),
            row("of the confirmed, medium and above", lambda p: share_text(p["decisions"]["case"]["recall"])),
            row("not decided, medium and above", lambda p: f"{p['decisions']['case']['undecided']:,}"),
        ]
    detectors = sorted({name for policy in policies for name in policy["flags_by_detector"]})
    rows += [
        row(f"flags by {name}", lambda p, name=name: f"{p['flags_by_detector'].get(name, 0):,}") for name in detectors
    ]
    return rows


def overlap_text(overlap: dict[str, Any]) -> str:
    """Return what two policies share, in a sentence."""
    case = overlap["case"]
    sooner = overlap["second_sooner_hours_median"]
    when = ""
    if sooner is not None:
        when = f" Of accounts that both flag, {overlap['second']} is {abs(sooner):.1f} h "
        when += "sooner at the median." if sooner >= 0 else "later at the median."
    return (
        f"{overlap['first']} and {overlap['second']}: {case['both']:,} accounts are cases (medium and above) of both, "
        f"{case['only_first']:,} of the first alone, {case['only_second']:,} of the second alone.{when}"
    )


def show(found: dict[str, Any]) -> None:
    """Print the comparison."""
    console = Console()
    table = Table(title=f"{len(found['policies'])} policies over {found['events']:,} events")
    table.add_column("measure")
    for policy in found["policies"]:
        table.add_column(policy["name"], justify="right")
    for name, values in rows_of(found):
        table.add_row(name, *values)
    console.print(table)
    for overlap in found["overlap"]:
        console.print(overlap_text(overlap), highlight=False)
    if found["refused"]:
        console.print(f"{found['refused']:,} lines were no events: `kithwatch replay --dead-letters` says why")
