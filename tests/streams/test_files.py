"""Lines come out of files whole, in order and counted, however the file is packed and read."""

from __future__ import annotations

import gzip
import io
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from streams.cli import UserError
from streams.decode import EventDecoder
from streams.events import MAX_RECORD
from streams.files import read_blocks, size_of
from tests import strategies  # noqa: F401  # loads the profile

SKIPPABLE = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"


def zst(data: bytes, level: int = 3) -> bytes:
    return zstandard.ZstdCompressor(level=level, write_checksum=level > 3).compress(data)


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gz": gzip.compress,
    "gz of two members": lambda data: gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :]),
    "zst": zst,
    "zst of several frames": lambda data: (
        SKIPPABLE + zst(data[: len(data) // 2], 19) + SKIPPABLE + zst(data[len(data) // 2 :])
    ),
    "zst of unknown size": lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data),
}


def lines_of(data: bytes, block_size: int) -> bytes:
    """Read through standard input, and check the line numbers on the way."""
    out, line = b"", 1
    for block in read_blocks("-", block_size=block_size, stdin=io.BytesIO(data)):
        assert block.first_line == line
        assert 0 <= block.position <= len(data)
        line += block.data.count(b"\n")
        out += block.data
    return out


@pytest.mark.parametrize("packing", PACKINGS)
@given(
    lines=st.lists(st.text("ab{}\r", max_size=30).map(str.encode), max_size=20),
    ended=st.booleans(),
    block_size=st.integers(1, 64),
)
def test_every_line_comes_out_as_it_went_in(packing: str, lines: list[bytes], ended: bool, block_size: int) -> None:
    data = b"\n".join(lines) + b"\n" * ended
    assert lines_of(PACKINGS[packing](data), block_size) == data


@pytest.mark.parametrize("block_size", [1000, 1 << 20])
@pytest.mark.parametrize("packing", PACKINGS)
def test_a_line_that_is_too_long_is_cut_and_costs_only_itself(packing: str, block_size: int) -> None:
    lines = [b"a" * MAX_RECORD, b"b" * (MAX_RECORD + 1), b"", b"c" * 3_000_000, b"d", b"e" * 200_000]
    out = lines_of(PACKINGS[packing](b"\n".join(lines)), block_size)
    assert out.split(b"\n") == [line[: MAX_RECORD + 1] for line in lines]
    decoded = EventDecoder().decode_lines(out, not_after=0)
    too_long = [refused.index for refused in decoded.rejected if "larger than 64 KiB" in refused.reason]
    assert too_long == [1, 3, 5]


@pytest.mark.parametrize("pack", [gzip.compress, zst])
def test_memory_stays_the_same_however_far_the_data_expands(pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(b"x" * 100_000_000)
    assert len(bomb) < 200_000
    tracemalloc.start()
    try:
        out = b"".join(block.data for block in read_blocks("-", stdin=io.BytesIO(bomb)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(out) == MAX_RECORD + 1
    assert peak < 16_000_000


def test_a_byte_order_mark_is_passed_over() -> None:
    assert lines_of(b"\xef\xbb\xbf{}\n", 2) == b"{}\n"


def test_files_are_read_by_name(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(gzip.compress(b"{}\n{}\n"))
    (block,) = read_blocks(str(path))
    assert block.data == b"{}\n{}\n"
    assert size_of(str(path)) == path.stat().st_size
    assert size_of("-") is None
    assert size_of(str(tmp_path / "none")) is None


def complaint(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        list(read_blocks(str(path)))
    said = caught.value.message
    assert str(path) in said
    assert "\n" not in said
    return said


DATA = b"".join(b'{"number": %d}\n' % i for i in range(3000))


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("zst", lambda data: zst(data, 19))])
@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda d: d[:-1], "ends too early, in byte"),
        (lambda d: d[: len(d) // 2], "ends too early, in byte"),
        (lambda d: d[:8], "ends too early, in byte"),
        (lambda d: d + b"junk", "damaged"),
        (lambda d: d[:-4] + bytes(4), "damaged"),
        (lambda d: b"", "file (it is empty)"),
        (lambda d: DATA, "is not a"),
    ],
)
def test_a_damaged_file_is_named_with_the_place(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes], harm: Callable[[bytes], bytes], says: str
) -> None:
    path = tmp_path / f"events.{suffix}"
    path.write_bytes(harm(pack(DATA)))
    assert says in complaint(path)


def test_a_frame_that_asks_for_too_much_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.zst"
    path.write_bytes(bytes.fromhex("28b52ffd") + b"\x00\xa0" + b"\x01\x00\x00")
    assert "damaged" in complaint(path)


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    assert "no such file" in complaint(tmp_path / "none.jsonl")
    assert "is a folder" in complaint(tmp_path)
    locked = tmp_path / "locked.jsonl"
    locked.touch(mode=0)
    if not os.access(locked, os.R_OK):
        assert "may not be read" in complaint(locked)
