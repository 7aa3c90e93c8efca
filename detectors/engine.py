"""From rows of features to flags: detectors, baselines and episodes of one shard."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import ClassVar, Final

import numpy as np

from detectors.baseline import Baseline
from detectors.cohorts import cohort_of
from detectors.detector import Detector, Scored
from detectors.episodes import FlagRecord, Ledger, flag_id
from detectors.mass_add import MassAddDetector
from detectors.minor_targeting import MinorTargetingDetector
from detectors.policy import SEVERITIES, Policy
from detectors.table import FeatureTable, column, outreach
from graph.batch import EventBatch, EventKind
from graph.shard import Rows, Shard, Tick
from graph.state import DAY, WINDOWS, Var
from graph.views import evidence

__all__ = ["Engine", "detectors_of"]

SAMPLE: Final = 20_000
"""Accounts in one sample for the baselines, about; drawn by hash."""
EVIDENCE: Final = 20
"""Targets and event ids in a flag, at most, the newest."""
_TARGETS, _STRANGERS, _MINORS = column("targets"), column("strangers"), column("minors")


def detectors_of(policy: Policy) -> list[Detector]:
    """Return the detectors that a policy enables."""
    settings = policy.detectors
    found: list[Detector] = []
    if settings.mass_add.enabled:
        found.append(MassAddDetector(settings.mass_add, policy.severities, policy.baseline))
    if settings.minor_targeting.enabled:
        found.append(MinorTargetingDetector(settings.minor_targeting, policy.severities, policy.baseline))
    return found


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

    STATE: ClassVar = ("detectors", "baseline", "ledger")

    def __init__(self, shard: Shard, policy: Policy, raise_after: int = 0) -> None:
        self.shard = shard
        self.version = policy.version
        self.detectors = detectors_of(policy)
        self.baseline = Baseline(policy.baseline, shard.settings.tick)
        self.ledger = Ledger(policy, raise_after)
        self.lowest = policy.severities.nats()[0]

    def process(self, batch: EventBatch) -> Iterator[FlagRecord]:
        """Work through a batch on this shard alone, and yield flags in the order of events."""
        for step in self.shard.process(batch):
            yield from self.take(step)

    def take(self, step: Rows | Tick) -> Iterator[FlagRecord]:
        """Take one step of the shard: rows are scored, a tick teaches the baselines."""
        if isinstance(step, Tick):
            self.learn(step.time)
        else:
            yield from self.detect(step)

    def detect(self, rows: Rows) -> Iterator[FlagRecord]:
        """Score rows with all detectors and yield the flags they lead to, in the order of rows."""
        table = FeatureTable(rows.table)
        found: list[tuple[int, int, int, int, float, int]] = []
        scores: list[Scored] = []
        there = table.rows["kind"] != EventKind.ACCOUNT_DELETED  # of an erased account nothing is told, not even its id
        for d, detector in enumerate(self.detectors):
            scored = detector.score(table, self.baseline)
            scores.append(scored)
            hits = np.flatnonzero((scored.nats >= self.lowest) & there)
            if len(hits):
                here = (table.rows["hash"][hits], table.rows["time"][hits], scored.nats[hits], scored.count[hits])
                found.extend(zip(hits.tolist(), repeat(d), *(column.tolist() for column in here), strict=False))
        found.sort(key=lambda hit: hit[:2])
        for i, d, account, time, nats, count in found:
            detector, scored = self.detectors[d], scores[d]
            news = self.ledger.note(account, detector.name, time, nats, count, detector.shadow, detector.weight)
            if news is None:
                continue
            why = detector.explain(table, scored, i, self.baseline)
            row = table.rows[i]
            account_id = self.shard.name(int(row["account"]))
            # texts of contacts that leave the 7 d window before the next tick may already be gone
            since = max(time - why.window, self.shard.next_tick - WINDOWS["7d"])
            targets, events = evidence(self.shard, int(row["pair"]), since=since, mask=why.mask, limit=EVIDENCE)
            yield FlagRecord(
                type=news.type,
                flag_id=flag_id(account_id, detector.name, news.started),
                account_id=account_id,
                role="actor",
                detector=detector.name,
                severity=SEVERITIES[news.level],
                score=round(news.score, 4),
                raised_at=news.raised_at,
                updated_at=time,
                window=(time - why.window, time),
                features=why.features,
                thresholds=why.thresholds,
                baseline=why.baseline,
                targets=targets,
                event_ids=events,
                explanation=why.explanation,
                counterfactual=why.counterfactual,
                policy_version=self.version,
                shadow=news.shadow,
                ingested_at=int(row["ingested_at"]),
            )
        erased = table.rows["kind"] == EventKind.ACCOUNT_DELETED
        if erased.any():
            gone = table.rows["account"][erased].astype(np.uint32)
            for detector in self.detectors:
                detector.forget(gone)
            for key in table.rows["hash"][erased].tolist():
                self.ledger.forget(key)

    def learn(self, time: int) -> None:
        """Teach the baselines what active accounts do, as of `time`, and do the daily upkeep."""
        s = self.shard.state
        top = int(s.vars[Var.ACTIVITY_TOP])
        self.ledger.active = int(s.vars[Var.ACTIVITY])
        owner = s.owner[:top]
        rows = np.flatnonzero(owner < len(s.accounts))
        rows = rows[s.accounts["activity"][owner[rows]] == rows]
        if len(rows) > SAMPLE:
            limit = np.uint64(int(SAMPLE / len(rows) * 2**64))
            rows = rows[s.accounts["hash"][owner[rows]] < limit]
        if len(rows):
            accounts = s.accounts[owner[rows]]
            counts = s.counts[rows]
            self.baseline.fade(time)
            self.baseline.learn(
                cohort_of(accounts["age"], accounts["created"], time // 1000),
                counts[:, _TARGETS] > 0,
                outreach(counts),
                counts[:, _STRANGERS[-1]].astype(np.int64),
                counts[:, _MINORS[-1]].astype(np.int64),
            )
            self.baseline.fit_if_due(time)
        for detector in self.detectors:
            detector.learn(time)
        if time % DAY == 0:
            self.ledger.close_stale(time)
            released = self.shard.forget_silent()
            for detector in self.detectors:
                detector.forget(released)
