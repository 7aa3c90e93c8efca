"""Snapshots on disk: what is read is what was written, or is refused; nothing else."""

from __future__ import annotations

import base64
import contextlib
import errno
import io
import os
import random
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.batch import EventKind
from graph.kept import tree_of
from graph.node import Node
from graph.shard import Settings
from graph.state import ACCOUNT, DAY, PAIR
from streams import freeze as freezing
from streams import snapshots
from streams.freeze import Frozen, freeze, size_of
from streams.snapshot_file import (
    DamagedError,
    Header,
    SnapshotError,
    pack_tree,
    read_header,
    read_tree,
    write_file,
)
from streams.snapshots import LAYOUT, SnapshotSettings, SnapshotStore, layout_of, read_key
from tests.deep import differences
from tests.graph.build import START, Event, hash_of
from tests.graph.compare import events_from, name_of
from tests.graph.shards import Cluster

KEY = bytes(range(32))
TREE: dict[str, Any] = {
    "a": {"x": np.arange(70_000), "rows": np.zeros(5, PAIR), "none": np.zeros((0, 3), np.uint8)},
    "text": "é",
    "number": -(2**40),
    "raw": b"\x00\xff",
}


def header(position: int = 7, **more: Any) -> Header:
    plain = {"layout": LAYOUT, "program": "1", "shard": 3, "shards": 8, "anchor": b"", "policy": "p", "erased": 0}
    return Header(**{**plain, "position": position, **more})


def written(tree: dict[str, Any], key: bytes | None = None) -> bytes:
    file = io.BytesIO()
    assert write_file(file, header(), pack_tree(tree), key) == len(file.getvalue())
    return file.getvalue()


ARRAYS = st.builds(
    lambda kind, shape, seed: np.random.default_rng(seed).integers(0, 200, shape).astype(kind),
    st.sampled_from([np.uint8, np.int64, np.float64, np.bool_, np.uint32]),
    st.lists(st.integers(0, 40), min_size=1, max_size=3),
    st.integers(0, 99),
)
TREES = st.dictionaries(
    st.text("abc", min_size=1),
    st.recursive(
        st.one_of(ARRAYS, st.integers(-(2**62), 2**62), st.floats(allow_nan=False), st.none(), st.text(), st.binary()),
        lambda inner: st.dictionaries(st.text("xyz", min_size=1), inner),
        max_leaves=6,
    ),
)


@settings(max_examples=60, deadline=None)
@given(TREES, st.sampled_from([None, KEY]))
def test_what_is_read_is_what_was_written(tree: dict[str, Any], key: bytes | None) -> None:
    data = written(tree, key)
    head, again = read_tree(io.BytesIO(data), key)
    assert list(differences(again, tree)) == []
    assert (head.position, head.shard) == (7, 3)
    assert read_header(io.BytesIO(data)).position == 7


@pytest.mark.parametrize("key", [None, KEY])
def test_every_damaged_byte_is_noticed_and_every_cut(key: bytes | None) -> None:
    data = written(TREE, key)
    chance = random.Random(1)
    places = [*range(120), *range(len(data) - 60, len(data)), *(chance.randrange(len(data)) for _ in range(400))]
    for at in places:
        bad = bytearray(data)
        bad[at] ^= 1 << chance.randrange(8)
        with pytest.raises(DamagedError):
            read_tree(io.BytesIO(bytes(bad)), key)
    for end in {0, 1, 8, 11, 40, len(data) - 1, len(data) - 16, *(chance.randrange(len(data)) for _ in range(60))}:
        with pytest.raises(DamagedError):
            read_tree(io.BytesIO(data[:end]), key)
    with pytest.raises(DamagedError):
        read_tree(io.BytesIO(data + b"x"), key)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_refused_in_a_line(junk: bytes, with_head: bool) -> None:
    data = written({"a": 1})[:130] + junk if with_head else junk
    with pytest.raises(SnapshotError) as refused:
        read_tree(io.BytesIO(data))
    assert "\n" not in str(refused.value)


def test_a_frame_that_says_it_is_small_and_is_not_costs_no_memory() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(64 << 20))
    file = io.BytesIO()
    write_file(file, header(), [b"\1" + bomb, b"\2", b"\3"])
    file.seek(0)
    with pytest.raises(DamagedError):
        read_tree(file)


def test_only_the_key_it_was_sealed_with_opens_a_snapshot() -> None:
    sealed, plain = written(TREE, KEY), written(TREE)
    assert TREE["a"]["x"].tobytes()[:4000] not in sealed
    for key, data, why in (
        (None, sealed, "no key is given"),
        (bytes(32), sealed, "another key"),
        (KEY, plain, "not encrypted, though a key is given"),
    ):
        with pytest.raises(SnapshotError, match=why) as refused:
            read_tree(io.BytesIO(data), key)
        assert not isinstance(refused.value, DamagedError), "or it would be given up for the one before"
    assert written(TREE, KEY) != sealed, "a salt of its own a file"


def test_a_key_is_32_bytes_in_base64_and_never_repeated() -> None:
    assert read_key(None) is None
    assert read_key(base64.b64encode(KEY).decode()) == KEY
    for bad in ("hunter2", base64.b64encode(b"short").decode(), "ä"):
        with pytest.raises(ValueError, match="32 bytes in base64") as refused:
            read_key(bad)
        assert bad not in str(refused.value)


def test_settings_come_from_options_the_environment_and_defaults() -> None:
    assert SnapshotSettings.from_env(environ={"KITHWATCH_SNAPSHOTS": "none"}).url is None
    assert SnapshotSettings.from_env(url="s3://b/x", environ={"KITHWATCH_SNAPSHOTS": "/y"}).url == "s3://b/x"
    assert SnapshotSettings.from_env(every_ms=1500, environ={}).every == 1.5
    assert (SnapshotSettings.from_env(environ={}).url or "").endswith("kithwatch/snapshots")


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path / "s") if request.param == "local" else f"memory://{tmp_path}", "group/1")


def put(store: SnapshotStore, position: int, tree: dict[str, Any] | None = None, **more: Any) -> None:
    store.write(header(position, **more), pack_tree(tree or {"at": position}))


def test_the_newest_two_are_kept_and_found_newest_first(store: SnapshotStore) -> None:
    assert store.list(3, 8) == []
    for position in (5, 20, 110):
        put(store, position)
    assert [found.position for found in store.list(3, 8)] == [110, 20]
    assert store.list(2, 8) == []
    assert store.list(3, 4) == []
    assert store.read(store.list(3, 8)[1])[1] == {"at": 20}


def test_what_was_written_before_an_erasure_goes_once_the_newest_is_known_to_be_whole(store: SnapshotStore) -> None:
    put(store, 5)
    put(store, 7, erased=1)
    assert [found.position for found in store.list(3, 8)] == [7, 5], "the one to fall back on stays meanwhile"
    store.forget_erased(3, 8)
    assert [found.position for found in store.list(3, 8)] == [7]
    put(store, 8, erased=1)
    store.forget_erased(3, 8)
    assert [found.position for found in store.list(3, 8)] == [8, 7], "both are from after the erasure"
    put(store, 9, erased=2)
    newest = store.list(3, 8)[0].path
    data = bytearray(store._fs.cat_file(newest))
    data[-1] ^= 1
    store._fs.pipe_file(newest, bytes(data))
    with pytest.raises(DamagedError):
        store.forget_erased(3, 8)
    assert [found.position for found in store.list(3, 8)] == [9, 8], "damaged: nothing is dropped"


def test_what_is_set_aside_is_not_found_again(store: SnapshotStore) -> None:
    put(store, 5)
    put(store, 6)
    store.set_aside(store.list(3, 8)[0], "damaged")
    assert [found.position for found in store.list(3, 8)] == [5]


def test_a_snapshot_that_fails_half_way_leaves_nothing(store: SnapshotStore) -> None:
    def breaking() -> Iterator[bytes]:
        yield from list(pack_tree(TREE))[:-2]
        raise OSError(errno.ENOSPC, "No space left on device")

    put(store, 5)
    with pytest.raises(OSError, match="No space"):
        store.write(header(9), breaking())
    with pytest.raises(SnapshotError, match="too soon"):
        store.write(header(9), list(pack_tree(TREE))[:-1])
    assert [found.position for found in store.list(3, 8)] == [5]
    names = store._fs.ls(store.folder(3, 8), detail=False)
    assert len(names) == 1, names


def test_files_and_folders_are_for_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        put(SnapshotStore(str(tmp_path / "s"), "g"), 5)
    finally:
        os.umask(before)
    for path in [tmp_path / "s", *(tmp_path / "s").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"):
        SnapshotStore(str(tmp_path / "file" / "s"), "g").check()
    with pytest.raises(ValueError, match="nowhere"):
        SnapshotStore("nowhere://x", "g")
    SnapshotStore(str(tmp_path / "fine"), "g").check()


def test_a_format_of_another_version_is_refused_with_both_versions() -> None:
    file = io.BytesIO()
    write_file(file, msgspec.structs.replace(header(), format=99), pack_tree({"a": 1}))
    file.seek(0)
    with pytest.raises(SnapshotError, match=r"format 99.*reads format 1") as refused:
        read_tree(file)
    assert not isinstance(refused.value, DamagedError)


def test_another_layout_is_migrated_or_refused(store: SnapshotStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, 5, {"old": 1}, layout="0123", program="0.0.9")
    (found,) = store.list(3, 8)
    with pytest.raises(SnapshotError, match=r"another layout: kithwatch 0\.0\.9 wrote it"):
        store.read(found)
    monkeypatch.setitem(snapshots.MIGRATIONS, "0123", lambda tree: {"new": tree["old"] + 1})
    assert store.read(found)[1] == {"new": 2}


def test_the_layout_is_of_what_the_numbers_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    assert layout_of(Settings()) == LAYOUT
    assert layout_of(Settings(horizon=20 * DAY)) != LAYOUT
    monkeypatch.setattr(snapshots, "ACCOUNT", np.dtype([*ACCOUNT.descr, ("more", "<u4")]))
    assert layout_of(Settings()) != LAYOUT


# freezing


def all_of(frozen: Frozen) -> dict[str, Any]:
    file = io.BytesIO()
    write_file(file, header(), frozen.frames)
    file.seek(0)
    return read_tree(file)[1]


@pytest.mark.parametrize("copied", [True, False])
def test_a_frozen_state_is_that_of_its_moment(copied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freezing, "COPIED", 1 << 40 if copied else 0)
    tree = {"x": np.arange(3_000_000), "n": 5}
    frozen = freeze(lambda: tree, size_of(tree))
    was = tree["x"].copy()
    tree["x"][:] = 0  # type: ignore[index]
    tree["n"] = 6
    got = all_of(frozen)
    assert list(differences(got, {"x": was, "n": 5})) == []
    assert frozen._child is None


def test_a_state_that_cannot_be_packed_is_an_error_and_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freezing, "COPIED", 0)

    def broken() -> dict[str, Any]:
        raise RuntimeError("no")

    frozen = freeze(broken, 1)
    child = frozen._child
    with pytest.raises(SnapshotError, match="too soon"):
        all_of(frozen)
    assert child is not None
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_child_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freezing, "COPIED", 0)
    monkeypatch.setattr(freezing, "PATIENCE", 0.2)
    frozen = freeze(lambda: time.sleep(600) or {}, 1)  # type: ignore[func-returns-value]
    child = frozen._child
    with pytest.raises(SnapshotError, match="stood still"):
        all_of(frozen)
    assert child is not None
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_the_child_holds_none_of_the_parents_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freezing, "COPIED", 0)
    with (tmp_path / "held").open("wb"):
        frozen = freeze(lambda: time.sleep(600) or {}, 1)  # type: ignore[func-returns-value]
        try:
            folder = Path(f"/proc/{frozen._child}/fd")
            if not folder.exists():
                pytest.skip("no /proc")
            deadline = time.monotonic() + 30
            while (left := {int(p.name) for p in folder.iterdir()} - {0, 1, 2}) and len(left) > 1:
                assert time.monotonic() < deadline, left
                time.sleep(0.01)
        finally:
            frozen.close()


def test_a_shard_is_the_same_after_a_snapshot(tmp_path: Path) -> None:
    store = SnapshotStore(str(tmp_path), "g", KEY)
    node = Node(3, 8)
    store.write(header(5), pack_tree(tree_of(node)))
    assert list(differences(store.read(store.list(3, 8)[0])[1], tree_of(node))) == []


def everything_in(tree: dict[str, Any]) -> bytes:
    """All bytes of a tree, as a snapshot holds them before they are compressed."""
    decompress = zstandard.ZstdDecompressor().decompress
    return b"".join(decompress(frame[1:]) for frame in pack_tree(tree) if len(frame) > 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 3]), st.integers(1, 120), st.sampled_from([1, 2, 3, 5]))
def test_an_erased_account_is_in_no_byte_of_the_state(seed: int, shards: int, length: int, whom: int) -> None:
    chance = random.Random(seed)
    run = Cluster(shards, detect=True)
    events = events_from(lambda n: chance.randrange(n), 6, length)
    # the strategy gives events and accounts the same UUIDs
    events = [event._replace(id=f"event of {event.id}"[::-1]) for event in events]
    for start in range(0, length, 20):
        run.put(events[start : start + 20])
        run.settle()
    name = name_of(whom, "t")
    now = max(START, *(node.shard.clock for node in run.nodes))
    traces = [name.encode(), hash_of(name).to_bytes(8, "little")]
    with contextlib.suppress(ValueError):
        traces.append(UUID(name).bytes)
    run.put([Event(EventKind.ACCOUNT_DELETED, now, "erasure", name)])
    # which account was last ahead of a shard's clock is noted until its next event in time
    run.put([Event(EventKind.ACCOUNT_UPDATED, now, f"after-{i}", f"another account {i}") for i in range(8 * shards)])
    run.settle()
    for node, engine in zip(run.nodes, run.engines, strict=True):
        left = everything_in({"node": tree_of(node), "engine": tree_of(engine)})
        assert not [trace for trace in traces if trace in left]
