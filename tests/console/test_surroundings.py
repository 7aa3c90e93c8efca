"""What is known beside the flags, and that it is forgotten when it has to be."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select, update

from console import casefile
from console.decisions import Choice, decide
from console.erasure import erase_due, retain
from console.follow import Follower
from console.network import graph_of, graphml, picture
from console.rules import Retention
from console.service import Service
from console.surroundings import take_contexts
from console.tables import accounts, audit, cases, contacts, decisions, erasures, identities, metadata, sharers
from console.timeline import timeline
from console.upkeep import Upkeep
from streams.contexts import Context, ContextContact, GroupMember
from streams.flags import rfc3339
from tests.console.build import HOUR, START, Clock, flag, person, service_of, take
from tests.console.pages import visitor

DAY = 24 * HOUR
NO_TIME = b'{"type":"message.sent","event_id":"x","occurred_at":"no","actor_id":"u1"}'


def grouped(account: str = "u1", more: int = 0, **shared: int) -> Context:
    """Return a context that names a group, and says of more."""
    group = [GroupMember(account=name, shared=count) for name, count in shared.items()]
    return msgspec.structs.replace(context(account), group=group, group_size=len(group) + more)


def context(account: str = "u1", age: str = "21_plus", **targets: tuple[str, int, int, list[str]]) -> Context:
    made = [
        ContextContact(target=name, age_band=band, first=rfc3339(first), last=rfc3339(last), outcomes=outcomes)  # type: ignore[arg-type]
        for name, (band, first, last, outcomes) in targets.items()
    ]
    return Context(account_id=account, at=rfc3339(START), age_band=age, friends=3, clustering=0.1, contacts=made)


def surround(service: Service, *records: Context) -> None:
    with service.database.writing() as connection:
        take_contexts(connection, service.ingest, records, service.clock())


class Events:
    """A follower, and what it is told."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.follower = Follower(service)
        self.count = 0

    def __call__(self, *events: dict[str, Any], event_id: str | None = None) -> None:
        records = []
        for event in events:
            self.count += 1
            head = {"event_id": event_id or f"e{self.count}", "occurred_at": START + self.count * 60_000}
            records.append(SimpleNamespace(value=msgspec.json.encode(head | event), topic="t", partition=0, offset=0))
        with self.service.database.writing() as connection:
            self.follower.take(connection, records, self.service.clock())


@pytest.fixture
def events(service: Service) -> Events:
    take(service, flag("u1", targets=["t1"]))
    return Events(service)


def file_of(service: Service) -> casefile.CaseFile:
    with service.database.reading() as connection:
        file = casefile.load(connection, 1, service.clock())
    assert file is not None
    return file


def reached(service: Service) -> dict[str, dict[str, Any]]:
    names = {service.keys.pseudonym_of(name): name for name in ("t1", "t2", "t3")}
    return {names[row["other"]]: row for row in file_of(service).contacts}


@pytest.mark.parametrize("context_first", [False, True])
def test_a_context_tells_ages_and_outcomes_whichever_comes_first(service: Service, context_first: bool) -> None:
    told = context(t1=("13_15", START - 9 * HOUR, START - 8 * HOUR, ["stranger", "accepted"]))
    if context_first:
        surround(service, told)
        with service.database.reading() as connection:
            assert connection.execute(select(cases.c.state)).scalar() == "withdrawn", "no flag, no case"
    take(service, flag("u1", targets=["t1", "t2"]))
    surround(service, told)
    file = file_of(service)
    assert (file.case["state"], file.case["age_band"], file.case["reopened_because"]) == ("open", "21_plus", None)
    found = reached(service)["t1"]
    assert (found["age_band"], found["outcomes"]) == ("13_15", ["accepted", "stranger"])
    assert found["first_at"] == START - 9 * HOUR
    assert found["last_at"] in (START - 8 * HOUR, START) if context_first else found["last_at"] == START - 8 * HOUR
    assert reached(service)["t2"]["age_band"] == "unknown"


def test_events_of_accounts_under_review_are_followed(service: Service, events: Events) -> None:
    events(
        {"type": "message.sent", "actor_id": "u1", "target_id": "t1", "signs": ["secrecy", "meet_up", "new_one"]},
        {"type": "message.sent", "actor_id": "u1", "target_id": "t1", "target_age_band": "13_15"},
        {"type": "message.sent", "actor_id": "t1", "target_id": "u1"},
        {"type": "friend_request.sent", "actor_id": "u1", "target_id": "t2", "mutual_friends": 2},
        {"type": "account.blocked", "actor_id": "t2", "target_id": "u1"},
        {"type": "account.updated", "actor_id": "u1", "age_band": "18_20", "age_source": "verified"},
        {"type": "message.sent", "actor_id": "somebody", "target_id": "else"},
    )
    found = reached(service)
    assert set(found) == {"t1", "t2"}
    first, second = found["t1"], found["t2"]
    assert (first["messages"], first["signs"], first["outcomes"]) == (2, ["secrecy", "meet_up"], ["replied"])
    assert first["age_band"] == "13_15"
    assert (second["requests"], second["mutual_friends"], second["outcomes"]) == (1, 2, ["blocked"])
    file = file_of(service)
    assert (file.case["age_band"], file.account["age_source"]) == ("18_20", "verified")
    with service.database.reading() as connection:
        series = timeline(connection, file)["series"]
    assert {name: sum(counts) for name, counts in series.items()} == {
        "contacts": 2,
        "requests": 1,
        "messages": 2,
        "signs": 1,
        "blocked": 1,
    }


def test_an_event_delivered_twice_counts_once(service: Service, events: Events) -> None:
    for _ in range(3):
        events({"type": "message.sent", "actor_id": "u1", "target_id": "t1"}, event_id="same")
    assert reached(service)["t1"]["messages"] == 1


def test_what_is_no_event_is_passed_over(service: Service, events: Events) -> None:
    records = [
        SimpleNamespace(value=value, topic="t", partition=0, offset=0)
        for value in (
            b"",
            b"{}",
            b"\xff",
            b"[]",
            b'{"type":"message.sent","event_id":"x","occurred_at":"no","actor_id":"u1"}',
        )
    ]
    with service.database.writing() as connection:
        assert events.follower.take(connection, records, service.clock()) == []


def everything(service: Service) -> str:
    with service.database.reading() as connection:
        tables = [table for table in metadata.sorted_tables if table is not audit]
        return repr([connection.execute(select(table)).all() for table in tables])


def test_a_deleted_account_is_forgotten_everywhere(service: Service, events: Events) -> None:
    rita = person(service)
    surround(service, context(t1=("13_15", START, START, [])))
    with service.database.writing() as connection:
        decide(connection, service.keys, rita, 1, Choice(action="note", note="u1 writes to t1"), now=service.clock())
    pseudonyms = [service.keys.pseudonym_of(name) for name in ("u1", "t1")]
    events({"type": "account.deleted", "actor_id": "u1"}, {"type": "account.deleted", "actor_id": "t1"})
    with service.database.writing() as connection:
        assert erase_due(connection, service.keys, service.clock()) == 2
    held = everything(service)
    for told in ("'u1'", "'t1'", "writes to", *pseudonyms):
        assert told not in held, told
    with service.database.reading() as connection:
        row = connection.execute(select(cases)).mappings().one()
    assert (row["state"], row["headline"]) == ("withdrawn", "The account was deleted.")
    take(service, flag("u1", number=2))
    with service.database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(cases)).scalar() == 2, "a new account, a new case"


def group_of(service: Service, case_id: int = 1) -> tuple[dict[str, tuple[int, int | None]], int]:
    """Return the group of a case: account ids with shared targets and case, and how many are not named."""
    names = {service.keys.pseudonym_of(f"u{number}"): f"u{number}" for number in range(9)}
    with service.database.reading() as connection:
        file = casefile.load(connection, case_id, service.clock())
    assert file is not None
    return {names[one["other"]]: (one["shared"], one["case"]) for one in file.group}, file.group_unnamed


def test_a_context_names_the_group_and_who_was_named_once_stays(service: Service) -> None:
    take(service, flag("u1"), flag("u2"))
    surround(service, grouped(more=2, u2=7, u3=4))
    assert group_of(service) == ({"u2": (7, 2), "u3": (4, None)}, 2)
    surround(service, grouped(u3=5, u2=3))
    assert group_of(service) == ({"u2": (7, 2), "u3": (5, None)}, 0), "counts fade, what was seen does not"
    surround(service, context(t1=("13_15", START, START, [])))
    assert group_of(service)[0].keys() == {"u2", "u3"}, "a context of before"


def test_a_group_is_one_whoever_names_the_other(service: Service) -> None:
    take(service, flag("u1"), flag("u2"), flag("u4", role="target"))
    surround(service, grouped("u2", u1=6), grouped("u3", u1=3), grouped("u4", u1=4))
    assert group_of(service) == ({"u2": (6, 2), "u4": (4, None), "u3": (3, None)}, 0), "u3, u4: no flag as actors yet"
    assert group_of(service, 2)[0] == {"u1": (6, 1)}
    assert group_of(service, 3)[0] == {}, "an account at risk is not accused"


def test_the_page_names_the_group_by_pseudonym(service: Service) -> None:
    take(service, flag("a-telling-name"), flag("another-telling-name"))
    told = {"another-telling-name": 7, "third-telling-name": 4}
    surround(service, grouped("a-telling-name", more=2, **told))
    rita = visitor(service, "rita", "reviewer")
    text = rita.get("/cases/1").text
    shown = text[text.index("Reaches for the same accounts") : text.index("A lead, never a verdict")]
    assert [shown.count(service.keys.pseudonym_of(name)) for name in told] == [1, 1]
    assert 'href="/cases/2"' in shown
    assert "And 2 more, whose names its worker does not hold." in shown
    assert "telling-name" not in text
    third = service.keys.pseudonym_of("third-telling-name")
    rita.post("/unmask", account=third, reason="to see who leads the ring", back="/cases/1")
    text = rita.get("/cases/1").text
    assert "third-telling-name" in text
    assert "another-telling-name" not in text, "only what was asked for"
    assert "#1</a>" in rita.get(f"/queue?q={third}").text, "found by who is in the group"
    lone = rita.get("/cases/2").text
    assert "whose name" not in lone


def test_the_network_and_its_picture_have_the_group(service: Service) -> None:
    take(service, flag("u1", targets=["t1"]), flag("u2", targets=["t1"]), flag("u4", targets=["t4"]))
    surround(service, grouped(u2=7, u3=4, u4=3))
    one, two, three, four, shared = (service.keys.pseudonym_of(name) for name in ("u1", "u2", "u3", "u4", "t1"))
    with service.database.reading() as connection:
        file = casefile.load(connection, 1, service.clock())
        assert file is not None
        graph = graph_of(connection, file)
    assert {name: graph.edges[name, one]["shared"] for name in (two, three, four)} == {two: 7, three: 4, four: 3}
    assert [graph.nodes[name]["kind"] for name in (two, three, four)] == ["similar", "sharer", "sharer"]
    drawn = picture(graph, one)
    nodes = {node["id"]: node for node in drawn["nodes"]}
    assert (nodes[two]["case"], nodes[two]["shared"]) == (2, 7)
    assert nodes[three] == {"id": three, "kind": "sharer", "label": three, "shared": 4}, "no case"
    assert (nodes[four]["case"], nodes[four]["shared"]) == (3, 3)
    lines = {(edge["source"], edge["target"]) for edge in drawn["edges"] if edge["outcome"] == "shared"}
    assert lines == {(two, shared), (three, one), (four, one)}, "to what is shared where that is shown"
    folded = {(edge["source"], edge["target"]) for edge in picture(graph, one, limit=0)["edges"]}
    assert (two, one) in folded, "what they share is folded"
    assert b"sharer" in graphml(graph)


def test_a_group_forgets_a_deleted_account(service: Service, events: Events) -> None:
    take(service, flag("u2"))
    surround(service, grouped(u2=7, u3=4), grouped("u2", more=1, u1=5, u3=3))
    pseudonyms = [service.keys.pseudonym_of(name) for name in ("u2", "u3")]
    events({"type": "account.deleted", "actor_id": "u2"}, {"type": "account.deleted", "actor_id": "u3"})
    with service.database.writing() as connection:
        assert erase_due(connection, service.keys, service.clock()) == 2
        assert connection.execute(select(sharers)).first() is None
    held = everything(service)
    for told in ("'u2'", "'u3'", *pseudonyms):
        assert told not in held, told
    assert group_of(service) == ({}, 0)


def test_the_group_of_a_dismissed_case_goes_first(service: Service, clock: Clock) -> None:
    take(service, flag("u1", targets=["t1"]))
    surround(service, grouped(more=2, u2=7))
    with service.database.writing() as connection:
        retain(connection, service.keys, Retention(), service.clock())
        assert set(connection.execute(select(identities.c.account_id)).scalars()) == {"u1", "t1", "u2"}
        connection.execute(update(cases).values(state="dismissed"))
    clock.move(31 * 24 * 60)
    with service.database.writing() as connection:
        retain(connection, service.keys, Retention(), service.clock())
        assert connection.execute(select(identities.c.account_id)).scalars().all() == ["u1"]
    assert group_of(service) == ({}, 0)


def test_a_legal_hold_puts_erasure_off(service: Service, events: Events) -> None:
    with service.database.writing() as connection:
        connection.execute(update(cases).values(legal_hold=True))
    events({"type": "account.deleted", "actor_id": "u1"})
    upkeep = Upkeep(service)
    upkeep.look()
    assert file_of(service).flags
    with service.database.writing() as connection:
        assert connection.execute(select(func.count()).select_from(erasures)).scalar() == 1
        connection.execute(update(cases).values(legal_hold=False))
    upkeep.look()
    assert not file_of(service).flags


@pytest.mark.parametrize(
    ("state", "days", "hold", "kept"),
    [
        ("open", 5000, False, True),
        ("dismissed", 89, False, True),
        ("dismissed", 91, False, False),
        ("dismissed", 91, True, True),
        ("confirmed", 399, False, True),
        ("confirmed", 401, False, False),
    ],
)
def test_cases_are_kept_by_how_they_ended(
    service: Service, clock: Clock, state: str, days: int, hold: bool, kept: bool
) -> None:
    take(service, flag("u1", targets=["t1"]))
    with service.database.writing() as connection:
        connection.execute(update(cases).values(state=state, legal_hold=hold))
    clock.move(days * 24 * 60)
    with service.database.writing() as connection:
        retain(connection, service.keys, Retention(), service.clock())
    with service.database.reading() as connection:
        assert (connection.execute(select(cases.c.id)).first() is not None) == kept
        ids = set(connection.execute(select(identities.c.account_id)).scalars())
    assert ids == ({"u1", "t1"} if kept and (state, hold) != ("dismissed", False) else {"u1"} if kept else set())


def test_contacts_of_a_dismissed_case_go_first(service: Service, clock: Clock) -> None:
    take(service, flag("u1", targets=["t1"]))
    with service.database.writing() as connection:
        connection.execute(update(cases).values(state="dismissed"))
    clock.move(31 * 24 * 60)
    with service.database.writing() as connection:
        retain(connection, service.keys, Retention(), service.clock())
        assert connection.execute(select(contacts)).first() is None
        assert connection.execute(select(identities.c.account_id)).scalars().all() == ["u1"]
        assert connection.execute(select(accounts)).first() is None


def test_a_hold_that_has_ended_brings_the_case_back(service: Service, clock: Clock) -> None:
    take(service, flag("u1"))
    rita = person(service)
    with service.database.writing() as connection:
        choice = Choice(action="hold", reason="await_evidence", hours=24)
        decide(connection, service.keys, rita, 1, choice, now=service.clock())
    upkeep = Upkeep(service)
    upkeep.look()
    assert file_of(service).case["state"] == "held"
    clock.move(24 * 60)
    upkeep.look()
    case = file_of(service).case
    assert (case["state"], case["reopened_because"]) == ("open", "the hold has ended")
    with service.database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(decisions)).scalar() == 1


def test_sqlites_log_does_not_grow_while_little_is_written(tmp_path: Path, clock: Clock) -> None:
    made = service_of(tmp_path, clock)
    database = Path(made.database.engine.url.database or "")
    take(made, *(flag(f"u{number}") for number in range(300)))
    before = database.stat().st_size
    Upkeep(made).look()
    assert database.stat().st_size > before, "what was in the log is in the database"
    log = Path(f"{database}-wal").stat().st_size
    for minutes in range(1, 20):
        take(made, flag("u1", kind="flag.updated", minutes=minutes))
        Upkeep(made).look()
    assert Path(f"{database}-wal").stat().st_size == log, "and its room is used again"
    made.database.close()


def test_events_of_a_transaction_that_was_rolled_back_count_when_they_come_again(
    service: Service, events: Events
) -> None:
    sent = {"type": "friend_request.sent", "actor_id": "u1", "target_id": "t2"}
    record = SimpleNamespace(
        value=msgspec.json.encode({"event_id": "again", "occurred_at": START} | sent), topic="t", partition=0, offset=0
    )

    def fail() -> None:
        with service.database.writing() as connection:
            events.follower.take(connection, [record], service.clock())
            raise ConnectionError

    with pytest.raises(ConnectionError):
        fail()
    assert "t2" not in reached(service)
    events(sent, event_id="again")
    assert reached(service)["t2"]["requests"] == 1
    events(sent, event_id="again")
    assert reached(service)["t2"]["requests"] == 1, "and then no more"
