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
    Callers,
    Fading,
    child_of,
    milliseconds,
)

__all__ = ["NetworkxPeer"]


class NetworkxPeer:
    """Features as of each first contact, outcome, silence and new sign."""

    def __init__(self) -> None:
        self.friends: nx.Graph = nx.Graph()
        self.contacts: nx.DiGraph = nx.DiGraph()
        self.ages: dict[str, str] = {}
        self.seen: set[str] = set()
        self.timers: list[tuple[int, str, str]] = []
        self.fading = Fading()
        self.callers = Callers()
        self.rows: list[dict[str, Any]] = []

    def process(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """Take one event; return the rows of features that it leads to, silences before it first."""
        self.rows = []
        if event["event_id"] not in self.seen:
            self.seen.add(event["event_id"])
            now = milliseconds(event["occurred_at"])
            while self.timers and self.timers[0][0] <= now:
                due, actor, target = heapq.heappop(self.timers)
                edge = self.contacts.get_edge_data(actor, target)
                if edge is not None and not edge["flags"] & (ANSWERS | {"cancelled"}):
                    self._row(due, actor, "silence", edge)
            self._take(now, event)
        return self.rows

    def _take(self, now: int, event: dict[str, Any]) -> None:
        kind, actor = event["type"], event["actor_id"]
        target = event.get("target_id")
        for who, name in ((actor, "actor_age_band"), (target, "target_age_band"), (actor, "age_band")):
            if who is not None and name in event:
                self.ages[who] = event[name]
        if kind == "account.deleted":
            self.friends.remove_nodes_from([actor])
            self.contacts.remove_nodes_from([actor])
        if target is None:
            return
        if kind in ("friendship.created", "friend_request.accepted"):
            self.friends.add_edge(actor, target)
        elif kind == "friendship.removed":
            self.friends.remove_edges_from([(actor, target)])
        elif kind == "friend_request.cancelled" and self.contacts.has_edge(actor, target):
            self.contacts[actor][target]["flags"].add("cancelled")
        elif kind in ("friend_request.sent", "message.sent"):
            self._contact(now, actor, target, event)
        if kind in OUTCOMES:
            self._outcome(now, target, actor, OUTCOMES[kind])

    def _contact(self, now: int, actor: str, target: str, event: dict[str, Any]) -> None:
        graph, friends = self.contacts, self.friends
        if graph.has_edge(actor, target) and graph[actor][target]["last"] > now - HORIZON:
            edge = graph[actor][target]
            edge["last"] = now
            edge["messages"] += event["type"] == "message.sent"
            new = set(event.get("signs", ())) - edge["signs"]
            if new:
                edge["signs"] |= new
                self._row(now, actor, "signed", edge)
            return
        mutual = event.get("mutual_friends")
        if mutual is None:
            both = actor in friends and target in friends
            mutual = len(list(nx.common_neighbors(friends, actor, target))) if both else 0
        answers = graph.has_edge(target, actor)
        if answers:
            self._outcome(now, target, actor, "replied")
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
        signs, written = set(event.get("signs", ())), int(event["type"] == "message.sent")
        graph.add_edge(actor, target, first=now, last=now, flags=flags, signs=signs, messages=written)
        heapq.heappush(self.timers, (now + ANSWER_TIME, actor, target))
        others, shared = self.callers.call(now, actor, target) if "strangers" in flags else (0, 0)
        self._row(now, actor, "contact", graph[actor][target])
        self.rows[-1] |= {"callers": others, "shared": shared}

    def _outcome(self, now: int, about: str, by: str, what: str) -> None:
        if self.contacts.has_edge(about, by) and what not in self.contacts[about][by]["flags"]:
            self.contacts[about][by]["flags"].add(what)
            self._row(now, about, what, self.contacts[about][by])

    def _row(self, now: int, account: str, cause: str, edge: dict[str, Any]) -> None:
        row: dict[str, Any] = {"time": now, "account": account, "age_band": self.ages.get(account, "unknown")}
        row |= {"signs": len(edge["signs"]), "messages": edge["messages"], "waited": now - edge["first"]}
        row["sums"] = self.fading.add(account, now, (cause, *edge["flags"], *edge["signs"]))
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
        self.rows.append(row)
