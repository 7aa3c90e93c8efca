"""Hypothesis strategies for events as platforms send them: `events()`, `event_streams()`, `records()`."""

from __future__ import annotations

import datetime
import json
from typing import Any

from hypothesis import strategies as st

from graph.batch import EventKind
from streams.events import AGE_BANDS, AGE_SOURCES, KINDS, ROLES, SIGNS, Targeted

__all__ = ["BEGIN", "END", "account_ids", "event_streams", "events", "records", "times"]

BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2026, 12, 31, tzinfo=datetime.UTC)
TAGS = {str(event.__struct_config__.tag): event for event in KINDS}


def account_ids(names: int | None = None) -> st.SearchStrategy[str]:
    """Ids from a pool of `names`, so that accounts meet again; or any ids that the contract allows."""
    if names is not None:
        return st.integers(0, names - 1).map("u{}".format)
    characters = st.characters(exclude_categories=("Cs", "Cc"))
    return st.one_of(st.text("abc019-_", min_size=1, max_size=20), st.text(characters, min_size=1, max_size=128))


def times(begin: datetime.datetime = BEGIN, end: datetime.datetime = END) -> st.SearchStrategy[str | int]:
    """Times in every form that the contract allows."""
    moments = st.datetimes(begin.replace(tzinfo=None), end.replace(tzinfo=None)).map(
        lambda t: t.replace(tzinfo=datetime.UTC)
    )
    zones = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(
        lambda m: datetime.timezone(datetime.timedelta(minutes=m)) if m else datetime.UTC
    )
    return st.one_of(
        moments.map(lambda t: int(t.timestamp()) * 1000),
        moments.map(lambda t: t.isoformat(timespec="milliseconds").replace("+00:00", "Z")),
        st.builds(lambda t, z: t.astimezone(z).isoformat(), moments, zones),
    )


@st.composite
def events(
    draw: st.DrawFn,
    *,
    names: int | None = None,
    kinds: list[EventKind] | None = None,
    at: st.SearchStrategy[str | int] | None = None,
    extras: bool = True,
) -> dict[str, Any]:
    """One valid event as a dictionary; `extras` adds fields that the contract does not know."""
    allowed = [tag for tag, event in TAGS.items() if kinds is None or KINDS[event] in kinds]
    tag = draw(st.sampled_from(allowed))
    bands = st.sampled_from([*AGE_BANDS, None])
    event: dict[str, Any] = {
        "type": tag,
        "event_id": draw(st.uuids()).hex if names is not None else draw(account_ids()),
        "occurred_at": draw(at if at is not None else times()),
        "actor_id": draw(account_ids(names)),
    }
    if issubclass(TAGS[tag], Targeted):
        event["target_id"] = draw(account_ids(names).filter(lambda t: t != event["actor_id"]))
    optional: dict[str, st.SearchStrategy[Any]] = {"actor_age_band": bands, "target_age_band": bands}
    if tag in ("friend_request.sent", "message.sent"):
        optional["mutual_friends"] = st.none() | st.integers(0, 2**31 - 1)
    if tag == "message.sent":
        optional["signs"] = st.none() | st.lists(st.sampled_from(list(SIGNS)), max_size=4)
        optional["conversation_id"] = st.text(max_size=9)
    if tag == "account.updated":
        optional["age_band"] = bands
        optional["birth_date"] = st.dates(datetime.date(1920, 1, 1), datetime.date(2025, 12, 30)).map(str)
        optional["age_source"] = st.sampled_from([*AGE_SOURCES, None])
        optional["created_at"] = st.none() | times(BEGIN.replace(year=1990, day=3))
        optional["roles"] = st.lists(st.sampled_from([*ROLES, "pop_star", "é"]), max_size=3)
    if tag == "account.reported":
        optional["reason"] = st.text(max_size=20)
    if extras:
        leaves = (
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
        )
        optional["x"] = st.recursive(
            leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6
        )
    for name in draw(st.lists(st.sampled_from(list(optional)), unique=True)):
        event[name] = draw(optional[name])
    order = draw(st.permutations(list(event))) if draw(st.booleans()) else list(event)
    return {name: event[name] for name in order}


@st.composite
def event_streams(
    draw: st.DrawFn,
    *,
    names: int = 8,
    max_size: int = 60,
    kinds: list[EventKind] | None = None,
    step_ms: int = 3_600_000,
) -> list[dict[str, Any]]:
    """A stream in order of time among a few accounts, with distinct event ids and times in milliseconds."""
    now = int(BEGIN.timestamp() * 1000)
    stream = []
    for number in range(draw(st.integers(0, max_size))):
        now += draw(st.integers(0, step_ms))
        event = draw(events(names=names, kinds=kinds, at=st.just(now), extras=False))
        stream.append({**event, "event_id": f"e{number}"})
    return stream


def _encode(event: dict[str, Any], ascii_only: bool, spaced: bool) -> bytes:
    separators = (", ", ": ") if spaced else (",", ":")
    return json.dumps(event, ensure_ascii=ascii_only, separators=separators).encode(errors="surrogatepass")


@st.composite
def _damaged(draw: st.DrawFn, good: st.SearchStrategy[bytes]) -> bytes:
    record = bytearray(draw(good))
    pieces = st.sampled_from(
        [
            b'"',
            b"\\",
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b"0",
            b"-",
            b".5",
            b"e9",
            b" ",
            b"\n",
            b"\x00",
            b"\x7f",
            b"\xc3\xa9",
            b"\xff",
            b"\xed\xa0\x80",
            b"null",
            b"true",
            b"\\u0041",
            b"\\ud800",
            b'"x":1,',
            b"",
            b'"type":"z",',
        ]
    )
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(record)))
        record[at : at + draw(st.integers(0, 3))] = draw(pieces | st.binary(max_size=2))
    return bytes(record)


def records() -> st.SearchStrategy[bytes | None]:
    """Records good, slightly damaged and hopeless."""
    good = st.builds(_encode, events(), st.booleans(), st.booleans())
    wrong = st.builds(
        lambda event, name, value: _encode({**event, name: value}, True, False),
        events(),
        st.sampled_from(
            [
                "type",
                "event_id",
                "occurred_at",
                "actor_id",
                "target_id",
                "mutual_friends",
                "signs",
                "birth_date",
                "created_at",
                "roles",
                "age_band",
                "actor_age_band",
                "age_source",
                "reason",
            ]
        ),
        st.sampled_from(
            [
                None,
                True,
                "",
                "x",
                0,
                -1,
                1.5,
                2**31,
                2**70,
                [],
                {},
                ["x"],
                [1],
                "a\x00",
                "u1",
                "e" * 129,
                "2026-02-30T00:00:00Z",
                "2026-06-30T23:59:60Z",
                "2026-06-30 12:00:00.5+05:30",
                "2030-01-01",
                1700000000,
                1790000000000,
            ]
        ),
    )
    odd = st.sampled_from([None, b"", b" ", b"\r", b"[]", b"{}", b"3", b"{" * 70, b'{"x":' + b"[" * 70, b"a" * 65_537])
    return st.one_of(good, good, _damaged(good), wrong, odd, st.binary(max_size=60))
