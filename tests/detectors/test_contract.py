"""What every detector must do, tried on each that the default policy enables: a new one is tested at once."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.detector import Detector, Scored
from detectors.engine import detectors_of
from detectors.policy import default_policy
from detectors.table import FeatureTable
from graph.batch import AgeBand, Role
from graph.state import COLUMNS, DAY, FEATURES, MINOR, STRANGER
from tests.detectors.rows import NOW, baseline, rows

LOW = default_policy().severities.nats()[0]
NAMES = [detector.name for detector in detectors_of(default_policy())]
Make = Callable[[], Detector]


@pytest.fixture(params=NAMES)
def make(request: pytest.FixtureRequest) -> Make:
    return lambda: next(d for d in detectors_of(default_policy()) if d.name == request.param)


def grows_with(name: str) -> str:
    """The count that a detector's evidence must never fall with."""
    return {"mass_add": "strangers", "minor_targeting": "minors"}[name]


def score(detector: Detector, table: NDArray[np.void]) -> Scored:
    return detector.score(FeatureTable(table), baseline())


def guilty(name: str, n: int = 1) -> NDArray[np.void]:
    """Rows that each detector flags: 60 strangers, or 30 minors of 40 strangers, in a week, 12 in a day."""
    counts: dict[str, Any] = {
        "mass_add": {"strangers_7d": 60, "strangers_24h": 25, "strangers_1h": 2, "targets_7d": 60},
        "minor_targeting": {
            "strangers_7d": 40,
            "strangers_24h": 15,
            "strangers_1h": 2,
            "minors_7d": 30,
            "minors_24h": 12,
            "minors_1h": 1,
        },
    }[name]
    return rows(n, **counts)


@st.composite
def tables(draw: st.DrawFn, biggest: int = 60) -> NDArray[np.void]:
    """Rows of a few accounts, in time order, with counts that may be anything."""
    n = draw(st.integers(1, 25))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.Generator(np.random.PCG64(seed))
    table = np.zeros(n, FEATURES)
    table["counts"] = rng.integers(0, draw(st.integers(1, biggest)), table["counts"].shape)
    table["account"] = rng.integers(0, 4, n)
    table["hash"] = table["account"] + 1
    table["time"] = NOW + np.sort(rng.integers(0, DAY // 5, n))
    table["age"] = rng.integers(0, 6, 4)[table["account"]]
    table["created"] = rng.choice([0, 1, NOW // 1000 - 3600, 2**32 - 1], n)
    table["roles"] = rng.choice([0, 0, 0, Role.EDUCATOR, Role.MODERATOR, 0xFFFF], n)
    table["flags"] = rng.choice([0, STRANGER, STRANGER | MINOR], n)
    table["what"] = rng.integers(0, 4, n)
    return table


def test_each_has_a_docstring_that_says_how_it_works_and_what_evades_it(make: Make) -> None:
    text = __import__(type(make()).__module__, fromlist=["x"]).__doc__ or ""
    for section in ("Statistics", "Assumptions", "Source", "What evades it"):
        assert re.search(rf"^{section}\n-+\n\S", text, re.MULTILINE), section


@settings(max_examples=150)
@given(data=st.data(), table=tables())
@pytest.mark.parametrize("name", NAMES)
def test_scores_are_finite_not_negative_and_the_same_for_every_cut(
    name: str, data: st.DataObject, table: NDArray[np.void]
) -> None:
    whole, cut = (next(d for d in detectors_of(default_policy()) if d.name == name) for _ in range(2))
    once = score(whole, table)
    assert np.isfinite(once.nats).all()
    assert (once.nats >= 0).all()
    assert len(once.nats) == len(once.count) == len(table)
    edges = sorted({0, len(table), *data.draw(st.lists(st.integers(0, len(table)), max_size=4))})
    pieces = [score(cut, table[a:b]) for a, b in itertools.pairwise(edges)]
    np.testing.assert_array_equal(once.nats, np.concatenate([piece.nats for piece in pieces]))
    np.testing.assert_array_equal(once.count, np.concatenate([piece.count for piece in pieces]))


@pytest.mark.parametrize("counts", [0, 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("age", list(range(6)))
def test_extreme_rows_are_scored_and_explained(make: Make, counts: int, age: int) -> None:
    table = rows(3, age=age, created=np.array([0, 1, 2**32 - 1]))
    table["counts"] = counts
    detector = make()
    scored = score(detector, table)
    assert np.isfinite(scored.nats).all()
    for i in np.flatnonzero(scored.nats >= LOW):
        why = detector.explain(FeatureTable(table), scored, int(i), baseline())
        assert all(math.isfinite(v) for part in (why.features, why.thresholds, why.baseline) for v in part.values())


@settings(max_examples=100)
@given(table=tables(), more=st.integers(1, 20), window=st.integers(0, 2))
@pytest.mark.parametrize("name", NAMES)
def test_more_of_what_it_looks_for_is_never_less_evidence(
    name: str, table: NDArray[np.void], more: int, window: int
) -> None:
    one, other = (next(d for d in detectors_of(default_policy()) if d.name == name) for _ in range(2))
    greater = table.copy()
    for w in ("1h", "24h", "7d")[window:]:
        grown = COLUMNS.index(f"{grows_with(name)}_{w}")
        greater["counts"][:, grown] += more
        if name == "minor_targeting":  # among as many strangers: minors are strangers
            at = COLUMNS.index(f"strangers_{w}")
            for t in (table, greater):
                t["counts"][:, at] = np.maximum(t["counts"][:, at], greater["counts"][:, grown])
    assert (score(other, greater).nats >= score(one, table).nats - 1e-9).all()


def test_the_guilty_are_flagged_and_evidence_is_what_stood_in_the_row(make: Make) -> None:
    detector = make()
    table = guilty(detector.name)
    scored = score(detector, table)
    assert scored.nats[0] >= LOW
    why = detector.explain(FeatureTable(table), scored, 0, baseline())
    counts = dict(zip(COLUMNS, table["counts"][0].tolist(), strict=True))
    shared = set(why.features) & set(COLUMNS)
    assert {name: why.features[name] for name in shared} == {name: counts[name] for name in shared}
    assert any(name.startswith(grows_with(detector.name)) for name in shared)
    assert why.thresholds
    assert why.baseline
    for sentence in (why.explanation, why.counterfactual):
        assert re.fullmatch(r"[A-Z1-9].*[^.]\.", sentence)
        assert ". " not in sentence
    assert str(int(scored.count[0])) in why.explanation


@settings(max_examples=40)
@given(strangers=st.integers(8, 200), share=st.floats(0.3, 1.0), day=st.floats(0.0, 1.0), answered=st.integers(0, 20))
@pytest.mark.parametrize("name", NAMES)
def test_the_counterfactual_is_true(name: str, strangers: int, share: float, day: float, answered: int) -> None:
    """Just below every line that it names there is no flag; at one of them there is."""
    minors = int(strangers * share)
    detector = next(d for d in detectors_of(default_policy()) if d.name == name)
    table = rows(
        1,
        strangers_7d=strangers,
        minors_7d=minors,
        strangers_24h=int(strangers * day),
        minors_24h=int(minors * day),
        accepted_7d=answered,
        accepted_24h=int(answered * day),
    )
    scored = score(detector, table)
    if scored.nats[0] < LOW:
        return
    why = detector.explain(FeatureTable(table), scored, 0, baseline())
    prefix = {"mass_add": "outreach_", "minor_targeting": "minors_"}[name]
    lines = {key.removeprefix(prefix): int(v) for key, v in why.thresholds.items() if key.startswith(prefix)}
    assert lines
    for window, least in lines.items():
        assert str(least) in why.counterfactual
        for below, flagged in ((1, False), (0, True)):
            other = table.copy()
            changed = {"mass_add": "strangers", "minor_targeting": "minors"}[name]
            welcome = why.features[f"strangers_{window}"] - why.features.get(f"outreach_{window}", 0)
            value = least - below + (welcome if name == "mass_add" else 0)
            for w in ("1h", "24h", "7d"):  # every other window far below its line
                other["counts"][:, COLUMNS.index(f"{changed}_{w}")] = value if w == window else 0
            if name == "minor_targeting" and window != "7d":
                other["counts"][:, COLUMNS.index("minors_7d")] = value  # the week holds the day
                if lines.get("7d", 10**9) <= value:
                    continue
            fresh = next(d for d in detectors_of(default_policy()) if d.name == name)
            assert (score(fresh, other).nats[0] >= LOW) == flagged, (window, least, below, why.counterfactual)


def test_roles_that_the_policy_exempts_are_not_flagged_as_others_are(make: Make) -> None:
    detector = make()
    names = getattr(default_policy().detectors, detector.name).exempt_roles
    assert names
    for name in names:
        table = guilty(detector.name)
        table["roles"] = Role[name.upper()]
        assert score(make(), table).nats[0] == 0.0
    table["roles"] = Role.BUSINESS
    assert score(make(), table).nats[0] >= LOW


def test_nothing_is_flagged_below_the_least_count(make: Make) -> None:
    detector = make()
    least = getattr(default_policy().detectors, detector.name).min_count
    quiet = baseline(share=1e-6, mean=0.005)
    for k in range(least):
        table = rows(1, **{f"{what}_{w}": k for what in ("strangers", "minors") for w in ("1h", "24h", "7d")})
        assert make().score(FeatureTable(table), quiet).nats[0] == 0.0
    table = rows(1, **{f"{what}_{w}": least for what in ("strangers", "minors") for w in ("1h", "24h", "7d")})
    assert make().score(FeatureTable(table), quiet).nats[0] > 0.0


def test_a_minors_account_is_nobodys_groomer_and_a_new_account_is_scored(make: Make) -> None:
    detector = make()
    table = guilty(detector.name, 3)
    table["created"] = [0, NOW // 1000, 2**32 - 1]
    assert (score(detector, table).nats >= LOW).all()
    table["age"] = AgeBand.AGE_13_15
    assert (score(make(), table).nats > 0).all() == (detector.name == "mass_add")


def test_a_forgotten_account_begins_anew(make: Make) -> None:
    detector, fresh = make(), make()
    table = rows(30, account=5, hash=6, strangers_7d=3, minors_7d=3)
    score(detector, table)
    detector.forget(np.array([5, 10**6], np.uint32))
    np.testing.assert_array_equal(score(detector, table).nats, score(fresh, table).nats)


def test_experience_weakens_evidence_and_never_strengthens_it(make: Make) -> None:
    """A platform on which one account-day in ten looks like an attack is not told so by every tenth account."""
    detector = make()
    name = detector.name
    before = score(make(), guilty(name)).nats[0]
    for day in range(1, 15):
        crowd = guilty(name, 400)
        crowd["counts"][40:] = 0
        crowd["time"] = NOW + (day - 1) * DAY
        score(detector, crowd)
        detector.learn((NOW // DAY + day) * DAY)
    after = score(detector, guilty(name)).nats[0]
    assert after < before
    assert after < LOW
