"""From rows of features to flags: judging, episodes and the words of one shard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from detectors.age_impostor import AgeImpostor
from detectors.association import Association
from detectors.cold_messaging import ColdMessaging
from detectors.counterfactual import account_for
from detectors.detector import Case, Detector
from detectors.episodes import FlagRecord, Ledger, News, flag_id, score_of
from detectors.evidence import DETECTORS, MEMBER, add_up
from detectors.experience import GROUPS
from detectors.grooming_progression import GroomingProgression
from detectors.judge import Judge, Judged
from detectors.lockstep import Lockstep
from detectors.mass_add import MassAdd
from detectors.minor_targeting import MinorTargeting
from detectors.policy import SEVERITIES, Policy
from detectors.rejected_outreach import RejectedOutreach
from detectors.reported_by_minors import ReportedByMinors
from detectors.scattered_targets import ScatteredTargets
from detectors.table import VOUCHED_LIMIT
from graph.batch import EventBatch, EventKind
from graph.shard import Rows, Shard, Tick
from graph.state import DAY, WINDOWS, Var
from graph.views import evidence

__all__ = ["ALL_DETECTORS", "Engine"]

EVIDENCE: Final = 20
"""Targets and event ids in a flag, at most, the newest."""
_KINDS: Final[tuple[type[Detector], ...]] = (
    *(MassAdd, MinorTargeting, RejectedOutreach, ColdMessaging, ScatteredTargets),
    *(GroomingProgression, ReportedByMinors, Lockstep, Association, AgeImpostor),
)
ALL_DETECTORS: Final[dict[str, Detector]] = {kind.name: kind() for kind in _KINDS}
"""Every detector, by name."""


class Engine:
    """The detecting half of a shard.

    Parameters
    ----------
    shard : Shard
        Rows must be handed over before the shard moves on: evidence is read from it.
    policy : Policy
    raise_after : int
        Flags whose time lies before this (epoch ms) are not sent.
    """

    STATE: ClassVar = ("judge", "ledger")

    def __init__(self, shard: Shard, policy: Policy, raise_after: int = 0) -> None:
        self.shard = shard
        self.policy = policy
        self.version = policy.version
        self.judge = Judge(policy, shard.settings.answer_time)
        self.ledger = Ledger(policy, raise_after)
        settings = [policy.detectors.named(name) for name in DETECTORS]
        self._live = np.array([s.enabled and not s.shadow for s in settings])
        self._shadow = np.array([s.enabled and s.shadow for s in settings])

    def process(self, batch: EventBatch) -> Iterator[FlagRecord]:
        """Work through a batch on this shard alone, and yield flags in the order of events."""
        for step in self.shard.process(batch):
            yield from self.take(step)

    def take(self, step: Rows | Tick) -> Iterator[FlagRecord]:
        """Take one step of the shard: rows are judged, at a tick there is something to learn."""
        if isinstance(step, Tick):
            self.learn(step.time)
        else:
            yield from self.detect(step)

    def detect(self, rows: Rows) -> Iterator[FlagRecord]:
        """Judge rows and yield the flags they lead to, in the order of rows."""
        table = rows.table
        judged = self.judge.judge(table)
        erased = table["kind"] == EventKind.ACCOUNT_DELETED
        hits = np.flatnonzero(((judged.level >= 0) | (judged.trial >= 0).any(axis=1)) & ~erased)
        if len(hits):
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
            speak |= (judged.trial[hits] >= 0) & (own >= self.policy.evidence.speak)
            half = self.policy.evidence.score_half
            i, d = np.nonzero(speak)
            at, shadow = hits[i], self._shadow[d]
            nats = judged.total[at] + np.where(shadow, own[i, d], 0.0)
            level = np.where(shadow, judged.trial[at, d], judged.level[at])
            findings = (at, table["hash"][at], d, table["time"][at], level, score_of(nats, half), nats, shadow)
            for at_, account, d_, *found in zip(*(column.tolist() for column in findings), strict=True):
                news = self.ledger.note(account, DETECTORS[d_], *found)
                if news is not None:
                    yield self._flag(table[at_], judged, at_, DETECTORS[d_], found[3], news)
        if erased.any():
            self.judge.forget(table["account"][erased].astype(np.uint32))
            for key in table["hash"][erased].tolist():
                self.ledger.forget(key)

    def _flag(self, row: np.void, judged: Judged, i: int, name: str, nats: float, news: News) -> FlagRecord:
        """Return the flag of a row, with everything that a reviewer is told."""
        case = Case(row, int(judged.cohort[i]), judged.sums[i], judged.cusum[i], judged.nats[i], self.judge.reference)
        story = ALL_DETECTORS[name].explain(case)
        why = account_for(case, name, nats, self.judge, self.policy, int(judged.limit[i]))
        account_id, time = self.shard.name(int(row["account"])), int(row["time"])
        # texts of contacts that leave the 7 d window before the next tick may already be gone
        since = max(time - story.length, self.shard.next_tick - WINDOWS["7d"])
        targets, events = evidence(self.shard, int(row["pair"]), since=since, mask=story.mask, limit=EVIDENCE)
        return FlagRecord(
            type=news.type,
            flag_id=flag_id(account_id, name, news.started),
            account_id=account_id,
            role="actor",
            detector=name,
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
        self.judge.learn(time, state.accounts)
        if time % DAY == 0:
            self.ledger.close_stale(time)
            self.judge.forget(self.shard.forget_silent())
