"""From flags to cases: one case an account, the same whatever the batches, and open again when evidence grows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from console.judging import MOST, Brief, brief_of, read_briefs
from console.priority import points_now, rank_of
from console.service import Service
from console.tables import cases, contacts, flag_hours, flags, identities
from streams.flags import Flag, rfc3339
from tests.console.build import HOUR, START, Clock, flag, service_of, take


def rows(service: Service, table: Any) -> list[dict[str, Any]]:
    with service.database.reading() as connection:
        return [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]


def only(service: Service) -> dict[str, Any]:
    (row,) = rows(service, cases)
    return row


def decided(service: Service, state: str) -> None:
    case = only(service)
    with service.database.writing() as connection:
        connection.execute(
            update(cases).values(
                state=state, decided_severity=case["severity"], decided_minors=case["minors"], decided_at=1
            )
        )


def test_all_flags_of_an_account_are_one_case(service: Service) -> None:
    take(service, flag("u1", score=0.5), flag("u1", detector="mass_add", score=0.5, severity="low"), flag("u2"))
    first, second = rows(service, cases)
    assert (first["flags"], first["detectors"], first["severity"]) == (2, ",mass_add,minor_targeting,", 2)
    assert first["score"] == pytest.approx(0.75), "two detectors together say more than each"
    assert second["flags"] == 1


def test_an_account_at_risk_is_a_case_of_its_own(service: Service) -> None:
    take(service, flag("u1"), flag("u1", role="target", detector="reached_for"))
    assert [case["role"] for case in rows(service, cases)] == ["actor", "target"]


def test_account_ids_lie_in_one_table_only(service: Service) -> None:
    take(service, flag("a-telling-name", targets=["another-telling-name"]))
    with service.database.reading() as connection:
        for table in cases.metadata.sorted_tables:
            held = repr(connection.execute(select(table)).all())
            assert ("telling-name" in held) == (table is identities), table.name


def test_a_second_delivery_changes_nothing(service: Service) -> None:
    stream = [flag(), flag(kind="flag.updated", severity="critical", minutes=5), flag("u2")]
    take(service, *stream)
    before = [rows(service, table) for table in (flags, contacts, flag_hours, identities)]
    assert take(service, *stream).news == 0
    assert take(service, *reversed(stream)).news == 0
    assert [rows(service, table) for table in (flags, contacts, flag_hours, identities)] == before


def test_the_peak_is_kept_when_things_calm_down(service: Service) -> None:
    take(service, flag(score=0.9, severity="critical"))
    take(service, flag(kind="flag.updated", score=0.3, severity="low", minutes=60))
    case = only(service)
    assert (case["severity"], case["score"]) == (3, pytest.approx(0.9))


def test_a_shadow_flag_says_nothing_beside_a_live_one(service: Service) -> None:
    take(service, flag(severity="low"), flag(detector="on_trial", severity="critical", shadow=True, score=0.99))
    case = only(service)
    assert (case["severity"], case["shadow"]) == (0, False)


@pytest.mark.parametrize("state", ["confirmed", "dismissed"])
def test_a_decided_case_opens_again_when_severity_rises(service: Service, clock: Clock, state: str) -> None:
    take(service, flag(severity="medium"))
    decided(service, state)
    clock.move(60)
    assert take(service, flag(kind="flag.updated", severity="medium", minutes=5)).reopened == ()
    assert only(service)["state"] == state
    assert take(service, flag(kind="flag.updated", severity="high", minutes=6)).reopened == (only(service)["id"],)
    case = only(service)
    assert (case["state"], case["opened_at"]) == ("open", clock.now)
    assert case["reopened_because"] == "severity rose from medium to high"


def test_a_decided_case_opens_again_when_many_more_minors_were_reached(service: Service) -> None:
    take(service, flag(minors=6))
    decided(service, "dismissed")
    take(service, flag(kind="flag.updated", minors=11, minutes=5))
    assert only(service)["state"] == "dismissed"
    take(service, flag(kind="flag.updated", minors=12, minutes=6))
    assert only(service)["reopened_because"] == "minors reached rose from 6 to 12"


def test_a_case_whose_flags_were_all_retracted_needs_nobody(service: Service) -> None:
    take(service, flag())
    take(service, flag(kind="flag.retracted", minutes=5))
    assert only(service)["state"] == "withdrawn"
    take(service, flag(number=2, minutes=50))
    assert only(service)["state"] == "open"


def test_a_deadline_comes_nearer_with_severity_and_never_moves_back(service: Service, clock: Clock) -> None:
    take(service, flag(severity="medium"))
    opened = clock.now
    clock.move(60)
    take(service, flag(kind="flag.updated", severity="critical", minutes=5))
    assert only(service)["due_at"] == clock.now + 4 * HOUR < opened + 72 * HOUR
    clock.move(600)
    take(service, flag(kind="flag.updated", severity="critical", score=0.99, minutes=6))
    assert only(service)["due_at"] < clock.now


def test_waiting_weighs_the_same_for_all_so_that_order_needs_no_upkeep() -> None:
    low, high = rank_of(0.3, 0, 0, START), rank_of(0.8, 2, 9, START + 500 * HOUR)
    for later in (0, 100 * HOUR, 9000 * HOUR):
        assert (points_now(low, START + later) < points_now(high, START + later)) == (low < high)
    assert rank_of(0.3, 0, 0, START) > rank_of(0.8, 2, 9, START + 9000 * HOUR), "nothing waits for ever"


def test_the_words_of_a_case_are_those_of_the_flag_that_weighs_most(service: Service) -> None:
    take(service, flag(severity="high", explanation="the high one"))
    take(service, flag(number=1, severity="low", explanation="the low one", minutes=1))
    assert only(service)["headline"] == "the high one"
    take(service, flag(severity="high", kind="flag.retracted", explanation="the high one", minutes=2))
    assert only(service)["headline"] == "the low one"


@pytest.mark.parametrize("many", [3, MOST, MOST + 3])
def test_a_case_of_many_flags_is_judged_by_all_of_them(service: Service, many: int) -> None:
    take(service, flag(number=0, score=0.9, severity="critical", explanation="the worst"))
    for number in range(1, many):
        take(service, flag(number=number, score=0.2, severity="low", minutes=number))
    case = only(service)
    assert (case["flags"], case["severity"], case["headline"]) == (many, 3, "the worst")
    assert (case["briefs"] is None) == (many > MOST), "and keeps them in short only while they are few"
    take(service, flag(number=0, severity="critical", kind="flag.retracted", minutes=60))
    case = only(service)
    assert (case["flags"], case["severity"]) == (many, 0)


def test_a_flag_id_under_two_accounts_stays_with_the_first(service: Service) -> None:
    first = flag("u1")
    take(service, first)
    take(service, msgspec.structs.replace(first, account_id="u2", updated_at=rfc3339(START + HOUR)))
    assert [(case["flags"], case["state"]) for case in rows(service, cases)] == [(1, "open"), (0, "withdrawn")]


def stream_of(seed: int) -> list[Flag]:
    """Return a topic's worth of flags: episodes of a few accounts that rise, fall and are retracted."""
    random_ = random.Random(seed)
    made = []
    for step in range(30):
        account, number = f"u{random_.randrange(4)}", random_.randrange(2)
        severity = random_.choice(["low", "medium", "high", "critical"])
        kind = random_.choice(["flag.raised", "flag.updated", "flag.updated", "flag.retracted"])
        detector = random_.choice(["minor_targeting", "mass_add"])
        targets = random_.sample([f"t{i}" for i in range(12)], 4)
        made.append(
            flag(
                account,
                number=number,
                kind=kind,
                detector=detector,
                severity=severity,
                score=round(random_.random(), 4),
                minors=random_.randrange(30),
                targets=targets,
                minutes=step,
                shadow=random_.random() < 0.2,
            )
        )
    return made


def by_id(briefs: Sequence[Brief]) -> list[Brief]:
    return sorted(briefs, key=lambda brief: brief.flag_id)


def outcome(
    where: Path, stream: Sequence[Flag], cuts: Sequence[int], *, forgetful: bool = False
) -> list[list[dict[str, Any]]]:
    """Return what the tables hold after the stream came in batches; if forgetful, each case then reads its flags."""
    where.mkdir()
    service = service_of(where)
    edges = [0, *sorted(cuts), len(stream)]
    for start, end in pairwise(edges):
        if forgetful:
            with service.database.writing() as connection:
                connection.execute(update(cases).values(briefs=None))
        take(service, *stream[start:end])
    said: dict[int, list[Brief]] = {}
    for row in rows(service, flags):
        said.setdefault(row["case_id"], []).append(brief_of(row))
    for case in rows(service, cases):
        kept = read_briefs(case["briefs"] or "[]")
        if kept or not forgetful:  # a case that no later batch touched has forgotten for good
            assert by_id(kept) == by_id(said[case["id"]]), "what a case keeps is what its flags say"
    left_out = ("version", "state", "reopened_because", "due_at", "rank", "opened_at", "briefs")
    found = [
        [{name: value for name, value in row.items() if name not in left_out} for row in rows(service, table)]
        for table in (cases, flags, contacts, flag_hours, identities)
    ]
    service.database.close()
    return found


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), cuts=st.lists(st.integers(0, 30), max_size=6), again=st.integers(0, 30))
def test_the_same_flags_give_the_same_cases_however_they_come(
    tmp_path_factory: pytest.TempPathFactory, seed: int, cuts: list[int], again: int
) -> None:
    stream = stream_of(seed)
    folder = tmp_path_factory.mktemp("cuts")
    whole = outcome(folder / "whole", stream, [])
    assert outcome(folder / "cut", stream, cuts) == whole
    assert outcome(folder / "forgetful", stream, cuts, forgetful=True) == whole
    # after a crash, the records since some offset come once more
    assert outcome(folder / "again", stream + stream[again:], [len(stream)]) == whole
