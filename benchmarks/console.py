"""The console under load: flags a second into the database, then the queue page and searches, as people wait for them.

    python -m benchmarks.console [--flags 10000000] [--accounts 100000] [--database URL]

With `--flags 0` only the pages of a database that is there already.

Flags are JSON as on the topic: an account has several episodes, each of which grows record by record, as a worker sends
them. Reading from Kafka is not in it. Pages are asked for over HTTP from the console's own server on this machine,
signed in, with the audit record that each look leaves, while nothing else runs; at last the queue page once more while
flags come as fast as they are taken.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from itertools import islice
from math import ceil
from pathlib import Path

import httpx
import msgspec
import numpy as np
import uvicorn
from kafka import TopicPartition
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from console.database import Database
from console.decisions import Choice, decide
from console.keys import Keys
from console.people import Person, add_user, start_session
from console.reached import keep_up
from console.server import take_flags
from console.service import Service
from console.storing import Store
from console.tables import cases, flags
from console.web.app import make_app
from streams.broker import free_port
from streams.collector import spare
from streams.timestamps import rfc3339

BATCH = 5_000
START = 1_795_000_000_000
EPISODES = 5
TARGETS = 200_000
SEVERITIES = ("low", "low", "medium", "high", "critical")
DETECTORS = ("minor_targeting", "mass_add")
ASKED = 300


def stream(accounts: int, seed: int) -> Iterator[list[bytes]]:
    """Yield batches of flags as JSON, in the order of time, without end."""
    draw = np.random.default_rng(seed)
    counts = np.zeros(accounts * EPISODES, np.int64)
    at = START
    while True:
        chosen = draw.integers(0, len(counts), BATCH)
        batch = []
        for number in chosen.tolist():
            counts[number] += 1
            batch.append(record(number, int(counts[number]), at))
            at += 7
        yield batch


def record(number: int, step: int, at: int) -> bytes:
    """Return the n-th record of an episode as JSON."""
    account, episode = divmod(number, EPISODES)
    reached = range(step + 4, max(step - 16, 0), -1)
    targets = ",".join(f'"t{(account * 17 + episode * 131 + place) % TARGETS}"' for place in reached)
    events = ",".join(f'"e{number:x}.{place:x}"' for place in reached)
    when, kind = rfc3339(at), "flag.raised" if step == 1 else "flag.updated"
    severity = SEVERITIES[min((account % 7) * step // 24, 4)]
    score = min(0.2 + 0.02 * step + (account % 50) / 100, 0.99)
    return (
        f'{{"type":"{kind}","schema_version":1,"flag_id":"{number:032x}","account_id":"u{account}","role":"actor",'
        f'"detector":"{DETECTORS[episode % 2]}","severity":"{severity}","score":{score:.4f},"raised_at":"{when}",'
        f'"updated_at":"{when}","window":{{"start":"{rfc3339(at - 604_800_000)}","end":"{when}"}},"evidence":{{'
        f'"features":{{"minors_7d":{step + 4},"strangers_7d":{step + 9},"blocked_7d":1,"declined_7d":2}},'
        f'"thresholds":{{"minors_7d":5,"p_value":1e-6}},"baseline":{{"expected":0.3,"minor_share":0.05}},'
        f'"targets":[{targets}],"event_ids":[{events}]}},"explanation":"Adult account contacted {step + 4} minors with '
        f'no mutual friend in 7 days; 0.3 were expected of {step + 9} stranger contacts.","counterfactual":"Would not '
        f'have been raised below 5 minors in 7 days.","policy_version":"2d5c4d799fdc","shadow":false}}'
    ).encode()


class Sent(msgspec.Struct, frozen=True):
    """A record as the console reads it."""

    topic: str
    partition: int
    offset: int
    value: bytes


class Topic:
    """Stores records as if they had been read from a new topic."""

    def __init__(self, service: Service) -> None:
        self.partition = TopicPartition(f"benchmark-{uuid.uuid4().hex}", 0)
        self.store = Store(service.database, take_flags(service), lambda: START)
        self.next = 0

    def take(self, values: Sequence[bytes]) -> None:
        """Store one batch."""
        records = [Sent(*self.partition, self.next + place, value) for place, value in enumerate(values)]
        self.next += len(records)
        self.store.store({self.partition: records}, {self.partition: self.next})


class Batch(msgspec.Struct, frozen=True):
    """How long a batch took: by the clock on the wall, and of processor time, in seconds."""

    wall: float
    processor: float


def ingest(service: Service, flow: Iterator[list[bytes]], total: int) -> list[Batch]:
    """Take so many flags, in whole batches; return how long each took, from JSON to the end of its transaction."""
    topic = Topic(service)
    spent: list[Batch] = []
    for count, batch in enumerate(islice(flow, ceil(total / BATCH))):
        start, busy = time.perf_counter(), time.process_time()
        topic.take(batch)
        spent.append(Batch(time.perf_counter() - start, time.process_time() - busy))
        if count % 100 == 99:
            wall, own = rates(spent[-100:])
            print(
                f"  {(count + 1) * BATCH:,} flags; now {wall:,.0f} a second, {own:,.0f} of processor time", flush=True
            )
    return spent


def rates(batches: list[Batch]) -> tuple[float, float]:
    """Return flags a second, and a second of processor time."""
    flags_taken = BATCH * len(batches)
    return flags_taken / sum(one.wall for one in batches), flags_taken / sum(one.processor for one in batches)


def notes(service: Service, person: Person, accounts: int, count: int = 5_000) -> None:
    """Write notes, so that there is something to search."""
    words = [f"word{number}" for number in range(500)]
    draw = random.Random(2)
    with service.database.writing() as connection:
        for _ in range(count):
            note = " ".join(draw.choices(words, k=12))
            case = draw.randrange(1, accounts + 1)
            decide(connection, service.keys, person, case, Choice(action="note", note=note), now=START)


def verdicts(service: Service, person: Person, count: int) -> None:
    """Decide on cases, every second one either way: what the overview counts."""
    draw = random.Random(4)
    with service.database.reading() as connection:
        waiting = connection.execute(select(cases.c.id).where(cases.c.state == "open").order_by(cases.c.id)).scalars()
        chosen = draw.sample(waiting.all(), count)
    for first in range(0, count, 500):
        with service.database.writing() as connection:
            for case in chosen[first : first + 500]:
                yes = case % 2 == 0
                choice = Choice(
                    action="confirm" if yes else "dismiss",
                    reason="minors_sought" if yes else "too_little",
                    policy="child_safety.grooming" if yes else "none",
                )
                decide(connection, service.keys, person, case, choice, now=START)


def worked_out(service: Service) -> tuple[float, int]:
    """Let upkeep work out the accounts at risk for the first time; return seconds of work, and how many looks."""
    start, looks = time.perf_counter(), 1
    while not keep_up(service.database, service.clock()):
        looks += 1
    return time.perf_counter() - start, looks


def asked(client: httpx.Client, addresses: list[str]) -> list[float]:
    """Ask for pages one after the other; return the times in milliseconds."""
    times = []
    for address in addresses:
        start = time.perf_counter()
        client.get(address).raise_for_status()
        times.append(1000 * (time.perf_counter() - start))
    return times


def pages(service: Service, accounts: int, flow: Iterator[list[bytes]] | None) -> dict[str, list[float]]:
    """Ask the running console for pages, at last while flags come, if there are any."""
    with service.database.writing() as connection:
        login = f"bench-{service.clock()}"  # there may be one of an earlier run
        number = add_user(connection, login, "Bench", "lead", None, now=START)
        value = start_session(connection, number, service.clock())
    me = Person(id=number, login=login, name="Bench", role="lead", csrf="", session="")
    notes(service, me, accounts)
    verdicts(service, me, accounts // 5)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(make_app(service), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    draw = random.Random(3)
    some = [draw.randrange(accounts) for _ in range(ASKED)]
    queue = [
        "/queue",
        "/queue?severity=2",
        "/queue?detector=mass_add",
        "/queue?sort=due",
        "/queue?who=nobody&severity=3",
    ]
    found = {}
    spent, looks = worked_out(service)
    print(f"  accounts at risk: worked out in {spent:.1f} s of work, {looks} looks of upkeep", flush=True)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", cookies={"kithwatch": value}, timeout=60) as client:
        asked(client, queue)
        found["queue page"] = asked(client, [queue[place % len(queue)] for place in range(ASKED)])
        found["search: account id"] = asked(client, [f"/queue?state=any&q=u{one}" for one in some])
        names = [service.keys.pseudonym_of(f"u{one}") for one in some]
        found["search: pseudonym"] = asked(client, [f"/queue?state=any&q={name}" for name in names])
        found["search: target"] = asked(client, [f"/queue?state=any&q=t{one}" for one in some])
        found["search: words of notes"] = asked(client, [f"/queue?state=any&q=word{one % 500}" for one in some])
        found["case page"] = asked(client, [f"/cases/{one + 1}" for one in some[:100]])
        for what, address in (("overview", "/overview"), ("accounts at risk", "/at-risk")):
            found[f"{what}, the first time"] = asked(client, [address])
            found[what] = asked(client, [address] * 20)
        if flow is not None:
            found["queue page, while flags come"] = while_flags_come(
                service, flow, client, [queue[place % len(queue)] for place in range(ASKED)]
            )
    server.should_exit = True
    thread.join()
    return found


def while_flags_come(
    service: Service, flow: Iterator[list[bytes]], client: httpx.Client, addresses: list[str]
) -> list[float]:
    """Ask for pages while flags are taken; return how long each took, in ms."""
    topic, enough, failed = Topic(service), threading.Event(), []

    def come() -> None:
        try:
            while not enough.is_set():
                topic.take(next(flow))
        except BaseException as problem:  # told below: without flags the times would say nothing
            failed.append(problem)
            raise

    thread = threading.Thread(target=come)
    thread.start()
    start = time.perf_counter()
    try:
        waited = asked(client, addresses)
    finally:
        enough.set()
        thread.join()
    if failed:
        raise RuntimeError("flags did not come") from failed[0]
    print(f"  meanwhile {topic.next / (time.perf_counter() - start):,.0f} flags a second by the clock", flush=True)
    return waited


def ingested(table: Table, spent: list[Batch]) -> None:
    """Add rows on how fast flags were taken in."""
    tenth = max(len(spent) // 10, 1)
    for part, batches in (("all", spent), ("the first tenth", spent[:tenth]), ("the last tenth", spent[-tenth:])):
        wall, own = rates(batches)
        table.add_row(f"ingest, {part}: flags a second", f"{wall:,.0f}", "")
        table.add_row(f"ingest, {part}: flags a second of processor time", f"{own:,.0f}", "")
    slow = statistics.quantiles([one.wall for one in spent], n=20)[-1] if len(spent) > 1 else spent[0].wall
    table.add_row(
        f"ingest, {BATCH:,} flags: ms",
        f"{1000 * statistics.median(one.wall for one in spent):,.0f}",
        f"{1000 * slow:,.0f}",
    )


def main() -> None:
    """Run everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--flags", type=int, default=10_000_000)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--database", help="PostgreSQL or SQLite; by default a SQLite file of its own")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kithwatch-bench-") as folder:
        url = given.database or f"sqlite:///{Path(folder) / 'console.db'}"
        service = Service(database=Database(url), keys=Keys.from_secret("only for the benchmark, and nothing else"))
        spare()
        flow = stream(given.accounts, 1)
        spent = ingest(service, flow, given.flags)
        service.database.analyze()
        with service.database.reading() as connection:
            held = [
                connection.execute(select(func.count()).select_from(table)).scalar_one() for table in (cases, flags)
            ]
        times = pages(service, held[0], flow if given.flags else None)
        service.database.close()
        size = Path(folder, "console.db").stat().st_size if given.database is None else 0
    kind = service.database.name.split(":")[0]
    table = Table(
        title=f"{given.flags:,} flag records, {held[1]:,} flags, {held[0]:,} cases, {kind}"
        + (f", {size / 1e9:.1f} GB" if size else "")
    )
    for name in ("what", "p50", "p95"):
        table.add_column(name, justify="left" if name == "what" else "right")
    if spent:
        ingested(table, spent)
    for what, waited in times.items():
        late = statistics.quantiles(waited, n=20)[-1] if len(waited) > 1 else waited[0]
        table.add_row(f"{what}, ms", f"{statistics.median(waited):,.0f}", f"{late:,.0f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
