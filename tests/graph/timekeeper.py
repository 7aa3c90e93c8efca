"""The clock of the model: which events move it, where it stops on the way, and which event ids are remembered."""

from __future__ import annotations

from graph.shard import Settings
from tests.graph.build import Event

__all__ = ["Timekeeper"]

WITNESSES = 3


class Timekeeper:
    """The clock by definition; what time does to the rest is in `move` and `rebase`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = -1
        self.support = 0
        self.ahead: list[tuple[int, str]] = []
        self.ids: dict[str, int] = {}  # event ids, by the turn of the tables in which they were noted
        self.next_tick = -1
        self.ticks: list[int] = []
        self.counters = dict.fromkeys(("events", "duplicate", "late", "ahead", "first", "unmatched", "erased"), 0)

    def turn(self) -> int:
        """Return which turn it is: the number of times that the allowed lateness has gone by."""
        return self.clock // self.settings.lateness

    def is_known(self, name: str) -> bool:
        """Tell whether an event id was noted in this turn or the one before."""
        return self.turn() - self.ids.get(name, -9) <= 1

    def remember(self, name: str) -> None:
        """Note an event id."""
        self.ids[name] = self.turn()

    def keep_time(self, e: Event) -> tuple[int, bool]:
        """Let an event move the clock; return the time to take for it, and whether it is late."""
        late, jump = self.settings.lateness, self.settings.max_jump
        if self.clock < 0:
            self.set_clock(e.time)
            self.support = 1
            return e.time, False
        if e.time > self.clock + jump:
            self.ahead = self.witnesses(e)
            if len(self.ahead) < WITNESSES:
                self.counters["ahead"] += 1
                return self.clock, False
            self.land()
        if e.time < self.clock - late:
            if self.support >= WITNESSES:
                return e.time, True
            self.rebase(e.time)
            return e.time, False
        self.support += 1
        self.ahead = []
        self.move(max(self.clock, e.time))
        return e.time, False

    def witnesses(self, e: Event) -> list[tuple[int, str]]:
        """Return the row of events too far ahead, with this one."""
        if not self.ahead or abs(e.time - min(self.ahead)[0]) > self.settings.max_jump:
            return [(e.time, e.actor)]
        if self.ahead[-1][1] == e.actor:
            return self.ahead
        return [*self.ahead, (e.time, e.actor)]

    def land(self) -> None:
        """Move the clock over a gap that has been borne out."""
        goal = min(self.ahead)[0]
        self.ahead, self.support = [], WITNESSES
        self.move(max(self.clock, goal))

    def pass_ticks(self, e: Event) -> None:
        """Stop at the ticks on the way of an event."""
        if self.clock < 0:
            return
        goal, ahead = e.time, e.time > self.clock + self.settings.max_jump
        if ahead:
            witnesses = self.witnesses(e)
            if len(witnesses) < WITNESSES:
                return
            goal = min(witnesses)[0]
        if goal < self.next_tick:
            return
        emptied = self.clock + self.settings.horizon
        width = self.settings.tick
        while self.next_tick <= goal:
            self.move(max(self.clock, self.next_tick))
            self.tick()
            self.ticks.append(self.next_tick)
            if self.next_tick > emptied:
                self.next_tick = max(self.next_tick + width, goal // width * width)
            else:
                self.next_tick += width
        if ahead:
            self.ahead = witnesses
            self.land()
            self.pass_ticks(e)

    def move(self, clock: int) -> None:
        """Move the clock forward."""
        raise NotImplementedError

    def tick(self) -> None:
        """Do what is done at a tick."""
        raise NotImplementedError

    def set_clock(self, clock: int) -> None:
        """Set the clock to where nothing is known of the time before."""
        self.clock = clock
        self.next_tick = (clock // self.settings.tick + 1) * self.settings.tick

    def rebase(self, clock: int) -> None:
        """Set the clock back; ids are as old as they were."""
        before = self.turn()
        self.set_clock(clock)
        self.ids = {name: turn - before + self.turn() for name, turn in self.ids.items()}
        self.support, self.ahead = 1, []
