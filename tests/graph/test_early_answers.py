"""An answer may be read before its request: from another topic, or from another shard's log after a crash."""

from __future__ import annotations

import itertools
import random

import pytest

from graph.batch import EventKind
from graph.shard import Settings, Shard
from tests.graph.build import START, Event
from tests.graph.compare import Pair
from tests.graph.shards import Cluster, content, local_rows
from tests.graph.test_exchange import steady

K = EventKind
SECOND = 1_000
REQUEST = Event(K.REQUEST_SENT, START, "asks", "t0", "t1")
DECLINED = Event(K.REQUEST_DECLINED, START + 8 * SECOND, "refuses", "t1", "t0")
ACCEPTED = DECLINED._replace(kind=K.REQUEST_ACCEPTED)


def held(events: list[Event]) -> dict[str, object]:
    """Return what one shard knows of the one who asked, in both readings: the kernels' and the definition's."""
    pair = Pair()
    for event in events:
        pair.feed([event])
        pair.compare()
    return steady(content([pair.shard]))["t0"]


@pytest.mark.parametrize("answer", [DECLINED, ACCEPTED])
def test_it_is_the_answer_whichever_is_read_first(answer: Event) -> None:
    assert held([answer, REQUEST]) == held([REQUEST, answer])


@pytest.mark.parametrize("answer", [DECLINED, ACCEPTED])
def test_until_its_request_comes_it_counts_for_nothing(answer: Event) -> None:
    assert not any(held([answer])["counts"].values())  # type: ignore[attr-defined]


@pytest.mark.parametrize(("after", "refused"), [(8 * SECOND, 1), (8 * SECOND + 1, 0)])
def test_of_a_request_that_begins_later_it_is_no_answer(after: int, refused: int) -> None:
    later = REQUEST._replace(time=START + after)
    assert held([DECLINED, later])["counts"]["declined_24h"] == refused  # type: ignore[index]


def test_whom_it_befriends_was_a_stranger_when_asked() -> None:
    """The friendship is there before the request is read, and came of it."""
    for order in ([REQUEST, ACCEPTED], [ACCEPTED, REQUEST]):
        shard = Shard(Settings())
        local_rows(shard, order)
        assert content([shard])["t0"]["counts"]["strangers_24h"] == 1


@pytest.mark.parametrize("shards", [2, 3, 5])
@pytest.mark.parametrize("answer", [DECLINED, ACCEPTED])
def test_on_several_shards_it_may_overtake_by_as_much_as_a_crash_takes(answer: Event, shards: int) -> None:
    for asker, asked in itertools.permutations(["u0", "u1", "u2", "u3"], 2):
        events = [REQUEST._replace(actor=asker, target=asked), answer._replace(actor=asked, target=asker)]
        one = Shard(Settings())
        local_rows(one, events)
        late = Cluster(shards)
        late.put(events[1:])
        late.settle(random.Random(1))  # all that follows has long come to rest
        late.put(events[:1])
        late.settle(random.Random(1))
        assert steady(late.content()) == steady(content([one]))
        assert late.content()[asker]["counts"]["strangers_24h"] == 1
