"""Bytes a contact, a friendship and an account take, beside networkx: `python -m benchmarks.memory`.

A shard is filled through `Shard.process` with a month of contacts, heavy-tailed as people's are, and with friendships;
what is then allocated (not what is used of it) is divided by what is held. The same contents go into networkx as a
plain program would hold them, one `DiGraph` edge with a dict of attributes a contact, one `Graph` edge a friendship;
there, the growth of the resident set counts. The shard's own growth stands beside it.
"""

from __future__ import annotations

import gc
import time
from typing import Any, Final, NamedTuple

import click
import networkx as nx
import numpy as np
import psutil

from graph.batch import EVENT, NO_ROLES, NO_TIME, NOT_GIVEN, EventBatch, EventKind
from graph.shard import Shard
from graph.state import DAY, NIL, Var
from graph.views import friends_of

START: Final = 1_791_158_400_000
CHUNK: Final = 50_000
MOST: Final = 1000
PER_LINK: Final = 100  # bytes a contact or friendship: the bar
PER_ACCOUNT: Final = 200


def texts(numbers: Any, length: int, salt: int) -> Any:
    """Return ids of `length` characters as rows of bytes, a different one a number (hexadecimal, filled up)."""
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    mixed = (numbers.astype(np.uint64) + np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
    shifts = np.arange(16, dtype=np.uint64) * np.uint64(4)
    short = digits[((mixed[:, None] >> shifts) & np.uint64(15)).astype(np.int64)]
    rows = np.tile(short, (1, length // 16 + 1))[:, :length]
    if length == 36:  # as UUIDs are written
        rows[:, [8, 13, 18, 23]] = ord("-")
    return rows


def hashes(numbers: Any, salt: int) -> Any:
    """Return well-mixed hashes (splitmix64), none of them 0."""
    z = (numbers.astype(np.uint64) + np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) | np.uint64(1)


class Names(NamedTuple):
    """What accounts are called: their hashes, and their texts as rows of bytes; both by number."""

    hashes: Any
    texts: Any


def batches(
    accounts: int,
    contacts: int,
    friendships: int,
    length: int,
    seed: int,
    *,
    start: int = START,
    names: Names | None = None,
) -> Any:
    """Yield events in time order, `CHUNK` at a time: contacts and friendships of heavy-tailed accounts.

    They fill the 29 days from `start` on (epoch ms). Accounts are called as `names` says, else by numbers mixed up.
    """
    rng = np.random.default_rng(seed)
    if names is None:
        everyone = np.arange(accounts)
        names = Names(hashes(everyone, 7), texts(everyone, length, 7))
    total = contacts + friendships
    weight = rng.pareto(1.5, accounts) + 0.3
    # platforms set limits (Facebook's is 5,000 friends): the busiest has `MOST` times the mean, not a tenth of all
    weight = np.cumsum(np.minimum(weight, MOST * weight.mean()))
    for at in range(0, total, CHUNK):
        n = min(CHUNK, total - at)
        number = np.arange(at, at + n)
        actor = np.searchsorted(weight, rng.random(n) * weight[-1])
        target = (actor + 1 + rng.integers(0, accounts - 1, n)) % accounts
        rows: Any = np.zeros(n, EVENT)
        friendship = rng.random(n) < friendships / total
        rows["kind"] = np.where(friendship, EventKind.FRIENDSHIP_CREATED, EventKind.REQUEST_SENT)
        rows["time"] = start + number * (29 * DAY) // total
        rows["mutual"], rows["roles"], rows["created_at"] = -1, NO_ROLES, NO_TIME
        rows["actor_age"], rows["target_age"] = NOT_GIVEN, NOT_GIVEN
        parts = []
        ids = Names(hashes(number, 1 << 40), texts(number, length, 1 << 40))
        for i, (name, known, which) in enumerate(
            (("event", ids, slice(None)), ("actor", names, actor), ("target", names, target))
        ):
            rows[name] = known.hashes[which]
            rows[name + "_at"] = (i * n + np.arange(n)) * length
            rows[name + "_len"] = length
            parts.append(known.texts[which].ravel())
        yield EventBatch(rows, np.concatenate(parts))


def as_networkx(shard: Shard) -> tuple[nx.DiGraph, nx.Graph]:
    """Return what a shard holds, as a plain program would hold it."""
    s = shard.state
    contacts, friends = nx.DiGraph(), nx.Graph()
    names = {row: shard.name(row) for row in np.flatnonzero(s.accounts["state"] == 1).tolist()}
    for row, name in names.items():
        account = s.accounts[row]
        facts = {key: int(account[key]) for key in ("age", "roles", "created", "seen")}
        contacts.add_node(name, **facts)
        friends.add_node(name)
        friends.add_edges_from((name, names[friend]) for friend in friends_of(shard, row) if row < friend)
    for p in np.flatnonzero(s.pairs["activity"][: int(s.vars[Var.PAIRS_TOP])] != NIL).tolist():
        pair = s.pairs[p]
        contacts.add_edge(
            names[int(s.owner[pair["activity"]])],
            names[int(pair["target"])],
            first=int(pair["first"]),
            last=int(pair["last"]),
            flags=int(pair["flags"]),
            event=shard.read_text(int(pair["event"])) or None,
        )
    return contacts, friends


def resident() -> int:
    """Return the bytes resident in memory."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


@click.command()
@click.option("--accounts", default=200_000, show_default=True)
@click.option("--contacts", default=2_000_000, show_default=True)
@click.option("--friendships", default=1_000_000, show_default=True)
@click.option("--ids", default=36, show_default=True, help="Characters of an id: 36 as in a UUID, 10 for a number.")
@click.option("--seed", default=1, show_default=True)
@click.option("--networkx/--no-networkx", "peer", default=True, show_default=True)
def main(accounts: int, contacts: int, friendships: int, ids: int, seed: int, peer: bool) -> None:
    """Measure, print, and fail where the bars are missed."""
    for batch in batches(100, 500, 100, ids, seed):  # compiled before it is measured
        list(Shard().process(batch))
    before = resident()
    shard, took = Shard(), 0.0
    for batch in batches(accounts, contacts, friendships, ids, seed):
        began = time.perf_counter()
        for _ in shard.process(batch):
            pass
        took += time.perf_counter() - began
    grown = resident() - before
    held, size = shard.contacts + shard.friendships, shard.nbytes
    links = size["contacts"] + size["friendships"]
    print(f"{shard.accounts:,} accounts, {shard.contacts:,} contacts, {shard.friendships:,} friendships ({took:.0f} s)")
    print(f"allocated: {size['contacts'] / shard.contacts:.1f} bytes a contact, ", end="")
    print(f"{size['friendships'] / max(1, shard.friendships):.1f} a friendship")
    print(f"  a contact or friendship {links / held:6.1f} bytes (bar {PER_LINK})")
    print(f"  an account              {size['accounts'] / shard.accounts:6.1f} bytes (bar {PER_ACCOUNT})")
    print(f"  deduplication           {size['deduplication'] / 1e6:6.1f} MB")
    print(
        f"  in all                  {sum(size.values()) / 1e6:6.1f} MB; the resident set grew by {grown / 1e6:.1f} MB"
    )
    if peer:
        before = resident()
        kept = as_networkx(shard)
        theirs = resident() - before
        ours = sum(size.values()) - size["deduplication"]
        print(f"networkx, same contents: {theirs / 1e6:,.0f} MB, {theirs / ours:.1f} times as much; ", end="")
        print(f"{theirs / held:,.0f} bytes a contact or friendship, accounts included (here {ours / held:.0f})")
        del kept
    if links / held > PER_LINK or size["accounts"] / shard.accounts > PER_ACCOUNT:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
