"""How well kithwatch detects, beside its peers and beside a classifier that is given the labels.

    python -m benchmarks.detection --kinds social,gaming --seeds 1,2 --train 11,12 --out var/detection

Kinds are those of `simulation/`, or `friends`, `lobbies` and `video`: worlds of `benchmarks/independent/`, a simulator
that was written apart from this project's code, and to which nothing was fitted.

For each kind of platform all of them see the same streams, and no peer but the supervised reference sees a label. One
table a kind: average precision over accounts, harm (the share of attackers' contacts with children that they sought
out which took place before the first flag) at limits that flag 0.2 % and 1 % of innocent accounts, and the share of
attackers found at 1 %. Then recall by class, the share of innocent accounts at medium or above after the first week,
and the hard negatives that are flagged most. Figures are means over the seeds; in brackets a 95 % interval by bootstrap
over accounts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.detection_data import Job, Run, gather_all
from benchmarks.detection_peers import PEERS
from benchmarks.detection_reference import Reference
from benchmarks.independent.output import WORLDS
from detectors.evaluation import Steps, average_precision, bootstrap, harm_before, limit_for_share
from detectors.policy import Policy, PolicyError, load_policy
from simulation.kinds import KINDS
from simulation.missing import MISSING
from simulation.scenarios import NAMES

WEEK: Final = 7 * 86_400_000
OURS, REFERENCE, MEMORY = "kithwatch", "supervised reference", "the same, with sums"
TOGETHER: Final = "the same, on evidence"
REFERENCES: Final = (REFERENCE, MEMORY, TOGETHER)
HELD_BACK: Final = "forum"


def measure(run: Run, steps: Steps, rounds: int) -> dict[str, Any]:
    """Return the measures of one ranking of one stream."""
    score, n = steps.highest(len(run)), len(run)
    found: dict[str, Any] = {}
    interval = bootstrap(lambda at: average_precision(score[at], run.harmful[at]), n, rounds=rounds)
    found["average_precision"] = interval.value
    found["average_precision_interval"] = [interval.low, interval.high]
    for share in (0.002, 0.01):
        limit = limit_for_share(score, run.harmful, share)
        harm = harm_before(run.victim, run.reached, steps.crossed(limit, n))
        found[f"harm_{share:g}"] = float(np.nanmean(harm[run.harmful]))
    hit = score >= limit_for_share(score, run.harmful, 0.01)
    found["recall"] = float(hit[run.harmful].mean())
    found["classes"] = by_class(run, hit, run.harmful)
    return found


def by_class(run: Run, hit: NDArray[np.bool_], among: NDArray[np.bool_]) -> dict[str, float]:
    """Return the share of each class that is hit."""
    return {str(name): float(hit[run.label == name].mean()) for name in np.unique(run.label[among])}


def promises(run: Run) -> dict[str, Any]:
    """Return what the policy's severities come to: innocent accounts at medium or above, in all and by class."""
    innocent = ~run.harmful
    start = float(run.events["time"].min())
    late = (run.severe >= start + WEEK) & np.isfinite(run.severe)
    return {
        "innocent_at_medium_after_a_week": float(late[innocent].mean()),
        "hard_negatives_at_medium": by_class(run, np.isfinite(run.severe), innocent),
        "attackers_at_medium": float(np.isfinite(run.severe)[run.harmful].mean()),
        "flagged_innocent": float((run.flags.highest(len(run)) > 0)[innocent].mean()),
    }


def mean(values: list[Any]) -> Any:
    """Return the mean of like-shaped measures, key by key."""
    if isinstance(values[0], dict):
        keys = {key for value in values for key in value}
        return {key: mean([value[key] for value in values if key in value]) for key in sorted(keys)}
    return np.mean(np.array(values, float), axis=0).tolist()


def of_kind(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one kind of platform; return all measures, as means over the seeds."""
    missing = tuple(options.missing)

    def jobs(seeds: list[int]) -> list[Job]:
        return [Job(kind, seed, options.accounts, options.days, missing) for seed in seeds]

    tests: list[Run] = list(gather_all(jobs(options.seeds), options.processes, options.policy))
    found: dict[str, Any] = {
        "events": mean([float(len(run.events)) for run in tests]),
        "accounts": len(tests[0]),
        "harmful": mean([float(run.harmful.sum()) for run in tests]),
        "methods": {},
    }
    methods: dict[str, Any] = {} if options.no_peers else dict(PEERS)
    methods[OURS] = lambda run: run.flags
    if options.train:
        train = list(gather_all(jobs(options.train), options.processes, options.policy))
        methods[REFERENCE] = Reference(train)
        if options.sums:
            methods[MEMORY] = Reference(train, sums=True)
        if options.evidence:
            methods[TOGETHER] = Reference(train, evidence=True)
        del train
    for name, method in methods.items():
        begun = time.perf_counter()
        found["methods"][name] = mean([measure(run, method(run), options.rounds) for run in tests])
        print(f"{kind}: {name}, {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    found |= mean([promises(run) for run in tests])
    return found


def show(kind: str, found: dict[str, Any]) -> None:
    """Print the tables of one kind."""
    console = Console(width=120)
    size = f"{found['accounts']:,} accounts, {found['harmful']:.0f} of them harmful, {found['events']:,.0f} events"
    table = Table(title=f"{kind}: {size}")
    for column in ("method", "average precision", "harm at 0.2 %", "harm at 1 %", "recall at 1 %"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for name, entry in found["methods"].items():
        low, high = entry["average_precision_interval"]
        table.add_row(
            name,
            f"{entry['average_precision']:.3f} ({low:.3f}–{high:.3f})",
            *(f"{entry[key]:.3f}" for key in ("harm_0.002", "harm_0.01", "recall")),
        )
    console.print(table)
    ours, peers = found["methods"][OURS], [n for n in found["methods"] if n not in (OURS, *REFERENCES)]
    if peers:
        best = max(peers, key=lambda name: found["methods"][name]["average_precision"])
        ratio = ours["average_precision"] / found["methods"][best]["average_precision"]
        print(f"average precision: {ratio:.2f} × the best peer's ({best})")
    if REFERENCE in found["methods"]:
        reference = found["methods"][REFERENCE]
        print(f"average precision: {ours['average_precision'] / reference['average_precision']:.2f} × the reference's")
        more = (
            f"{ours[key] - reference[key]:+.3f} at {name}"
            for key, name in (("harm_0.002", "0.2 %"), ("harm_0.01", "1 %"))
        )
        print(f"harm beside the reference's: {', '.join(more)}")
    ranked = sorted(ours["classes"].items(), key=lambda pair: pair[1])
    print("recall at 1 % by class: " + ", ".join(f"{name} {share:.2f}" for name, share in ranked))
    print(
        f"innocent accounts at medium or above: {found['innocent_at_medium_after_a_week']:.3%} after the first week; "
        f"flagged at all: {found['flagged_innocent']:.2%}; attackers at medium or above: "
        f"{found['attackers_at_medium']:.1%}"
    )
    worst = sorted(found["hard_negatives_at_medium"].items(), key=lambda pair: -pair[1])[:8]
    print("innocent at medium or above by class: " + ", ".join(f"{name} {share:.1%}" for name, share in worst))
    print(flush=True)


def numbers(text: str) -> list[int]:
    """Return whole numbers given with commas, and ranges as 1-5."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        found += range(int(low), int(high or low) + 1)
    return found


def policy_in(path: str) -> Policy:
    """Return the policy in a file."""
    try:
        return load_policy(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, PolicyError) as problem:
        raise argparse.ArgumentTypeError(f"{path}: {problem}") from None


def main() -> None:
    """Run everything and print the tables."""
    usual = ",".join(kind for kind in KINDS if kind != HELD_BACK)
    parser = argparse.ArgumentParser(description="Detection beside its peers and a supervised reference.")
    parser.add_argument("--kinds", default=usual, help=f"Scenarios, with commas; {usual} by default.")
    parser.add_argument("--seeds", type=numbers, default=[1], help="Streams to measure on, such as 1,2 or 1-3.")
    parser.add_argument(
        "--train", type=numbers, default=[11, 12], help="Streams the reference learns from; '' for none."
    )
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--days", type=float, default=28.0)
    parser.add_argument("--missing", action="append", default=[], choices=list(MISSING))
    parser.add_argument("--rounds", type=int, default=100, help="Of the bootstrap.")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--no-peers", action="store_true", help="Leave the peers out.")
    parser.add_argument("--sums", action="store_true", help="Add a reference that sums up since the beginning.")
    parser.add_argument(
        "--evidence", action="store_true", help="Add a reference that is given only the evidence by family."
    )
    parser.add_argument("--policy", type=policy_in, help="A policy other than the default.")
    parser.add_argument("--out", type=Path, help="A folder for detection.json.")
    options = parser.parse_args()
    kinds, known = options.kinds.split(","), (*NAMES, *WORLDS)
    unknown = [kind for kind in kinds if kind not in known]
    if unknown:
        parser.error(f"there is no scenario {unknown[0]!r}; choose of: {', '.join(known)}")
    if options.missing and set(kinds) & set(WORLDS):
        parser.error(f"--missing is not for the independent simulator: {', '.join(WORLDS)}")
    if set(options.seeds) & set(options.train):
        parser.error("the reference must not be measured on what it learned from: --seeds and --train share a seed")
    found = {}
    for kind in kinds:
        found[kind] = of_kind(kind, options)
        show(kind, found[kind])
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "detection.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
