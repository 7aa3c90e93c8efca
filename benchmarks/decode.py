"""Bytes to columns beside bytes to objects: `python -m benchmarks.decode [EVENTS]`.

The measure is msgspec's typed decoder over joined lines (`decode_lines`), the fastest way there is to checked Python
objects; what is done with the objects then is not in it. Both start from a list of records, as a Kafka consumer hands
them over, and take turns, so that a noisy machine is noisy for both. The median of the rounds counts.

What was tried on the way (nanoseconds an event, one core of a shared machine, batches of 5,000):

- objects first, then columns: 240 to 600 for `decode_lines` alone, before three attribute reads, three calls of
  xxhash (60 to 80 each), the join of the texts and the time of each event; a datetime object an event costs
  300 more than to leave the time as text and parse it compiled, which takes about 10.
- one compiled pass over the bytes (`streams.scan`), ids hashed where they lie: 390 with arrays handed from function
  to function, since each call counted references; 330 with all of it inlined; 95 with addresses in place of
  arrays, which is what is used. Around it, the join of the records and their lengths cost 60. Nothing is left for
  the garbage collector.
- looking for None among the records before joining them: 15 to 50; now the join fails and is done again.
- what the scanner leaves (escapes in ids, birth dates, whatever is wrong) costs 8,000 to 9,000 an event.
"""

from __future__ import annotations

import gc
import random
import statistics
import sys
import time
from collections.abc import Callable

import msgspec

from streams.decode import EventDecoder
from streams.events import Event
from streams.timestamps import rfc3339

BEGIN = 1_795_000_000_000
ROUNDS = 9


def generate(count: int, seed: int = 1) -> list[bytes]:
    """Return records such as a platform sends: messages, requests and their answers."""
    draw = random.Random(seed)
    records = []
    for number in range(count):
        kind = draw.choices(
            ("message.sent", "friend_request.sent", "friend_request.accepted", "account.updated"), (60, 25, 10, 5)
        )[0]
        actor = draw.randrange(100_000)
        event: dict[str, object] = {
            "type": kind,
            "event_id": f"{draw.getrandbits(128):032x}",
            "occurred_at": rfc3339(BEGIN + number * 7),
            "actor_id": f"u{actor}",
        }
        if kind == "account.updated":
            event |= {"age_band": "13_15", "age_source": "declared", "roles": ["educator"]}
        else:
            event["target_id"] = f"u{(actor + 1 + draw.randrange(99_999)) % 100_000}"
        if kind == "message.sent" and draw.random() < 0.05:
            event["signs"] = ["secrecy", "off_platform"]
        if kind in ("message.sent", "friend_request.sent") and draw.random() < 0.3:
            event["mutual_friends"] = draw.randrange(20)
        records.append(msgspec.json.encode(event))
    return records


def clock(work: Callable[[], object]) -> float:
    """Return the seconds that one call takes."""
    gc.collect()
    begin = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - begin
    del result
    return seconds


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    records = generate(count)
    # with an escape in the id the scanner leaves a record to msgspec
    escaped = [record.replace(b'"event_id":"', b'"event_id":"\\u0041') for record in records]
    buffer = b"\n".join(records)
    bare = msgspec.json.Decoder(Event)
    decoder = EventDecoder()
    limit = 2 * BEGIN
    decoded = decoder.decode(records, not_after=limit)
    assert len(decoded.batch) == count
    assert not decoded.rejected
    ways: dict[str, Callable[[], object]] = {
        "msgspec decode_lines, records joined": lambda: bare.decode_lines(b"\n".join(records)),
        "decode to columns": lambda: decoder.decode(records, not_after=limit),
        "msgspec decode_lines, one buffer": lambda: bare.decode_lines(buffer),
        "decode_lines to columns, one buffer": lambda: decoder.decode_lines(buffer, not_after=limit),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, work in ways.items():
            seconds[name].append(clock(work))
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    print(f"{count:,} events of {len(buffer) / count:.0f} bytes, median of {ROUNDS} rounds")
    for name, taken in medians.items():
        print(f"  {name:40} {taken / count * 1e9:7.0f} ns/event {count / taken:12,.0f} events/s")
    joined, columns, lines, line_columns = medians.values()
    print(f"  ratio, records: {columns / joined:.2f}   ratio, one buffer: {line_columns / lines:.2f}")
    part = escaped[: count // 10]
    decoder.decode(part[:10], not_after=limit)
    slow = clock(lambda: decoder.decode(part, not_after=limit)) / len(part)
    print(f"  {'worst case, every record left to msgspec':40} {slow * 1e9:7.0f} ns/event")


if __name__ == "__main__":
    main()
