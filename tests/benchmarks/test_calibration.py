"""The fit of what evidence is worth: curves never fall, tell what data tell, and make a policy that can be read."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from benchmarks.calibration import (
    AT,
    LEAST,
    LEAST_FOR,
    ZERO,
    Sample,
    fit,
    highest,
    plain_policy,
    sample,
    slack,
    text_of,
    together,
    total,
)
from benchmarks.detection_data import Job, gather
from detectors.evidence import FAMILIES
from detectors.policy import default_policy, load_policy

FEW = len(FAMILIES)


def drawn(rng: np.random.Generator, size: int = 40_000) -> Sample:
    """Events in which family 0 says what it is worth, family 1 twice that, family 2 the reverse, others nothing."""
    nats = rng.normal(0.0, 2.0, (size, FEW))
    logit = -1.0 + nats[:, 0] + 0.5 * nats[:, 1] - 0.7 * nats[:, 2]
    harmful = rng.random(size) < 1.0 / (1.0 + np.exp(-logit))
    return Sample(nats, harmful, np.ones(size), np.where(harmful, "attacker", "benign"))


def test_what_a_family_is_worth_is_found_and_none_falls() -> None:
    curves = fit(drawn(np.random.default_rng(1)))
    assert curves.shape == (FEW, len(AT))
    assert (np.diff(curves, axis=1) >= 0.0).all()
    assert not curves[:, ZERO].any()
    inner = (AT >= -2.0) & (AT <= 2.5)
    assert curves[0, inner] == pytest.approx(AT[inner], abs=0.35)
    assert curves[1, inner] == pytest.approx(0.5 * AT[inner], abs=0.25)
    least = np.where(AT > 0, LEAST, LEAST_FOR) * AT
    for f in range(2, FEW):  # what speaks the other way, or not at all, is worth the least there is
        assert curves[f, inner] == pytest.approx(least[inner], abs=0.2)


def test_classes_of_attack_weigh_the_same_however_many_events_they_have() -> None:
    rng = np.random.default_rng(2)
    one = drawn(rng, 2_000)
    names = np.where(one.harmful, np.where(rng.random(2_000) < 0.9, "many", "few"), "benign")
    both = together([Sample(one.nats, one.harmful, one.weight, names), drawn(rng, 500)])
    weights = {str(name): both.weight[both.label == name].sum() for name in np.unique(both.label[both.harmful])}
    assert set(weights) == {"many", "few", "attacker"}
    assert list(weights.values()) == pytest.approx([next(iter(weights.values()))] * 3)


def test_a_stream_is_sampled_and_its_curves_make_a_policy() -> None:
    run = gather(Job("social", 5, 600, 14.0), plain_policy())
    curves = fit(together([sample(run, np.random.default_rng(0))]))
    best = highest(run, curves)
    assert len(best.harmful) == len(np.unique(run.who))
    assert total(best.nats.astype(np.float32), curves).max() == pytest.approx(total(run.nats, curves).max(), abs=1e-3)
    assert slack(run, curves) == []  # too few account-days
    policy = load_policy(text_of(curves))
    assert policy.evidence.curves["minors"] == curves[[f.name for f in FAMILIES].index("minors")].tolist()


def test_plain_curves_say_what_the_model_says() -> None:
    plain = plain_policy().evidence.curves
    assert all(curve == plain["at"] for curve in plain.values())
    assert default_policy().evidence.curves["at"] == AT.tolist()


@pytest.mark.parametrize("kind", ["friends", "nope"])
def test_nothing_is_fitted_to_the_independent_simulator(kind: str) -> None:
    command = [sys.executable, "-m", "benchmarks.calibration", "--kinds", f"social,{kind}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"nothing is fitted to '{kind}'" in done.stderr
