"""Play a world and write its stream.

python -m benchmarks.independent --world friends --seed 1 --out var/friends
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.independent.output import WORLDS, Stream, write


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="A labelled stream of the independent simulator.")
    parser.add_argument("--world", required=True, choices=sorted(WORLDS))
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path, help="A folder for events.jsonl and labels.jsonl.")
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=28)
    given = parser.parse_args()
    if given.accounts < 200 or given.days < 3:
        parser.error("at least 200 accounts and 3 days")
    count = write(Stream(given.world, given.seed, given.accounts, given.days), given.out)
    print(f"{count:,} events of {given.accounts:,} accounts", file=sys.stderr)


if __name__ == "__main__":
    main()
