from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from graph.batch import EVENT
from graph.message import ASK, REVIEW, Kind, Message
from streams.wire import VERSION, WireError, pack, unpack


@given(st.data())
def test_a_message_comes_back_as_it_was(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(Kind))
    dtype = {Kind.EVENTS: EVENT, Kind.REVIEWS: REVIEW}.get(kind, ASK)
    size = data.draw(st.integers(0, 5))
    raw = data.draw(st.binary(min_size=size * dtype.itemsize, max_size=size * dtype.itemsize))
    message = Message(
        kind,
        data.draw(st.integers(-1, 4096)),
        data.draw(st.integers(-1, 2**60)),
        data.draw(st.integers(0, 9)),
        np.frombuffer(raw, dtype),
        data.draw(hnp.arrays(np.uint8, st.integers(0, 40))),
        data.draw(hnp.arrays(np.uint64, st.integers(0, 40))),
    )
    back = unpack(pack(message))
    assert (back.kind, back.source, back.offset, back.part) == (kind, message.source, message.offset, message.part)
    for name in ("rows", "text", "hashes"):
        assert getattr(back, name).dtype == getattr(message, name).dtype
        assert getattr(back, name).tobytes() == getattr(message, name).tobytes()


def test_another_version_is_refused_with_what_to_do() -> None:
    frame = [VERSION + 1, 1, -1, -1, 0, b"", b"", b""]
    with pytest.raises(WireError, match="let all workers be of one version"):
        unpack(msgspec.msgpack.encode(frame))


@pytest.mark.parametrize("length", [1, EVENT.itemsize - 1])
def test_rows_that_do_not_come_out_even_are_refused(length: int) -> None:
    frame = [VERSION, int(Kind.EVENTS), -1, -1, 0, bytes(length), b"", b""]
    with pytest.raises(WireError, match="not an exchange message"):
        unpack(msgspec.msgpack.encode(frame))


@given(st.none() | st.binary(max_size=200))
def test_garbage_is_refused(data: bytes | None) -> None:
    with pytest.raises(WireError):
        unpack(data)
