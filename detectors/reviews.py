"""Reviews: what follows from a reviewer's decision about a flag.

A **dismissal** retracts the flag (`flag.retracted`) and lets its account and detector rest until the evidence is
materially new (`detectors.episodes`). It holds for what the reviewer saw: a flag whose severity has risen since
stands. A dismissal that is **undone**, or followed by another decision about the same flag, is taken back: the flag is
sent again as `flag.updated`, and its episode goes on. A **confirmation** changes nothing: such flags keep. What is
decided about a flag that is not held here (too old, of a deleted account, of another log) has no effect.

Decisions stand in the shard's log, in their place among the events; so a rebuild finds what was found live.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.episodes import Episode, FlagRecord, Ledger, flag_id
from detectors.policy import SEVERITIES
from detectors.victim_exposure import NAME as EXPOSURE
from graph.batch import NO_TIME
from graph.shard import Shard

__all__ = ["DISMISSED", "STANDS", "UNDONE", "record_of", "review"]

DISMISSED: Final = 1
STANDS: Final = 2
"""Another decision than a dismissal."""
UNDONE: Final = 3
_DISMISSED: Final = (
    "Retracted: a reviewer dismissed it.",
    "Would stand if it had not been dismissed.",
)
_BACK: Final = (
    "Stands again: a reviewer took the dismissal back; the evidence is that of the record before it.",
    "Would be retracted if it were dismissed.",
)


def review(
    table: NDArray[np.void], shard: Shard, ledger: Ledger, names: tuple[str, ...], version: str
) -> Iterator[FlagRecord]:
    """Obey decisions, in order, and yield what is to be sent.

    Parameters
    ----------
    table : ndarray of graph.message.REVIEW
    shard : Shard
    ledger : Ledger
    names : tuple of str
        All detectors that may have raised a flag.
    version : str
        Of the policy.
    """
    for row in table:
        place = shard.find(int(row["account"]))
        if place is None:
            continue
        account, account_id = int(row["account"]), shard.name(place)
        wanted = row["flag"].tobytes().hex()
        for name in names:
            started = [e.started for e in ledger.standing(account, name)]
            if not any(flag_id(account_id, name, start) == wanted for start in started):
                continue
            at = int(row["time"])
            if row["what"] == DISMISSED:
                episode = _of(ledger, account, account_id, name, wanted)
                if episode and ledger.dismiss(account, name, int(row["decision"]), at, int(row["severity"])):
                    yield record_of("flag.retracted", account_id, name, episode, at, version, _DISMISSED)
            else:
                by = int(row["decision"]) if row["what"] == UNDONE else None
                back = ledger.reinstate(account, name, by)
                if back is not None:
                    yield record_of("flag.updated", account_id, name, back, at, version, _BACK)


def _of(ledger: Ledger, account: int, account_id: str, name: str, wanted: str) -> Episode | None:
    """Return the open episode of a flag, if that is the one which is open."""
    episode = ledger.open.get((account, name))
    return episode if episode and flag_id(account_id, name, episode.started) == wanted else None


def record_of(
    kind: str, account_id: str, name: str, episode: Episode, at: int, version: str, said: tuple[str, str]
) -> FlagRecord:
    """Return a flag that says what became of an episode; its evidence is in the record before."""
    return FlagRecord(
        type=kind,
        flag_id=flag_id(account_id, name, episode.started),
        account_id=account_id,
        role="target" if name == EXPOSURE else "actor",
        detector=name,
        severity=SEVERITIES[episode.level],
        score=round(episode.score, 4),
        raised_at=episode.raised_at,
        updated_at=max(at, episode.raised_at),
        window=(episode.started, max(episode.latest, episode.started)),
        features={"nats": round(episode.nats, 3)},
        thresholds={},
        baseline={},
        targets=[],
        event_ids=[],
        explanation=said[0],
        counterfactual=said[1],
        policy_version=version,
        shadow=episode.shadow,
        ingested_at=NO_TIME,
    )
