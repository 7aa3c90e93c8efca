"""The model card: whom kithwatch finds and whom it wrongs, by age band, role and kind of platform.

    python -m benchmarks.model_card --out docs/model-card.md

Simulates every kind of platform, replays it under the default policy, and writes the card: the text stands in
`benchmarks/model_card.md`, the tables are put in. Every figure in them comes from the seeds that the card names.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from detectors.evaluation import average_precision, wilson
from detectors.policy import default_policy
from simulation.kinds import KINDS
from simulation.scenarios import build
from streams.labelled import Contacts, Flags, Labels, read_contacts, read_flags, read_labels
from streams.measures import BANDS, tally
from streams.outflow import flag_bytes
from streams.replay import Replay

__all__ = ["card", "measured"]

TEXT: Final = Path(__file__).with_suffix(".md")
Table = dict[str, Counter[str]]
BLOCK: Final = 20_000
"""Events in one call of the replay."""


def measured(kind: str, seed: int, accounts: int, days: float) -> tuple[Labels, Flags, Contacts]:
    """Simulate a platform, replay it, and read what came of it as `kithwatch evaluate` does."""
    made = build(kind, seed, accounts, days)
    run = Replay(default_policy())
    with tempfile.TemporaryDirectory(prefix="kithwatch-card-") as place:
        folder = Path(place)
        lines = list(made.lines())
        (folder / "events.jsonl").write_bytes(b"".join(lines))
        (folder / "labels.jsonl").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in made.labels()))
        with (folder / "flags.jsonl").open("wb") as out:
            for start in range(0, len(lines), BLOCK):
                for record in run.feed(b"".join(lines[start : start + BLOCK])):
                    out.write(flag_bytes(record) + b"\n")
        labels = read_labels(folder / "labels.jsonl")
        return labels, read_flags(folder / "flags.jsonl", labels), read_contacts(folder / "events.jsonl", labels)


def _share(part: int, whole: int) -> str:
    """Return a share in percent with its interval."""
    if not whole:
        return "–"
    around = wilson(part / whole, whole)
    return f"{100 * around.value:.2f} % ({100 * around.low:.2f}–{100 * around.high:.2f})"


def _rows(table: Table, names: Iterable[str]) -> str:
    lines = [
        "| | innocent accounts | wrongly flagged, `medium` or above | of any severity | harmful accounts | missed |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in names:
        c = table.get(name, Counter())
        wrong = _share(c["innocent_medium"], c["innocent"]), _share(c["innocent_flagged"], c["innocent"])
        missed = _share(c["harmful"] - c["harmful_medium"], c["harmful"])
        lines.append(f"| {name} | {c['innocent']:,} | {wrong[0]} | {wrong[1]} | {c['harmful']:,} | {missed} |")
    return "\n".join(lines)


def card(kinds: Iterable[str], seeds: Iterable[int], accounts: int, days: float) -> str:
    """Return the card."""
    by: dict[str, Table] = {"age_band": {}, "role": {}, "kind": {}}
    precision: dict[str, list[float]] = {}
    seeds = list(seeds)
    for kind in kinds:
        for seed in seeds:
            labels, flags, contacts = measured(kind, seed, accounts, days)
            for how, table in tally(labels, flags, contacts).items():
                for name, counts in table.items():
                    by[how].setdefault(name, Counter()).update(counts)
                    if how == "age_band":
                        by["kind"].setdefault(kind, Counter()).update(counts)
            precision.setdefault(kind, []).append(average_precision(flags.score, labels.harmful))
    ranked = "\n".join(
        ["| | average precision |", "| --- | --- |"]
        + [f"| {kind} | {sum(values) / len(values):.2f} |" for kind, values in precision.items()]
    )
    return (
        TEXT.read_text(encoding="utf-8")
        .replace("{by_age_band}", _rows(by["age_band"], [band for band in BANDS if band in by["age_band"]]))
        .replace("{by_role}", _rows(by["role"], sorted(by["role"], key=lambda role: (role != "none", role))))
        .replace("{by_kind}", _rows(by["kind"], by["kind"]))
        .replace("{average_precision}", ranked)
        .replace("{accounts}", f"{accounts:,}")
        .replace("{days}", f"{days:g}")
        .replace("{seeds}", ", ".join(map(str, seeds)))
        .replace("{policy}", default_policy().version)
    )


def main() -> None:
    """Write the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--seeds", default="101")
    parser.add_argument("--accounts", type=int, default=2000)
    parser.add_argument("--days", type=float, default=10)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    seeds = [int(seed) for seed in chosen.seeds.split(",")]
    chosen.out.write_text(card(chosen.kinds.split(","), seeds, chosen.accounts, chosen.days), encoding="utf-8")


if __name__ == "__main__":
    main()
