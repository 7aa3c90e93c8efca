"""Whether memory follows what is held or the age of the process: `python -m benchmarks.week`.

A platform that has come to rest is replayed day by day, as JSON text, through decoding, graph and detectors: as many
accounts come each day as fall silent, each is active for ten to sixty days, some are deleted, friendships are made and
ended. All horizons are those of the product, the longest of them two years (friendships and accounts of which nothing
was heard), so that the run takes two and a half years of event time. When all horizons are passed, three more weeks
are looked at day by day: the arrays of the shard, what the detectors hold, the resident set of the process.

The resident set ends flat within a few per cent: what Python's own allocator keeps is not the shard's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import click
import numpy as np
import psutil

from detectors.engine import Engine
from detectors.policy import default_policy
from graph.kept import tree_of
from graph.shard import Settings, Shard
from graph.state import DAY
from streams.collector import spare
from streams.decode import EventDecoder
from streams.freeze import size_of

__all__ = ["Held", "replay"]

START = 1_600_000_000_000
ACTIVE = (10, 60)
"""Days that an account is active, from and to; before and after it nothing is heard of it."""
HOUR = DAY // 24
WITHIN = 1.03
"""What the largest of the last days may be, times the smallest."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is held at the end of a day; bytes of the shard's arrays, of the detectors', of the process."""

    day: int
    accounts: int
    contacts: int
    friendships: int
    shard: int
    engine: int
    resident: int


def day_of_events(day: int, joins: int, per_account: float, rng: np.random.Generator) -> bytes:
    """Return a day as lines of JSON in time order.

    Accounts are numbers: `joins` of them come each day, so that who is active follows from the day alone.
    """
    low = max(0, (day - ACTIVE[1]) * joins)
    numbers = np.arange(low, (day + 1) * joins)
    lasts = ACTIVE[0] + numbers * 2_654_435_761 % 2**32 * (ACTIVE[1] - ACTIVE[0]) // 2**32
    active = numbers[numbers // joins + lasts > day]
    count = rng.poisson(per_account * len(active))
    time = np.sort(rng.integers(0, DAY, count)) + START + day * DAY
    eager = np.cumsum(rng.pareto(2.0, len(active)) + 0.5)
    actor = active[np.searchsorted(eager, rng.random(count) * eager[-1])]
    # most know those who came about when they did
    near = np.clip(np.searchsorted(active, actor) + rng.integers(-40, 41, count), 0, len(active) - 1)
    target = np.where(rng.random(count) < 0.7, active[near], active[rng.integers(0, len(active), count)])
    what = rng.random(count)
    lines = []
    for number in range(day * joins, (day + 1) * joins):
        band = ("13_15", "16_17", "18_20", "21_plus")[number % 4]
        lines.append(
            f'{{"type":"account.updated","event_id":"a{number}","occurred_at":{START + day * DAY},'
            f'"actor_id":"account-{number}","age_band":"{band}"}}'
        )
    bounds = ((0.45, "message.sent"), (0.75, "friend_request.sent"), (0.93, "friend_request.accepted"))
    rest = ((0.96, "friend_request.declined"), (0.99, "friendship.removed"), (0.996, "account.blocked"))
    steps = (*bounds, *rest, (0.998, "account.deleted"), (1.0, "account.reported"))
    kinds = np.searchsorted([upto for upto, _ in steps], what)
    columns = zip(time.tolist(), actor.tolist(), target.tolist(), kinds.tolist(), strict=True)
    for i, (at, who, whom, kind) in enumerate(columns):
        name = steps[kind][1]
        if who == whom:
            continue
        to = "" if name == "account.deleted" else f',"target_id":"account-{whom}"'
        lines.append(f'{{"type":"{name}","event_id":"{day}-{i}","occurred_at":{at},"actor_id":"account-{who}"{to}}}')
    return "\n".join(lines).encode()


def replay(days: int, joins: int, per_account: float, settings: Settings | None = None) -> Iterator[Held]:
    """Replay so many days; yield what is held at the end of each.

    Parameters
    ----------
    days : int
    joins : int
        Accounts that come each day.
    per_account : float
        Events of an active account and day.
    settings : Settings, optional
        Horizons; by default the product's.
    """
    rng = np.random.default_rng(1)
    shard = Shard(settings)
    engine = Engine(shard, default_policy())
    decoder = EventDecoder()
    process = psutil.Process()
    spare()
    for day in range(days):
        decoded = decoder.decode_lines(day_of_events(day, joins, per_account, rng), not_after=START + (days + 2) * DAY)
        assert not decoded.rejected, decoded.rejected[:1]
        for _ in engine.process(decoded.batch):
            pass
        yield Held(
            day,
            shard.accounts,
            shard.contacts,
            shard.friendships,
            sum(shard.nbytes.values()),
            size_of(tree_of(engine)),
            process.memory_info().rss,
        )


@click.command()
@click.option("--joins", default=400, show_default=True, help="Accounts that come each day, and fall silent.")
@click.option("--per-account", default=1.0, show_default=True, help="Events of an active account and day.")
@click.option("--flat", default=21, show_default=True, help="Days to look at once all horizons are passed.")
def main(joins: int, per_account: float, flat: int) -> None:
    """Replay until every horizon is passed, then some weeks more; status 1 unless memory is flat by then."""
    # a friendship is held for two years after the last sign of life, looked at once a day; then its contacts are gone
    horizons = Settings().friend_horizon // DAY + ACTIVE[1] + 2
    last: list[Held] = []
    click.echo("  day   accounts   contacts friendships  shard MiB  detectors MiB  resident MiB")
    for held in replay(horizons + flat, joins, per_account):
        if held.day >= horizons:
            last.append(held)
        if held.day % 60 == 0 or held.day >= horizons:
            click.echo(
                f"{held.day:5} {held.accounts:10,} {held.contacts:10,} {held.friendships:11,} "
                f"{held.shard / 2**20:10.1f} {held.engine / 2**20:14.1f} {held.resident / 2**20:13.1f}"
            )
    failed = False
    for what in ("shard", "engine", "resident"):
        of = [getattr(held, what) for held in last]
        click.echo(f"{what}: {max(of) / min(of):.3f} times the least of these days at most (bar {WITHIN})")
        failed |= max(of) > WITHIN * min(of)
    sys.exit(failed)


if __name__ == "__main__":
    main()
