"""`kithwatch simulate`: a labelled stream in two files."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from simulation.collegemsg import CollegeMsgMissingError
from simulation.missing import MISSING
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
@click.option(
    "--intensity",
    type=click.FloatRange(min=0.01, max=100),
    default=1.0,
    show_default=True,
    help="Factor on how many contacts a day attackers make.",
)
@click.option(
    "--missing",
    type=click.Choice(list(MISSING)),
    multiple=True,
    help="What the platform does not send; may be given several times.",
)
def simulate(
    scenario: str,
    seed: int,
    out: Path,
    accounts: int | None,
    days: float | None,
    intensity: float,
    missing: tuple[str, ...],
) -> None:
    """Write a labelled stream of a simulated platform: events.jsonl, labels.jsonl and victims.jsonl.

    victims.jsonl has the first contact of each harmful account with each child that it sought out.
    """
    if scenario == "collegemsg" and (accounts or days or intensity != 1.0):
        raise UserError("collegemsg is real data of a fixed size: leave out --accounts, --days and --intensity")
    try:
        stream = build(scenario, seed, accounts, days, intensity=intensity, missing=missing)
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
        with (out / "events.jsonl").open("wb", buffering=1 << 20) as file, (out / "victims.jsonl").open("wb") as others:
            for line in stream.lines(lambda contact: others.write(encode(contact) + b"\n")):
                file.write(line)
                count += 1
    except OSError as problem:
        raise UserError(f"cannot write to {out}: {problem.strerror}") from None
    click.echo(f"{count:,} events of {labels:,} accounts, {harmful:,} of them harmful, in {out}", err=True)
