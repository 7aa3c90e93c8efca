"""From rows of features to flags: judging, episodes and the words of one shard."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.age_impostor import AgeImpostor
from detectors.association import Association
from detectors.cold_messaging import ColdMessaging
from detectors.counterfactual import Account, account_for
from detectors.detector import Case, Detector, Story
from detectors.episodes import FlagRecord, Ledger, News, flag_id, score_of
from detectors.evidence import DETECTORS, MEMBER, add_up
from detectors.experience import GROUPS
from detectors.grooming_progression import GroomingProgression
from detectors.judge import Judge, Judged
from detectors.lists import Lists
from detectors.lockstep import Lockstep
from detectors.mass_add import MassAdd
from detectors.minor_targeting import MinorTargeting
from detectors.policy import SEVERITIES, Policy
from detectors.rejected_outreach import RejectedOutreach
from detectors.reported_by_minors import ReportedByMinors
from detectors.retraction import retract, taken_back
from detectors.reviews import review
from detectors.rules import PREFIX, Rules
from detectors.scattered_targets import ScatteredTargets
from detectors.table import VOUCHED_LIMIT
from detectors.victim_exposure import NAME as EXPOSURE
from detectors.victim_exposure import Exposure
from graph.batch import EventBatch, EventKind
from graph.message import Reviews
from graph.shard import Rows, Shard, Tick
from graph.state import CONTACT, DAY, EXPOSED, FIRST, WINDOWS, WITHDRAWN, Var
from graph.views import evidence

__all__ = ["ALL_DETECTORS", "Engine"]

EVIDENCE: Final = 20
"""Targets and event ids in a flag, at most, the newest."""
_KINDS: Final[tuple[type[Detector], ...]] = (
    *(MassAdd, MinorTargeting, RejectedOutreach, ColdMessaging, ScatteredTargets),
    *(GroomingProgression, ReportedByMinors, Lockstep, Association, AgeImpostor),
)
ALL_DETECTORS: Final[dict[str, Detector]] = {kind.name: kind() for kind in _KINDS}
"""Every detector whose evidence is part of an account's sum, by name."""


class Finding(NamedTuple):
    """What the ledger is told of one row, and where its evidence stands."""

    position: int  # row in the table
    account: int  # hash
    detector: str
    time: int
    level: int
    score: float
    nats: float
    shadow: bool
    judged: int  # row in what was judged; -1 for a minor at risk


Found = tuple[Any, ...]
"""A `Finding`, or the plain tuple of its fields: most findings are no news, and to make one of each would cost more."""

_position = itemgetter(0)


class Engine:
    """The detecting half of a shard.

    Parameters
    ----------
    shard : Shard
        Rows must be handed over before the shard moves on: evidence is read from it.
    policy : Policy
    raise_after : int
        Flags whose time lies before this (epoch ms) are not sent.
    lists : Lists, optional
        Who stands on the policy's lists.
    """

    STATE: ClassVar = ("judge", "exposure", "ledger")

    def __init__(self, shard: Shard, policy: Policy, raise_after: int = 0, lists: Lists | None = None) -> None:
        self.shard = shard
        self.policy = policy
        self.version = policy.version
        self.judge = Judge(policy, shard.settings.answer_time)
        self.exposure = Exposure(policy)
        self.ledger = Ledger(policy, raise_after)
        self.lists = lists or Lists()
        self.rules = Rules(policy, self.lists)
        settings = [policy.detectors.named(name) for name in DETECTORS]
        self._names = (*DETECTORS, EXPOSURE, *(PREFIX + name for name in policy.rules))
        self._live = np.array([s.enabled and not s.shadow for s in settings])
        self._shadow = np.array([s.enabled and s.shadow for s in settings])

    def process(self, batch: EventBatch) -> Iterator[FlagRecord]:
        """Work through a batch on this shard alone, and yield flags in the order of events."""
        for step in self.shard.process(batch):
            yield from self.take(step)

    def take(self, step: Rows | Tick | Reviews) -> Iterator[FlagRecord]:
        """Take one step of the shard: rows are judged, at a tick there is something to learn, reviews are obeyed."""
        if isinstance(step, Tick):
            self.learn(step.time)
        elif isinstance(step, Reviews):
            yield from review(step.table, self.shard, self.ledger, self._names, self.version)
        else:
            yield from self.detect(step)

    def detect(self, rows: Rows) -> Iterator[FlagRecord]:
        """Judge rows and yield the flags they lead to, in the order of rows."""
        table = rows.table
        at_risk = np.flatnonzero(table["what"] == EXPOSED)
        if len(at_risk):  # they are judged apart
            place = np.flatnonzero(table["what"] != EXPOSED)
            accused = table[place]
            judged = self.judge.judge(accused)
            found = [(int(place[f[0]]), *f[1:]) for f in self._accused(accused, judged)]
            found = sorted([*found, *self._exposed(table, at_risk)], key=_position)
        else:
            place, accused = np.arange(len(table)), table
            judged = self.judge.judge(table)
            found = self._accused(table, judged)
        if self.policy.suppress:
            found = [f for f in found if not self._rests(Finding._make(f))]
        undone = taken_back(accused).tolist()
        ruled: set[tuple[int, str]] = set()
        if undone:  # such rows raise nothing, and what they take back has its place among what others raise
            silent = set(undone)
            ruled = {(f[8], f[2]) for f in found if f[8] in silent}
            found = [f for f in found if f[8] not in silent]
            found = sorted([*found, *((int(place[i]), None, i) for i in undone)], key=_position)
        note = self.ledger.note
        for each in found:  # plain tuples: hardly one in ten is news
            if each[1] is None:
                yield from retract(
                    *(accused, judged, each[2], self.shard, self.ledger, self._names, ruled, self.version)
                )
                continue
            news = note(*each[1:8])
            if news is not None:
                f = Finding._make(each)
                row = table[f.position]
                yield self._flag(row, judged, f, news) if f.judged >= 0 else self._protect(row, f, news)
        erased = table["kind"] == EventKind.ACCOUNT_DELETED
        if erased.any():
            self.judge.forget(table["account"][erased].astype(np.uint32))
            self.ledger.forget(set(table["hash"][erased].tolist()))

    def _accused(self, table: NDArray[np.void], judged: Judged) -> list[Found]:
        """Return what detectors and rules find of accounts, in the order of rows."""
        found = self._suspects(table, judged)
        if not len(self.rules):
            return found
        # erased accounts have no contact, and so break no rule
        ruled = []
        back = table["what"] == WITHDRAWN
        if back.any():  # asked as if the request were sent once more
            table = table.copy()
            table["what"][back] = FIRST
        for row, detector, level, shadow in self.rules.find(table, judged):
            group = int(judged.cohort[row]) // 4
            line = self.judge.experience.needed(group, float(self.judge.lines[level]))
            nats = max(float(judged.total[row]), line)
            score = float(score_of(np.array(nats), self.policy.evidence.score_half))
            key, time = int(table["hash"][row]), int(table["time"][row])
            ruled.append(Finding(row, key, detector, time, level, score, nats, shadow, row))
        return sorted([*found, *ruled], key=_position)

    def _rests(self, f: Finding) -> bool:
        """Tell whether the policy lets a flag rest since the account is on a list."""
        return any(
            f.detector in rest.detectors
            and f.level <= SEVERITIES.index(rest.up_to)
            and bool(self.lists.holds(rest.whom, np.array([f.account], np.uint64), np.array([f.time]))[0])
            for rest in self.policy.suppress
        )

    def _suspects(self, table: NDArray[np.void], judged: Judged) -> list[Found]:
        """Return what is found of accounts under suspicion, in the order of rows."""
        erased = table["kind"] == EventKind.ACCOUNT_DELETED
        raised = judged.level >= 0
        if self._shadow.any():
            raised |= (judged.trial >= 0).any(axis=1)
        hits = np.flatnonzero(raised & ~erased)
        if not len(hits):
            return []
        own = np.empty((len(hits), len(DETECTORS)))
        add_up(judged.nats, hits, MEMBER, own)
        speak = self._live & (own >= self.policy.evidence.speak)
        leader = np.where(self._live, own, -np.inf).argmax(axis=1)
        speak[np.arange(len(hits)), leader] = self._live[leader]
        speak &= (judged.level[hits] >= 0)[:, None]
        vouched = judged.limit[hits] == VOUCHED_LIMIT
        if vouched.any():  # the one limit that flags whatever the evidence, and then it alone speaks
            lines = np.array([self.judge.line(group) for group in range(GROUPS)])
            speak[vouched & (judged.total[hits] < lines[judged.cohort[hits] // 4])] = False
            speak[vouched, DETECTORS.index(MinorTargeting.name)] = True
        if self._shadow.any():
            speak |= (judged.trial[hits] >= 0) & (own >= self.policy.evidence.speak)
        i, d = np.nonzero(speak)
        at, shadow = hits[i], self._shadow[d]
        nats = judged.total[at] + np.where(shadow, own[i, d], 0.0)
        level = np.where(shadow, judged.trial[at, d], judged.level[at])
        names = [DETECTORS[each] for each in d.tolist()]
        score = score_of(nats, self.policy.evidence.score_half)
        before = (column.tolist() for column in (at, table["hash"][at]))
        after = (column.tolist() for column in (table["time"][at], level, score, nats, shadow, at))
        return list(zip(*before, names, *after, strict=True))

    def _exposed(self, table: NDArray[np.void], at_risk: NDArray[np.int64]) -> list[Finding]:
        """Return what is found of minors for whom suspects reach."""
        found = []
        for i in at_risk.tolist():
            row = table[i]
            level, nats = self.exposure.judge(row)
            if level >= 0:
                score = float(score_of(np.array(nats), self.policy.evidence.score_half))
                shadow = self.exposure.shadow
                found.append(Finding(i, int(row["hash"]), EXPOSURE, int(row["time"]), level, score, nats, shadow, -1))
        return found

    def _flag(self, row: np.void, judged: Judged, f: Finding, news: News) -> FlagRecord:
        """Return the flag of a row, with everything that a reviewer is told."""
        i, name = f.judged, f.detector
        case = Case(row, int(judged.cohort[i]), judged.sums[i], judged.cusum[i], judged.nats[i], self.judge.reference)
        if name.startswith(PREFIX):
            values = self.rules.values(name, i)
            explanation, counterfactual = self.rules.explain(name, values)
            total = float(judged.total[i])
            said = account_for(case, name, total, self.judge, self.policy, 0)
            why = Account(said.features, said.thresholds, said.contributions, counterfactual)
            return self._record(row, f, news, "actor", Story(explanation, values, {}, 7 * DAY, CONTACT), why)
        story = ALL_DETECTORS[name].explain(case)
        why = account_for(case, name, f.nats, self.judge, self.policy, int(judged.limit[i]))
        return self._record(row, f, news, "actor", story, why)

    def _protect(self, row: np.void, f: Finding, news: News) -> FlagRecord:
        """Return the flag of a minor who may need protection."""
        return self._record(row, f, news, "target", self.exposure.explain(row), self.exposure.account_for(row, f.nats))

    def _record(self, row: np.void, f: Finding, news: News, role: str, story: Story, why: Account) -> FlagRecord:
        account, time = int(row["account"]), int(row["time"])
        # texts of contacts that leave the 7 d window before the next tick may already be gone
        since = max(time - story.length, self.shard.next_tick - WINDOWS["7d"])
        account_id, targets, events = evidence(
            self.shard, account, int(row["pair"]), since=since, mask=story.mask, limit=EVIDENCE
        )
        return FlagRecord(
            type=news.type,
            flag_id=flag_id(account_id, f.detector, news.started),
            account_id=account_id,
            role=role,
            detector=f.detector,
            severity=SEVERITIES[news.level],
            score=round(news.score, 4),
            raised_at=news.raised_at,
            updated_at=time,
            window=(time - story.length, time),
            features=story.features | why.features,
            thresholds=why.thresholds,
            baseline=story.baseline,
            targets=targets,
            event_ids=events,
            explanation=story.explanation + why.contributions,
            counterfactual=why.counterfactual,
            policy_version=self.version,
            shadow=news.shadow,
            ingested_at=int(row["ingested_at"]),
        )

    def learn(self, time: int) -> None:
        """Learn what accounts do, as of `time`, and do the daily upkeep."""
        state = self.shard.state
        self.ledger.active = int(state.vars[Var.ACTIVITY])
        self.shard.set_suspicion(*self.judge.suspects())
        self.exposure.learn(self.shard)
        self.judge.learn(time, state.accounts)
        if time % DAY == 0:
            self.ledger.close_stale(time)
            self.judge.forget(self.shard.forget_silent())
