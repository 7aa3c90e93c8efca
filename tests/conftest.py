"""Fixtures every test may use.

`broker` is one broker for the whole session: the embedded one, or Apache Kafka with KITHWATCH_TEST_BROKER=apache
(after deploy/kafka/fetch.sh). Tests share it, so each names its topics and groups with `unique`.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in `streams.cli`; before numpy is loaded

import uuid
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from tests.brokers import Broker, broker_for_tests

# no example has a time limit: machines are busy at times
settings.register_profile("kithwatch", deadline=None)
settings.load_profile("kithwatch")


@pytest.fixture(autouse=True)
def snapshots_of_their_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep workers that a test starts from leaving snapshots in the user's folder."""
    monkeypatch.setenv("KITHWATCH_SNAPSHOTS", str(tmp_path_factory.getbasetemp() / "snapshots"))


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A running broker; `broker.bootstrap` is its address."""
    with broker_for_tests() as running:
        yield running


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Make a name no other test has used: `unique("events")`."""
    return lambda name: f"{name}-{uuid.uuid4().hex[:8]}"
