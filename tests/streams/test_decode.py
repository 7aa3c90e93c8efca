"""Every record becomes a row or is refused, once, and as msgspec alone would read it."""

from __future__ import annotations

import datetime
import json
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import example, given
from hypothesis import strategies as st

from graph.batch import EVENT, NO_ROLES, NO_TIME, NOT_GIVEN, AgeBand, AgeSource, EventBatch, EventKind, Role, Sign
from streams import decode as module
from streams.decode import Decoded, EventDecoder
from streams.events import AGE_BANDS, AGE_SOURCES, MAX_RECORD, ROLES, SIGNS
from tests.strategies import events, records

NOW = 1_800_000_000_000
TEXT_AT = {"event_at", "actor_at", "target_at"}
HEAD = b'{"type":"message.sent","event_id":"e1","occurred_at":1795321302123,"actor_id":"alice","target_id":"bob"'
UPDATED = HEAD.replace(b"message.sent", b"account.updated")


def names(batch: EventBatch) -> list[tuple[str, ...]]:
    """Return the three ids of each row."""
    text = batch.text.tobytes()
    return [
        tuple(text[row[f"{n}_at"] :][: row[f"{n}_len"]].decode() for n in ("event", "actor", "target"))
        for row in batch.rows
    ]


def plain(decoded: Decoded) -> list[Any]:
    """Return all that is meant by a result: where in the text an id stands is not."""
    fields = [name for name in EVENT.names or () if name not in TEXT_AT]
    rows = [tuple(row[name].item() for name in fields) for row in decoded.batch.rows]
    refused = [(r.index, r.reason) for r in decoded.rejected]
    return [rows, names(decoded.batch), decoded.source.tolist(), refused]


def one_by_one(values: list[bytes | None], seed: int = 7) -> Decoded:
    """Decode without the scanner."""
    decoder = EventDecoder(seed)
    kept, source, rejected = [], [], []
    for i, value in enumerate(values):
        try:
            kept.append(module._read(value or b"", NOW))
            source.append(i)
        except module.RefusedError as refused:
            rejected.append(module.Rejected(i, str(refused)))
    return Decoded(EventBatch(*decoder._columns(kept, 0)), np.array(source, np.int32), rejected)


def refusal(record: bytes | None) -> str:
    decoded = EventDecoder().decode([record], not_after=NOW)
    assert len(decoded.batch) == 0
    (refused,) = decoded.rejected
    return refused.reason


def row(record: bytes) -> Any:
    decoded = EventDecoder().decode([record], not_after=NOW)
    assert not decoded.rejected
    return decoded.batch.rows[0]


@given(st.lists(records(), max_size=8))
def test_the_scanner_reads_records_as_msgspec_does(values: list[bytes | None]) -> None:
    assert plain(EventDecoder(7).decode(values, not_after=NOW)) == plain(one_by_one(values))


@given(st.lists(records(), max_size=8), st.data())
def test_the_cut_into_batches_changes_nothing(values: list[bytes | None], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(values)))
    decoder = EventDecoder(7)
    whole = plain(decoder.decode(values, not_after=NOW))
    first = plain(decoder.decode(values[:cut], not_after=NOW))
    second = plain(decoder.decode(values[cut:], not_after=NOW))
    second[2] = [i + cut for i in second[2]]
    second[3] = [(i + cut, reason) for i, reason in second[3]]
    assert whole == [a + b for a, b in zip(first, second, strict=True)]


@given(st.lists(st.binary(max_size=200) | st.none(), max_size=5))
def test_arbitrary_bytes_never_raise_and_are_refused_once(values: list[bytes | None]) -> None:
    decoded = EventDecoder().decode(values, not_after=NOW)
    seen = sorted([*decoded.source.tolist(), *(r.index for r in decoded.rejected)])
    assert seen == list(range(len(values)))


@given(st.lists(records(), max_size=8), st.sampled_from([b"\n", b"\r\n"]), st.booleans())
def test_lines_read_like_records(values: list[bytes | None], feed: bytes, ended: bool) -> None:
    lines = [(value or b"").replace(b"\n", b" ") for value in values]
    buffer = feed.join(lines) + feed * ended
    decoded = EventDecoder(7).decode_lines(buffer, not_after=NOW)
    # a line as it stands in the buffer: cut at the line feed, so with what came before it
    split = buffer.split(b"\n")
    expected = plain(EventDecoder(7).decode(split, not_after=NOW))
    expected[3] = [(i, reason) for i, reason in expected[3] if split[i].strip()]
    assert plain(decoded) == expected


def expect(event: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a valid event, straight from the contract."""
    kind, has_target = event["type"], "target_id" in event

    def ms(value: str | int | None) -> int:
        if not isinstance(value, str):
            return NO_TIME if value is None else value
        since = datetime.datetime.fromisoformat(value) - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        return since // datetime.timedelta(milliseconds=1)

    def band(name: str) -> int:
        value = event.get(name)
        return NOT_GIVEN if value is None else AGE_BANDS[value]

    def hashed(name: str) -> int:
        return xxhash.xxh3_64_intdigest(event[name].encode(), 7) if name in event else 0

    signs, roles, mutual = event.get("signs"), event.get("roles"), event.get("mutual_friends")
    updated = kind == "account.updated"
    return {
        "time": ms(event["occurred_at"]),
        "ingested_at": 5,
        "event": hashed("event_id"),
        "actor": hashed("actor_id"),
        "target": hashed("target_id"),
        "created_at": ms(event.get("created_at")),
        "mutual": -1 if mutual is None else mutual,
        "signs": sum({int(SIGNS[sign]) for sign in signs or ()}),
        "roles": NO_ROLES if roles is None else sum({int(ROLES.get(role, Role.OTHER)) for role in roles}),
        "actor_age": band("age_band") if updated and event.get("age_band") else band("actor_age_band"),
        "target_age": band("target_age_band") if has_target else NOT_GIVEN,
        "age_source": AGE_SOURCES[event["age_source"]] if event.get("age_source") else AgeSource.UNKNOWN,
    }


@given(events().filter(lambda event: "birth_date" not in event))
def test_a_valid_event_becomes_the_row_that_the_contract_says(event: dict[str, Any]) -> None:
    decoded = EventDecoder(7).decode([json.dumps(event).encode()], not_after=NOW, ingested_at=[5])
    assert not decoded.rejected
    assert names(decoded.batch) == [(event["event_id"], event["actor_id"], event.get("target_id", ""))]
    columns = {name: decoded.batch.rows[0][name].item() for name in expect(event)}
    assert columns == expect(event)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, "the record is empty"),
        (b" \n", "the record is empty"),
        (b"x" * (MAX_RECORD + 1), "the record is larger than 64 KiB"),
        (b"\xff", "not UTF-8 (byte 0)"),
        (HEAD + b',"x":"\xff"}', "not UTF-8"),
        (HEAD, "not JSON: Input data was truncated"),
        (b"[]", "not a JSON object"),
        (b"{}", "`type` is missing"),
        (b'{"type":"secret"}', "`type`: is none of the event types"),
        (b'{"type":"message.sent"}', "`event_id` is missing"),
        (b'{"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}", "nested more than 64 levels deep"),
        (b'{"x":' * 10_000, "nested more than 64 levels deep"),
        (HEAD + b',"signs":["secret"]}', "`signs[0]`: is none of the allowed values"),
        (HEAD + b',"actor_age_band":"secret"}', "`actor_age_band`: is none of the allowed values"),
        (HEAD + b',"mutual_friends":true}', "`mutual_friends`: expected `int | null`, got `bool`"),
        (HEAD + b',"mutual_friends":' + b"9" * 5000 + b"}", "`mutual_friends`: "),
        (HEAD.replace(b"alice", b"a" * 129) + b"}", "`actor_id`: expected `str` of length <= 128"),
        (HEAD.replace(b"alice", b"secret\\u0000") + b"}", "`actor_id`: holds a control character"),
        (HEAD.replace(b"alice", b"secret\\ud800") + b"}", "not JSON: "),
        (HEAD.replace(b"alice", b"bob") + b"}", "`target_id`: is the same as `actor_id`"),
        (HEAD.replace(b"1795321302123", b"1795321302") + b"}", "`occurred_at`: lies before 2000 (are these epoch sec"),
        (HEAD.replace(b"1795321302123", b"1800000000001") + b"}", "`occurred_at`: lies in the future"),
        (
            HEAD.replace(b"1795321302123", b'"2026-11-22T04:21:42"') + b"}",
            "`occurred_at`: not an RFC 3339 time with an",
        ),
        (HEAD.replace(b"1795321302123", b"true") + b"}", "`occurred_at`: expected `int | str`, got `bool`"),
        (UPDATED + b',"birth_date":"2026-11-23"}', "`birth_date`: lies after `occurred_at`"),
        (UPDATED + b',"birth_date":"1890-01-01","age_band":"unknown"}', "`birth_date`: lies after `occurred_at`, or"),
        (UPDATED + b',"birth_date":"secret"}', "`birth_date`: invalid RFC3339 encoded date"),
        (UPDATED + b',"created_at":1600000000}', "`created_at`: lies before 1990"),
        (UPDATED + b',"roles":["a",3]}', "`roles[1]`: expected `str`, got `int`"),
    ],
)
def test_a_refusal_says_why_and_repeats_nothing(record: bytes | None, reason: str) -> None:
    said = refusal(record)
    assert said.startswith(reason)
    assert not any(word in said for word in ("secret", "alice", "bob", "\n"))


@pytest.mark.parametrize(
    ("birth", "band"),
    [("2013-11-22", AgeBand.AGE_13_15), ("2013-11-23", AgeBand.UNDER_13), ("1990-01-01", AgeBand.AGE_21_PLUS)],
)
def test_a_birth_date_becomes_a_band_at_once(birth: str, band: AgeBand) -> None:
    assert row(UPDATED + b',"birth_date":"%s"}' % birth.encode())["actor_age"] == band


def test_a_stated_age_band_wins_over_a_birth_date() -> None:
    assert row(UPDATED + b',"birth_date":"1990-01-01","age_band":"under_13"}')["actor_age"] == AgeBand.UNDER_13


def test_an_empty_list_of_roles_is_not_the_same_as_none() -> None:
    assert row(UPDATED + b',"roles":[]}')["roles"] == 0
    assert row(UPDATED + b"}")["roles"] == NO_ROLES
    assert row(UPDATED + b',"roles":["educator","pop_star"]}')["roles"] == Role.EDUCATOR | Role.OTHER


def test_signs_become_bits() -> None:
    assert row(HEAD + b',"signs":["meet_up","secrecy","meet_up"]}')["signs"] == Sign.MEET_UP | Sign.SECRECY


def test_one_bad_record_in_many_keeps_the_order() -> None:
    good = HEAD + b"}"
    values = [good] * 5 + [HEAD.replace(b"alice", b"\\u0061lice") + b"}", b"{"] + [good] * 5
    decoded = EventDecoder().decode(values, not_after=NOW)
    assert decoded.source.tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert set(names(decoded.batch)) == {("e1", "alice", "bob")}
    assert len(set(decoded.batch.rows["actor"].tolist())) == 1
    assert decoded.batch.rows["kind"].tolist() == [EventKind.MESSAGE_SENT] * 11


def test_what_is_not_an_id_is_not_kept() -> None:
    decoded = EventDecoder().decode([HEAD + b',"text":"see you at eight"}'], not_after=NOW)
    assert decoded.batch.text.tobytes() == b"e1alicebob"
    assert decoded.batch.text.base is None


@example(b'{"a":1}')
@given(st.binary(max_size=30))
def test_a_record_cannot_borrow_from_the_next(tail: bytes) -> None:
    for cut in range(1, len(HEAD) + 1):
        values = [HEAD[:cut], HEAD[cut:] + b"}" + tail, b"", tail]
        if cut % 7 == len(tail) % 7:
            assert plain(EventDecoder(7).decode(values, not_after=NOW)) == plain(one_by_one(values))


@pytest.mark.slow
def test_mutations_of_records_are_read_as_msgspec_does_for_a_while() -> None:
    from tests.streams.fuzz import fuzz  # which takes its parts from here

    assert fuzz(seconds=10.0, seed=2) > 0
