"""Where Kafka is and what the topics are called, from options, environment variables and defaults, in that order."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from streams.security import Security

__all__ = ["DEFAULT_SHARDS", "KafkaSettings", "TopicNames", "parse_duration"]

DEFAULT_SHARDS: Final = 4
DAY_MS: Final = 86_400_000
UNITS: Final = {"d": DAY_MS, "h": 3_600_000, "m": 60_000, "s": 1_000}


class TopicNames(msgspec.Struct, frozen=True, kw_only=True):
    """The names of all topics; each can be set by `KITHWATCH_TOPIC_<FIELD>`, for instance `KITHWATCH_TOPIC_FLAGS`."""

    friend_requests: str = "social.friend-requests"
    messages: str = "social.messages"
    accounts: str = "social.accounts"
    exchange: str = "kithwatch.exchange"
    flags: str = "kithwatch.flags"
    dead_letters: str = "kithwatch.dead-letters"
    contexts: str = "kithwatch.contexts"
    dispositions: str = "kithwatch.dispositions"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The platform's topics; their partition counts and keys are its own business."""
        return (self.friend_requests, self.messages, self.accounts)

    @property
    def own(self) -> tuple[str, ...]:
        """The topics of kithwatch's own."""
        return (self.exchange, self.flags, self.contexts, self.dispositions, self.dead_letters)


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach Kafka, and the shape of the topics.

    Attributes
    ----------
    bootstrap
        Brokers to begin with, `host:port`, several with commas between.
    group
        The workers' consumer group, which is also the Faust app's id.
    shards
        Partitions of the exchange topic. None takes over what is there, or `DEFAULT_SHARDS` when nothing is.
    replication
        Copies of each record. None leaves it to the brokers.
    retention_ms
        How long the exchange topic keeps records; -1 for ever.
    topics
        Topic names.
    security
        TLS and sign-in.
    """

    bootstrap: str = "localhost:9092"
    group: str = "kithwatch"
    shards: int | None = None
    replication: int | None = None
    retention_ms: int = 760 * DAY_MS
    topics: TopicNames = TopicNames()
    security: Security = Security()

    @property
    def servers(self) -> list[str]:
        """The bootstrap brokers, one a list element."""
        return [server.strip() for server in self.bootstrap.split(",") if server.strip()]

    @property
    def client(self) -> dict[str, Any]:
        """Where to find Kafka and how to sign in, as arguments of aiokafka's and kafka-python's clients."""
        return {"bootstrap_servers": self.servers, **self.security.options()}

    @property
    def faust_url(self) -> str:
        """The broker URL for Faust, which selects the batched transport."""
        return ";".join(f"kithwatch://{server}" for server in self.servers)

    @classmethod
    def from_env(
        cls,
        *,
        bootstrap: str | None = None,
        shards: int | None = None,
        replication: int | None = None,
        retention: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> KafkaSettings:
        """Return the settings: what is given here, else what the environment says, else the defaults.

        Raises
        ------
        ValueError
            If a value does not parse; the message names the variable.
        """
        env = os.environ if environ is None else environ
        names = {
            field: env[variable]
            for field in TopicNames.__struct_fields__
            if env.get(variable := f"KITHWATCH_TOPIC_{field.upper()}")
        }
        given: dict[str, object] = {
            "bootstrap": bootstrap or env.get("KITHWATCH_BOOTSTRAP") or None,
            "group": env.get("KITHWATCH_GROUP") or None,
            "shards": shards if shards is not None else _count(env, "KITHWATCH_SHARDS"),
            "replication": replication if replication is not None else _count(env, "KITHWATCH_REPLICATION"),
        }
        if lasting := retention or env.get("KITHWATCH_RETENTION"):
            given["retention_ms"] = parse_duration(lasting)
        chosen = {name: value for name, value in given.items() if value is not None}
        parts = {"topics": TopicNames(**names), "security": Security.from_env(env)}
        settings = msgspec.convert({**chosen, **parts}, cls)
        if not settings.servers or not all(map(_is_address, settings.servers)):
            raise ValueError(f"the address of Kafka must be host:port, several with commas, not {settings.bootstrap!r}")
        return settings


def _count(env: Mapping[str, str], variable: str) -> int | None:
    text = env.get(variable)
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{variable} must be a whole number from 1 on, not {text!r}")
    return int(text)


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 65536


def parse_duration(text: str) -> int:
    """Return milliseconds for `30d`, `12h`, `15m` or `90s`, and -1 for `unlimited`.

    Examples
    --------
    >>> parse_duration("12h")
    43200000

    Raises
    ------
    ValueError
        If the text is none of these.
    """
    if text == "unlimited":
        return -1
    match = re.fullmatch(r"([1-9][0-9]*)([dhms])", text)
    if match is None:
        raise ValueError(f"a duration is a number and d, h, m or s, such as 30d, or unlimited; not {text!r}")
    return int(match[1]) * UNITS[match[2]]
