"""One labelled stream, run through the engine once, with all that detectors and their peers are measured on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.independent.output import WORLDS
from benchmarks.independent.output import Stream as Independent
from detectors.engine import Engine
from detectors.evaluation import Steps
from detectors.judge import Judged
from detectors.policy import Policy, default_policy
from graph.batch import EventKind
from graph.shard import Shard
from graph.state import COLUMNS
from simulation.scenarios import build
from simulation.stream import Stream
from streams.decode import EventDecoder
from streams.hashing import hash_id

__all__ = ["CONTACTS", "Job", "Run", "feature_names", "features", "gather", "gather_all"]

BLOCK: Final = 1 << 22
LATEST: Final = 4_000_000_000_000
CONTACTS: Final = (int(EventKind.REQUEST_SENT), int(EventKind.MESSAGE_SENT))
_EVENT: Final = np.dtype(
    [("time", "<i8"), ("actor", "<i4"), ("target", "<i4"), ("signs", "<u2"), ("kind", "u1"), ("age", "u1")]
)
_NOT_FEATURES: Final = frozenset({"time", "ingested_at", "hash", "account", "pair", "source", "created"})
_BITS: Final = {"flags": 16, "signs": 9, "new_signs": 9, "roles": 7}
"""Fields that hold bits, and how many."""
SEVERE: Final = frozenset({"medium", "high", "critical"})


@dataclass(frozen=True, slots=True)
class Job:
    """A stream to run: a scenario, a seed, and a size."""

    scenario: str
    seed: int
    accounts: int | None = None
    days: float | None = None
    missing: tuple[str, ...] = ()


@dataclass(slots=True)
class Run:
    """What came of a stream; accounts are numbered in the order of the labels.

    Attributes
    ----------
    job : the stream.
    label, harmful : what is true of each account, shape (n,).
    active : whether an account sent a request or message, shape (n,).
    events : all events: time (ms), actor, target (-1: none), signs, kind, age band told of the actor.
    rows : rows of features, as the engine wrote them (`graph.state.FEATURES`).
    who : the account of each row.
    nats : evidence by family, as of each row, shape (rows, families).
    flags : score over time, by flags that accuse; `severe` whether an account had one of medium or above, and when.
    victim, reached : account and time (ms) of each first contact of an attacker with a child it sought out.
    """

    job: Job
    label: NDArray[np.str_]
    harmful: NDArray[np.bool_]
    active: NDArray[np.bool_]
    events: NDArray[np.void]
    rows: NDArray[np.void]
    who: NDArray[np.int64]
    nats: NDArray[np.float32]
    flags: Steps
    severe: NDArray[np.float64]
    victim: NDArray[np.int64]
    reached: NDArray[np.float64]
    days: float = field(default=0.0)

    def __len__(self) -> int:
        return len(self.label)


class _Recorder(Engine):
    """An engine that keeps the rows that it judged, and what it said of them."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(Shard(), policy)
        self.kept: list[NDArray[np.void]] = []
        self.nats: list[NDArray[np.float32]] = []
        judge = self.judge.judge

        def judging(rows: NDArray[np.void]) -> Judged:
            judged = judge(rows)
            self.kept.append(rows.copy())
            self.nats.append(judged.nats.astype(np.float32))
            return judged

        self.judge.judge = judging


def stream_of(job: Job) -> Stream | Independent:
    """Return the stream of a job: of `simulation/`, or of a world of the independent simulator."""
    if job.scenario not in WORLDS:
        return build(job.scenario, job.seed, job.accounts, job.days, missing=job.missing)
    if job.missing:
        raise ValueError(f"{job.scenario}: nothing can be left out of a stream of the independent simulator")
    return Independent(job.scenario, job.seed, job.accounts or 10_000, int(job.days or 28))


def gather(job: Job, policy: Policy | None = None) -> Run:
    """Make a stream, run it through the engine, and return what came of it."""
    stream = stream_of(job)
    labels = list(stream.labels())
    place = {entry["account_id"]: number for number, entry in enumerate(labels)}
    hashes = np.array([hash_id(name) for name in place], np.uint64)
    order = np.argsort(hashes)

    def number_of(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        return order[np.minimum(np.searchsorted(hashes[order], keys), len(order) - 1)]

    engine, decoder = _Recorder(policy or default_policy()), EventDecoder()
    events: list[NDArray[np.void]] = []
    steps: list[tuple[int, int, float]] = []
    severe = np.full(len(labels), np.inf)
    reached: list[dict[str, Any]] = []
    for block in _blocks(stream.lines(reached.append)):
        batch = decoder.decode_lines(block, not_after=LATEST).batch
        part = np.empty(len(batch), _EVENT)
        for name in ("time", "signs", "kind"):
            part[name] = batch.rows[name]
        part["age"] = batch.rows["actor_age"]
        part["actor"] = number_of(batch.rows["actor"])
        part["target"] = np.where(batch.rows["target"] == 0, -1, number_of(batch.rows["target"]))
        events.append(part)
        for flag in engine.process(batch):
            if flag.shadow or flag.role == "target":
                continue
            account = place[flag.account_id]
            steps.append((account, flag.updated_at, flag.score))
            if flag.severity in SEVERE:
                severe[account] = min(severe[account], flag.updated_at)
    everything, rows = np.concatenate(events), np.concatenate(engine.kept)
    out = everything[np.isin(everything["kind"], CONTACTS)]
    active = np.zeros(len(labels), np.bool_)
    active[out["actor"]] = True
    who, when, score = zip(*steps, strict=True) if steps else ((), (), ())
    return Run(
        job=job,
        label=np.array([entry["label"] for entry in labels]),
        harmful=np.array([entry["harmful"] for entry in labels]),
        active=active,
        events=everything,
        rows=rows,
        who=number_of(rows["hash"]),
        nats=np.concatenate(engine.nats),
        flags=Steps(np.array(who, np.int64), np.array(when, np.float64), np.array(score, np.float64)),
        severe=severe,
        victim=np.array([place[contact["account_id"]] for contact in reached], np.int64),
        reached=np.array([contact["occurred_at"] for contact in reached], np.float64),
        days=float(out["time"][-1] - out["time"][0]) / 86_400_000 if len(out) else 0.0,
    )


def gather_all(jobs: list[Job], processes: int, policy: Policy | None = None) -> Iterator[Run]:
    """Yield the runs of several streams, in their order, made in so many processes."""
    run = partial(gather, policy=policy)
    if processes <= 1:
        yield from map(run, jobs)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(run, jobs)


def _blocks(lines: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= BLOCK:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _columns(dtype: np.dtype[Any]) -> Iterator[tuple[str, str, int, int]]:
    """Yield the columns of a row as name, field, place within the field or -1, and bit or -1."""
    for field_ in dtype.names or ():
        if field_ in _NOT_FEATURES:
            continue
        shape, bits = dtype[field_].shape, _BITS.get(field_, 0)
        if field_ == "counts":
            yield from ((name, field_, at, -1) for at, name in enumerate(COLUMNS))
        elif shape:
            yield from ((f"{field_} {at}", field_, at, -1) for at in range(int(np.prod(shape))))
        elif bits:
            yield from ((f"{field_} bit {bit}", field_, -1, bit) for bit in range(bits))
        else:
            yield field_, field_, -1, -1


def feature_names(dtype: np.dtype[Any]) -> list[str]:
    """Return the names of the columns that `features` gives."""
    return [name for name, _, _, _ in _columns(dtype)] + ["account_age"]


def features(rows: NDArray[np.void]) -> NDArray[np.float32]:
    """Return every number in rows of features that says something of the account, and the account's age in days."""
    columns = list(_columns(rows.dtype))
    table = np.empty((len(rows), len(columns) + 1), np.float32)
    for at, (_, field_, place, bit) in enumerate(columns):
        column = rows[field_] if place < 0 else rows[field_].reshape(len(rows), -1)[:, place]
        table[:, at] = column if bit < 0 else (column >> bit) & 1
    known = rows["created"] > 0
    table[:, -1] = np.where(known, rows["time"] / 86_400_000 - rows["created"] / 86_400, np.nan)
    return table
