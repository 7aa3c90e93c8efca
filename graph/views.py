"""The graph as people look at it: ego networks, co-targets and evidence, as `networkx` graphs and plain lists.

Everything here reads a shard and changes nothing; it is for one account at a time, not for the stream.
An account is a node by its row in the shard, with its id as an attribute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import networkx as nx
import numpy as np

from graph.batch import AgeBand, Role
from graph.callers import find_halves, halvings
from graph.jit import njit
from graph.pairs import targets_shared
from graph.shard import Shard
from graph.state import CONTACT, LIVE, NIL, STRANGER, WINDOWS, Var

__all__ = [
    "FLAG_NAMES",
    "Caller",
    "callers_of",
    "clustering",
    "co_targets",
    "contacts_graph",
    "contacts_of",
    "ego",
    "evidence",
    "friends_graph",
    "friends_of",
    "in_common",
    "recent_contacts",
    "rows_of",
    "ties_of",
]

MARKS: Final = 1 << 16
FLAG_NAMES: Final = (
    *("stranger", "linked", "minor", "accepted", "declined", "ignored"),
    *("blocked", "reported", "replied", "cancelled", "contact", "lone"),
)
"""Names of the bits in a contact's flags, from the lowest."""


def flag_names(flags: int) -> list[str]:
    """Return the names of the bits set in a contact's flags."""
    return [name for bit, name in enumerate(FLAG_NAMES) if flags >> bit & 1]


def _band(age: int) -> str:
    """Return an age band's name in the contract, such as `13_15`."""
    return AgeBand(age).name.lower().removeprefix("age_")


def friends_of(shard: Shard, row: int) -> list[int]:
    """Return the rows of an account's friends, in rising order."""
    account = shard.state.accounts[row]
    at = int(account["friends_at"])
    return [int(friend) for friend in shard.state.pool[at : at + int(account["friends"])]]


def contacts_of(shard: Shard, row: int) -> Iterator[int]:
    """Yield the rows of an account's contacts, the newest arrival first."""
    s = shard.state
    activity = int(s.accounts["activity"][row])
    if activity != NIL:
        yield from _back_from(shard, int(s.newest[activity]))


def _reached(shard: Shard, row: int) -> Iterator[int]:
    """Yield the contacts with which an account reached out: not those of which only a block or report is known."""
    return (p for p in contacts_of(shard, row) if shard.state.pairs["flags"][p] & CONTACT)


def _back_from(shard: Shard, pair: int) -> Iterator[int]:
    pairs = shard.state.pairs
    if pair == NIL or pairs["activity"][pair] == NIL:
        return
    while pair != NIL:
        yield pair
        pair = int(pairs["earlier"][pair])


def recent_contacts(
    shard: Shard, pair_row: int, *, strangers_only: bool = True, since: int = 0, limit: int = 20
) -> list[dict[str, Any]]:
    """Return the newest contacts of an account, as records.

    Parameters
    ----------
    shard : Shard
    pair_row : int
        Where to start, such as the `pair` of a row of features; what arrived later is left out. NIL: nothing.
    strangers_only : bool
        Leave out those who were no strangers.
    since : int
        Leave out contacts whose first time is not after this, epoch ms.
    limit : int
        How many at most.

    Returns
    -------
    list of dict
        `target` (id; empty if that account was deleted), `event` (id of the first contact's event; empty if it is no
        longer held), `first`, `last` (epoch ms), `flags` (names), `target_age` (name of the age band).
    """
    s = shard.state
    wanted = STRANGER if strangers_only else CONTACT
    found: list[dict[str, Any]] = []
    for p in _chosen(shard, pair_row, since, wanted):
        if len(found) == limit:
            break
        pair = s.pairs[p]
        target = int(pair["target"])
        found.append(
            {
                "target": shard.name(target),
                "event": shard.read_text(int(pair["event"])),
                **_contact_attributes(shard, p),
            }
        )
    return found


def _chosen(shard: Shard, pair: int, since: int, mask: int) -> Iterator[int]:
    """Yield contacts at or before `pair` in order of arrival, later than `since`, with a flag of `mask`."""
    pairs = shard.state.pairs
    for p in _back_from(shard, pair):
        first = int(pairs["first"][p])
        if first > since:
            if int(pairs["flags"][p]) & mask:
                yield p
        elif first <= since - shard.settings.lateness:
            return  # whatever arrived before this is older still


def evidence(
    shard: Shard, account: int, pair: int, *, since: int, mask: int, limit: int = 20
) -> tuple[str, list[str], list[str]]:
    """Return the id of an account, and the targets and events behind a count, the newest arrival first.

    Parameters
    ----------
    shard : Shard
    account : int
        The row whose id is asked for.
    pair : int
        The `pair` of the row of features: contacts that arrived later are left out. NIL: nothing.
    since : int
        Contacts are later than this, epoch ms. Event ids are held for the 7 d window; for evidence that does not
        depend on when it is asked for, let it be no less than `shard.next_tick` less 7 d.
    mask : int
        Contacts have at least one of these flags; 0: none is asked for. `STRANGER`, `LINKED` and `MINOR` are as they
        were when the row was written; outcomes are as of now.
    limit : int
        How many contacts at most.

    Returns
    -------
    name : str
        Empty if the account was deleted.
    targets, events : list of str
        Ids. Contacts whose target was deleted are left out; an event id that is no longer held is, too.
    """
    references = np.empty(1 + 2 * limit, np.uint64)
    targets, events = newest_of(shard.state, account, pair, since, shard.settings.lateness, mask, references)
    name, *texts = shard.read_texts(references[: 1 + targets + events])
    return name, texts[:targets], texts[targets:]


@njit
def newest_of(s: Any, account: int, pair: int, since: int, lateness: int, mask: int, found: Any) -> Any:
    """Write the texts of an account, of targets and of events of the newest contacts, as `evidence` wants them.

    `found` has room for one and twice as many as are wanted. Returns how many targets and how many events there are.
    """
    n = m = 0
    limit = len(found) // 2
    found[0] = s.accounts[account].text
    p = np.int64(pair)
    if mask == 0 or p == NIL or s.pairs[p].activity == NIL:
        return n, m
    while p != NIL and n < limit:
        held = s.pairs[p]
        if held.first > since:
            target = s.accounts[held.target]
            if held.flags & mask and target.state == LIVE:
                n += 1
                found[n] = target.text
                if held.event != 0:
                    m += 1
                    found[limit + m] = held.event
        elif held.first <= since - lateness:
            break  # whatever arrived before this is older still
        p = np.int64(held.earlier)
    for i in range(1, m + 1):
        found[n + i] = found[limit + i]
    return n, m


def clustering(shard: Shard, row: int) -> float:
    """Return the local clustering coefficient of an account: the share of pairs of friends who are friends.

    Watts and Strogatz, "Collective dynamics of 'small-world' networks" (1998). 0 for fewer than two friends.
    """
    account = shard.state.accounts[row]
    friends = int(account["friends"])
    return 0.0 if friends < 2 else 2.0 * int(account["triangles"]) / (friends * (friends - 1))


class Caller(NamedTuple):
    """A first contact with a stranger, as the shard of its target keeps it.

    Attributes
    ----------
    actor : int
        The lower half of the actor's hash.
    at : int
        Epoch ms, whole seconds.
    suspicion : int
        Of the actor at that time.
    """

    actor: int
    at: int
    suspicion: int


def callers_of(shard: Shard, row: int) -> list[Caller]:
    """Return who contacted an account as a stranger in the last 7 days: the newest arrivals, `SLOTS` at most."""
    s = shard.state
    block = int(s.accounts["callers"][row])
    if block == NIL:
        return []
    since = (shard.clock - WINDOWS["7d"]) // 1000
    held = zip(*(s.callers[name][block].tolist() for name in ("actor", "at", "suspicion")), strict=True)
    return [Caller(actor, at * 1000, suspicion) for actor, at, suspicion in held if actor and at > since]


def ties_of(shard: Shard, row: int) -> dict[int, int]:
    """Return other actors whom an account met at its targets, with how many targets they share, at least.

    By the lower half of their hash, the closest first: they may be another shard's (see `graph.callers`).
    """
    s = shard.state
    activity = int(s.accounts["activity"][row])
    table = NIL if activity == NIL else int(s.ties_of[activity])
    if table == NIL:
        return {}
    times = int(halvings(s, table))
    counts = zip(s.ties["other"][table].tolist(), (s.ties["count"][table] >> times).tolist(), strict=True)
    return dict(sorted(((other, count) for other, count in counts if count), key=lambda tie: (-tie[1], tie[0])))


def in_common(shard: Shard, one: int, other: int, most: int) -> int:
    """Return how many accounts both of two reached out to, as far as their contacts are held; `most` at most."""
    return int(targets_shared(shard.state, one, other, most))


def rows_of(shard: Shard, halves: Iterable[int]) -> dict[int, int]:
    """Return the rows of accounts that stand as lower halves of their hashes, as far as this shard knows them.

    Reads all accounts, once. Where two of them stand as one half, neither is told.
    """
    keys = np.unique(np.fromiter(halves, np.int64))
    rows = np.empty(len(keys), np.int64)
    if len(keys):
        find_halves(shard.state, keys, np.zeros(MARKS, np.bool_), rows)
    return {int(key): int(row) for key, row in zip(keys, rows, strict=True) if row >= 0}


def co_targets(shard: Shard, row: int) -> dict[int, int]:
    """Return the accounts that reached out to targets of this one, with how many targets they share.

    Reads every contact held, once.
    """
    s = shard.state
    targets = s.pairs["target"][list(_reached(shard, row))]
    held = _held(shard)
    there = held[np.isin(s.pairs["target"][held], targets)]
    counted = Counter(s.owner[s.pairs["activity"][there]].tolist())
    counted.pop(row, None)
    return dict(counted.most_common())


def _held(shard: Shard) -> Any:
    """Return the rows of all contacts with which somebody reached out."""
    pairs = shard.state.pairs[: int(shard.state.vars[Var.PAIRS_TOP])]
    return np.flatnonzero((pairs["activity"] != NIL) & (pairs["flags"] & CONTACT != 0))


def _contact_attributes(shard: Shard, p: int) -> dict[str, Any]:
    pair = shard.state.pairs[p]
    return {
        "first": int(pair["first"]),
        "last": int(pair["last"]),
        "flags": flag_names(int(pair["flags"])),
        "target_age": _band(int(shard.state.accounts["age"][int(pair["target"])])),
    }


def _node_attributes(shard: Shard, row: int) -> dict[str, Any]:
    account = shard.state.accounts[row]
    roles = Role(int(account["roles"]))
    return {
        "id": shard.name(row),
        "age_band": _band(int(account["age"])),
        "roles": [str(role.name).lower() for role in Role if role in roles],
        "friends": int(account["friends"]),
        "clustering": clustering(shard, row),
    }


def ego(shard: Shard, row: int, *, radius: int = 1, max_nodes: int = 200) -> nx.MultiDiGraph:
    """Return the surroundings of an account: friends, targets, and what lies between them.

    Parameters
    ----------
    shard : Shard
    row : int
        The account in the middle; node attribute `distance` is 0 there.
    radius : int
        Steps along friendships and the account's own contacts, outwards from the middle.
    max_nodes : int
        No more nodes than this; contacts come before friends, the newest first.

    Returns
    -------
    networkx.MultiDiGraph
        Nodes by row, with `id`, `age_band`, `roles`, `friends`, `clustering`, `distance`. Edges with `kind`:
        "friendship" (one edge, from the lower row to the higher) or "contact" (from actor to target, with `first`,
        `last` in epoch ms, `flags` as a list of names, `target_age`). Deleted accounts are left out.
    """
    state = shard.state.accounts["state"]
    distance = {row: 0}
    edge = [row]
    for step in range(1, radius + 1):
        reached: list[int] = []
        for at in edge:
            targets = (int(shard.state.pairs["target"][p]) for p in _reached(shard, at))
            for other in (*targets, *friends_of(shard, at)):
                if other not in distance and state[other] == LIVE and len(distance) < max_nodes:
                    distance[other] = step
                    reached.append(other)
        edge = reached
    graph = nx.MultiDiGraph()
    for node, steps in distance.items():
        graph.add_node(node, **_node_attributes(shard, node), distance=steps)
    graph.add_edges_from((a, b, {"kind": "friendship"}) for a, b in _friendships(shard, distance))
    for node in distance:
        for p in _reached(shard, node):
            target = int(shard.state.pairs["target"][p])
            if target in distance:
                graph.add_edge(node, target, kind="contact", **_contact_attributes(shard, p))
    return graph


def _friendships(shard: Shard, rows: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield friendships among `rows`, each once."""
    among = set(rows)
    for row in among:
        for friend in friends_of(shard, row):
            if row < friend and friend in among:
                yield row, friend


def friends_graph(shard: Shard) -> nx.Graph:
    """Return all accounts and friendships of a shard; nodes by row, with the attributes that `ego` gives them."""
    rows = np.flatnonzero(shard.state.accounts["state"] == LIVE).tolist()
    graph = nx.Graph()
    graph.add_nodes_from((row, _node_attributes(shard, row)) for row in rows)
    graph.add_edges_from(_friendships(shard, rows))
    return graph


def contacts_graph(shard: Shard) -> nx.DiGraph:
    """Return all contacts of a shard, from actor to target, with the attributes that `ego` gives them.

    A contact to an account that was deleted is left out.
    """
    s = shard.state
    graph = nx.DiGraph()
    rows = np.flatnonzero(s.accounts["state"] == LIVE).tolist()
    graph.add_nodes_from((row, _node_attributes(shard, row)) for row in rows)
    for p in _held(shard).tolist():
        target = int(s.pairs["target"][p])
        if s.accounts["state"][target] == LIVE:
            actor = int(s.owner[s.pairs["activity"][p]])
            graph.add_edge(actor, target, kind="contact", **_contact_attributes(shard, p))
    return graph
