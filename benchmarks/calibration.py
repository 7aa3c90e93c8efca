"""What evidence is worth: fit the curves of `detectors/policy.yaml` on simulated platforms.

    python -m benchmarks.calibration

Streams of several kinds of platform are run with every curve at "as the model says". What each family then said at an
event, and whether the account does harm, go into a logistic regression that is additive in the families: each has a
line through the same points, whose increments are held at or above zero (more of it is never worth less), and in the
middle at or above a quarter of what the model says, a twentieth of what speaks for an account: no family is worth
nothing, however well others tell the same on these platforms. That is a convex problem, with one answer.

Each kind is run with every seed, and once more, with the last, behind a classifier of signs that cannot be relied on
(`--missing sure_signs` of `kithwatch simulate`): who knows how good a platform's is.

Events are those of attackers once they are at it, a sample of all others, and each account's highest, so that accounts
with many events do not decide alone; each class of attack weighs the same. One kind of platform (`forum`) and all seeds
from 1000 on are held back. `--without` leaves classes out, to see what curves are worth for attacks that they were not
taught; `--out` writes a policy with the curves, for `python -m benchmarks.detection --policy`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.detection import HELD_BACK, numbers
from benchmarks.detection_data import Job, Run, gather_all
from detectors.cohorts import cohort_of
from detectors.evidence import FAMILIES
from detectors.policy import Policy, load_policy
from simulation.kinds import KINDS

__all__ = ["AT", "Sample", "curves_of", "fit", "plain_policy", "sample", "slack"]

AT: Final = np.array([-8, -4, -2, -1, -0.3, 0, 0.15, 0.4, 0.8, 1.5, 2.5, 4, 6, 10, 20, 40.0])
LEAST: Final = 0.25
LEAST_FOR: Final = 0.05
LEAST_TO: Final = 4.0
"""What a nat against an account is worth at least, and one for it; up to which."""
INNOCENT: Final = 12_000
"""Events of innocent accounts from each stream, half of them among those with some evidence."""
SOME: Final = 2.0
BEND: Final = 1e-5
SIZE: Final = 1e-5
ROUNDS: Final = 400
ENOUGH: Final = 10_000
"""Account-days of an age group that show how sums fall."""
ZERO: Final = AT.tolist().index(0.0)
DAY: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Events to learn from: raw evidence, shape (n, families); whether the account does harm; weight; class."""

    nats: NDArray[np.float64]
    harmful: NDArray[np.bool_]
    weight: NDArray[np.float64]
    label: NDArray[np.str_]

    def only(self, kept: NDArray[np.bool_]) -> Sample:
        """Return the events kept."""
        return Sample(self.nats[kept], self.harmful[kept], self.weight[kept], self.label[kept])


def together(samples: list[Sample]) -> Sample:
    """Return several samples as one, in which each weighs as much, and each class of attack."""
    weight = np.concatenate([s.weight / s.weight.sum() for s in samples])
    harmful = np.concatenate([s.harmful for s in samples])
    label = np.concatenate([s.label for s in samples])
    classes = np.unique(label[harmful])
    share = weight[harmful].sum() / len(classes)
    for name in classes:
        weight[label == name] *= share / weight[label == name].sum()
    return Sample(np.concatenate([s.nats for s in samples]), harmful, weight, label)


def plain_policy() -> Policy:
    """Return the default policy with curves that change nothing between the ends of `AT`."""
    ends = [AT[0].item(), 0.0, AT[-1].item()]
    lines = [f"    {name}: {ends}" for name in ("at", *(family.name for family in FAMILIES))]
    return load_policy("evidence:\n  speak: 3\n  score_half: 20\n  curves:\n" + "\n".join(lines))


def begun(run: Run) -> NDArray[np.bool_]:
    """Return the rows of accounts at it: from an attacker's first child on that it sought out; all rows of others."""
    first = np.full(len(run), np.inf)
    np.minimum.at(first, run.victim, run.reached)
    first[~np.isfinite(first)] = -np.inf
    found: NDArray[np.bool_] = run.rows["time"] >= first[run.who]
    return found


def sample(run: Run, rng: np.random.Generator) -> Sample:
    """Return events to learn from: those of attackers at it, and a sample of all others, heavier where thinner."""
    harmful = run.harmful[run.who]
    attacks = np.flatnonzero(harmful & begun(run))
    whole = run.nats.sum(axis=1)
    parts = [np.flatnonzero(~harmful & (whole > SOME)), np.flatnonzero(~harmful & (whole <= SOME))]
    chosen = [rng.choice(part, min(INNOCENT // 2, len(part)), replace=False) for part in parts]
    rows = np.bincount(run.who[attacks], minlength=len(run))[run.who[attacks]]
    share = 2.5 * INNOCENT / (len(parts[0]) + len(parts[1]))
    heavy = [np.full(len(c), len(part) / max(len(c), 1) * share) for c, part in zip(chosen, parts, strict=True)]
    kept = np.concatenate([attacks, *chosen])
    who = run.who[kept]
    weight = np.concatenate([1.0 / np.sqrt(rows), *heavy])
    return Sample(run.nats[kept].astype(np.float64), run.harmful[who], weight, run.label[who])


def highest(run: Run, curves: NDArray[np.float64]) -> Sample:
    """Return each account's event with the highest sum."""
    score = np.where(begun(run), total(run.nats, curves), -np.inf)
    order = np.lexsort((-score, run.who))
    first = np.append(True, run.who[order][1:] != run.who[order][:-1])
    kept = order[first]
    kept = kept[np.isfinite(score[kept])]
    who = run.who[kept]
    weight = np.where(run.harmful[who], 10.0, 1.0)
    return Sample(run.nats[kept].astype(np.float64), run.harmful[who], weight, run.label[who])


def steps(nats: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return how far evidence has come along each piece of each line, from 0 to 1, shape (n, families * pieces)."""
    come = np.clip((nats[:, :, None] - AT[:-1]) / np.diff(AT), 0.0, 1.0).astype(np.float32)
    return np.asarray(come.reshape(len(nats), -1), np.float32)


def fit(data: Sample) -> NDArray[np.float64]:
    """Return the curves, shape (families, points), that tell those who do harm best and never fall."""
    table, families, wide = steps(data.nats), data.nats.shape[1], np.diff(AT)
    weight = data.weight / data.weight.sum()
    middle = (AT[1:] + AT[:-1]) / 2
    least = np.tile(np.where(middle > 0, LEAST, LEAST_FOR) * wide * (np.abs(middle) < LEAST_TO), (families, 1))

    def loss(found: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        said = (table @ found[:-1].astype(np.float32)).astype(np.float64) + found[-1]
        away = np.where(data.harmful, -said, said)
        value = float(weight @ np.logaddexp(0.0, away))
        chance = 0.5 * (1.0 + np.tanh(said / 2))
        push = (weight * (chance - data.harmful)).astype(np.float32)
        inner = (push @ table).astype(np.float64)
        more = found[:-1].reshape(families, -1) - least
        slope = np.diff(more / wide, axis=1)
        value += BEND * float((slope**2).sum()) + SIZE * float((more**2).sum())
        bend = np.zeros_like(more)
        bend[:, 1:] += slope
        bend[:, :-1] -= slope
        inner += (2 * BEND * bend / wide + 2 * SIZE * more).ravel()
        return value, np.append(inner, push.sum(dtype=np.float64))

    start = np.append(np.maximum(least, 0.05).ravel(), -3.0)
    bounds = [(low, None) for low in least.ravel().tolist()] + [(None, None)]
    options = {"maxiter": ROUNDS, "maxfun": 3 * ROUNDS, "ftol": 1e-8, "gtol": 1e-6, "maxcor": 20}
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    found = np.concatenate([np.zeros((families, 1)), np.cumsum(best.x[:-1].reshape(families, -1), axis=1)], axis=1)
    return np.asarray(np.round(found - found[:, [ZERO]], 2) + 0.0, np.float64)


def total(nats: NDArray[np.float32], curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of what evidence is worth, shape (n,)."""
    found = np.zeros(len(nats))
    for f, curve in enumerate(curves):
        found += np.interp(nats[:, f], AT, curve)
    return found


def slack(run: Run, curves: NDArray[np.float64]) -> list[float]:
    """Return how much slower sums fall from 1 in 20 innocent account-days to 1 in 1,000 than from 1 in 5 to 1 in 20.

    One number an age group that has enough of them.
    """
    score = total(run.nats, curves)
    day = run.rows["time"] // DAY
    day -= day.min()
    group = cohort_of(run.rows["age"], run.rows["created"], run.rows["time"] // 1000) // 4
    found = []
    for one in range(4):
        kept = ~run.harmful[run.who] & (day >= 7) & (group == one)
        _, place = np.unique(run.who[kept].astype(np.int64) * 1000 + day[kept], return_inverse=True)
        if place.max(initial=-1) < ENOUGH:
            continue
        best = np.full(place.max() + 1, -np.inf)
        np.maximum.at(best, place, score[kept])
        fifth, twentieth, far = np.quantile(best, [0.8, 0.95, 0.999])
        found.append(float((far - twentieth) / np.log(50) / ((twentieth - fifth) / np.log(4))))
    return found


def curves_of(kinds: list[str], seeds: list[int], processes: int, without: list[str]) -> NDArray[np.float64]:
    """Gather streams and fit: once on events alone, then with each account's highest beside them."""
    jobs = [Job(kind, seed, 20_000, 28.0) for kind in kinds for seed in seeds]
    jobs += [Job(kind, seeds[-1], 20_000, 28.0, ("sure_signs",)) for kind in kinds]
    rng = np.random.Generator(np.random.PCG64(0))
    events, runs = [], []
    for run in gather_all(jobs, processes, plain_policy()):
        doubt = ", signs not to rely on" if run.job.missing else ""
        print(f"{run.job.scenario}, seed {run.job.seed}{doubt}: {len(run.rows):,} rows", file=sys.stderr)
        events.append(sample(run, rng))
        runs.append(run)
    first = together(events)
    curves = fit(first.only(~np.isin(first.label, without)))
    both = together([together(events), together([highest(run, curves) for run in runs])])
    curves = fit(both.only(~np.isin(both.label, without)))
    beyond = [ratio for run in runs for ratio in slack(run, curves)]
    few, usual, many = np.quantile(beyond, [0.1, 0.5, 0.9])
    said = f"sums fall {usual:.2f} ({few:.2f} to {many:.2f}) times as slowly beyond 1 in 20 account-days as before it"
    print(said, file=sys.stderr)
    return curves


def text_of(curves: NDArray[np.float64]) -> str:
    """Return curves as a policy states them."""
    names = ["at", *(family.name for family in FAMILIES)]
    rows = [AT, *curves]
    lines = [f"    {name}: [{', '.join(f'{x:g}' for x in row)}]" for name, row in zip(names, rows, strict=True)]
    return "evidence:\n  curves:\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Fit and print, or write a policy."""
    usual = ",".join(kind for kind in KINDS if kind != HELD_BACK)
    parser = argparse.ArgumentParser(description="Fit what evidence is worth, on simulated platforms.")
    parser.add_argument("--kinds", default=usual, help=f"Kinds of platform, with commas; {usual} by default.")
    parser.add_argument("--seeds", type=numbers, default=[41, 42])
    parser.add_argument("--without", default="", help="Classes of accounts that are left out, with commas.")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, help="A file for the policy; otherwise it is printed.")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if others := [kind for kind in kinds if kind not in KINDS]:
        parser.error(f"nothing is fitted to {others[0]!r}; choose of: {', '.join(KINDS)}")
    without = list(filter(None, options.without.split(",")))
    text = text_of(curves_of(kinds, options.seeds, options.processes, without))
    if options.out:
        options.out.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
