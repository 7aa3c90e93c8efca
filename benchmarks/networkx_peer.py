"""The same features with networkx as the store: what one writes first, before thinking of speed.

Friendships are a `networkx.Graph`, contacts a `networkx.DiGraph` whose edges carry their times and outcomes. Each row
is computed from its definition: the account's out-edges, window by window. Definitions are those of `plain_peer`,
whose deques and counters are the second step.
"""

from __future__ import annotations

import heapq
from typing import Any

import networkx as nx

from benchmarks.plain_peer import (
    ANSWER_TIME,
    ANSWERS,
    COUNTED,
    HORIZON,
    OUTCOMES,
    RECENT,
    WINDOWS,
    child_of,
    milliseconds,
)

__all__ = ["NetworkxPeer"]


class NetworkxPeer:
    """Features as of each first contact and outcome."""

    def __init__(self) -> None:
        self.friends: nx.Graph = nx.Graph()
        self.contacts: nx.DiGraph = nx.DiGraph()
        self.ages: dict[str, str] = {}
        self.seen: set[str] = set()

    def process(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """Take one event; return a row of features for a first contact or an outcome, None for the rest."""
        if event["event_id"] in self.seen:
            return None
        self.seen.add(event["event_id"])
        now, kind, actor = milliseconds(event["occurred_at"]), event["type"], event["actor_id"]
        target = event.get("target_id")
        for who, name in ((actor, "actor_age_band"), (target, "target_age_band"), (actor, "age_band")):
            if who is not None and name in event:
                self.ages[who] = event[name]
        if kind == "account.deleted":
            self.friends.remove_nodes_from([actor])
            self.contacts.remove_nodes_from([actor])
        if target is None:
            return None
        if kind in ("friendship.created", "friend_request.accepted"):
            self.friends.add_edge(actor, target)
        elif kind == "friendship.removed":
            self.friends.remove_edges_from([(actor, target)])
        elif kind == "friend_request.cancelled" and self.contacts.has_edge(actor, target):
            self.contacts[actor][target]["flags"].add("cancelled")
        elif kind in ("friend_request.sent", "message.sent"):
            return self._contact(now, actor, target, event)
        return self._outcome(now, target, actor, OUTCOMES[kind]) if kind in OUTCOMES else None

    def _contact(self, now: int, actor: str, target: str, event: dict[str, Any]) -> dict[str, Any] | None:
        graph, friends = self.contacts, self.friends
        if graph.has_edge(actor, target) and graph[actor][target]["last"] > now - HORIZON:
            graph[actor][target]["last"] = now
            return None
        mutual = event.get("mutual_friends")
        if mutual is None:
            both = actor in friends and target in friends
            mutual = len(list(nx.common_neighbors(friends, actor, target))) if both else 0
        answers = graph.has_edge(target, actor)
        if answers:
            graph[target][actor]["flags"].add("replied")
        flags = set()
        if not friends.has_edge(actor, target) and not mutual and not answers:
            flags.add("strangers")
            mine = graph.out_edges(actor, data="first") if actor in graph else ()
            newest = heapq.nlargest(RECENT, ((first, other) for _, other, first in mine if first > now - WINDOWS["7d"]))
            links = sum(friends.has_edge(target, other) for _, other in newest)
            if links >= 1 and links >= 0.1 * len(newest):
                flags.add("linked")
            if child_of(self.ages.get(actor, "unknown"), self.ages.get(target, "unknown")):
                flags.add("minors")
        graph.add_edge(actor, target, first=now, last=now, flags=flags)
        return self._row(now, actor)

    def _outcome(self, now: int, about: str, by: str, what: str) -> dict[str, Any] | None:
        if not self.contacts.has_edge(about, by):
            return None
        self.contacts[about][by]["flags"].add(what)
        return self._row(now, about)

    def _row(self, now: int, account: str) -> dict[str, Any]:
        row: dict[str, Any] = {"time": now, "account": account, "age_band": self.ages.get(account, "unknown")}
        row["friends"] = self.friends.degree(account) if account in self.friends else 0
        row["clustering"] = nx.clustering(self.friends, account) if account in self.friends else 0.0
        for name, span in WINDOWS.items():
            since = now - span
            counts = dict.fromkeys(("targets", *COUNTED), 0)
            for _, _, edge in self.contacts.out_edges(account, data=True):
                counts["targets"] += edge["last"] > since
                if edge["first"] <= since:
                    continue
                for flag in edge["flags"]:
                    if flag in counts:
                        counts[flag] += 1
                if now - edge["first"] >= ANSWER_TIME and not edge["flags"] & ANSWERS:
                    counts["ignored"] += 1
            row |= {f"{flag}_{name}": count for flag, count in counts.items()}
        return row
