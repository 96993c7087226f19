"""What is known of searches follows Valkey, and stays while Valkey is away."""

import uuid
from collections.abc import Iterator

import pytest
import redis

from indexer.behaviour import phrases, store
from indexer.behaviour.event import BehaviourEvent
from reranker.serving.memory import Memory
from reranker.serving.phrasebook import LOOK_SECONDS, Phrasebook


@pytest.fixture
def index(valkey: redis.Redis) -> Iterator[str]:
    name = f"phrases-{uuid.uuid4().hex[:8]}"
    yield name
    for key in valkey.scan_iter(f"hw:{name}:*"):
        valkey.delete(key)


class Switch(Memory):
    """A memory whose server can be taken away."""

    def cut(self) -> None:
        self._rests_until = float("inf")

    def mend(self) -> None:
        self._rests_until = 0.0


def clicked(valkey: redis.Redis, index: str, text: str) -> None:
    event = BehaviourEvent(uuid.uuid4().hex, "click", "a", 1_780_000_000.0, "u", query_key=text)
    store.apply(valkey, index, [event], folding=phrases.Folding(1))


def texts(book: Phrasebook, index: str) -> list[str]:
    return sorted(it.text for it in book.find(index).complete("", 10))


def test_it_follows_valkey_and_remembers(valkey: redis.Redis, index: str) -> None:
    now = [0.0]
    memory = Switch(valkey, entries_max=10)
    book = Phrasebook(memory, clock=lambda: now[0])
    assert texts(book, index) == []
    clicked(valkey, index, "lamp")
    assert texts(book, index) == []  # looked at a moment ago
    now[0] += LOOK_SECONDS
    assert texts(book, index) == ["lamp"]
    kept = book.find(index)
    now[0] += LOOK_SECONDS
    assert book.find(index) is kept  # nothing changed
    clicked(valkey, index, "desk")
    now[0] += LOOK_SECONDS
    assert texts(book, index) == ["desk", "lamp"]
    clicked(valkey, index, "chair")
    memory.cut()
    now[0] += LOOK_SECONDS
    assert texts(book, index) == ["desk", "lamp"]
    assert book.degraded(index) == "valkey_unavailable"
    assert texts(book, f"{index}-other") == []
    assert book.degraded(f"{index}-other") == "valkey_unavailable"
    memory.mend()
    now[0] += LOOK_SECONDS
    assert texts(book, index) == ["chair", "desk", "lamp"]
    assert book.degraded(index) is None
