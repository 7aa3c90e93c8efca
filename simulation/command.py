"""`kithwatch simulate`: a labelled stream in two files."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from simulation.collegemsg import CollegeMsgMissingError
from simulation.scenarios import NAMES, UnknownScenarioError, build
from streams.cli import UserError

__all__ = ["simulate"]


@click.command()
@click.option("--scenario", required=True, metavar="NAME", help=f"One of: {', '.join(NAMES)}.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The same seed, the same bytes.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder to write into; made if needed.",
)
@click.option("--accounts", type=click.IntRange(min=200), help="Number of accounts, instead of the scenario's.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="Length, instead of the scenario's.")
def simulate(scenario: str, seed: int, out: Path, accounts: int | None, days: float | None) -> None:
    """Write a labelled stream of a simulated platform: events.jsonl and labels.jsonl."""
    if scenario == "collegemsg" and (accounts or days):
        raise UserError("collegemsg is real data of a fixed size: leave out --accounts and --days")
    try:
        stream = build(scenario, seed, accounts, days)
    except (UnknownScenarioError, CollegeMsgMissingError) as problem:
        raise UserError(str(problem)) from None
    encode = msgspec.json.Encoder().encode
    count = harmful = labels = 0
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / "labels.jsonl").open("wb") as file:
            for label in stream.labels():
                file.write(encode(label) + b"\n")
                labels += 1
                harmful += label["harmful"]
        with (out / "events.jsonl").open("wb", buffering=1 << 20) as file:
            for line in stream.lines():
                file.write(line)
                count += 1
    except OSError as problem:
        raise UserError(f"cannot write to {out}: {problem.strerror}") from None
    click.echo(f"{count:,} events of {labels:,} accounts, {harmful:,} of them harmful, in {out}", err=True)
