"""The peers of detection: what teams use, and what papers propose, each giving scores of accounts over time.

All of them see the same stream, and nothing of the labels. Where a peer has parameters, those of its paper hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from benchmarks.detection_data import CONTACTS, Run
from detectors.evaluation import Steps
from graph.batch import EventKind
from graph.state import COLUMNS, FIRST

__all__ = ["PEERS"]

DAY: Final = 86_400_000
HOUR: Final = 3_600_000


def _counted(run: Run, column: str) -> Steps:
    """Return a count of the engine's windows, as of each row."""
    score = run.rows["counts"][:, COLUMNS.index(column)].astype(np.float64)
    some = score > 0
    return Steps(run.who[some], run.rows["time"][some].astype(np.float64), score[some])


def _requests(run: Run) -> NDArray[np.void]:
    return run.events[run.events["kind"] == EventKind.REQUEST_SENT]


def _within(account: NDArray[np.int64], time: NDArray[np.int64], span: int) -> NDArray[np.int64]:
    """Return for each event, sorted by account and time, how many of the account lie in the span up to it."""
    key = account.astype(np.int64) * (1 << 44) + (time - time.min() + span)
    return np.arange(len(key)) - np.searchsorted(key, key - span, side="right") + 1


def requests_a_day(run: Run) -> Steps:
    """Friend requests in 24 hours; networks limit them to 40 or 100 a day."""
    sent = np.sort(_requests(run), order=["actor", "time"])
    count = _within(sent["actor"], sent["time"], DAY)
    return Steps(sent["actor"].astype(np.int64), sent["time"].astype(np.float64), count.astype(np.float64))


def strangers_a_day(run: Run) -> Steps:
    """Distinct strangers first contacted in 24 hours."""
    return _counted(run, "strangers_24h")


def minors_a_week(run: Run) -> Steps:
    """Distinct minors among the strangers whom an adult or an account of unknown age contacted in 7 days."""
    return _counted(run, "minors_7d")


def renren(run: Run) -> Steps:
    """Invitations in an hour over the share of them accepted (Yang et al., TKDD 2014, threshold classifier).

    The paper flags accounts that send more than 20 an hour and of whose invitations less than half are accepted;
    here the two are one ranking: frequency, times the share not accepted, once there are five invitations.
    """
    sent = np.sort(_requests(run), order=["actor", "time"])
    hourly = _within(sent["actor"], sent["time"], HOUR).astype(np.float64)
    accepted = run.events[run.events["kind"] == EventKind.REQUEST_ACCEPTED]
    actor = sent["actor"].astype(np.int64)
    so_far = np.arange(len(sent)) - np.searchsorted(actor, actor) + 1
    base = int(run.events["time"].min())
    key = accepted["target"].astype(np.int64) * (1 << 44) + (accepted["time"] - base)
    key.sort()
    at = np.searchsorted(key, actor * (1 << 44) + (sent["time"] - base), side="right")
    welcome = at - np.searchsorted(key, actor * (1 << 44), side="left")
    score = hourly * (1.0 - np.minimum(welcome / so_far, 1.0))
    some = (so_far >= 5) & (score > 0)
    return Steps(actor[some], sent["time"][some].astype(np.float64), score[some])


def isolation_forest(run: Run) -> Steps:
    """Isolation Forest (Liu, Ting & Zhou, ICDM 2008) over account-days: what was sent, to whom, and what came back."""
    events = run.events[(run.events["target"] >= 0) & (run.events["actor"] >= 0)]
    first = int(events["time"].min()) // DAY
    days = int(events["time"].max()) // DAY - first + 1
    sent = events["actor"].astype(np.int64) * days + (events["time"] // DAY - first)
    got = events["target"].astype(np.int64) * days + (events["time"] // DAY - first)
    size = len(run) * days
    kind = events["kind"]
    columns = [np.bincount(sent[kind == number], minlength=size) for number in CONTACTS]
    answers = ("REQUEST_ACCEPTED", "REQUEST_DECLINED", "ACCOUNT_BLOCKED", "ACCOUNT_REPORTED", "MESSAGE_SENT")
    columns += [np.bincount(got[kind == EventKind[name]], minlength=size) for name in answers]
    columns.append(np.bincount(sent[events["signs"] > 0], minlength=size))
    contact = run.rows["what"] == FIRST
    cell = run.who[contact] * days + (run.rows["time"][contact] // DAY - first)
    flags = run.rows["flags"][contact]
    columns += [np.bincount(cell, minlength=size)]
    columns += [np.bincount(cell[(flags >> bit) & 1 == 1], minlength=size) for bit in range(3)]
    table = np.stack(columns, 1).astype(np.float32)
    busy = np.flatnonzero(table[:, :2].sum(axis=1) > 0)
    forest = IsolationForest(n_estimators=100, random_state=0, n_jobs=1).fit(np.log1p(table[busy]))
    score = -forest.score_samples(np.log1p(table[busy]))
    return Steps(busy // days, ((busy % days + first + 1) * DAY).astype(np.float64), score)


class _Sketch:
    """Count-min sketches of edges and sources, with current and total counts (MIDAS)."""

    def __init__(self, rng: np.random.Generator, rows: int, buckets: int) -> None:
        self.buckets = buckets
        self.factor = rng.integers(1, 1 << 62, rows, dtype=np.uint64) | np.uint64(1)
        self.now = np.zeros((rows, buckets))
        self.total = np.zeros((rows, buckets))

    def slots(self, key: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the bucket of each key in each row."""
        mixed = (key[None, :] + np.uint64(1)) * self.factor[:, None]
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        return (mixed >> np.uint64(33)) % np.uint64(self.buckets)


def _midas(run: Run, tick: int) -> Steps:
    """MIDAS-R (Bhatia et al., AAAI 2020): chi-squared of edge and node counts in a tick against their past.

    Counts of a tick are looked at once it is over, in one step for all its edges; the paper looks at each edge as it
    comes, which can only give the lower counts of an unfinished tick.
    """
    rng = np.random.Generator(np.random.PCG64(0))
    out = run.events[np.isin(run.events["kind"], CONTACTS)]
    number = (out["time"] // tick).astype(np.int64)
    starts = np.flatnonzero(np.append(True, number[1:] != number[:-1]))
    sketches = [_Sketch(rng, 2, 1 << 16) for _ in range(3)]
    origin, decay = number[0] - 1, 0.5
    found: list[tuple[NDArray[np.int64], float, NDArray[np.float64]]] = []
    for begin, end in zip(starts, np.append(starts[1:], len(out)), strict=True):
        part, t = out[begin:end], float(number[begin] - origin)
        source, target = part["actor"].astype(np.uint64), part["target"].astype(np.uint64)
        score = np.zeros(len(part))
        for sketch, key in zip(sketches, (source * np.uint64(len(run)) + target, source, target), strict=True):
            slot = sketch.slots(key)
            sketch.now *= decay
            for row in range(len(slot)):
                weight = np.bincount(slot[row].astype(np.int64), minlength=sketch.buckets)
                sketch.now[row] += weight
                sketch.total[row] += weight
            lines = np.arange(len(slot))[:, None]
            a, s = sketch.now[lines, slot].min(axis=0), sketch.total[lines, slot].min(axis=0)
            if t > 1:
                mean = s / t
                score = np.maximum(score, (a - mean) ** 2 / np.maximum(mean, 1e-9) * t / (t - 1))
        found.append((part["actor"].astype(np.int64), (number[begin] + 1) * float(tick), score))
    account = np.concatenate([who for who, _, _ in found])
    when = np.concatenate([np.full(len(who), at) for who, at, _ in found])
    level = np.concatenate([score for _, _, score in found])
    some = level > 0
    return Steps(account[some], when[some], level[some])


def midas_hour(run: Run) -> Steps:
    """MIDAS-R with a tick of one hour."""
    return _midas(run, HOUR)


def midas_day(run: Run) -> Steps:
    """MIDAS-R with a tick of one day."""
    return _midas(run, DAY)


def synchrotrap(run: Run) -> Steps:
    """SynchroTrap (Cao et al., CCS 2014): Jaccard similarity of (target, time) actions of pairs, within 24 hours.

    An account's score is the highest similarity it has with another, weighted by the actions that match; targets that
    over 50 accounts reach for say nothing and are left out. Scores are of the week's end.
    """
    key = run.events[np.isin(run.events["kind"], CONTACTS)]
    pair = key["actor"].astype(np.int64) * len(run) + key["target"]
    _, at = np.unique(pair, return_index=True)
    first = key[at]
    found: list[tuple[NDArray[np.int64], float, NDArray[np.float64]]] = []
    week = 7 * DAY
    begin = int(first["time"].min()) if len(first) else 0
    for start in range(begin, int(first["time"].max()) + 1, week):
        part = first[(first["time"] >= start) & (first["time"] < start + week)]
        part = part[np.lexsort((part["time"], part["target"]))]
        made = np.bincount(part["actor"], minlength=len(run))
        matches: dict[tuple[int, int], int] = {}
        edges = np.flatnonzero(np.append(True, part["target"][1:] != part["target"][:-1]))
        for low, high in zip(edges, np.append(edges[1:], len(part)), strict=True):
            if not 2 <= high - low <= 50:
                continue
            actors, times = part["actor"][low:high].tolist(), part["time"][low:high].tolist()
            for i in range(len(actors)):
                for j in range(i + 1, len(actors)):
                    if times[j] - times[i] > DAY:
                        break
                    both = (actors[i], actors[j]) if actors[i] < actors[j] else (actors[j], actors[i])
                    matches[both] = matches.get(both, 0) + 1
        best = np.zeros(len(run))
        for (one, other), count in matches.items():
            if count >= 2:
                similarity = count / (made[one] + made[other] - count) * np.log2(1.0 + count)
                best[one], best[other] = max(best[one], similarity), max(best[other], similarity)
        some = np.flatnonzero(best)
        found.append((some, float(start + week), best[some]))
    account = np.concatenate([who for who, _, _ in found])
    return Steps(
        account.astype(np.int64),
        np.concatenate([np.full(len(who), when) for who, when, _ in found]),
        np.concatenate([score for _, _, score in found]),
    )


PEERS: Final[dict[str, Callable[[Run], Steps]]] = {
    "requests a day": requests_a_day,
    "strangers a day": strangers_a_day,
    "minors a week": minors_a_week,
    "Renren's rule": renren,
    "Isolation Forest, account-days": isolation_forest,
    "MIDAS-R, 1 h": midas_hour,
    "MIDAS-R, 1 d": midas_day,
    "SynchroTrap-style Jaccard": synchrotrap,
}
"""Each peer by its name in the table."""
