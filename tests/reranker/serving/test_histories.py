"""A shopper's history with what other indices lend to it, read from a real server."""

import uuid
from collections.abc import Iterator

import numpy as np
import pytest
import redis

from indexer.behaviour import copurchase, shopper_profile, state, store
from indexer.behaviour.event import pseudonym
from indexer.behaviour.shopper_profile import ShopperEvent
from indexer.catalogue import card
from reranker.serving import knowledge
from reranker.serving.histories import Pasts
from reranker.serving.memory import BEHAVIOUR, CARDS, Memory
from reranker.signals.past import Past

DIMS = 8
USER = pseudonym("k", "u")


@pytest.fixture
def shop(valkey: redis.Redis) -> Iterator[str]:
    """What the names of two indices begin with."""
    name = f"lends-{uuid.uuid4().hex[:8]}"
    for index in (f"{name}-a", f"{name}-b"):
        valkey.mset({store.key(index, BEHAVIOUR): 1, store.key(index, CARDS): 1})
    yield name
    valkey.delete(*valkey.scan_iter(f"hw:{name}*", count=10_000))


def vector(at: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.eye(DIMS, dtype=np.float32)[at]


def put(valkey: redis.Redis, index: str, item: str, at: int, time: float) -> None:
    """An item with its card and partner, bought by the shopper."""
    packed = card.pack(title=item, vector=vector(at), price=3.0, categories=["toys"])
    valkey.set(store.key(index, f"card:{item}"), packed)
    key = store.key(index, state.shopper_key(USER))
    bought = shopper_profile.fold(
        valkey.get(key),
        [ShopperEvent(item, "purchase", time)],
    )
    valkey.set(key, bought)


def past(memory: Memory, pasts: Pasts, index: str, *lenders: str) -> Past:
    sent = knowledge.ask(memory, index, USER, "lamp", None, lenders)
    return knowledge.known(memory, pasts, sent, DIMS, 100.0).past


def test_a_lent_item_comes_with_its_vector_and_without_price_or_partners(
    valkey: redis.Redis, shop: str
) -> None:
    a, b = f"{shop}-a", f"{shop}-b"
    put(valkey, a, "1", 0, 20.0)
    put(valkey, b, "1", 1, 10.0)
    memory = Memory(valkey, entries_max=10)
    found = past(memory, Pasts(10), b, a)
    assert found.shopper.ids(2) == [f"{a}/1", "1"]
    assert found.vectors is not None
    assert found.history_cards is not None
    np.testing.assert_allclose(found.vectors, [vector(0), vector(1)], atol=0.01)
    assert np.isnan(found.history_cards["price"]).tolist() == [True, False]
    assert found.history_cards["categories"][0, 0] == card.token("toys")
    assert all(len(partners) == 0 for partners in found.partners)
    assert len(found.partners) == 2
    assert len(copurchase.unpack(None)) == 0


def test_without_a_lender_there_is_only_the_own_history(valkey: redis.Redis, shop: str) -> None:
    a, b = f"{shop}-a", f"{shop}-b"
    put(valkey, a, "1", 0, 20.0)
    memory, pasts = Memory(valkey, entries_max=10), Pasts(10)
    assert len(past(memory, pasts, b).shopper) == 0
    assert len(past(memory, pasts, b, a).shopper) == 1
    assert len(past(memory, pasts, b).shopper) == 0


def test_what_is_done_next_in_the_other_index_is_seen_at_once(
    valkey: redis.Redis, shop: str
) -> None:
    a, b = f"{shop}-a", f"{shop}-b"
    memory, pasts = Memory(valkey, entries_max=10), Pasts(10)
    put(valkey, a, "1", 0, 20.0)
    first = past(memory, pasts, b, a)
    assert past(memory, pasts, b, a) is first
    put(valkey, a, "2", 2, 30.0)
    assert past(memory, pasts, b, a).shopper.ids(2) == [f"{a}/2", f"{a}/1"]


def test_a_card_that_changed_there_is_read_anew(valkey: redis.Redis, shop: str) -> None:
    a, b = f"{shop}-a", f"{shop}-b"
    memory, pasts = Memory(valkey, entries_max=10), Pasts(10)
    put(valkey, a, "1", 0, 20.0)
    past(memory, pasts, b, a)
    valkey.set(store.key(a, "card:1"), card.pack(title="1", vector=vector(5)))
    valkey.incr(store.key(a, CARDS))
    found = past(memory, pasts, b, a).vectors
    assert found is not None
    np.testing.assert_allclose(found[0], vector(5), atol=0.01)


def test_a_shopper_unknown_everywhere_has_no_past(valkey: redis.Redis, shop: str) -> None:
    memory = Memory(valkey, entries_max=10)
    assert len(past(memory, Pasts(10), f"{shop}-b", f"{shop}-a").shopper) == 0
