"""Workers that go on from snapshots: the flags are those of a run that was never interrupted.

The records that a snapshot stands for are deleted from the exchange topic before the next worker starts, so that a
shard which goes on as if nothing had happened can only have it from the snapshot.
"""

from __future__ import annotations

import base64
import contextlib
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from streams.settings import KafkaSettings
from streams.snapshots import Found, SnapshotStore
from streams.topics import ensure_topics
from tests.brokers import wants_apache_kafka
from tests.streams.test_pipeline import read, send, wait_for
from tests.streams.test_worker import (  # the fixture is used by its name
    Running,
    demo_lines,
    newest,
    place,  # noqa: F401
    replayed,
    running,
)

Place = Callable[[int], KafkaSettings]


def snapshots_of(settings: KafkaSettings, folder: Path) -> list[Found]:
    return SnapshotStore(str(folder), settings.group).list(0, 1)


def forget_the_log(settings: KafkaSettings, upto: int) -> None:
    """Delete the records of the exchange topic before an offset, as its retention does."""
    tp = TopicPartition(settings.topics.exchange, 0)
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
    admin.delete_records({tp: upto})
    admin.close()
    consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap)
    assert consumer.beginning_offsets([tp])[tp] == upto
    consumer.close()


def taken(worker: Running) -> float:
    """Return how many events the shards of a worker have taken."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics") as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith('kithwatch_exchange_rows_total{outcome="received",stage="probe"}'):
                return float(line.rsplit(" ", 1)[1])
    return 0.0


def work_off(worker: Running, settings: KafkaSettings, records: list[tuple[str, bytes]]) -> None:
    """Send records to a worker and wait until its shards have taken them."""
    before = taken(worker)
    send(settings, records)
    wait_for(lambda: taken(worker) >= before + len(records), "events were not taken")


def test_a_worker_goes_on_from_snapshots_when_the_log_is_gone(place: Place, tmp_path: Path) -> None:  # noqa: F811
    settings = place(1)
    ensure_topics(settings, input_partitions=1)
    folder = tmp_path / "snapshots"
    lines = demo_lines()
    run, wanted = replayed(lines)
    records = [(settings.topics.messages, line) for _, line in lines]
    third = len(records) // 3
    options = ("--snapshots", str(folder), "--snapshot-every", "1s")
    with running(settings, tmp_path / "log", *options) as worker:
        work_off(worker, settings, records[:third])
        wait_for(lambda: bool(snapshots_of(settings, folder)), "no snapshot was made while it worked")
        worker.stop()
    upto = snapshots_of(settings, folder)[0].position
    if wants_apache_kafka():
        forget_the_log(settings, upto)
    with running(settings, tmp_path / "log", *options) as worker:
        wait_for(lambda: worker.ready()[0], "not ready")
        work_off(worker, settings, records[third : 2 * third])
        wait_for(lambda: snapshots_of(settings, folder)[0].position > upto, "no snapshot was made")
        worker.kill() if wants_apache_kafka() else worker.stop()
    # the newest one is damaged: the one before must do
    found = snapshots_of(settings, folder)
    data = bytearray(Path(found[0].path).read_bytes())
    data[len(data) // 2] ^= 1
    Path(found[0].path).write_bytes(data)
    with running(settings, tmp_path / "log", *options) as worker:
        wait_for(lambda: worker.ready()[0], "not ready")
        work_off(worker, settings, records[2 * third :])
        wait_for(lambda: worker.metric("kithwatch_shard_contacts") == run.shard.contacts, "contacts are missing")
        flags = [record.value for record in read(settings, settings.topics.flags, len(wanted))]
        worker.stop()
    assert newest(flags) == newest(wanted)
    assert set(flags) == set(wanted), "a second sending of a flag is the first, byte for byte"
    log = (tmp_path / "log").read_text()
    assert f"Shard 0 goes on from its snapshot at offset {upto}" in log
    assert "cannot be used: it is damaged" in log
    assert f"Shard 0 goes on from its snapshot at offset {found[1].position}" in log
    assert not list(folder.rglob("*.part"))


def test_a_snapshot_that_cannot_be_opened_stops_the_worker_and_is_left_alone(
    place: Place,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = place(1)
    ensure_topics(settings, input_partitions=1)
    folder = tmp_path / "snapshots"
    records = [(settings.topics.messages, line) for _, line in demo_lines(100)]
    monkeypatch.setenv("KITHWATCH_SNAPSHOT_KEY", base64.b64encode(b"k" * 32).decode())
    with running(settings, tmp_path / "log", "--snapshots", str(folder)) as worker:
        work_off(worker, settings, records)
        worker.stop()
    (found,) = snapshots_of(settings, folder)
    assert records[-1][1][40:60] not in Path(found.path).read_bytes()
    monkeypatch.delenv("KITHWATCH_SNAPSHOT_KEY")
    with running(settings, tmp_path / "other", "--snapshots", str(folder)) as worker:
        assert worker.process.wait(120) == 1
    (line,) = [line for line in (tmp_path / "other").read_text().splitlines() if "CRITICAL" in line]
    assert "it is encrypted, and no key is given" in line
    assert "Move it away" in line
    assert snapshots_of(settings, folder) == [found]


def test_a_snapshot_of_another_topic_is_set_aside(place: Place, tmp_path: Path) -> None:  # noqa: F811
    settings = place(1)
    ensure_topics(settings, input_partitions=1)
    folder = tmp_path / "snapshots"
    records = [(settings.topics.messages, line) for _, line in demo_lines(100)]
    with running(settings, tmp_path / "log", "--snapshots", str(folder)) as worker:
        work_off(worker, settings, records)
        worker.stop()
    (found,) = snapshots_of(settings, folder)
    other = place(1)
    ensure_topics(other, input_partitions=1)
    elsewhere = Path(SnapshotStore(str(folder), other.group).folder(0, 1))
    elsewhere.parent.mkdir()
    Path(found.path).parent.rename(elsewhere)
    with running(other, tmp_path / "other", "--snapshots", str(folder)) as worker:
        wait_for(lambda: worker.ready()[0], "not ready")
        work_off(worker, other, [(other.topics.messages, line) for _, line in demo_lines(100)])
        wait_for(lambda: worker.metric("kithwatch_shard_contacts") > 0, "nothing is held")
        worker.stop()
    assert "is of another topic than the one there is: set aside" in (tmp_path / "other").read_text()
    assert [path.suffix for path in elsewhere.iterdir()].count(".other-log") == 1


def test_told_to_stop_amid_a_backlog_it_ends_what_it_has_begun_and_no_more(place: Place, tmp_path: Path) -> None:  # noqa: F811
    settings = place(1)
    ensure_topics(settings, input_partitions=3)
    lines = demo_lines()
    records = [(settings.topics.messages, line) for _, line in lines]
    folder = tmp_path / "snapshots"
    send(settings, records)
    stops = 0
    while stops < 4:
        with running(settings, tmp_path / "log", "--snapshots", str(folder)) as worker:
            done = (snapshots_of(settings, folder) or [None])[0]
            wait_for(lambda: worker.ready()[0] or taken(worker) > 0, "not at work")
            worker.stop()  # as soon as it has begun, with status 0
            stops += 1
            found = snapshots_of(settings, folder)
            assert not done or found[0].position >= done.position
    with running(settings, tmp_path / "log", "--snapshots", str(folder)) as worker:
        run, _ = replayed(lines)
        wait_for(lambda: worker.metric("kithwatch_shard_contacts") == run.shard.contacts, "contacts are missing")
        worker.stop()
    log = (tmp_path / "log").read_text()
    assert "The worker stops" not in log
    assert "No snapshot of shard" not in log


def test_a_standby_goes_on_from_its_replica(place: Place, tmp_path: Path) -> None:  # noqa: F811
    if not wants_apache_kafka():
        pytest.skip("the embedded broker never takes over from a killed member")
    settings = place(1)
    ensure_topics(settings, input_partitions=1)
    lines = demo_lines()
    run, wanted = replayed(lines)
    records = [(settings.topics.messages, line) for _, line in lines]
    half = len(records) // 2
    options = ("--standby", "--snapshots", "none")
    with running(settings, tmp_path / "one", *options) as one, running(settings, tmp_path / "two", *options) as two:
        wait_for(lambda: one.ready()[0] and two.ready()[0], "not ready")
        send(settings, records[:half])
        wait_for(lambda: taken(one) + taken(two) >= half, "events were not taken")
        owner, other = (one, two) if taken(one) else (two, one)
        time.sleep(4)  # not to pass, but to have something in the replica
        owner.kill()
        wait_for(lambda: other.ready()[0] and other.metric("kithwatch_shard_contacts") > 0, "not taken over")
        send(settings, records[half:])
        wait_for(lambda: other.metric("kithwatch_shard_contacts") == run.shard.contacts, "contacts are missing")
        flags = [record.value for record in read(settings, settings.topics.flags, len(wanted))]
    assert newest(flags) == newest(wanted)
    assert set(flags) == set(wanted)
    (line,) = [line for line in other.log.read_text().splitlines() if "goes on from its replica at offset" in line]
    assert int(line.rsplit(" ", 1)[1]) > 0
