"""Feed the decoder what no platform sends, for so long: `python -m tests.streams.fuzz --seconds 600`.

Mutations of valid records (bytes flipped, left out, doubled, spliced from another record, numbers and strings taken to
their limits) and, of what is left, mutations again. Each batch is read twice: by the compiled scanner, and one by one
by msgspec, whose word is final. They must say the same of every record, and nothing may be raised. A batch that they
differ on is printed, with the seed that leads to it.
"""

from __future__ import annotations

import random
import sys
import time
from typing import Final

import click
import msgspec

from simulation.scenarios import build
from streams.decode import EventDecoder
from tests.streams.test_decode import NOW, one_by_one, plain

__all__ = ["fuzz", "main"]

BATCH: Final = 64
WORDS: Final = (
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"\t", b"\0", b"\x7f", b"\xff", b"\xc3\xa9"),
    *(b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\\u0000", b"\\ud800", b"\\ud83d\\ude00", b"\\u00e9", b"null", b"true"),
    *(
        b"-1",
        b"0",
        b"00",
        b"1e5",
        b"1.0",
        b"-0",
        b"9223372036854775807",
        b"9223372036854775808",
        b"1e400",
        b"{}",
        b"[]",
    ),
    *(b"+00:00", b"Z", b"-23:59", b"+24:00", b"T", b":60", b"-02-30", b"9999-12-31", b"0000", b".123456789", b"2026"),
    *(b'"type":', b'"event_id":', b'"occurred_at":', b'"actor_id":', b'"target_id":', b'"signs":', b'"birth_date":'),
    *(b'"age_band":', b'"roles":', b'"mutual_friends":', b'"x":', b"message.sent", b"account.updated", b"secrecy"),
)


def mutated(chance: random.Random, record: bytes, other: bytes) -> bytes:
    """Return a record with one to four things wrong."""
    data = bytearray(record)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(data) + 1)
        upto = min(len(data), at + chance.choice((1, 1, 2, 8, 30)))
        match chance.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                del data[at:upto]
            case 2:
                data[at:at] = data[at:upto] * chance.choice((1, 1, 3, 40))
            case 3:
                begin = chance.randrange(len(other) + 1)
                data[at:upto] = other[begin : begin + chance.randrange(60)]
            case 4:
                data[at:upto] = chance.randbytes(chance.choice((1, 2, 8)))
            case _:
                data[at : at + chance.choice((0, 0, 1, 4))] = chance.choice(WORDS)
    return bytes(data[:70_000])


def fuzz(seconds: float, seed: int) -> int:
    """Return how many records were read alike.

    Raises
    ------
    AssertionError
        If the two readings differ.
    """
    pool = [msgspec.json.encode(event) for event in build("demo", seed % 1000, 60, 1).events()][:2_000]
    begun, read, number = time.monotonic(), 0, 0
    while time.monotonic() - begun < seconds:
        chance = random.Random(f"{seed} {number}")
        values: list[bytes | None] = []
        for _ in range(BATCH):
            value = chance.choice(pool)
            for _ in range(chance.choice((0, 1, 1, 1, 3))):
                value = mutated(chance, value, chance.choice(pool))
            values.append(value)
        try:
            same = plain(EventDecoder(7).decode(values, not_after=NOW)) == plain(one_by_one(values))
        except Exception as problem:
            raise AssertionError(f"{type(problem).__name__}: {problem}\n{number=} {seed=}\n{values}") from problem
        assert same, f"the readings differ: {number=} {seed=}\n{values}"
        read += len(values)
        number += 1
    return read


@click.command()
@click.option("--seconds", default=60.0, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(seconds: float, seed: int) -> None:
    """Fuzz the decoder for so long."""
    try:
        click.echo(f"{fuzz(seconds, seed):,} records read alike in {seconds:.0f} s")
    except AssertionError as problem:
        click.echo(str(problem), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
