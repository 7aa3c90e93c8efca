"""A platform that never rests: a thread that sends events to the input topics at a steady rate, some of them twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import confluent_kafka as ck

from streams.settings import KafkaSettings

__all__ = ["Load"]


class Load:
    """Sends events until it is stopped.

    Parameters
    ----------
    settings : KafkaSettings
        Of an address that no fault cuts off.
    rate : int
        Events a second.
    accounts : int
    seed : int
    name : callable
        Returns what the account of a number is called.

    Attributes
    ----------
    sent : int
        Events, each counted once. Their ids are `e0`, `e1` and so on.
    again : int
        Second deliveries.
    """

    def __init__(
        self, settings: KafkaSettings, rate: int, accounts: int, seed: int, name: Callable[[int], str] = "u{}".format
    ) -> None:
        self.settings = settings
        self.rate = rate
        self.accounts = accounts
        self.name = name
        self.sent = self.again = self.refused = 0
        self._chance = random.Random(seed)
        self._stop = threading.Event()
        self._producer = ck.Producer(
            {
                "bootstrap.servers": settings.bootstrap,
                "enable.idempotence": True,
                "linger.ms": 20,
                "queue.buffering.max.messages": 2_000_000,
                "message.timeout.ms": 300_000,  # longer than any fault: what is counted as sent has arrived
            }
        )
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """Stop, and wait until everything has arrived."""
        self._stop.set()
        self._thread.join()
        left = self._producer.flush(300)
        assert left == 0, f"{left} events were never taken by the broker"
        assert self.refused == 0, f"{self.refused} events were refused by the broker"

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._stop.wait(0.05):
            for _ in range(int((time.monotonic() - begun) * self.rate) - self.sent):
                self._one()
            self._producer.poll(0)

    def _told(self, problem: object, _: object) -> None:
        self.refused += problem is not None

    def _one(self) -> None:
        chance, names = self._chance, self.settings.topics
        draw = chance.random()
        # a few accounts reach out to many: those are to be flagged
        eager = draw < 0.05
        actor = chance.randrange(self.accounts // 200) if eager else chance.randrange(self.accounts)
        target = (actor + 1 + chance.randrange(self.accounts - 1)) % self.accounts
        number, now = self.sent, int(time.time() * 1000)
        kind, topic, more = "message.sent", names.messages, ""
        if eager or draw < 0.4:
            kind, topic, more = "friend_request.sent", names.friend_requests, ',"target_age_band":"13_15"'
        elif draw < 0.5:
            kind, topic = "friend_request.accepted", names.friend_requests
        elif draw < 0.53:
            kind, topic = "account.blocked", names.accounts
        line = (
            f'{{"type":"{kind}","event_id":"e{number}","occurred_at":{now},"actor_id":"{self.name(actor)}",'
            f'"target_id":"{self.name(target)}"{more}}}'
        ).encode()
        twice = chance.random() < 0.01
        self.again += twice
        for _ in range(1 + twice):
            self._produce(topic, line, f"u{min(actor, target)}-{max(actor, target)}")
        self.sent += 1

    def _produce(self, topic: str, line: bytes, key: str) -> None:
        while True:
            try:
                self._producer.produce(topic, line, key=key, on_delivery=self._told)
                return
            except BufferError:
                self._producer.poll(0.1)
