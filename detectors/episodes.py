"""Episodes: findings of one account and detector become one flag, sent again only when there is news.

A reviewer who dismisses a flag ends its episode, and lets that account and detector rest until the evidence is
**materially new**: a finding of higher severity than the episode reached, or one whose evidence exceeds the highest
that was sent by `renew_nats`, or one later than `rest_days` after the decision, by when nothing of what the reviewer
judged is left in the fading sums. Such a finding begins another episode, with another flag.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.policy import Policy

__all__ = ["Dismissal", "Episode", "FlagRecord", "Ledger", "News", "flag_id", "score_of"]

DAY: Final = 86_400_000
MEDIUM: Final = 1


def score_of(nats: NDArray[np.float64], half: float) -> NDArray[np.float64]:
    """Return the score, 0 to 1, of evidence in nats, which is one half at `half`: the same for all detectors.

    Examples
    --------
    >>> score_of(np.array([-3.0, 20.0, 60.0]), 20.0).tolist()
    [0.0, 0.5, 0.75]
    """
    known = np.maximum(nats, 0.0)
    score: NDArray[np.float64] = known / (known + half)
    return score


def flag_id(account_id: str, detector: str, started: int) -> str:
    """Return the id of the flag of an episode: a hash of account, detector and start (epoch ms)."""
    source = f"{detector}\x00{started}\x00{account_id}".encode()
    return hashlib.blake2b(source, digest_size=16, person=b"kithwatch.flag").hexdigest()


@dataclass(frozen=True, slots=True)
class FlagRecord:
    """A flag as it is to be sent; times in epoch ms. `ingested_at` is for the latency metric only."""

    type: str
    flag_id: str
    account_id: str
    role: str
    detector: str
    severity: str
    score: float
    raised_at: int
    updated_at: int
    window: tuple[int, int]
    features: dict[str, float]
    thresholds: dict[str, float]
    baseline: dict[str, float]
    targets: list[str]
    event_ids: list[str]
    explanation: str
    counterfactual: str
    policy_version: str
    shadow: bool
    ingested_at: int


@dataclass(slots=True)
class Episode:
    """An open episode: when it began, when the latest finding came, and what was last sent.

    Changed in place: a heavy attacker is found with every event, and almost always with no news.
    """

    started: int
    latest: int
    raised_at: int  # -1: nothing was sent yet
    level: int
    score: float
    nats: float
    shadow: bool


@dataclass(slots=True)
class Dismissal:
    """An episode that a reviewer laid to rest: by which decision (hash), and when it was taken, epoch ms."""

    decision: int
    at: int
    episode: Episode


class News(Struct, frozen=True):
    """What a finding leads to: the record's type and the episode's facts."""

    type: str
    started: int
    raised_at: int
    level: int
    score: float
    shadow: bool


class Ledger:
    """The open episodes of a shard.

    Parameters
    ----------
    policy : Policy
    raise_after : int
        Findings before this time (epoch ms) are noted and not sent.
    """

    STATE: ClassVar = ("open", "dismissed", "raised_today", "day", "active")
    STATE_TYPES: ClassVar = {
        "open": dict[tuple[int, str], Episode],
        "dismissed": dict[tuple[int, str], Dismissal],
        "raised_today": dict[str, int],
    }

    def __init__(self, policy: Policy, raise_after: int = 0) -> None:
        self.settings = policy.episodes
        self.breaker = policy.circuit_breaker
        self.raise_after = raise_after
        self.cool_down = int(policy.episodes.cool_down_days * DAY)
        self.rest = int(policy.episodes.rest_days * DAY)
        self.open: dict[tuple[int, str], Episode] = {}
        self.dismissed: dict[tuple[int, str], Dismissal] = {}
        self.raised_today: dict[str, int] = {}
        self.day = -1
        self.active = 0  # active accounts, as of the last tick
        self._known: set[str] = set()  # the detectors of all episodes that are held
        self._known_of: dict[tuple[int, str], Episode] | None = None

    def circuit_open(self, detector: str) -> bool:
        """Tell whether a detector has raised all it may today."""
        limit = max(self.breaker.flags_per_day, self.breaker.share_per_day * self.active)
        return self.raised_today.get(detector, 0) >= limit

    def note(
        self, account: int, detector: str, time: int, level: int, score: float, nats: float, shadow: bool
    ) -> News | None:
        """Note a finding; return what is to be sent, if anything.

        Neither severity nor score of a flag fall in the course of an episode.

        Parameters
        ----------
        account : int
            The account's hash.
        detector : str
        time : int
            Event time, epoch ms.
        level : int
            Severity, an index into `SEVERITIES`.
        score : float
        nats : float
            The evidence that the score stands for.
        shadow : bool
            Whether the policy runs the detector in shadow.
        """
        if time // DAY > self.day:
            self.day = time // DAY
            self.raised_today.clear()
        key = (account, detector)
        if self.dismissed and (dismissal := self.dismissed.get(key)) is not None:
            if not self._is_new(dismissal, time, level, nats):
                return None
            del self.dismissed[key]
        episode = self.open.get(key)
        if episode is None or time - episode.latest > self.cool_down:
            self._known.add(detector)
            episode = self.open[key] = Episode(time, time, -1, level, score, nats, False)
        elif time > episode.latest:
            episode.latest = time
        if episode.raised_at < 0:
            return self._raise(episode, detector, time, level, score, nats, shadow)
        if time < self.raise_after or (
            level <= episode.level
            and score < episode.score + self.settings.update_score_step
            and nats < episode.nats + self.settings.update_nats
        ):
            return None
        episode.level, episode.score = max(level, episode.level), max(score, episode.score)
        episode.nats = max(nats, episode.nats)
        episode.shadow |= shadow
        return News("flag.updated", episode.started, episode.raised_at, episode.level, episode.score, episode.shadow)

    def _raise(
        self, episode: Episode, detector: str, time: int, level: int, score: float, nats: float, shadow: bool
    ) -> News | None:
        if time < self.raise_after:
            return None
        episode.shadow = shadow or self.circuit_open(detector)
        if not shadow:
            self.raised_today[detector] = self.raised_today.get(detector, 0) + 1
        episode.raised_at, episode.level, episode.score, episode.nats = time, level, score, nats
        return News("flag.raised", episode.started, time, level, score, episode.shadow)

    def retract(self, account: int, detector: str, since: int) -> Episode | None:
        """End an episode whose flag was raised at or after `since`; return it, or None if there is none."""
        episode = self.open.get((account, detector))
        if episode is None or episode.raised_at < max(since, 0):
            return None
        return self.open.pop((account, detector))

    # what reviewers decide

    def _is_new(self, dismissal: Dismissal, time: int, level: int, nats: float) -> bool:
        """Tell whether a finding is materially new after a dismissal."""
        seen = dismissal.episode
        return level > seen.level or nats >= seen.nats + self.settings.renew_nats or time - dismissal.at > self.rest

    def dismiss(self, account: int, detector: str, decision: int, at: int, severity: int) -> Episode | None:
        """Lay an open episode to rest; return it, or None if there is none, or it is more than the reviewer saw."""
        key = (account, detector)
        episode = self.open.get(key)
        if episode is None or episode.raised_at < 0 or episode.level > severity:
            return None
        del self.open[key]
        self.dismissed[key] = Dismissal(decision, at, episode)
        return episode

    def reinstate(self, account: int, detector: str, decision: int | None = None) -> Episode | None:
        """Take a dismissal back, if `decision` (None: any) made it; return the episode, which goes on."""
        key = (account, detector)
        dismissal = self.dismissed.get(key)
        if dismissal is None or decision not in (None, dismissal.decision):
            return None
        del self.dismissed[key]
        self.open[key] = dismissal.episode
        return dismissal.episode

    def standing(self, account: int, detector: str) -> Iterator[Episode]:
        """Yield what is held of an account and detector: an open episode, a dismissed one."""
        key = (account, detector)
        if key in self.open:
            yield self.open[key]
        if key in self.dismissed:
            yield self.dismissed[key].episode

    # upkeep

    def forget(self, accounts: set[int]) -> None:
        """Drop the episodes of deleted accounts (by hash)."""
        if self._known_of is not self.open:  # what was restored may be of detectors that this policy does not have
            self._known |= {detector for held in (self.open, self.dismissed) for _, detector in held}
            self._known_of = self.open
        for key in itertools.product(accounts, self._known):
            self.open.pop(key, None)
            self.dismissed.pop(key, None)

    def close_stale(self, time: int) -> None:
        """Drop what no finding goes on with, and no reviewer is likely to decide about any more."""
        for key in [key for key, episode in self.open.items() if time - episode.latest > self._kept(episode)]:
            del self.open[key]
        for key in [key for key, dismissal in self.dismissed.items() if time - dismissal.at > self.rest]:
            del self.dismissed[key]

    def _kept(self, episode: Episode) -> int:
        """Return how long after its latest finding an episode is held, ms: cases wait for reviewers, hints do not."""
        is_case = episode.raised_at >= 0 and episode.level >= MEDIUM and not episode.shadow
        return self.rest if is_case else self.cool_down
