"""`kithwatch replay`: the same detection over files, with no broker."""

from __future__ import annotations

import base64
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import BinaryIO, Final

import click
import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from detectors.engine import Engine
from detectors.episodes import FlagRecord
from detectors.lists import Lists
from detectors.policy import Policy
from graph.batch import EventBatch
from graph.message import Reviews
from graph.shard import Shard
from graph.state import Var
from streams.cli import UserError
from streams.collector import spare
from streams.decode import EventDecoder
from streams.files import Block, read_blocks, size_of
from streams.lists import read_lists
from streams.options import latest_plausible, read_policy, read_time
from streams.outflow import flag_bytes
from streams.reviews import NO_REVIEWS, read_reviews
from streams.timestamps import rfc3339

__all__ = ["Bar", "Replay", "replay"]

NEWLINE: Final = b"\n"


class Replay:
    """One run of detection over lines of events.

    Parameters
    ----------
    policy : Policy
    raise_after : int
        Flags before this time, epoch ms, are not given out.
    not_after : int
        Events stamped after this, epoch ms, are refused.
    lists : Lists, optional
        Who stands on the policy's lists.
    reviews : ndarray of graph.message.REVIEW, optional
        What reviewers decided. A decision takes its place before the first event that is later than it.

    Examples
    --------
    >>> run = Replay(read_policy(None))
    >>> [flag.detector for flag in run.feed(b"")]
    []
    """

    def __init__(
        self,
        policy: Policy,
        *,
        raise_after: int = 0,
        not_after: int | None = None,
        lists: Lists | None = None,
        reviews: NDArray[np.void] = NO_REVIEWS,
    ) -> None:
        self.shard = Shard()
        self.engine = Engine(self.shard, policy, raise_after, lists)
        self.decoder = EventDecoder()
        self.reviews = reviews[np.argsort(reviews["time"], kind="stable")]
        self.reviewed = 0
        self.not_after = latest_plausible() if not_after is None else not_after
        self.events = 0
        self.refused: list[tuple[int, str]] = []
        """Line number within the last block, counted from 0, and reason."""

    def feed(self, lines: bytes) -> Iterator[FlagRecord]:
        """Take whole lines of events and yield the flags they lead to."""
        decoded = self.decoder.decode_lines(lines, not_after=self.not_after)
        self.refused = [(bad.index, bad.reason) for bad in decoded.rejected]
        self.events += len(decoded.batch)
        yield from self._process(decoded.batch)

    def _process(self, batch: EventBatch) -> Iterator[FlagRecord]:
        at = 0
        while self.reviewed < len(self.reviews):
            due = int(self.reviews["time"][self.reviewed])
            later = np.flatnonzero(batch.rows["time"][at:] > due)
            if not len(later):
                break
            first = at + int(later[0])
            yield from self.engine.process(batch.select(slice(at, first)))
            yield from self._review(due)
            at = first
        yield from self.engine.process(batch.select(slice(at, None)) if at else batch)

    def _review(self, until: int) -> Iterator[FlagRecord]:
        """Obey the decisions up to a time, epoch ms."""
        upto = int(np.searchsorted(self.reviews["time"], until, side="right"))
        yield from self.engine.take(Reviews(self.reviews[self.reviewed : upto]))
        self.reviewed = upto

    def finish(self) -> Iterator[FlagRecord]:
        """Yield what follows from decisions after the last event."""
        if self.reviewed < len(self.reviews):
            yield from self._review(int(self.reviews["time"][-1]))


class _Out:
    """A file to write lines to; what goes wrong with it is said in one line.

    Raises
    ------
    UserError
        When it cannot be opened, or is one of the inputs, which opening it would empty.
    click.ClickException
        When it cannot be written to later, as on a full disk.
    """

    def __init__(self, path: str, inputs: tuple[str, ...], stack: ExitStack) -> None:
        self.name = "standard output" if path == "-" else path
        if path == "-":
            self.file: BinaryIO = sys.stdout.buffer
            return
        if any(os.path.exists(path) and os.path.exists(one) and os.path.samefile(path, one) for one in inputs):
            raise UserError(f"{path}: is read from, and cannot be written to as well")
        try:
            self.file = open(path, "wb")  # noqa: SIM115  closed by `close`
        except OSError as problem:
            raise UserError(f"{path}: cannot be written ({problem.strerror})") from None
        stack.callback(self.close)

    def write(self, line: bytes) -> None:
        """Write a line."""
        self._attempt(lambda: self.file.write(line))

    def flush(self) -> None:
        """Hand everything over to the system."""
        self._attempt(self.file.flush)

    def close(self) -> None:
        """Close the file; what could not be written was said before."""
        with suppress(OSError):
            self.file.close()

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as problem:
            raise click.ClickException(f"{self.name}: cannot be written ({problem.strerror})") from None


def _dead_letter(name: str, block: Block, line: int, reason: str, lines: list[bytes]) -> bytes:
    """Return a refused line as JSON: where it stood, why it was refused, and its bytes as they came."""
    letter: dict[str, object] = {"error": reason, "file": name, "line": block.first_line + line}
    raw = lines[line]
    try:
        letter["record"] = raw.decode()
    except UnicodeDecodeError:
        letter["record_base64"] = base64.b64encode(raw).decode()
    return msgspec.json.encode(letter) + NEWLINE


class Bar:
    """A progress bar on stderr over all files; a spinner where a size is not known; nothing where it is no terminal."""

    def __init__(self, paths: list[str], stack: ExitStack) -> None:
        sizes = [size_of(path) for path in paths]
        console = Console(stderr=True)
        self.progress = stack.enter_context(
            Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:3.0f} %"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[events]:,} events, {task.fields[flags]} flags"),
                console=console,
                transient=True,
                disable=not console.is_terminal,
            )
        )
        known = [size for size in sizes if size is not None]
        total = sum(known) if len(known) == len(sizes) else None
        self.task: TaskID = self.progress.add_task("reading", total=total, events=0, flags=0)
        self.before = 0

    def move(self, position: int, events: int, flags: int) -> None:
        """Show where the reading is."""
        self.progress.update(self.task, completed=self.before + position, events=events, flags=flags)

    def next_file(self, position: int) -> None:
        """Go on with the next file."""
        self.before += position


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--flags", "flags_path", required=True, metavar="OUT", help="Where flags go, as JSON Lines; - for stdout."
)
@click.option("--policy", "policy_path", metavar="FILE", help="A policy; what it leaves out keeps its default.")
@click.option("--lists", "lists_paths", multiple=True, metavar="FILE", help="Who stands on the policy's lists.")
@click.option("--dispositions", "reviews_path", metavar="FILE", help="What reviewers decided, as JSON Lines.")
@click.option("--dead-letters", "dead_path", metavar="OUT", help="Where refused lines go, as JSON Lines.")
@click.option("--raise-after", metavar="TIME", help="Give out no flag before this event time (for loading history).")
def replay(
    files: tuple[str, ...],
    flags_path: str,
    policy_path: str | None,
    lists_paths: tuple[str, ...],
    reviews_path: str | None,
    dead_path: str | None,
    raise_after: str | None,
) -> None:
    """Detect over files of events: JSON Lines, plain, .gz or .zst, in the order given; - is standard input."""
    after = read_time(raise_after, "--raise-after")
    policy = read_policy(policy_path)
    reviews = read_reviews(reviews_path)
    run = Replay(policy, raise_after=after, lists=read_lists(lists_paths, policy), reviews=reviews)
    kinds: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    spare()
    begun = time.perf_counter()
    with ExitStack() as stack:
        out = _Out(flags_path, files, stack)
        dead = _Out(dead_path, files, stack) if dead_path else None
        bar = Bar(list(files), stack)

        def tell(record: FlagRecord) -> None:
            out.write(flag_bytes(record) + NEWLINE)
            kinds[f"{record.type} {record.detector} {record.severity}"] += 1

        for path in files:
            position = 0
            for block in read_blocks(path):
                for record in run.feed(block.data):
                    tell(record)
                if run.refused:
                    lines = block.data.split(NEWLINE) if dead else []
                    for line, reason in run.refused:
                        refused[reason] += 1
                        if dead:
                            dead.write(_dead_letter(path, block, line, reason, lines))
                position = block.position
                bar.move(position, run.events, sum(kinds.values()))
            bar.next_file(position)
        for record in run.finish():
            tell(record)
        out.flush()
        if dead:
            dead.flush()
    _summary(run, kinds, refused, time.perf_counter() - begun)


def _summary(run: Replay, kinds: Counter[str], refused: Counter[str], seconds: float) -> None:
    """Say on stderr what was read and found."""
    shard = run.shard
    lines = [
        f"{run.events:,} events in {seconds:.1f} s ({run.events / max(seconds, 1e-9):,.0f} a second); "
        f"{sum(refused.values()):,} refused, {shard.counter(Var.N_DUPLICATE):,} second deliveries, "
        f"{shard.counter(Var.N_LATE):,} late, {shard.counter(Var.N_AHEAD):,} stamped too far ahead"
    ]
    if shard.clock >= 0:
        lines.append(
            f"{shard.accounts:,} accounts, {shard.contacts:,} contacts and {shard.friendships:,} friendships held "
            f"at {rfc3339(shard.clock)}"
        )
    for reason, count in refused.most_common(10):
        lines.append(f"  refused {count:,}: {reason}")
    if len(refused) > 10:
        lines.append(f"  refused for {len(refused) - 10} other reasons: see --dead-letters")
    lines.append(f"{sum(kinds.values()):,} flag records" + (":" if kinds else ""))
    lines.extend(f"  {count:6,}  {kind}" for kind, count in sorted(kinds.items()))
    print("\n".join(lines), file=sys.stderr)
