"""Types, times and hashes of events."""

from __future__ import annotations

import datetime

import msgspec
import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from graph.batch import AgeBand
from streams.events import KINDS, Event, Head, age_band
from streams.hashing import PADDING, SEED, hash_id, xxh3
from streams.timestamps import epoch_ms, rfc3339
from tests.strategies import account_ids, events, times

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
DAY = datetime.date(2026, 11, 22)


@given(events())
def test_every_event_of_the_contract_is_read_and_written_back(event: dict[str, object]) -> None:
    read: Head = msgspec.convert(event, Event)
    assert type(read) in KINDS
    again = msgspec.json.decode(msgspec.json.encode(read), type=Event)
    assert again == read


@given(times(datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)).filter(lambda t: isinstance(t, str)))
def test_times_are_read_as_the_standard_library_reads_them(text: str) -> None:
    expected = (datetime.datetime.fromisoformat(text) - EPOCH) // datetime.timedelta(milliseconds=1)
    assert epoch_ms(text) == expected
    assert epoch_ms(rfc3339(expected)) == expected


@given(st.dates(), st.integers(0, 86399))
def test_every_day_of_the_calendar_is_read(day: datetime.date, second: int) -> None:
    at = datetime.datetime.combine(day, datetime.time(), datetime.UTC) + datetime.timedelta(seconds=second)
    assert epoch_ms(at.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")) == (at - EPOCH) // datetime.timedelta(
        milliseconds=1
    )


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2016-12-31T18:59:60.9-05:00", "2017-01-01T00:00:00Z"),
        ("2026-11-22t04:21:42z", "2026-11-22T04:21:42Z"),
        ("2026-11-22 04:21:42.12Z", "2026-11-22T04:21:42.120Z"),
        ("2026-11-22T04:21:42.1239999999999Z", "2026-11-22T04:21:42.123Z"),
        ("2026-11-22T04:21:42-00:00", "2026-11-22T04:21:42Z"),
    ],
)
def test_the_odd_corners_of_rfc_3339(text: str, same_as: str) -> None:
    assert epoch_ms(text) == epoch_ms(same_as)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-22",
        "2026-11-22T04:21:42",
        "2026-11-22T04:21Z",
        "2026-11-22T04:21:42+01",
        "2026-11-22T04:21:42+0100",
        "2026-11-22T04:21:42+24:00",
        "2026-11-22T04:21:42.Z",
        "2026-11-22T04:21:42,5Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T04:60:00Z",
        "2026-11-22T04:21:61Z",
        "2026-11-22T04:21:60Z",
        "2025-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-11-22T04:21:42Zz",
        "2026-11-22T04:21:42Z ",
        " 2026-11-22T04:21:42Z",
        "-026-11-22T04:21:42Z",
        "٢٠٢٦-11-22T04:21:42Z",
        "\ud800026-11-22T04:21:42Z",
    ],
)
def test_what_is_no_time_with_an_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an RFC 3339 time with an offset"):
        epoch_ms(text)


@given(st.text("0123456789-:TZ+. ", min_size=18, max_size=30))
def test_a_time_is_never_read_that_the_standard_library_refuses(text: str) -> None:
    try:
        value = epoch_ms(text)
    except ValueError:
        return
    if ":60" not in text:
        assert value == (datetime.datetime.fromisoformat(text) - EPOCH) // datetime.timedelta(milliseconds=1)


@given(st.binary(min_size=1, max_size=128), st.integers(0, 2**64 - 1), st.integers(0, 9))
def test_the_compiled_hash_is_xxh3(data: bytes, seed: int, at: int) -> None:
    buffer = np.frombuffer(bytes(at) + data + bytes(PADDING), np.uint8)
    assert int(xxh3(buffer.ctypes.data + at, len(data), np.uint64(seed))) == xxhash.xxh3_64_intdigest(data, seed)


@pytest.mark.parametrize("length", range(1, 129))
def test_the_compiled_hash_is_xxh3_at_every_length(length: int) -> None:
    data = bytes((i * 37 + length) % 256 for i in range(length))
    buffer = np.frombuffer(data + bytes(PADDING), np.uint8)
    assert int(xxh3(buffer.ctypes.data, length, np.uint64(SEED))) == xxhash.xxh3_64_intdigest(data, SEED)


@given(account_ids())
def test_no_id_has_the_hash_of_no_account(identity: str) -> None:
    assert 0 < hash_id(identity) < 2**64


@pytest.mark.parametrize(
    ("birth", "band"),
    [
        ("2026-11-22", AgeBand.UNDER_13),
        ("2013-11-23", AgeBand.UNDER_13),
        ("2013-11-22", AgeBand.AGE_13_15),
        ("2010-11-22", AgeBand.AGE_16_17),
        ("2008-11-22", AgeBand.AGE_18_20),
        ("2005-11-23", AgeBand.AGE_18_20),
        ("2005-11-22", AgeBand.AGE_21_PLUS),
        ("1896-11-22", AgeBand.AGE_21_PLUS),
        ("1895-11-22", None),
        ("2026-11-23", None),
    ],
)
def test_age_bands_begin_on_the_birthday(birth: str, band: AgeBand | None) -> None:
    assert age_band(datetime.date.fromisoformat(birth), DAY) == band


def test_who_was_born_on_leap_day_turns_older_on_the_first_of_march() -> None:
    birth = datetime.date(2008, 2, 29)
    assert age_band(birth, datetime.date(2021, 2, 28)) == AgeBand.UNDER_13
    assert age_band(birth, datetime.date(2021, 3, 1)) == AgeBand.AGE_13_15
