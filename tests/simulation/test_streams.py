"""A simulated stream keeps the contract, tells the same story every time, and gives nothing away."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pytest

import simulation
from benchmarks.plain_peer import MINORS, PlainPeer
from detectors.evaluation import average_precision
from simulation.classes import ATTACKS, NEGATIVES
from simulation.missing import MISSING
from simulation.scenarios import NAMES, START, UnknownScenarioError, build
from streams.events import Event as ContractEvent

DAY = 86_400_000
KINDS = ("social", "gaming", "dating", "classroom", "teenchat", "forum")
SMALL = {"accounts": 1_200, "days": 6}


@pytest.fixture(scope="module", params=KINDS)
def stream(request: pytest.FixtureRequest) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    made = build(request.param, 3, **SMALL)
    return list(made.events()), {label["account_id"]: label for label in made.labels()}


@pytest.mark.parametrize("name", ["social", "dating", "forum", "demo", "collegemsg"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_gives_others(name):
    size = {} if name == "collegemsg" else {"accounts": 400, "days": 3}
    one, again, other = (b"".join(build(name, seed, **size).lines()) for seed in (5, 5, 6))
    assert one == again
    assert one != other
    stream = build(name, 5, **size)
    assert b"".join(stream.lines()) == b"".join(stream.lines()) == one
    assert list(stream.labels()) == list(stream.labels())


def test_events_come_in_time_order_with_unique_ids(stream):
    events, _ = stream
    times = [event["occurred_at"] for event in events]
    assert times == sorted(times)
    assert len({event["event_id"] for event in events}) == len(events)
    assert times[0] >= START - 2 * 3_600_000
    assert times[-1] < START + 6 * DAY


@pytest.mark.parametrize("name", NAMES)
def test_every_event_keeps_the_contract(name):
    decode = msgspec.json.Decoder(ContractEvent).decode
    size = {} if name == "collegemsg" else {"accounts": 600, "days": 4}
    known = {field for kind in ContractEvent.__args__ for field in kind.__struct_fields__} | {"type"}
    for line in build(name, 1, **size).lines():
        assert line.endswith(b"\n")
        decode(line)
        fields = msgspec.json.decode(line)
        assert set(fields) <= known
        assert fields.get("target_id") != fields["actor_id"]


def test_every_type_of_event_and_every_field_turns_up(stream):
    events, _ = stream
    assert len({event["type"] for event in events}) == 11
    fields = Counter(field for event in events for field in event)
    for field in ("signs", "roles", "created_at", "age_band", "birth_date", "age_source", "reason"):
        assert fields[field], field
    assert fields["signs"] < 0.03 * len(events)


def test_what_happens_follows_from_what_happened(stream):
    events, _ = stream
    asked: set[tuple[str, str]] = set()
    friends: set[frozenset[str]] = set()
    blocked: set[frozenset[str]] = set()
    here: set[str] = set()
    gone: set[str] = set()
    for event in events:
        kind, actor, target = event["type"], event["actor_id"], event.get("target_id")
        if kind == "account.updated":
            here.add(actor)
        assert actor in here, event
        assert target is None or target in here, event
        assert not {actor, target} & gone, event
        if target is None:
            if kind == "account.deleted":
                gone.add(actor)
            continue
        pair = frozenset((actor, target))
        if kind == "friend_request.sent":
            asked.add((actor, target))
        elif kind in ("friend_request.accepted", "friend_request.declined"):
            assert (target, actor) in asked, event
        elif kind == "friend_request.cancelled":
            assert (actor, target) in asked, event
        elif kind == "account.blocked":
            blocked.add(pair)
        elif kind == "friendship.removed":
            assert pair in friends, event
        if kind in ("friendship.created", "friend_request.accepted"):
            friends.add(pair)
        if kind in ("message.sent", "friend_request.sent", "friend_request.accepted"):
            assert pair not in blocked, event


def test_every_account_has_one_label_and_nobody_else(stream):
    events, labels = stream
    accounts = {event["actor_id"] for event in events if event["type"] == "account.updated"}
    assert accounts <= set(labels)
    assert len(labels) == SMALL["accounts"]
    assert len(accounts) > 0.97 * len(labels)
    for label in labels.values():
        assert set(label) == {"account_id", "label", "harmful"}
        assert label["label"] in ("benign", *ATTACKS, *NEGATIVES)
        assert label["harmful"] == (label["label"] in ATTACKS)
    assert {label["label"] for label in labels.values()} >= set(ATTACKS)


def test_attackers_act_and_teachers_say_so():
    events, labels = list(build("social", 4, accounts=2_000, days=10).events()), {}
    for label in build("social", 4, accounts=2_000, days=10).labels():
        labels[label["account_id"]] = label["label"]
    reached: dict[str, set[str]] = defaultdict(set)
    roles: dict[str, set[str]] = defaultdict(set)
    for event in events:
        if event["type"] in ("friend_request.sent", "message.sent"):
            reached[event["actor_id"]].add(event["target_id"])
        roles[event["actor_id"]].update(event.get("roles", ()))
    harmful = [account for account, label in labels.items() if label in ATTACKS]
    assert np.median([len(reached[account]) for account in harmful]) >= 5
    of = {name: [account for account, label in labels.items() if label == name] for name in NEGATIVES}
    assert of["teacher"]
    assert all("educator" in roles[account] for account in of["teacher"])
    assert not any("educator" in roles[account] for account in (*of["teacher_no_role"], *of["coach"]))


def test_children_are_there_in_the_shares_that_the_platform_has():
    shares = {}
    for name in KINDS:
        bands = Counter(
            event.get("age_band", "unknown")
            for event in itertools.islice(build(name, 2, accounts=3_000, days=1).events(), 2_500)
            if event["type"] == "account.updated" and "birth_date" not in event
        )
        total = sum(bands.values())
        shares[name] = sum(bands[band] for band in MINORS) / total
        assert 0.02 < bands["unknown"] / total < 0.4
    assert shares["classroom"] > shares["teenchat"] > shares["gaming"] > shares["social"] > 0.15
    assert shares["dating"] < 0.1


def test_ids_order_and_clock_give_nothing_away():
    labels = list(build("social", 8, accounts=6_000, days=5).labels())
    harmful = {label["account_id"] for label in labels if label["harmful"]}
    rate = len(harmful) / len(labels)
    first: dict[str, int] = {}
    events: Counter[str] = Counter()
    digits: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}
    for number, event in enumerate(build("social", 8, accounts=6_000, days=5).events()):
        if event["type"] == "account.updated" and event["occurred_at"] < START:
            first.setdefault(event["actor_id"], number)
        events[event["actor_id"]] += 1
        digits[event["actor_id"] in harmful][event["occurred_at"] % 10] += 1
    there = list(first)
    truth = [account in harmful for account in there]
    for hint in ([int(account[1:]) for account in there], [first[account] for account in there]):
        for ranking in (hint, [-value for value in hint]):
            assert average_precision(ranking, truth) < 6 * rate
    for part in digits.values():
        assert max(part.values()) < 1.3 * min(part.values())


@pytest.mark.parametrize("name", ["social", "collegemsg"])
def test_what_is_missing_is_missing_and_the_rest_is_there(name):
    size = {} if name == "collegemsg" else {"accounts": 600, "days": 4}
    whole = {event["event_id"]: event for event in build(name, 4, **size).events()}
    for missing in MISSING:
        left = {event["event_id"]: event for event in build(name, 4, **size, missing=(missing,)).events()}
        fields = {field for event in left.values() for field in event}
        types = {event["type"] for event in left.values()}
        assert left.keys() <= whole.keys()
        if missing == "sure_signs":
            check_mistakes(whole, left)
            continue
        assert all(whole[key].items() >= event.items() for key, event in left.items())
        if missing == "ages":
            assert not fields & {"age_band", "birth_date", "age_source"}
        elif missing == "friendships":
            assert "friendship.created" not in types
            assert "mutual_friends" not in fields
        elif missing == "outcomes":
            assert not types & {"friend_request.declined", "account.blocked", "account.reported"}
        elif missing == "signs":
            assert "signs" not in fields
        else:
            assert 0.4 < len(left) / len(whole) < 0.6
    with pytest.raises(ValueError, match="choose of: ages"):
        list(build(name, 4, **size, missing=("sleep",)).events())


def check_mistakes(whole: dict[str, Any], left: dict[str, Any]) -> None:
    """Half of the signs are missed, others are found by mistake, most of them in the messages of a few."""
    assert left.keys() == whole.keys()
    assert all({**event, "signs": 0} == {**left[key], "signs": 0} for key, event in whole.items())
    written = [key for key, event in whole.items() if event["type"] == "message.sent"]
    signed = [key for key in written if whole[key].get("signs")]
    if signed:
        kept = sum(set(whole[key]["signs"]) <= set(left[key].get("signs", [])) for key in signed)
        assert 0.3 < kept / len(signed) < 0.7
    wrong = [key for key in written if left[key].get("signs") and not whole[key].get("signs")]
    assert 0.02 < len(wrong) / len(written) < 0.05
    by = Counter(whole[key]["actor_id"] for key in wrong)
    people = len({whole[key]["actor_id"] for key in written})
    assert sum(count for _, count in by.most_common(people // 10)) > 0.3 * len(wrong)


def test_which_events_are_lost_says_nothing_of_which_signs_are_missed():
    size = {"accounts": 600, "days": 4}
    whole = {event["event_id"]: event for event in build("social", 4, **size).events()}
    left = list(build("social", 4, **size, missing=("half", "sure_signs")).events())
    signed = [event for event in left if whole[event["event_id"]].get("signs")]
    kept = sum(set(whole[event["event_id"]]["signs"]) <= set(event.get("signs", [])) for event in signed)
    assert len(signed) > 15
    assert 0.2 < kept / len(signed) < 0.8


@pytest.mark.parametrize("name", ["social", "teenchat", "collegemsg"])
def test_whom_attackers_reached_is_told_whether_or_not_the_events_show_it(name):
    size = {} if name == "collegemsg" else {"accounts": 1_500, "days": 8}
    reached: list[dict[str, Any]] = []
    stream = build(name, 6, **size)
    first: dict[tuple[str, str], int] = {}
    bands: dict[str, str] = {}
    for event in stream.events(reached.append):
        if event["type"] in ("friend_request.sent", "message.sent"):
            pair = event["actor_id"], event["target_id"]
            at = event["occurred_at"]
            first.setdefault(pair, at if isinstance(at, int) else round(datetime.fromisoformat(at).timestamp() * 1000))
        bands[event["actor_id"]] = event.get("age_band", bands.get(event["actor_id"], "unknown"))
    harmful = {label["account_id"] for label in stream.labels() if label["harmful"]}
    pairs = [(contact["account_id"], contact["target_id"]) for contact in reached]
    assert pairs
    assert len(set(pairs)) == len(pairs)
    assert {account for account, _ in pairs} <= harmful
    assert all(first[pair] <= contact["occurred_at"] for pair, contact in zip(pairs, reached, strict=True))
    known = sum(bands[target] in MINORS for _, target in pairs) / len(pairs)
    assert 0.3 < known <= 1.0
    hidden: list[dict[str, Any]] = []
    list(build(name, 6, **size, missing=("ages", "half")).events(hidden.append))
    assert hidden == reached


def test_attackers_do_more_with_more_intensity():
    def contacts(intensity: float) -> int:
        reached: list[dict[str, Any]] = []
        list(build("social", 2, accounts=1_500, days=6, intensity=intensity).events(reached.append))
        return len(reached)

    assert contacts(3.0) > 1.5 * contacts(1.0) > 1.5 * 1.5 * contacts(0.3)


def test_everybody_reaches_out_in_a_burst():
    counts: dict[str, Counter[int]] = {}
    for name in ("gaming", "launch"):
        events = build(name, 1, accounts=600, days=14).events()
        counts[name] = Counter(
            (event["occurred_at"] - START) // DAY for event in events if event["type"] == "friend_request.sent"
        )
    grown = {day: counts["launch"][day] / counts["gaming"][day] for day in range(14)}
    inside, before = (sum(grown[day] for day in days) / 4 for days in (range(9, 13), range(4, 8)))
    assert inside > 1.8
    assert 0.7 < before < 1.4


def test_a_quiet_platform_has_nobody_who_does_harm():
    assert not any(label["harmful"] for label in build("quiet", 1, accounts=800, days=2).labels())


def test_an_unknown_scenario_is_refused_with_the_names():
    with pytest.raises(UnknownScenarioError, match="social, gaming, dating, classroom, teenchat, forum"):
        build("nope", 1)


def test_live_begins_with_history_and_never_ends():
    start = START + 9 * DAY
    feed = simulation.live(start=start, seed=1, accounts=600, history_days=0.5, days=0.5)
    events = list(itertools.islice(feed, 40_000))
    times = [time for time, _ in events]
    assert times == sorted(times)
    assert times[0] < start < times[-1]
    assert len({event["event_id"] for _, event in events}) == len(events)
    assert any(event["actor_id"].startswith("r1-") for _, event in events)
    prefixes = {(event["actor_id"].split("-")[0], event.get("target_id", "").split("-")[0]) for _, event in events}
    assert all(one.startswith("u") == other.startswith("u") for one, other in prefixes if other)


def test_live_attackers_are_at_it_within_minutes():
    start = START + 9 * DAY + 3 * 3_600_000
    peer, strangers = PlainPeer(), Counter()
    for time, event in simulation.live(start=start, seed=2, accounts=2_000):
        if time > start + 30 * 60_000:
            break
        for row in peer.process(event) if time > start else ():
            strangers[row["account"]] = max(strangers[row["account"]], row["minors_1h"], row["strangers_1h"])
    assert max(strangers.values()) >= 12


def test_memory_is_bound_to_accounts_not_to_events():
    from simulation.kinds import SOCIAL
    from simulation.platform import Platform

    platform = Platform(SOCIAL, 1, 500, 40, start=START)
    held = [sum(len(part) for part in platform._agenda._later) for _ in platform.rows()]
    middle = len(held) // 2
    assert max(held[middle:]) < 3 * max(held[:middle])
