"""The judging half of a shard: from rows of features to evidence, and from evidence to how rare it is here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from detectors.cohorts import MINOR, cohort_of
from detectors.curves import Curves
from detectors.cusum import Cusum
from detectors.evidence import DETECTORS, FAMILIES, MEMBER, RATES, SHARES, Params, add_up, fill_counts, weigh
from detectors.experience import GROUPS, Experience, weaken
from detectors.policy import Policy, role_bits
from detectors.reference import Reference
from detectors.sums import Sums
from detectors.table import MASS_LIMIT, MINOR_LIMIT, VOUCHED_LIMIT, column, outreach_in
from graph.jit import njit
from graph.state import DAY

__all__ = ["Judge", "Judged"]

SAMPLE: Final = 8_000
"""Accounts in one sample for the reference, about; drawn by hash."""
NUMBERS: Final = {family.name: i for i, family in enumerate(FAMILIES)}
_MINORS: Final = column("minors")
TICK: Final = DAY // 4
"""How long what was learned is used, about, ms: references take account of what sums will hold by then."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What is made of a table of n rows.

    Attributes
    ----------
    cohort : ndarray of int64, shape (n,)
    sums : ndarray of float32, shape (n, Sum.SIZE)
    cusum : ndarray of detectors.cusum.SUM, shape (n,)
    nats : ndarray, shape (n, families)
        Evidence by family: what it is worth.
    total : ndarray, shape (n,)
        The sum of those that count: without detectors in shadow.
    level : ndarray of int8, shape (n,)
        Severity, an index into `detectors.policy.SEVERITIES`; -1 below the lowest.
    limit : ndarray of int8, shape (n,)
        The plain limit that raised the level, as in `detectors.table`, or 0.
    trial : ndarray of int8, shape (n, detectors)
        For a detector in shadow, the level if it were live; -1 for others.
    """

    cohort: NDArray[np.int64]
    sums: NDArray[np.float32]
    cusum: NDArray[np.void]
    nats: NDArray[np.float64]
    total: NDArray[np.float64]
    level: NDArray[np.int8]
    limit: NDArray[np.int8]
    trial: NDArray[np.int8]


class Limits:
    """The plain limits of a policy, as kernels take them."""

    def __init__(self, policy: Policy) -> None:
        mass, minors = policy.detectors.mass_add, policy.detectors.minor_targeting
        off = (np.inf, np.inf, np.inf)
        self.mass = np.array(mass.limits.values() if mass.enabled and not mass.shadow else off)
        self.minors = np.array(minors.limits.values() if minors.enabled and not minors.shadow else off)
        self.vouched = float(minors.exempt_limit_7d) if minors.enabled and not minors.shadow else np.inf
        self.roles = np.array([role_bits(minors.exempt_roles), role_bits(mass.exempt_roles)], np.int64)


@njit
def grade(
    rows: Any,
    group: Any,
    total: Any,
    share: float,
    at: Any,
    scale: Any,
    lines: Any,
    mass: Any,
    minors: Any,
    vouched: float,
    roles: Any,
    level: Any,
    limit: Any,
) -> None:
    """Write the severity of each row, and the plain limit that raised it, if one did."""
    for i in range(len(rows)):
        r = rows[i]
        g = group[i]
        nats = weaken(total[i], share, at[g], scale[g])
        found = -1
        for line in range(len(lines)):
            if nats >= lines[line]:
                found = line
        by = 0
        if 0 <= found < 1:
            for w in range(3):
                if not r.roles & roles[1] and outreach_in(r.counts, w) >= mass[w]:
                    by = MASS_LIMIT + w
                if not r.roles & roles[0] and g != MINOR and r.counts[_MINORS[w]] >= minors[w]:
                    by = MINOR_LIMIT + w
        if found < 1 and r.roles & roles[0] and g != MINOR and r.counts[_MINORS[2]] >= vouched:
            by = VOUCHED_LIMIT
        level[i] = max(found, 1) if by else found
        limit[i] = by


class Judge:
    """Sums, references and experience of one shard.

    Parameters
    ----------
    policy : Policy
    answer_time : int
        After which a contact counts as ignored, ms.
    """

    STATE: ClassVar = ("sums", "cusum", "reference", "experience", "began", "learned")

    def __init__(self, policy: Policy, answer_time: int) -> None:
        self.lines = np.array(policy.severities.nats())
        memory = int(policy.evidence.memory_days * DAY)
        self.memory_days = policy.evidence.memory_days
        self.sums = Sums(memory, answer_time)
        self.cusum = Cusum(policy.detectors.minor_targeting.sequential_odds)
        prior = np.array([family.prior for family in SHARES])
        # the second rate is that of minors, for the sequential test
        self.reference = Reference(policy.baseline, prior, np.array([RATES[0].prior, 0.1]))
        self.experience = Experience(policy.baseline)
        self.limits = Limits(policy)
        self.curves = Curves.of(policy.evidence.curves, [family.name for family in FAMILIES])
        self.odds = np.ones(len(FAMILIES))
        self.counts = np.zeros(len(FAMILIES))
        self.weight = np.ones(len(FAMILIES))
        for f, family in enumerate(FAMILIES):
            settings = policy.detectors.summed(family.detector)
            self.odds[f] = settings.odds[family.name]
            self.counts[f] = settings.enabled and not settings.shadow
            self.weight[f] = settings.weight
        named = [policy.detectors.named(name) for name in DETECTORS]
        self.on_trial = [d for d, settings in enumerate(named) if settings.enabled and settings.shadow]
        self._k, self._n = np.zeros(len(SHARES)), np.zeros(len(SHARES))
        self.began = -1  # time of the first row, ms
        self.learned = -1
        self._prepared: tuple[object, float, Params] | None = None

    @property
    def params(self) -> Params:
        """What follows from the reference as it stands."""
        learned = self.reference
        if self._prepared is None or self._prepared[0] is not learned.share or self._prepared[1] != learned.filled:
            made = Params.of(learned, self.odds, self.counts, self.curves, self.weight)
            self._prepared = (learned.share, learned.filled, made)
        return self._prepared[2]

    def judge(self, rows: NDArray[np.void]) -> Judged:
        """Judge rows of `graph.state.FEATURES`, in order, and carry the accounts' sums along."""
        n = len(rows)
        if self.began < 0 < n:
            self.began = int(rows["time"][0])
        cohort = cohort_of(rows["age"], rows["created"], rows["time"] // 1000)
        group = cohort // 4
        sums = self.sums.follow(rows)
        skip = (group == MINOR) | ((rows["roles"] & int(self.limits.roles[0])) != 0)
        reference = self.reference
        share, rate = reference.share[NUMBERS["minors"]], reference.mean[1] / self.memory_days
        cusum = self.cusum.follow(rows, share[cohort], rate[cohort], skip)
        nats, total = np.empty((n, len(FAMILIES))), np.empty(n)
        weigh(rows, sums, cusum, cohort, self.params, self.limits.roles, self._k, self._n, nats, total)
        self.experience.note(rows, group, total)
        level, limit = self._grade(rows, group, total)
        trial = np.full((n, len(DETECTORS)), -1, np.int8)
        for d in self.on_trial:
            own = np.empty((n, 1))
            add_up(nats, np.arange(n), MEMBER[:, d : d + 1], own)
            trial[:, d], _ = self._grade(rows, group, total + own[:, 0])
        return Judged(cohort, sums, cusum, nats, total, level, limit, trial)

    def _grade(
        self, rows: NDArray[np.void], group: NDArray[np.int64], total: NDArray[np.float64]
    ) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        level, limit = np.empty(len(rows), np.int8), np.empty(len(rows), np.int8)
        e, x = self.experience, self.limits
        grade(
            *(rows, group, total, e.share, e.at, e.scale, self.lines),
            *(x.mass, x.minors, x.vouched, x.roles, level, limit),
        )
        return level, limit

    def suspects(self) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        """Return the accounts judged since the last day ended, by row, and how far each is under suspicion.

        Under suspicion (1) is whose evidence reached the line of `low`, under strong suspicion (2) that of `medium`,
        and so on; others are not (0).
        """
        e = self.experience
        accounts = e.noted()
        lines = np.array([[e.needed(group, line) for group in range(GROUPS)] for line in self.lines.tolist()])
        values = (e.peaks[accounts] >= lines[:, e.groups[accounts]]).sum(axis=0).astype(np.uint8)
        return accounts.astype(np.uint32), values

    def line(self, group: int) -> float:
        """Return the evidence at which an account of an age group is flagged at all, in nats."""
        return self.experience.needed(group, float(self.lines[0]))

    def learn(self, time: int, accounts: NDArray[np.void]) -> None:
        """Learn from the accounts that moved since the last tick, as of `time`, epoch ms.

        Parameters
        ----------
        time : int
        accounts : ndarray of graph.state.ACCOUNT
            The shard's, by row.
        """
        moved = self.sums.moved_since(self.learned)
        self.learned = time
        owner = self.sums.owner[moved]
        if len(moved) > SAMPLE:
            kept = accounts["hash"][owner] < np.uint64(int(SAMPLE / len(moved) * 2**64))
            moved, owner = moved[kept], owner[kept]
        if len(moved):
            cohort = cohort_of(accounts["age"][owner], accounts["created"][owner], time // 1000)
            values = self.sums.values[moved]
            k, n = np.zeros((len(moved), len(SHARES))), np.zeros((len(moved), len(SHARES)))
            rate = np.zeros((len(moved), 2))
            fill_counts(values, k, n, rate)
            applies = self.params.applies[: len(SHARES), :][:, cohort].T
            self.reference.learn(time, cohort, k, np.where(applies, n, 0.0), rate, self._filled(time))
        self.reference.filled = self._filled(time + TICK)
        self.experience.learn(time)
        if time % DAY == 0:
            self.sums.drop_faded(time)

    def _filled(self, time: int) -> float:
        """Return what part of a full sum an account's sums can hold at `time`, epoch ms."""
        if self.began < 0:
            return 1.0
        return -math.expm1(-max(time - self.began, TICK) / self.sums.memory)

    def forget(self, accounts: NDArray[np.uint32]) -> None:
        """Drop all state of accounts, by row of the shard."""
        self.sums.forget(accounts)
        self.cusum.forget(accounts)
        self.experience.forget(accounts)
