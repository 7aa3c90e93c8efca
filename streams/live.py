"""A shard at work: its node and its engine, how far it has read, and what it has to say."""

from __future__ import annotations

import time
from typing import Any, ClassVar, Final

import xxhash

from detectors.engine import Engine
from detectors.episodes import FlagRecord
from detectors.lists import Lists
from detectors.policy import Policy
from graph.kept import restore
from graph.message import Kind, Reviews
from graph.node import Node
from graph.shard import Rows, Settings, Tick
from graph.state import Var
from streams.acks import AckedRuns
from streams.metrics import Metrics, ShardSize
from streams.outflow import flag_bytes
from streams.settings import TopicNames
from streams.surroundings import context_bytes
from streams.vocabulary import Stage
from streams.wire import WireError, pack, unpack

__all__ = ["LiveShard", "anchor_of"]

STAGES: Final[dict[Kind, Stage]] = {
    Kind.EVENTS: "probe",
    Kind.ASKS: "resolve",
    Kind.ANSWERS: "assess",
    Kind.REVIEWS: "review",
}


class LiveShard:
    """A shard of a worker.

    Parameters
    ----------
    index, shards : int
        Which it is, of how many.
    policy : Policy
    raise_after : int
        Flags before this event time, epoch ms, are not sent.
    topics : TopicNames
    metrics : Metrics
    lists : Lists, optional
        Who stands on the policy's lists.

    Attributes
    ----------
    position : int
        Offset of the next record to take: the state is that of all records before.
    sent : AckedRuns
        Which batches' consequences are known to have arrived.
    worked : float
        Seconds of work since it was last frozen, or so: what whoever goes on from that would have to do again.
    """

    STATE: ClassVar = ("node", "engine")

    def __init__(
        self,
        index: int,
        shards: int,
        policy: Policy,
        raise_after: int,
        topics: TopicNames,
        metrics: Metrics,
        lists: Lists | None = None,
    ) -> None:
        self.node = Node(index, shards, Settings())
        self.engine = Engine(self.node.shard, policy, raise_after, lists)
        self.topics = topics
        self.metrics = metrics
        self.position = 0
        self.sent = AckedRuns()
        self.worked = 0.0
        self._sent_before = 0
        self._last = b""
        self._anchor = b""
        self._counted = dict.fromkeys((Var.N_LATE, Var.N_AHEAD, Var.N_DUPLICATE), 0)

    def take(self, value: bytes | None, offset: int, *, aloud: bool) -> list[tuple[str, bytes, dict[str, Any]]]:
        """Take one exchange record; return what is to be sent: topic, value, and how it is addressed."""
        found: list[tuple[str, bytes, dict[str, Any]]] = []
        try:
            message = unpack(value)
        except WireError as problem:
            # only kithwatch writes here: to go on would lose what the record held
            raise WireError(f"exchange topic, partition {self.node.index}, offset {offset}: {problem}") from None
        begun = time.perf_counter()
        self._last = value or b""
        stage = STAGES[message.kind]
        repeats = self.node.repeats
        for step in self.node.handle(message, offset, aloud=aloud):
            if isinstance(step, (Rows, Tick, Reviews)):
                flagged: set[str] = set()
                for record in self.engine.take(step):
                    if aloud:
                        self._count_flag(record)
                        key = record.account_id.encode()
                        found.append((self.topics.flags, flag_bytes(record), {"key": key}))
                        flagged.add(record.account_id)
                found.extend(
                    (self.topics.contexts, context, {"key": account.encode()})
                    for account, context in context_bytes(self.node.shard, sorted(flagged)).items()
                )
            elif aloud:
                for to, out in step:
                    self.metrics.count_exchange(STAGES[out.kind], "sent", len(out.rows))
                    found.append((self.topics.exchange, pack(out), {"partition": to}))
        outcome: Any = "repeated" if self.node.repeats > repeats else "received"
        self.metrics.count_exchange(stage, outcome, len(message.rows))
        seconds = time.perf_counter() - begun
        self.worked += seconds
        self.metrics.observe_batch(stage, len(message.rows), seconds)
        # at once: who looks at the shard next, sees a state and the position that belongs to it
        self.position = offset + 1
        return found

    # going on elsewhere

    @property
    def anchor(self) -> bytes:
        """Digest of the record taken last, by which the log is known again."""
        return anchor_of(self._last) if self._last else self._anchor

    @property
    def erased(self) -> int:
        """Accounts erased so far."""
        return self.node.shard.counter(Var.N_ERASED)

    def go_on_from(self, tree: dict[str, Any], position: int, anchor: bytes) -> None:
        """Take over the state of a snapshot, all of whose consequences have been sent.

        Raises
        ------
        LayoutError
            If it is not of this version.
        """
        restore(self, tree)
        self.position = self._sent_before = position
        self._anchor = anchor
        self._counted = {which: self.node.shard.counter(which) for which in self._counted}

    def stand_in(self) -> None:
        """Go on as the worker's own: everything so far was sent by another worker, and counted there."""
        self._sent_before = self.position
        self._counted = {which: self.node.shard.counter(which) for which in self._counted}

    def sent_until(self) -> int:
        """Return the offset before which every record's consequences have arrived where they belong."""
        return max(self._sent_before, self.sent.committable or 0)

    def _count_flag(self, record: FlagRecord) -> None:
        """Count a flag, with the time since its event reached Kafka."""
        seconds = time.time() - record.ingested_at / 1000 if record.ingested_at > 0 else None
        self.metrics.count_flag(record.detector, record.severity, record.type, seconds=seconds)

    def size(self) -> ShardSize:
        """Return what it holds."""
        graph = self.node.shard
        return ShardSize(
            accounts=graph.accounts,
            contacts=graph.contacts,
            friendships=graph.friendships,
            bytes=sum(graph.nbytes.values()),
            clock=graph.clock / 1000 if graph.clock >= 0 else None,
        )

    def news(self) -> list[int]:
        """Return how many events proved late, far ahead and seen before since the last call."""
        now = {which: self.node.shard.counter(which) for which in self._counted}
        new = [now[which] - before for which, before in self._counted.items()]
        self._counted = now
        return new


def anchor_of(value: bytes) -> bytes:
    """Return the digest of a record."""
    return xxhash.xxh3_128_digest(value)
