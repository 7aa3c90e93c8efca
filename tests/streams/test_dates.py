"""Dates of birth: read as msgspec reads them, and whole years from them."""

from __future__ import annotations

import datetime

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.hashing import PADDING
from streams.timestamps import BAD_TIME, parse_date, years_between

DATES = st.dates(datetime.date(1, 1, 1), datetime.date(2100, 12, 31))


def packed(text: bytes) -> int:
    data = np.frombuffer(text + bytes(PADDING), np.uint8)
    return int(parse_date(data.ctypes.data, len(text)))


@given(DATES, DATES)
def test_dates_order_as_their_numbers_do(one: datetime.date, other: datetime.date) -> None:
    assert (packed(str(one).encode()) < packed(str(other).encode())) == (one < other)


@given(st.text("0123456789-/ T:a", min_size=8, max_size=11) | st.from_regex(r"\A\d{4}-\d\d-\d\d\Z"))
def test_a_date_is_read_if_and_only_if_msgspec_reads_it(text: str) -> None:
    try:
        date = msgspec.json.decode(msgspec.json.encode(text), type=datetime.date)
    except msgspec.ValidationError:
        date = None
    number = packed(text.encode())
    assert (None if number == BAD_TIME else (number >> 10, number >> 5 & 31, number & 31)) == (
        date and (date.year, date.month, date.day)
    )


@given(DATES, st.integers(946_684_800_000, 4_102_444_800_000))
def test_years_are_counted_up_to_the_birthday(birth: datetime.date, time: int) -> None:
    on = datetime.datetime.fromtimestamp(time // 1000, datetime.UTC).date()
    years = on.year - birth.year - ((on.month, on.day) < (birth.month, birth.day))
    assert years_between(packed(str(birth).encode()), time) == years
