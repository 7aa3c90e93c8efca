"""Which offset of a partition may be committed, when batches are acknowledged in any order.

The rule: the end of the unbroken run of acknowledged batches, counted from where reading began. A batch that is
still open holds back everything after it, so that a crash hands over again whatever was not done.
"""

from __future__ import annotations

from collections import deque

__all__ = ["AckedRuns"]


class AckedRuns:
    """The open batches of one partition, in the order in which they were handed out.

    Offsets may have gaps (compacted topics, transaction markers): only the order of the batches counts. A batch is
    known by its ticket, since after a seek the same offsets are handed out a second time and an acknowledgement of
    the first copy says nothing about the second.

    Examples
    --------
    >>> runs = AckedRuns()
    >>> first, second = runs.deliver(1, end=10), runs.deliver(1, end=25)
    >>> runs.ack(second), runs.committable
    (True, None)
    >>> runs.ack(first), runs.committable
    (True, 25)
    """

    __slots__ = ("_acked", "_ends", "_next_ticket", "_open", "committable", "epoch")

    def __init__(self) -> None:
        self._next_ticket = 0
        self.epoch = -1
        self._open: deque[int] = deque()  # tickets in order of delivery, acknowledged ones behind an open one too
        self._ends: dict[int, int] = {}
        self._acked: set[int] = set()
        self.committable: int | None = None
        """The offset to commit: that of the next record to read after a crash; None when no batch is done yet."""

    def __len__(self) -> int:
        return len(self._open) - len(self._acked)

    def deliver(self, epoch: int, end: int) -> int:
        """Note a batch that is handed out.

        Parameters
        ----------
        epoch
            Number of the uninterrupted stretch of reading the batch belongs to. When it differs from that of the
            batch before, all earlier batches are forgotten: their records will be handed out again.
        end
            The offset after the batch's last record.

        Returns
        -------
        int
            The ticket to acknowledge it with.
        """
        if epoch != self.epoch:
            self.restart(epoch)
        ticket = self._next_ticket
        self._next_ticket += 1
        self._open.append(ticket)
        self._ends[ticket] = end
        return ticket

    def ack(self, ticket: int) -> bool:
        """Acknowledge a batch; return False when it is unknown by now (acknowledged already, or before a seek)."""
        if ticket not in self._ends or ticket in self._acked:
            return False
        self._acked.add(ticket)
        while self._open and self._open[0] in self._acked:
            done = self._open.popleft()
            self._acked.discard(done)
            self.committable = self._ends.pop(done)
        return True

    def restart(self, epoch: int) -> None:
        """Forget all batches: reading goes on from another position, or belongs to another worker."""
        self.epoch = epoch
        self._open.clear()
        self._ends.clear()
        self._acked.clear()
        self.committable = None
