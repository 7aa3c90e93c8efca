from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streams.broker import BrokerError, EmbeddedBroker, free_port


def write(broker: EmbeddedBroker, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap, "topic.metadata.refresh.interval.ms": 200})
    producer.produce("t", value)
    assert producer.flush(20) == 0


def read(broker: EmbeddedBroker) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition("t", 0, 0)])
    message = consumer.poll(20)
    consumer.close()
    return [message.value()] if message is not None else []


def test_the_process_ends_and_its_directory_goes() -> None:
    with EmbeddedBroker() as broker:
        pid, directory = broker.pid, broker._dir
        assert pid is not None
        os.kill(pid, 0)
    assert directory is not None
    assert not directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    broker.stop()  # a second time does nothing


def test_what_was_written_is_there_after_a_restart_on_the_same_directory(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        write(broker, b"kept")
        time.sleep(0.2)
    with EmbeddedBroker(tmp_path) as broker:
        assert read(broker) == [b"kept"]


def test_a_port_that_is_taken_is_an_error_that_shows_the_log() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(BrokerError, match=r"ended at once[^\n]*\n  \S"):
        EmbeddedBroker(port=port).start()


def test_an_installation_without_the_binary_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("streams.broker.files", lambda package: tmp_path)
    with pytest.raises(BrokerError, match="give the address of a Kafka broker"):
        EmbeddedBroker().start()
