"""What is known of an index holds while Elasticsearch is away or late, and nobody waits long."""

import threading
import time
from collections.abc import Iterator

import pytest
from elasticsearch import Elasticsearch

from indexer.catalogue.generation import Generation
from indexer.catalogue.mapping import IndexConfig
from indexer.embedding.recipe import Recipe
from indexer.errors import ElasticsearchUnavailable
from reranker.serving.generations import Generations
from tests.compose.waiting import until

TTL, WAIT = 5.0, 0.2
# Far more than WAIT, and the looks below never end by themselves.
SOON = 10.0


class Held(Generations):
    """A cluster that can be stopped, or taken away, or changed; counts how often it is asked."""

    def __init__(self) -> None:
        self.now, self.asked, self.number, self.away = 0.0, 0, 1, False
        self.goes_on = threading.Event()
        self.goes_on.set()
        nowhere = Elasticsearch("http://127.0.0.1:9")
        super().__init__(nowhere, ttl_seconds=TTL, wait_seconds=WAIT, clock=lambda: self.now)

    def _resolve(self, name: str) -> Generation | None:
        self.asked += 1
        self.goes_on.wait()
        if self.away:
            raise ElasticsearchUnavailable("it is away")
        if name != "shop":
            return None
        recipe = Recipe(encoder="hashed:8", dims=8)
        return Generation("shop", f"shop-{self.number:06}", IndexConfig(), recipe)


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    made.goes_on.set()
    made.close()


def concrete(held: Held, name: str = "shop") -> str | None:
    began = time.monotonic()
    found = held.find(name)
    assert time.monotonic() - began < SOON
    return found.concrete if found else None


def test_what_is_known_is_told_while_news_of_it_are_late(held: Held) -> None:
    assert concrete(held) == "shop-000001"
    held.goes_on.clear()
    held.number, held.now = 2, TTL + 1
    for _ in range(100):
        assert concrete(held) == "shop-000001"
    assert held.asked == 2  # one look for all of them, which all together waited for once
    held.goes_on.set()
    until(lambda: concrete(held) == "shop-000002", "the news came")


def test_an_index_never_seen_is_an_error_soon_where_nothing_answers(held: Held) -> None:
    held.goes_on.clear()
    for _ in range(100):
        with pytest.raises(ElasticsearchUnavailable, match="see whether it hangs"):
            concrete(held, "new")
    assert held.asked == 1


def test_what_is_known_is_believed_for_another_while_without_elasticsearch(held: Held) -> None:
    assert concrete(held) == "shop-000001"
    held.away, held.now = True, TTL + 1
    for _ in range(3):
        assert concrete(held) == "shop-000001"
    assert held.asked == 2
    held.away, held.number, held.now = False, 2, 2 * TTL + 2
    assert concrete(held) == "shop-000002"


def test_a_generation_that_turned_out_to_be_gone_is_looked_for_anew(held: Held) -> None:
    assert concrete(held) == "shop-000001"
    held.number = 2
    assert concrete(held) == "shop-000001"
    held.forget("shop")
    assert concrete(held) == "shop-000002"


def test_an_index_that_is_not_known_in_time_lends_nothing(held: Held) -> None:
    shop = held.find("shop")
    assert shop is not None
    config = shop.config.model_copy(update={"history_from": ["new"]})
    held.goes_on.clear()
    lending = Generation(shop.index, shop.concrete, config, shop.recipe)
    assert held.lenders(lending) == ()
