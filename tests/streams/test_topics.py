from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic

from streams.cli import UserError
from streams.settings import DAY_MS, KafkaSettings, TopicNames, parse_duration
from streams.topics import ensure_topics
from tests.brokers import Broker, wants_apache_kafka

Unique = Callable[[str], str]


@pytest.fixture
def settings(broker: Broker, unique: Unique) -> KafkaSettings:
    names = TopicNames(**{field: unique(field) for field in TopicNames.__struct_fields__})
    return KafkaSettings(bootstrap=broker.bootstrap, shards=3, replication=1, topics=names)


def make(settings: KafkaSettings, name: str, partitions: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=settings.servers)
    admin.create_topics([NewTopic(name, partitions, 1)])
    admin.close()


def statuses(settings: KafkaSettings, **options: object) -> dict[str, tuple[int, str]]:
    plan = ensure_topics(settings, **options)  # type: ignore[arg-type]
    return {topic.name: (topic.partitions, topic.status) for topic in plan.topics}


def test_own_topics_are_made_once_and_input_topics_left_to_the_platform(settings: KafkaSettings) -> None:
    names = settings.topics
    first = statuses(settings)
    assert first[names.exchange] == (3, "created")
    assert first[names.flags] == (3, "created")
    assert {first[name] for name in names.inputs} == {(0, "missing")}
    second = statuses(settings)
    assert second[names.exchange] == (3, "present")


def test_input_topics_are_made_on_request_and_keep_their_own_partition_counts(settings: KafkaSettings) -> None:
    make(settings, settings.topics.messages, 7)
    made = statuses(settings, input_partitions=2)
    assert made[settings.topics.messages] == (7, "present")
    assert made[settings.topics.accounts] == (2, "created")


def test_a_check_changes_nothing(settings: KafkaSettings) -> None:
    assert {status for _, status in statuses(settings, check=True).values()} == {"missing"}
    assert {status for _, status in statuses(settings, check=True).values()} == {"missing"}


def test_without_a_wish_the_shards_that_are_there_are_taken_over(settings: KafkaSettings) -> None:
    statuses(settings)
    assert ensure_topics(msgspec.structs.replace(settings, shards=None)).shards == 3


def test_another_number_of_shards_than_there_is_is_refused(settings: KafkaSettings) -> None:
    ensure_topics(settings)
    with pytest.raises(UserError, match=f"5 shards are asked for, but {settings.topics.exchange} has 3") as refusal:
        ensure_topics(msgspec.structs.replace(settings, shards=5))
    assert "\n" not in refusal.value.message


def test_retention_reaches_the_broker(settings: KafkaSettings) -> None:
    if not wants_apache_kafka():
        pytest.skip("what a topic's settings do is Apache Kafka's to say")
    ensure_topics(msgspec.structs.replace(settings, retention_ms=DAY_MS))
    admin = KafkaAdminClient(bootstrap_servers=settings.servers)
    name = settings.topics.exchange
    config = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])["topic"][name]
    admin.close()
    assert config["retention.ms"]["value"] == str(DAY_MS)
    assert config["message.timestamp.type"]["value"] == "LogAppendTime"


def kithwatch(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("kithwatch")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_a_broker_that_is_not_there_costs_one_line_and_status_2() -> None:
    run = kithwatch("topics", "--bootstrap", "127.0.0.1:1")
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "no Kafka broker could be used at 127.0.0.1:1" in run.stderr


@pytest.mark.parametrize("address", ["nonsense", "host:port", "", "127.0.0.1:99999"])
def test_an_address_that_is_none_costs_one_line_and_status_2(address: str) -> None:
    run = kithwatch("topics", "--bootstrap", address or ",")
    assert (run.returncode, run.stderr.count("\n")) == (2, 1), run.stderr


def test_check_on_the_command_line_exits_1_while_something_is_missing(settings: KafkaSettings) -> None:
    run = kithwatch("topics", "--bootstrap", settings.bootstrap, "--check")
    assert (run.returncode, run.stderr.count("\n")) == (1, 1), run.stderr


def test_options_come_before_the_environment_and_that_before_defaults() -> None:
    env = {"KITHWATCH_BOOTSTRAP": "a:1,b:2", "KITHWATCH_SHARDS": "8", "KITHWATCH_TOPIC_FLAGS": "f"}
    settings = KafkaSettings.from_env(shards=2, environ=env)
    assert (settings.shards, settings.servers, settings.topics.flags) == (2, ["a:1", "b:2"], "f")
    assert settings.faust_url == "kithwatch://a:1;kithwatch://b:2"
    assert KafkaSettings.from_env(environ={}) == KafkaSettings()


@pytest.mark.parametrize("text", ["", "0d", "3x", "-1", "1.5h", "d"])
def test_a_duration_that_does_not_parse_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a duration is"):
        parse_duration(text)
    assert (parse_duration("30d"), parse_duration("unlimited")) == (30 * DAY_MS, -1)


def test_a_number_in_the_environment_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="KITHWATCH_SHARDS"):
        KafkaSettings.from_env(environ={"KITHWATCH_SHARDS": "many"})
