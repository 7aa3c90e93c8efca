"""The sequential test: as a plain model says, quick enough for the slow, quiet for the ordinary."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.cusum import Cusum
from detectors.policy import default_policy
from graph.state import DAY, FEATURES, FIRST, LINKED, MINOR, OUTCOME, SIGNED, SILENCE, STRANGER, WITHDRAWN
from tests.detectors.rows import NOW, rows

ODDS = 4.0
SHARE, RATE = 0.1, 0.02


def plain(table: NDArray[np.void], skip: NDArray[np.bool_]) -> list[tuple[int, int, int, float]]:
    """Page's recursion, one account in a dictionary: minors, strangers and sum as of each row."""
    sums: dict[int, dict[str, Any]] = {}
    out = []
    for row, skipped in zip(table, skip, strict=True):
        account = int(row["account"])
        minor = bool(row["flags"] & MINOR)
        s = sums.get(account)
        if row["what"] == FIRST and not skipped and row["flags"] & STRANGER and (s or minor):
            s = sums.setdefault(
                account, {"value": 0.0, "minors": 0, "linked": 0, "strangers": 0, "at": int(row["time"])}
            )
            expected = max(SHARE, RATE * max(int(row["time"]) - s["at"], 0) / DAY)
            gain = (0.5 if row["flags"] & LINKED else 1.0) * math.log(ODDS) if minor else 0.0
            s["value"] += gain - (ODDS - 1.0) * expected
            s["minors"] += minor
            s["linked"] += bool(minor and row["flags"] & LINKED)
            s["strangers"] += 1
            s["at"] = max(s["at"], int(row["time"]))
            if s["value"] <= 0.0:
                del sums[account]
        elif row["what"] == WITHDRAWN and not skipped and row["flags"] & STRANGER and s:
            s["strangers"] = max(s["strangers"] - 1, 0)
            if minor:
                s["minors"] = max(s["minors"] - 1, 0)
                s["linked"] = max(s["linked"] - bool(row["flags"] & LINKED), 0)
                s["value"] -= (0.5 if row["flags"] & LINKED else 1.0) * math.log(ODDS)
                if s["value"] <= 0.0:
                    del sums[account]
        s = sums.get(account)
        out.append((s["minors"], s["linked"], s["strangers"], s["value"]) if s else (0, 0, 0, 0.0))
    return out


@settings(max_examples=300)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 80), gone=st.integers(0, 80))
def test_it_is_pages_recursion(seed: int, n: int, gone: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    table = np.zeros(n, FEATURES)
    table["account"] = rng.choice([0, 1, 7, 5000], n)
    table["time"] = NOW + np.cumsum(rng.integers(-DAY, 3 * DAY, n))
    table["what"] = np.where(
        rng.random(n) < 0.9, FIRST, rng.choice([OUTCOME, SILENCE, SIGNED, WITHDRAWN, WITHDRAWN], n)
    )
    table["flags"] = rng.choice([0, STRANGER, STRANGER | MINOR, STRANGER | LINKED | MINOR], n)
    skip = rng.random(n) < 0.1
    cusum = Cusum(ODDS)
    gone = min(gone, n)
    parts = [
        cusum.follow(part, np.full(len(part), SHARE), np.full(len(part), RATE), hidden)
        for part, hidden in ((table[:gone], skip[:gone]), (table[gone:], skip[gone:]))
    ]
    found = np.concatenate(parts)
    for have, (minors, linked, strangers, value) in zip(found, plain(table, skip), strict=True):
        assert (have["minors"], have["linked"], have["strangers"]) == (minors, linked, strangers)
        assert abs(float(have["value"]) - value) < 1e-9


def life(rng: np.random.Generator, days: int, minors: float, others: float) -> NDArray[np.void]:
    """First contacts with strangers of one account over days."""
    kinds = np.concatenate([np.ones(rng.poisson(minors * days)), np.zeros(rng.poisson(others * days))])
    table = rows(len(kinds), account=0, hash=1)
    table["time"] = NOW + np.sort(rng.integers(0, days * DAY, len(kinds)))
    table["flags"] = np.where(rng.permutation(kinds) > 0, STRANGER | MINOR, STRANGER)
    return table


def highest(table: NDArray[np.void]) -> float:
    """The most that the test says in a life, in nats."""
    n = len(table)
    found = Cusum(ODDS).follow(table, np.full(n, SHARE), np.full(n, RATE), np.zeros(n, np.bool_))
    return float(found["value"].max(initial=0.0))


def test_a_few_children_a_day_for_weeks_say_all_that_a_family_may() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    policy = default_policy()
    curve = policy.evidence.curves["minor_sum"]
    top = policy.evidence.curves["at"][curve.index(max(curve))]
    most = top / policy.detectors.minor_targeting.odds["minor_sum"]
    assert all(highest(life(rng, 21, minors=2.5, others=0.5)) >= most for _ in range(50))


def test_somebody_who_meets_many_people_and_minors_among_them_as_others_do_is_hardly_spoken_of() -> None:
    rng = np.random.Generator(np.random.PCG64(2))
    met = [highest(life(rng, 28, minors=10 * SHARE, others=10 * (1 - SHARE))) for _ in range(300)]
    # some hundred contacts with nobody's child between them begin an excursion; few get far
    assert np.mean(np.array(met) >= 8.0) < 0.1


def test_false_alarms_of_an_excursion_stay_below_walds_bound() -> None:
    """The exposure model: each contact is a minor with the cohort's share, and by share alone."""
    rng = np.random.Generator(np.random.PCG64(3))
    limit = 6.0
    table = rows(400_000, account=0, hash=1)
    table["flags"] = np.where(rng.random(len(table)) < SHARE, STRANGER | MINOR, STRANGER)
    nothing = np.zeros(len(table))
    sums = Cusum(ODDS).follow(table, np.full(len(table), SHARE), nothing, np.zeros(len(table), np.bool_))
    value = sums["value"]
    begins = int(((value > 0) & (np.append(0.0, value[:-1]) <= 0)).sum())
    crossed = (value >= limit) & (np.append(0.0, value[:-1]) < limit)
    assert begins > 10_000
    # Wald, for a sum that has already gained its first minor: exp(-(limit - ln odds)) an excursion
    assert crossed.sum() / begins < math.exp(-(limit - math.log(ODDS)))
