"""What a search knows of its shopper at the moment it asks."""

import uuid
from collections.abc import Iterator

import pytest
import redis

from indexer.behaviour import arrivals
from indexer.behaviour.event import pseudonym
from reranker.serving import adaptation, knowledge
from reranker.serving.histories import Pasts
from reranker.serving.memory import Memory

DIMS = 8


@pytest.fixture
def index(valkey: redis.Redis) -> Iterator[str]:
    """A name of no index, so that no worker can fold what comes for it."""
    name = f"knows-{uuid.uuid4().hex[:8]}"
    yield name
    valkey.srem(arrivals.INDICES, name)
    valkey.delete(*valkey.scan_iter(f"hw:{name}:*", count=10_000))


def test_a_search_reads_what_its_shopper_did_before_anybody_folds_it(
    valkey: redis.Redis, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "wake", lambda _index: None)
    user, memory, pasts = pseudonym("k", "u"), Memory(valkey, entries_max=10), Pasts(10)

    def history() -> list[str]:
        reading = knowledge.ask(memory, index, user, "lamp", adaptation.key(None))
        shopper = knowledge.known(memory, pasts, reading, DIMS, 0.0).past.shopper
        return shopper.ids(len(shopper))

    assert history() == []
    for number, item in enumerate(("lamp-a", "lamp-b"), 1):
        click = {
            "event_id": f"c{number}",
            "action_name": "click",
            "timestamp": f"2026-01-01T00:00:0{number}.000Z",
            "user_id": user,
            "event_attributes": {"object": {"object_id": item}},
        }
        arrivals.hand_over(valkey, index, {"event": [click], "query": []})
        assert history()[0] == item
    assert history() == ["lamp-b", "lamp-a"]
