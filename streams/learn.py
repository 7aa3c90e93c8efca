"""`kithwatch learn`: a policy whose weights follow what reviewers decided. Off unless somebody runs it.

It changes nothing that runs. It writes a policy file, to be tried over history beside the one in use (`kithwatch
backtest`), and taken up by a person.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

import click
import msgspec
import numpy as np
import yaml
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from detectors.evidence import DETECTORS
from detectors.learning import LEAST, line_factor, weights_of
from detectors.policy import LEAST_WEIGHT, MOST_WEIGHT, SEVERITIES, Policy, PolicyError, load_policy
from streams.backtest import last_decisions
from streams.cli import UserError
from streams.dispositions import Disposition
from streams.files import read_blocks
from streams.options import read_policy

__all__ = ["learn"]

CASES: Final = ("medium", "high", "critical")


class _Evidence(msgspec.Struct):
    features: dict[str, float]


class _Record(msgspec.Struct):
    flag_id: str
    account_id: str
    severity: str
    updated_at: str
    policy_version: str
    evidence: _Evidence
    type: Annotated[str, msgspec.Meta(pattern=r"^flag\.")]
    role: str = "actor"
    shadow: bool = False


def _records(paths: Iterable[str]) -> dict[str, list[_Record]]:
    """Read flags; return the records about accounts under suspicion, by account, in order."""
    decode = msgspec.json.Decoder(_Record).decode
    found: dict[str, list[_Record]] = {}
    for path in paths:
        for block in read_blocks(path):
            for number, line in enumerate(block.data.split(b"\n"), block.first_line):
                if not line.strip():
                    continue
                try:
                    made = decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError) as problem:
                    raise UserError(f"{path}, line {number}: not a flag: {problem}") from None
                if made.role == "actor" and not made.shadow and made.type != "flag.retracted":
                    found.setdefault(made.account_id, []).append(made)
    return found


def _seen(records: list[_Record], decided: Disposition) -> _Record | None:
    """Return what the reviewer saw of a case: the last record that is not more severe than the case was."""
    most = SEVERITIES.index(decided.severity)
    flags = set(decided.flag_ids)
    told = [r for r in records if r.flag_id in flags and SEVERITIES.index(r.severity) <= most]
    return max(told, key=lambda r: r.updated_at) if told else None


def _cases(
    records: dict[str, list[_Record]], decisions: dict[str, Disposition], version: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[str], int]:
    """Return the evidence of decided cases, who was confirmed, their severities, and how many were left out."""
    evidence: list[list[float]] = []
    confirmed: list[bool] = []
    severities: list[str] = []
    left_out = 0
    for account, decided in sorted(decisions.items()):
        if decided.outcome not in ("confirmed", "dismissed"):
            continue
        seen = _seen(records.get(account, []), decided)
        if seen is None or seen.policy_version != version:
            left_out += 1
            continue
        evidence.append([seen.evidence.features.get(f"nats_{name}", 0.0) for name in DETECTORS])
        confirmed.append(decided.outcome == "confirmed")
        severities.append(decided.severity)
    return np.array(evidence).reshape(-1, len(DETECTORS)), np.array(confirmed, np.bool_), severities, left_out


def _changed(path: str | None, weights: dict[str, float], factor: float, policy: Policy) -> dict[str, Any]:
    """Return the policy's document with other weights and lines."""
    given = None if path is None else yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    document: dict[str, Any] = given or {}
    for name, weight in weights.items():
        document.setdefault("detectors", {}).setdefault(name, {})["weight"] = weight
    if factor != 1.0:
        for name in CASES:
            document.setdefault("severities", {})[name] = float(getattr(policy.severities, name)) * factor
    return document


@click.command()
@click.option("--flags", "flag_paths", multiple=True, required=True, metavar="FILE", help="Flags, JSON Lines.")
@click.option("--dispositions", "decided", required=True, metavar="FILE", help="What reviewers decided, JSON Lines.")
@click.option(
    "--policy", "policy_path", metavar="FILE", help="The policy that raised the flags; by default the default."
)
@click.option(
    "--precision",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of cases that should be confirmed: lines of medium and above move towards it. By default they stay.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The new policy, YAML.")
def learn(
    flag_paths: tuple[str, ...], decided: str, policy_path: str | None, precision: float | None, out: Path
) -> None:
    """Write a policy whose weights, and lines if wanted, follow what reviewers decided."""
    policy = read_policy(policy_path)
    if out.exists():
        raise UserError(f"{out}: exists already; a policy in use is not written over")
    decisions = last_decisions(decided)
    evidence, confirmed, severities, left_out = _cases(_records(flag_paths), decisions, policy.version)
    try:
        factors = weights_of(evidence, confirmed)
    except ValueError as problem:
        told = f"{confirmed.sum()} confirmed and {(~confirmed).sum()} dismissed cases of policy {policy.version}"
        raise UserError(f"{problem}; there are {told} ({left_out} of other policies, or without a flag)") from None
    before = {name: policy.detectors.summed(name).weight for name in DETECTORS}
    after = {
        name: round(min(max(before[name] * float(factor), LEAST_WEIGHT), MOST_WEIGHT), 3)
        for name, factor in zip(DETECTORS, factors, strict=True)
    }
    is_case = np.array([severity in CASES for severity in severities])
    found = int((confirmed & is_case).sum()), int((~confirmed & is_case).sum())
    factor = 1.0 if precision is None else line_factor(*found, precision)
    counts = f"{confirmed.sum()} confirmed and {(~confirmed).sum()} dismissed cases"
    text = (
        f"# Made by `kithwatch learn` from {counts} of policy {policy.version}. Try it first:\n"
        f"# kithwatch backtest --policy {policy_path or 'default'} --policy {out.name} EVENTS\n"
        + yaml.safe_dump(_changed(policy_path, after, factor, policy), sort_keys=False, allow_unicode=True)
    )
    try:
        version = load_policy(text).version
    except PolicyError as problem:
        raise UserError(f"the lines cannot move so far: {problem}") from None
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise UserError(f"{out}: cannot be written ({problem.strerror})") from None
    _show(evidence, confirmed, before, after)
    click.echo(f"{len(confirmed)} decided cases used, {left_out} left out: of other policies, or without a flag.")
    if precision is not None:
        moved = {0.5: "half as many", 1.0: "as many as before", 2.0: "twice as many"}[factor]
        click.echo(f"Of {sum(found)} cases at medium or above {found[0]} were confirmed: {moved} shall be flagged.")
    click.echo(f"{out} is policy {version}. Try it before it goes live: kithwatch backtest, beside the one in use.")


def _show(
    evidence: NDArray[np.float64], confirmed: NDArray[np.bool_], before: dict[str, float], after: dict[str, float]
) -> None:
    """Print what each detector said of either kind of case, and its weight."""
    table = Table(
        title="What a nat counts", caption=f"a weight moves only as far as decisions bear out; {LEAST} at least"
    )
    table.add_column("detector", no_wrap=True)
    for heading in ("nats, confirmed", "nats, dismissed", "weight", "new weight"):
        table.add_column(heading, justify="right")
    for d, name in enumerate(DETECTORS):
        said = (f"{evidence[kind, d].mean():.2f}" for kind in (confirmed, ~confirmed))
        table.add_row(name, *said, f"{before[name]:g}", f"{after[name]:g}")
    Console().print(table)
