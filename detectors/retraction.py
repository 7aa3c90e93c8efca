"""Retraction: what a flag rested on was taken back.

* **A request is withdrawn** in time and unanswered (`graph.contacts`): windows and fading sums are as if it had never
  been. Flags raised since it was sent, which so may rest on it, are retracted if they would not be raised now: the
  account's evidence is below the line, the team's rule does not hold any more. Flags raised before did not need it, and
  stand.
* **An account's age is corrected** into another age group: it is compared with other people from now on, and what is
  said of adults or of minors alone falls away. Its flags are retracted if its evidence is below the line of its new
  group. The team's rules read counts, and stand. What was counted of contacts by the age that held then stays so.

Neither raises a flag: nobody has reached out. Nor does it let a detector rest, as a dismissal does: the next finding is
news. What is said of a minor at risk (`victim_exposure`) stands: somebody did reach for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.cohorts import age_group
from detectors.episodes import FlagRecord, Ledger
from detectors.evidence import DETECTORS
from detectors.judge import Judged
from detectors.reviews import record_of
from detectors.rules import PREFIX
from detectors.victim_exposure import NAME as EXPOSURE
from graph.shard import Shard
from graph.state import CORRECTED, WITHDRAWN

__all__ = ["retract", "taken_back"]

_WITHDRAWN: Final = (
    "Retracted: a request that it rested on was withdrawn, and what is left is not enough.",
    "Would stand if the request had not been withdrawn.",
)
_CORRECTED: Final = (
    "Retracted: the age of the account was corrected, and beside others of that age its evidence is not enough.",
    "Would stand if the age had not been corrected.",
)


def taken_back(table: NDArray[np.void]) -> NDArray[np.int64]:
    """Return the rows that say that something was taken back."""
    rows: NDArray[np.int64] = np.flatnonzero(table["what"] >= WITHDRAWN)
    return rows


def retract(
    table: NDArray[np.void],
    judged: Judged,
    i: int,
    shard: Shard,
    ledger: Ledger,
    names: tuple[str, ...],
    ruled: Set[tuple[int, str]],
    version: str,
) -> Iterator[FlagRecord]:
    """Yield the retractions that row `i` leads to.

    Parameters
    ----------
    table : ndarray of FEATURES
    judged : Judged
    i : int
        One of `taken_back(table)`.
    shard : Shard
    ledger : Ledger
    names : tuple of str
        All detectors that may have raised a flag.
    ruled : set of (int, str)
        Rows and rules that hold in them, as if the request of such a row were sent once more.
    version : str
        Of the policy.
    """
    row = table[i]
    at, corrected = int(row["time"]), row["what"] == CORRECTED
    if corrected and age_group(row["age"]) == age_group(row["target_age"]):
        return
    since = 0 if corrected else at - 1000 * (int(row["waited"]) + 1)  # whole seconds: no later than it was sent
    account = int(row["hash"])
    for name in names:
        if name == EXPOSURE or (corrected and name.startswith(PREFIX)):
            continue
        if _stands(judged, i, name, ruled):
            continue
        episode = ledger.retract(account, name, since)
        if episode is not None:
            said = _CORRECTED if corrected else _WITHDRAWN
            yield record_of("flag.retracted", shard.name(int(row["account"])), name, episode, at, version, said)


def _stands(judged: Judged, i: int, name: str, ruled: Set[tuple[int, str]]) -> bool:
    """Tell whether the account would be flagged now."""
    if name.startswith(PREFIX):
        return (i, name) in ruled
    return bool(judged.level[i] >= 0 or judged.trial[i, DETECTORS.index(name)] >= 0)
