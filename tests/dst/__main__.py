"""Run simulated schedules: `python -m tests.dst 10000`, or one again: `python -m tests.dst --seed 4711`."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads of a tiny matrix product wait for one another

import click

from tests.dst.check import run

__all__ = ["examine", "main"]


def examine(seed: int) -> tuple[int, list[str], Counter[str]]:
    """Run one seed; return what is wrong, and what happened how often."""
    world, wrong = run(seed)
    return seed, wrong, Counter(world.happened) + Counter({"flag records": len(world.flags), "schedules": 1})


def results(seeds: range, jobs: int) -> Iterator[tuple[int, list[str], Counter[str]]]:
    """Yield the results of seeds as they come, from so many processes."""
    if jobs == 1:
        yield from map(examine, seeds)
        return
    examine(seeds[0])  # compiles, or loads what is compiled, once
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap_unordered(examine, seeds, chunksize=4)


@click.command()
@click.argument("count", type=click.IntRange(1), default=1000)
@click.option("--first", default=0, show_default=True, help="The first seed.")
@click.option("--seed", type=int, help="Run this one only, and say what happened.")
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True)
def main(count: int, first: int, seed: int | None, jobs: int) -> None:
    """Run COUNT schedules and print those that go wrong, with the command that runs them again."""
    begun = time.perf_counter()
    if seed is not None:
        _, wrong, happened = examine(seed)
        click.echo(f"seed {seed}: {_told(happened)}")
        click.echo("\n".join(wrong) or "nothing is wrong")
        sys.exit(bool(wrong))
    total: Counter[str] = Counter()
    failed = 0
    for number, wrong, happened in results(range(first, first + count), jobs):
        total += happened
        if wrong:
            failed += 1
            click.echo(f"seed {number}: {'; '.join(wrong)}\n    python -m tests.dst --seed {number}")
        elif sys.stderr.isatty():
            click.echo(f"\r{total['schedules']:,}", nl=False, err=True)
    click.echo(f"{count:,} schedules, {failed} with differences, in {time.perf_counter() - begun:.0f} s")
    click.echo(_told(total))
    sys.exit(bool(failed))


def _told(happened: Any) -> str:
    return ", ".join(f"{what} {times:,}" for what, times in sorted(happened.items()))


if __name__ == "__main__":
    main()
