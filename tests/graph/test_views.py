"""What people see of the graph is what the graph holds."""

from __future__ import annotations

import random

import networkx as nx
import pytest

from graph.batch import EventKind, Role
from graph.shard import Shard
from graph.state import DAY, HOUR, MINOR, NIL, STRANGER
from graph.views import (
    clustering,
    co_targets,
    contacts_graph,
    contacts_of,
    ego,
    evidence,
    friends_graph,
    in_common,
    recent_contacts,
)
from tests.graph.build import START, Event, batch_of, hash_of
from tests.graph.compare import Pair, events_from, name_of

K = EventKind


def row_of(shard: Shard, name: str) -> int:
    row = shard.find(hash_of(name))
    assert row is not None
    return row


@pytest.fixture(scope="module", params=range(4))
def pair(request: pytest.FixtureRequest) -> Pair:
    """A shard and the model after a stream of which much still stands."""
    chance = random.Random(request.param)
    made = Pair()
    kinds = {K.ACCOUNT_DELETED: K.FRIENDSHIP_CREATED, K.FRIENDSHIP_REMOVED: K.REQUEST_ACCEPTED}
    events = [
        event._replace(
            time=START + HOUR * number // 8,
            kind=kinds.get(event.kind, event.kind) if chance.random() < 0.9 else event.kind,
            target=event.target or name_of(1, "t"),
        )
        for number, event in enumerate(events_from(chance.randrange, 14, 400))
    ]
    made.feed(events)
    return made


def test_clustering_and_friends_are_those_of_networkx(pair: Pair) -> None:
    expected = nx.clustering(pair.model.friends)
    graph = friends_graph(pair.shard)
    named = nx.relabel_nodes(graph, nx.get_node_attributes(graph, "id"))
    assert {frozenset(edge) for edge in named.edges} == {frozenset(edge) for edge in pair.model.friends.edges}
    assert set(named) == set(pair.model.accounts)
    for name, node in named.nodes.items():
        assert node["friends"] == named.degree(name)
        assert node["clustering"] == pytest.approx(expected.get(name, 0.0))
        assert clustering(pair.shard, row_of(pair.shard, name)) == pytest.approx(expected.get(name, 0.0))


def test_contacts_are_those_of_the_model(pair: Pair) -> None:
    graph = contacts_graph(pair.shard)
    found = {
        (graph.nodes[a]["id"], graph.nodes[b]["id"]): (edge["first"], edge["last"], set(edge["flags"]))
        for a, b, edge in graph.edges(data=True)
    }
    assert found == {
        (c.actor.id, c.target.id): (c.first, c.last, pair.model.marks(c))
        for c in pair.model.contacts.values()
        if c.target.alive and "contact" in c.marks
    }


def test_co_targets_share_as_many_targets_as_the_model_says(pair: Pair) -> None:
    targets = {
        name: {id(c.target) for c in pair.model.chain(account) if "contact" in c.marks}
        for name, account in pair.model.accounts.items()
    }
    for name in pair.model.accounts:
        found = co_targets(pair.shard, row_of(pair.shard, name))
        named = {pair.shard.name(row): shared for row, shared in found.items()}
        shared = {other: len(targets[name] & targets[other]) for other in targets if other != name}
        assert named == {other: count for other, count in shared.items() if count}
        for other, count in shared.items():
            one, two = row_of(pair.shard, name), row_of(pair.shard, other)
            assert [in_common(pair.shard, one, two, most) for most in (1, 3, 1000)] == [
                min(count, 1),
                min(count, 3),
                count,
            ]


def test_evidence_is_that_of_the_model_from_any_contact(pair: Pair) -> None:
    for name, account in pair.model.accounts.items():
        chain = pair.model.chain(account)
        row = row_of(pair.shard, name)
        for contact, start in zip(chain, contacts_of(pair.shard, row), strict=True):
            assert evidence(pair.shard, row, start, since=0, mask=0) == (name, [], [])
            for since in (0, START + HOUR, pair.model.clock - 12 * HOUR):
                for mask in (STRANGER, MINOR, 0xFFF):
                    expected = pair.model.evidence(contact, since=since, mask=mask, limit=3)
                    assert evidence(pair.shard, row, start, since=since, mask=mask, limit=3) == (name, *expected)


def test_the_ego_network_is_what_one_step_reaches(pair: Pair) -> None:
    whole, friends = contacts_graph(pair.shard), friends_graph(pair.shard)
    for row in list(friends):
        graph = ego(pair.shard, row)
        assert set(graph) == {row, *friends[row], *whole.successors(row)}
        edges = list(graph.edges(data="kind"))
        kinds = {kind: {(a, b) for a, b, k in edges if k == kind} for kind in ("friendship", "contact")}
        assert kinds["friendship"] == {(min(e), max(e)) for e in friends.subgraph(graph).edges}
        assert {e for e in kinds["contact"] if e in whole.edges} == set(whole.subgraph(graph).edges)
        assert graph.nodes[row]["distance"] == 0
        assert len(ego(pair.shard, row, radius=3, max_nodes=5)) <= 5


def test_nodes_and_contacts_carry_what_a_reviewer_asks_for() -> None:
    shard = Shard()
    events = [
        Event(K.ACCOUNT_UPDATED, START, "0", "coach", actor_age=5, roles=int(Role.COACH | Role.EDUCATOR)),
        Event(K.REQUEST_SENT, START, "1", "coach", "child", target_age=2),
        Event(K.MESSAGE_SENT, START + HOUR, "2", "coach", "child"),
        Event(K.FRIENDSHIP_CREATED, START, "3", "coach", "friend"),
        Event(K.MESSAGE_SENT, START + 2 * HOUR, "4", "coach", "other"),
    ]
    list(shard.process(batch_of(events)))
    coach, child = row_of(shard, "coach"), row_of(shard, "child")
    graph = ego(shard, coach)
    assert graph.nodes[coach] == {
        "id": "coach",
        "age_band": "21_plus",
        "roles": ["educator", "coach"],
        "friends": 1,
        "clustering": 0.0,
        "distance": 0,
    }
    assert graph.edges[coach, child, 0] == {
        "kind": "contact",
        "first": START,
        "last": START + HOUR,
        "flags": ["stranger", "minor", "contact"],
        "target_age": "13_15",
    }
    newest = next(contacts_of(shard, coach))
    shown = recent_contacts(shard, newest, strangers_only=True, since=START - DAY)
    assert [(contact["target"], contact["event"]) for contact in shown] == [("other", "4"), ("child", "1")]
    list(shard.process(batch_of([Event(K.ACCOUNT_DELETED, START + 3 * HOUR, "5", "other")])))
    assert evidence(shard, coach, newest, since=0, mask=STRANGER) == ("coach", ["child"], ["1"])
    assert [contact["target"] for contact in recent_contacts(shard, newest)] == ["", "child"]
    assert evidence(shard, coach, NIL, since=0, mask=STRANGER) == ("coach", [], [])
