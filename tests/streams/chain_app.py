"""A worker for the tests: two chained topics on the batched transport, what it saw appended to a file.

Started as `python chain_app.py BOOTSTRAP GROUP FIRST SECOND JOURNAL MODE`. Each batch of FIRST is sent on to the same
partition of SECOND. A line of the journal is JSON: topic, partition, and the offsets of the records.

MODE is how batches of FIRST are acknowledged: `each` at once; `third` at once, but the third of each partition never;
`late` backwards, on the signal that the partitions are revoked.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

import faust
from faust.types import TP, EventT

from streams.broker import free_port
from streams.transport import APP_SETTINGS, Batch, batched_topic

bootstrap, group, first_name, second_name, journal_path, mode = sys.argv[1:7]
sys.argv[1:] = ["worker", "--without-web", "--web-port", str(free_port()), "-l", "info"]

settings = {
    **APP_SETTINGS,
    "broker": f"kithwatch://{bootstrap}",
    "broker_max_poll_records": 500,
    "broker_commit_interval": 0.3,
    "broker_session_timeout": 6.0,
    "broker_heartbeat_interval": 1.0,
    "datadir": str(Path(journal_path).parent / f"{Path(journal_path).stem}-data"),
}
app = faust.App(group, **settings)
first = batched_topic(app, first_name)
second = batched_topic(app, second_name)
journal = open(journal_path, "a", buffering=1)  # noqa: SIM115
seen: Counter[int] = Counter()
held: list[EventT] = []


def note(**line: object) -> None:
    journal.write(json.dumps(line) + "\n")


def acknowledge(event: EventT, batch: Batch) -> None:
    seen[batch.partition] += 1
    if mode == "each" or (mode == "third" and seen[batch.partition] != 3):
        event.ack()
    else:
        batch.release()
        held.append(event)


@app.agent(first)
async def forward(stream: faust.StreamT[Batch]) -> None:
    async for event in stream.noack().events():
        batch = event.value
        note(topic=first_name, partition=batch.partition, offsets=[record.offset for record in batch.records])
        sent = [await second.send(value=value, partition=batch.partition) for value in batch.values()]
        await asyncio.gather(*sent)  # delivered: only then may the batch count as done
        acknowledge(event, batch)


@app.agent(second)
async def collect(stream: faust.StreamT[Batch]) -> None:
    async for event in stream.noack().events():
        batch = event.value
        values = [int(value) for value in batch.values()]
        note(
            topic=second_name,
            partition=batch.partition,
            offsets=[record.offset for record in batch.records],
            values=values,
        )
        event.ack()


@app.on_partitions_assigned.connect
async def assigned(app: faust.App, assigned: set[TP], **_: object) -> None:
    note(assigned=sorted([tp.topic, tp.partition] for tp in assigned))


@app.on_partitions_revoked.connect
async def revoked(app: faust.App, revoked: set[TP], **_: object) -> None:
    note(revoked=sorted([tp.topic, tp.partition] for tp in revoked))
    if mode == "late":
        while held:
            held.pop().ack()


if __name__ == "__main__":
    app.main()
