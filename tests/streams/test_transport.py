from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import confluent_kafka as ck
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from streams.acks import AckedRuns
from tests.brokers import ApacheKafka, Broker, wants_apache_kafka

Unique = Callable[[str], str]
APP = Path(__file__).with_name("chain_app.py")


# -- which offset may be committed


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30), st.data())
def test_the_committed_offset_is_the_end_of_the_unbroken_run_of_acknowledged_batches(
    sizes: list[int], data: st.DataObject
) -> None:
    """The model: the set of records done. Nothing below the committed offset is open, and no batch more could be."""
    runs, ends, tickets, done = AckedRuns(), [], [], set[int]()
    end = data.draw(st.integers(0, 1000))
    order = iter(data.draw(st.permutations(range(len(sizes)))))
    for index, size in enumerate(sizes):
        end += size  # a batch of one record and a gap of size - 1
        ends.append(end)
        tickets.append(runs.deliver(7, end))
        for _ in range(data.draw(st.integers(0, 2))):
            chosen = next(order, None)
            if chosen is not None and chosen <= index:
                assert runs.ack(tickets[chosen]) is (chosen not in done)
                done.add(chosen)
        unbroken = next((i for i in range(index + 1) if i not in done), index + 1)
        assert runs.committable == (ends[unbroken - 1] if unbroken else None)
        assert len(runs) == index + 1 - len(done)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=40))
def test_an_acknowledgement_from_before_a_seek_counts_for_nothing(steps: list[tuple[int, int]]) -> None:
    runs, epoch, tickets = AckedRuns(), 0, list[tuple[int, int]]()
    for kind, pick in steps:
        if kind == 0:
            epoch += 1
        elif kind == 1 or not tickets:
            tickets.append((epoch, runs.deliver(epoch, len(tickets) + 1)))
        else:
            born, ticket = tickets[pick % len(tickets)]
            assert not runs.ack(ticket) or born == runs.epoch
    assert runs.committable is None or tickets[runs.committable - 1][0] == runs.epoch


# -- a Faust app on a broker


class Chain:
    """Two topics of four partitions, workers that forward from the first to the second, and what they saw."""

    def __init__(self, broker: Broker, unique: Unique, folder: Path) -> None:
        self.bootstrap, self.folder = broker.bootstrap, folder
        self.group, self.first, self.second = unique("group"), unique("first"), unique("second")
        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
        admin.create_topics([NewTopic(self.first, 4, 1), NewTopic(self.second, 4, 1)])
        admin.close()

    def fill(self, count: int, **options: Any) -> None:
        producer = ck.Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 20, **options})
        if "transactional.id" in options:
            producer.init_transactions(20)
            producer.begin_transaction()
        for number in range(count):
            producer.produce(self.first, str(number).encode(), partition=number % 4)
        if "transactional.id" in options:
            producer.commit_transaction(20)
        assert producer.flush(20) == 0

    @contextmanager
    def worker(self, name: str, mode: str = "each") -> Iterator[subprocess.Popen[bytes]]:
        arguments = [self.bootstrap, self.group, self.first, self.second, str(self.folder / name), mode]
        with open(self.folder / f"{name}.log", "wb") as log:
            worker = subprocess.Popen([sys.executable, str(APP), *arguments], stdout=log, stderr=log)
        try:
            yield worker
        finally:
            if worker.poll() is None:
                worker.kill()
            worker.wait()

    def journal(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / name
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def batches(self, name: str, topic: str) -> dict[int, list[list[int]]]:
        found: dict[int, list[list[int]]] = defaultdict(list)
        for line in self.journal(name):
            if line.get("topic") == topic:
                found[line["partition"]].append(line["offsets"])
        return found

    def count(self, name: str, topic: str) -> int:
        return sum(len(batch) for batches in self.batches(name, topic).values() for batch in batches)

    def committed(self, topic: str) -> list[int | None]:
        """The group's committed offsets as a plain client sees them."""
        client = ck.Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.group})
        try:
            found = client.committed([ck.TopicPartition(topic, partition) for partition in range(4)], 20)
        except ck.KafkaException:  # the broker is on its way
            return []
        finally:
            client.close()
        return [place.offset if place.offset >= 0 else None for place in found]

    def ends(self, topic: str) -> list[int]:
        """The offsets after the last record of each partition."""
        client = ck.Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.group})
        try:
            return [client.get_watermark_offsets(ck.TopicPartition(topic, partition), 20)[1] for partition in range(4)]
        finally:
            client.close()

    def until(self, what: str, condition: Callable[[], bool], seconds: float = 40.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(path.read_text(errors="replace")[-3000:] for path in self.folder.glob("*.log"))
                done = f"{self.committed(self.first)}, {self.committed(self.second)}"
                pytest.fail(f"not within {seconds:.0f} s: {what}; committed {done}\n{logs}")
            time.sleep(0.2)


@pytest.fixture
def chain(broker: Broker, unique: Unique, tmp_path: Path) -> Chain:
    return Chain(broker, unique, tmp_path)


def test_every_record_comes_once_through_two_topics_and_all_is_committed(chain: Chain) -> None:
    chain.fill(8000)
    with chain.worker("a") as worker:
        chain.until("all committed", lambda: chain.committed(chain.second) == [2000] * 4)
        assert chain.committed(chain.first) == [2000] * 4
        started = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(15) == 0
        assert time.monotonic() - started < 10
    for partition in range(4):
        batches = chain.batches("a", chain.first)[partition]
        assert [offset for batch in batches for offset in batch] == list(range(2000))
        assert max(map(len, batches)) == 500, "no batch is larger than broker_max_poll_records"
    values = Counter(value for line in chain.journal("a") for value in line.get("values", []))
    assert values == Counter(range(8000))


def test_an_open_batch_holds_the_offset_and_a_restart_begins_exactly_there(chain: Chain) -> None:
    chain.fill(8000)
    with chain.worker("a", "third") as worker:
        chain.until("all forwarded", lambda: chain.count("a", chain.second) == 8000)
        third = [chain.batches("a", chain.first)[partition][2][0] for partition in range(4)]
        chain.until("what is before the open batch is committed", lambda: chain.committed(chain.first) == third)
        time.sleep(1.0)
        assert chain.committed(chain.first) == third, "never past the open batch"
        # the embedded broker never takes over from a killed member
        worker.send_signal(signal.SIGKILL if wants_apache_kafka() else signal.SIGTERM)
        worker.wait(15)
    assert chain.committed(chain.first) == third
    with chain.worker("b"):
        chain.until("the rest is committed", lambda: chain.committed(chain.first) == [2000] * 4)
    for partition in range(4):
        again = [offset for batch in chain.batches("b", chain.first)[partition] for offset in batch]
        assert again == list(range(third[partition], 2000))


def test_two_workers_share_equal_partitions_and_what_is_acknowledged_on_revocation_is_not_read_again(
    chain: Chain,
) -> None:
    if not wants_apache_kafka():
        pytest.skip("the embedded broker refuses commits during a rebalance")
    chain.fill(4000)
    with chain.worker("a", "late"):
        chain.until("all read", lambda: chain.count("a", chain.first) == 4000)
        assert chain.committed(chain.first) == [None] * 4
        with chain.worker("b"):
            chain.until("shared", lambda: any(len(line.get("assigned", [])) == 4 for line in chain.journal("b")))
            assert chain.committed(chain.first) == [1000] * 4
            for name in "ab":
                shares = [line["assigned"] for line in chain.journal(name) if "assigned" in line][-1]
                of = {topic: {p for t, p in shares if t == topic} for topic in (chain.first, chain.second)}
                assert of[chain.first] == of[chain.second]
            chain.fill(400)
            chain.until("both go on", lambda: chain.count("a", chain.first) + chain.count("b", chain.first) >= 4400)
    seen = [
        (partition, offset)
        for name in "ab"
        for partition, batches in chain.batches(name, chain.first).items()
        for batch in batches
        for offset in batch
    ]
    assert len(seen) == len(set(seen)) == 4400


def test_transaction_markers_at_the_end_of_a_batch_are_committed_with_it(chain: Chain, unique: Unique) -> None:
    chain.fill(400, **{"transactional.id": unique("writer")})
    with chain.worker("a"):
        chain.until("100 records and the marker", lambda: chain.committed(chain.first) == [101] * 4)


def test_the_url_scheme_selects_this_transport() -> None:
    import faust

    from streams.settings import KafkaSettings
    from streams.transport import Transport

    app = faust.App("unit", broker=KafkaSettings(bootstrap="one:1,two:2").faust_url)
    assert isinstance(app.transport, Transport)
    assert [(url.host, url.port) for url in app.transport.url] == [("one", 1), ("two", 2)]


# -- the consumer alone, with a fetcher of the test's


class Record:
    timestamp, timestamp_type, value = 1000, 0, b"v"

    def __init__(self, offset: int) -> None:
        self.offset = offset


def run(scenario: Callable[[Any, Any, Any], Any]) -> None:
    """Run `scenario(consumer, thread, tp)` with a consumer whose fetches are those put in `thread.fetches`."""
    import faust
    from faust.types import TP

    from streams.transport import APP_SETTINGS, Consumer, ConsumerThread, Fetch

    class Thread(ConsumerThread):
        def __init__(self) -> None:
            self.fetches: list[tuple[list[int], int]] = []
            self.sought = 0
            self.silent_until: dict[Any, int] = {}
            self.placed: set[Any] = set()
            self._moves: defaultdict[Any, int] = defaultdict(int)

        async def fetch(self, active: Any, patience: float) -> Fetch:
            offsets, end = self.fetches.pop(0) if self.fetches else ([], 0)
            epochs = {tp: self.epoch_of(tp)}
            await asyncio.sleep(0)
            return Fetch(epochs, {tp: [Record(o) for o in offsets]} if offsets else {}, {tp: end} if offsets else {})

        async def seek_to_committed(self) -> dict[Any, int]:
            self.sought += 1
            self.epoch += 1
            return {tp: 0}

        def highwater(self, tp: Any) -> int:
            return 0

    tp = TP("t", 0)

    async def main() -> None:
        app = faust.App("unit", **{**APP_SETTINGS, "broker": "kithwatch://x", "broker_max_poll_records": 3})
        app.topics._acking_topics.add("t")
        app.consumer_generation_id = 1
        consumer = app._new_consumer()
        assert isinstance(consumer, Consumer)
        for thread in (consumer._thread, app.producer.threaded_producer):  # they made loops that are never run here
            if thread is not None:
                thread.thread_loop.close()
        consumer._thread = Thread()
        consumer._set_active_tps({tp})
        await scenario(consumer, consumer._thread, tp)

    asyncio.run(main())


async def take(consumer: Any) -> list[Any]:
    return [message async for _, message in consumer.getmany(timeout=0.1)]


def test_a_fetch_larger_than_a_batch_is_split_and_each_part_acknowledged_for_itself() -> None:
    async def scenario(consumer: Any, thread: Any, tp: Any) -> None:
        thread.fetches = [([0, 1, 5, 6, 9], 12)]
        first, second = await take(consumer)
        assert [(len(m.value), m.value.first, m.offset) for m in (first, second)] == [(3, 0, 5), (2, 6, 9)]
        assert consumer.ack(second)
        assert consumer._new_offset(tp) is None
        assert consumer.ack(first)
        assert consumer._new_offset(tp) == 12, "with the gap at the end"
        assert not consumer.ack(first)

    run(scenario)


def test_records_fetched_before_a_seek_are_dropped_after_it() -> None:
    async def scenario(consumer: Any, thread: Any, tp: Any) -> None:
        thread.fetches = [([0, 1, 2, 3, 4, 5], 6), ([0, 1], 2)]
        got = []
        async for _, message in consumer.getmany(timeout=0.1):
            got.append(message)
            thread.epoch += 1  # a seek
        assert [message.offset for message in got] == [2]
        assert await take(consumer) != []
        assert not consumer.ack(got[0]), "what it holds is read again"
        assert consumer._new_offset(tp) is None

    run(scenario)


@pytest.mark.parametrize("how", ["paused", "stopped"])
def test_what_cannot_be_handed_out_any_more_is_read_again(how: str) -> None:
    async def scenario(consumer: Any, thread: Any, tp: Any) -> None:
        thread.fetches = [([0, 1, 2, 3, 4, 5], 6), ([0, 1, 2], 3)]
        async for _, _message in consumer.getmany(timeout=0.1):
            consumer.pause_partitions({tp}) if how == "paused" else consumer.stop_flow()
        assert thread.sought == 0, "not while the flow stands: agents may still acknowledge"
        consumer.resume_partitions({tp})
        consumer.resume_flow()
        assert [message.offset for message in await take(consumer)] == [2]
        assert thread.sought == 1

    run(scenario)


def test_an_acknowledgement_of_another_generation_counts_for_nothing() -> None:
    async def scenario(consumer: Any, thread: Any, tp: Any) -> None:
        thread.fetches = [([0], 1)]
        (message,) = await take(consumer)
        consumer.app.consumer_generation_id = 2
        assert not consumer.ack(message)
        assert consumer._new_offset(tp) is None

    run(scenario)


def test_a_full_queue_in_front_of_an_agent_stops_fetching_until_there_is_room() -> None:
    async def scenario(consumer: Any, thread: Any, tp: Any) -> None:
        thread.fetches = [([0], 1)]
        consumer.on_buffer_full(tp)
        asyncio.get_running_loop().call_later(0.05, consumer.on_buffer_drop, tp)
        started = time.monotonic()
        assert len(await take(consumer)) == 1
        assert 0.04 < time.monotonic() - started < 0.5, "room is noticed at once"

    run(scenario)


@pytest.mark.kafka
@pytest.mark.slow
def test_a_worker_goes_on_when_the_broker_was_killed_and_comes_back(unique: Unique, tmp_path: Path) -> None:
    if not wants_apache_kafka():
        pytest.skip("needs Apache Kafka: KITHWATCH_TEST_BROKER=apache")
    with ApacheKafka() as kafka:
        chain = Chain(kafka, unique, tmp_path)
        chain.fill(4000)
        with chain.worker("a"):
            chain.until("the first part", lambda: chain.committed(chain.first) == [1000] * 4)
            kafka.kill()
            kafka.start()
            chain.fill(4000)
            # what was forwarded before the worker noticed that its membership was gone is forwarded once more
            chain.until("the second part", lambda: chain.committed(chain.first) == [2000] * 4, 120)
            chain.until("all forwarded", lambda: chain.committed(chain.second) == chain.ends(chain.second), 120)
    values = Counter(value for line in chain.journal("a") for value in line.get("values", []))
    assert set(values) == set(range(4000))
    assert min(values.values()) >= 2, "each number was filled in twice, before and after the broker went"
