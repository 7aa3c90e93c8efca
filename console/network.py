"""The ego network of a case: the account, those it reached for, and other accounts that reach for the same ones.

The last are those that have a case and share listed contacts, and those that contexts name: what these share may lie
further back than the contacts listed, and is drawn as one line to the account.

As `networkx`, for GraphML; as nodes and edges, for the picture on the page. What is too much for a picture is
folded: the newest contacts and those shared with others are shown one by one, the rest as one node for each age band
and outcome.
"""

from __future__ import annotations

import io
from collections import Counter
from typing import Any, Final

import networkx as nx
from sqlalchemy import Connection, select

from console.casefile import CaseFile
from console.tables import cases, contacts
from console.words import AGE_BANDS

__all__ = ["GRAPHML", "LARGE", "graph_of", "graphml", "picture"]

GRAPHML: Final = "application/graphml+xml"
LARGE: Final = 60
"""Contacts that are shown one by one."""
_TELLING: Final = ("reported", "blocked", "replied", "accepted", "declined", "ignored")


def outcome_of(outcomes: list[str]) -> str:
    """Return the one outcome that says most; `open` when there was none yet."""
    return next((name for name in _TELLING if name in outcomes), "open")


def graph_of(connection: Connection, file: CaseFile) -> nx.DiGraph:
    """Return the ego network with co-targeting accounts; nodes are pseudonyms."""
    graph = nx.DiGraph()
    case = file.case
    graph.add_node(case["account"], kind="account", case=case["id"], age=case["age_band"], outcome="", signs="")
    for contact in file.contacts:
        graph.add_node(contact["other"], kind="target", age=contact["age_band"])
        graph.add_edge(
            case["account"],
            contact["other"],
            outcome=outcome_of(contact["outcomes"]),
            first=contact["first_at"],
            last=contact["last_at"],
            messages=contact["messages"],
            signs=" ".join(contact["signs"]),
            mutual_friends=-1 if contact["mutual_friends"] is None else contact["mutual_friends"],
        )
    for other in file.similar:
        graph.add_node(other["account"], kind="similar", case=other["id"], severity=other["severity"])
    shared = [contact["other"] for contact in file.contacts]
    query = (
        select(cases.c.account, contacts.c.other, contacts.c.first_at, contacts.c.last_at)
        .join(cases, cases.c.id == contacts.c.case_id)
        .where(contacts.c.case_id.in_([other["id"] for other in file.similar]), contacts.c.other.in_(shared))
    )
    for row in connection.execute(query):
        graph.add_edge(row.account, row.other, outcome="open", first=row.first_at, last=row.last_at)
    for one in file.group:
        if one["other"] not in graph:
            known = {} if one["case"] is None else {"case": one["case"]}
            graph.add_node(one["other"], kind="sharer", **known)
        graph.add_edge(one["other"], case["account"], outcome="shared", shared=one["shared"])
    return graph


def graphml(graph: nx.DiGraph) -> bytes:
    """Return a graph as GraphML."""
    text = io.BytesIO()
    nx.write_graphml(graph, text)
    return text.getvalue()


def picture(graph: nx.DiGraph, account: str, *, limit: int = LARGE) -> dict[str, Any]:
    """Return nodes and edges to draw, folded to at most so many single targets.

    Returns
    -------
    dict
        `nodes` (id, kind, label, age, outcome, case, count, shared: with how many others a target is shared, or how
        many targets another account shares), `edges` (source, target, outcome, at, share: where the edge lies between
        the oldest at 0 and the newest at 1), and `folded`, how many contacts are not shown singly.
    """
    targets = [(other, data) for _, other, data in graph.out_edges(account, data=True)]
    targets.sort(key=lambda one: (-graph.in_degree(one[0]), -one[1]["last"], one[0]))
    single, rest = targets[:limit], targets[limit:]
    times = [data["first"] for _, data in targets] or [0]
    oldest, span = min(times), max(max(times) - min(times), 1)
    nodes = [{"id": account, "kind": "account", "label": account, "case": graph.nodes[account]["case"]}]
    edges = []
    for other, data in single:
        node = graph.nodes[other]
        nodes.append(
            {
                "id": other,
                "kind": "target",
                "label": other,
                "age": node["age"],
                "outcome": data["outcome"],
                "mutual": data["mutual_friends"],
                "messages": data["messages"],
                "signs": data["signs"],
                "shared": graph.in_degree(other) - 1,
            }
        )
        share = (data["first"] - oldest) / span
        edges.append(
            {"source": account, "target": other, "outcome": data["outcome"], "at": data["first"], "share": share}
        )
    folded = Counter((graph.nodes[other]["age"], data["outcome"]) for other, data in rest)
    for (age, outcome), count in sorted(folded.items()):
        name = f"fold:{age}:{outcome}"
        label = f"{count} more: {AGE_BANDS.get(age, age)}, {outcome}"
        nodes.append({"id": name, "kind": "fold", "label": label, "age": age, "outcome": outcome, "count": count})
        edges.append({"source": account, "target": name, "outcome": outcome, "share": 0})
    shown = {node["id"] for node in nodes}
    for name, node in graph.nodes(data=True):
        if node["kind"] not in ("similar", "sharer"):
            continue
        told = {"case": node["case"]} if "case" in node else {}
        if graph.has_edge(name, account):
            told["shared"] = graph.edges[name, account]["shared"]
        nodes.append({"id": name, "kind": node["kind"], "label": name, **told})
        common = [other for other in graph.successors(name) if other in shown and other != account]
        edges += [{"source": name, "target": other, "outcome": "shared", "share": 0} for other in common or [account]]
    return {"nodes": nodes, "edges": edges, "folded": len(rest)}
