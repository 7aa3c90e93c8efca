"""What has to be done by itself: holds that end, erasure, sums for pages, retention, what is over, statistics."""

from __future__ import annotations

import logging
import threading
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from console.erasure import erase_due, retain
from console.locks import locking
from console.reached import keep_up
from console.service import Service
from console.tables import cases, exposures, sessions, unmaskings

__all__ = ["Upkeep"]

EVERY_SECONDS: Final = 5.0
RETAIN_MS: Final = 3_600_000
DAY: Final = 86_400_000
EXPOSURES_MS: Final = 7 * DAY

log = logging.getLogger(__name__)


class Upkeep(threading.Thread):
    """Looks every few seconds whether something is due.

    Parameters
    ----------
    service : Service
    """

    def __init__(self, service: Service) -> None:
        super().__init__(name="upkeep", daemon=True)
        self.service = service
        self.stopping = threading.Event()
        self.problem: str | None = None
        self._retained_at = 0

    def run(self) -> None:
        """Look until told to stop."""
        while not self.stopping.wait(EVERY_SECONDS):
            try:
                self.look()
                self.problem = None
            except (DBAPIError, OSError) as problem:
                self.problem = f"{type(problem).__name__} while keeping house"
                log.warning("%s; trying again", self.problem)

    def stop(self) -> None:
        """Ask it to stop, and wait."""
        self.stopping.set()
        if self.is_alive():
            self.join(20)

    def look(self) -> None:
        """Do what is due."""
        now = self.service.clock()
        with self.service.database.writing(gives_way=True) as connection:
            ended = select(cases.c.id).where(cases.c.state == "held", cases.c.held_until <= now).order_by(cases.c.id)
            for number in connection.execute(locking(ended)).scalars().all():
                connection.execute(
                    update(cases)
                    .where(cases.c.id == number)
                    .values(state="open", held_until=None, reopened_because="the hold has ended", changed_at=now)
                )
                self.service.note(connection, "system", "case.hold_ended", f"case:{number}")
        with self.service.database.writing(gives_way=True) as connection:
            erase_due(connection, self.service.keys, now)
        self.service.database.shorten_log()
        keep_up(self.service.database, now)
        if now - self._retained_at >= RETAIN_MS:
            self._retained_at = now
            self.retain(now)
            if self.service.database.sqlite:
                self.service.database.analyze()

    def retain(self, now: int) -> None:
        """Remove what is older than it may be."""
        rules = self.service.rules
        with self.service.database.writing(gives_way=True) as connection:
            retain(connection, self.service.keys, rules.retention, now)
            connection.execute(delete(unmaskings).where(unmaskings.c.until < now))
            connection.execute(delete(exposures).where(exposures.c.at < now - EXPOSURES_MS))
            over = sessions.c.created_at < now - int(rules.session_hours * 3_600_000)
            connection.execute(delete(sessions).where(over))
