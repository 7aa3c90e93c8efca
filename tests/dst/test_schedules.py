"""Simulated schedules with faults: nothing is lost, nothing is counted twice, and no flag is another one."""

from __future__ import annotations

import os

import pytest

from tests.dst.__main__ import results

SEEDS = int(os.environ.get("KITHWATCH_DST_SEEDS", "300"))


def complaints(seeds: range, jobs: int) -> list[str]:
    return [
        f"{'; '.join(wrong)}: python -m tests.dst --seed {seed}" for seed, wrong, _ in results(seeds, jobs) if wrong
    ]


def test_a_few_schedules() -> None:
    assert complaints(range(1_000_000, 1_000_025), 1) == []


@pytest.mark.slow
def test_thousands_of_schedules() -> None:
    assert complaints(range(SEEDS), os.cpu_count() or 1) == []
