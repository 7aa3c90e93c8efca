"""Times as the contract writes them: RFC 3339 with an offset, to epoch milliseconds, and back.

Compiled, since every event has one: about 10 ns a text, where a datetime object costs some 300 ns to make
and read. A leap second (RFC 3339, section 5.7: only as 23:59:60 UTC) counts as the second after it, as POSIX
has it. Fractions are cut off after the milliseconds.
"""

from __future__ import annotations

import datetime
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.hashing import PADDING, byte, compiled

__all__ = ["BAD_TIME", "epoch_ms", "parse_date", "parse_time", "rfc3339", "years_between"]

BAD_TIME: Final = -(2**62)
"""What `parse_time` returns for a text that is no RFC 3339 time with an offset."""

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@compiled
def _two(at: Any) -> Any:
    """Read two digits, or return a number below -1000."""
    high = byte(at) - 48
    low = byte(at + 1) - 48
    if high < 0 or high > 9 or low < 0 or low > 9:
        return np.int64(-100_000)
    return high * 10 + low


@compiled
def _last_day(year: Any, month: Any) -> Any:
    """Return how many days a month has."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 + ((month + (month >> 3)) & 1)


@compiled
def parse_date(at: int, length: int) -> Any:
    """Return the date `YYYY-MM-DD` at an address as one number that orders as dates do, or `BAD_TIME`.

    Ten bits are for the day within the year: five for the month, five for the day.
    """
    if length != 10 or byte(at + 4) != 45 or byte(at + 7) != 45:
        return BAD_TIME
    year = _two(at) * 100 + _two(at + 2)
    month = _two(at + 5)
    day = _two(at + 8)
    if year < 1 or month < 1 or month > 12 or day < 1 or day > _last_day(year, month):
        return BAD_TIME
    return np.int64(year << 10 | month << 5 | day)


@compiled
def years_between(birth: Any, time: Any) -> Any:
    """Return whole years from a date of `parse_date` to the UTC day of a time, epoch ms; negative if it lies before."""
    # the day's date: Hinnant, "chrono-compatible low-level date algorithms", civil_from_days, with years from 1 March
    days = time // 86_400_000 + 719_468
    era = days // 146_097
    of_era = days - era * 146_097
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    from_march = (5 * of_year + 2) // 153
    day = of_year - (153 * from_march + 2) // 5 + 1
    month = from_march + 3 if from_march < 10 else from_march - 9
    year += era * 400 + (1 if month <= 2 else 0)
    return year - (birth >> 10) - (1 if (month << 5 | day) < (birth & 1023) else 0)


@compiled
def parse_time(at: int, length: int) -> Any:
    """Return the epoch milliseconds of the text at an address, or `BAD_TIME`. `PADDING` bytes must follow the text."""
    if length < 20:
        return BAD_TIME
    year = _two(at) * 100 + _two(at + 2)
    month = _two(at + 5)
    day = _two(at + 8)
    hour = _two(at + 11)
    minute = _two(at + 14)
    second = _two(at + 17)
    if year < 1 or month < 1 or month > 12 or day < 1 or hour < 0 or hour > 23 or minute < 0 or minute > 59:
        return BAD_TIME
    if second < 0 or second > 60 or byte(at + 4) != 45 or byte(at + 7) != 45:
        return BAD_TIME
    if byte(at + 10) not in (84, 116, 32) or byte(at + 13) != 58 or byte(at + 16) != 58:
        return BAD_TIME
    if day > _last_day(year, month):
        return BAD_TIME
    p = at + 19
    end = at + length
    millis = np.int64(0)
    if byte(p) == 46:
        p += 1
        scale = 100
        first = p
        while p < end and 48 <= byte(p) <= 57:
            millis += (byte(p) - 48) * scale
            scale //= 10
            p += 1
        if p == first:
            return BAD_TIME
    if p >= end:
        return BAD_TIME
    offset = 0
    if byte(p) == 90 or byte(p) == 122:
        p += 1
    elif (byte(p) == 43 or byte(p) == 45) and end - p == 6 and byte(p + 3) == 58:
        hours = _two(p + 1)
        minutes = _two(p + 4)
        if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
            return BAD_TIME
        offset = hours * 60 + minutes
        if byte(p) == 45:
            offset = -offset
        p = end
    if p != end:
        return BAD_TIME
    # days since the epoch: Hinnant, "chrono-compatible low-level date algorithms", days_from_civil
    shifted = year - (1 if month <= 2 else 0)
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    days = era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
    minutes_in = days * 1440 + hour * 60 + minute - offset
    if second == 60 and minutes_in % 1440 != 1439:
        return BAD_TIME
    return (minutes_in * 60 + second) * 1000 + (0 if second == 60 else millis)


@compiled
def _parse_text(data: NDArray[np.uint8]) -> Any:
    return parse_time(data.ctypes.data, len(data) - PADDING)


def epoch_ms(text: str) -> int:
    """Return the epoch milliseconds of an RFC 3339 time with an offset.

    Raises
    ------
    ValueError
        When the text is anything else, a time without an offset included.

    Examples
    --------
    >>> epoch_ms("2026-11-22T04:21:42.123Z")
    1795321302123
    """
    raw = text.encode(errors="replace")
    value = int(_parse_text(np.frombuffer(raw + bytes(PADDING), np.uint8)))
    if value == BAD_TIME:
        raise ValueError("not an RFC 3339 time with an offset, such as 2026-11-22T04:21:42Z")
    return value


@lru_cache(maxsize=1024)  # a flag tells most of its times twice
def rfc3339(ms: int) -> str:
    """Return epoch milliseconds as RFC 3339 in UTC with milliseconds.

    Examples
    --------
    >>> rfc3339(1795321302123)
    '2026-11-22T04:21:42.123Z'
    """
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{_date(days)}T{hours:02}:{minutes:02}:{seconds:02}.{ms:03}Z"


@lru_cache(maxsize=64)  # flags of a time tell of few days, and each tells four times
def _date(days: int) -> str:
    """Return the date that is so many days after the epoch."""
    return (_EPOCH + datetime.timedelta(days)).date().isoformat()
