"""What the gateway does not rank is the node's own answer, byte for byte but for the time."""

from typing import Any

import pytest

from tests.gateway import corpus
from tests.gateway.conftest import Shop
from tests.gateway.exchange import Exchange

BODIES = corpus.search_bodies()
REQUESTS = corpus.requests()


def with_mode(body: dict[str, Any], mode: str) -> dict[str, Any]:
    """The body with our mode beside whatever `ext` it has."""
    hitweave = {"mode": mode, "record": False}
    return body | {"ext": {**body.get("ext", {}), "hitweave": hitweave}}


def test_the_corpus_has_at_least_150_bodies_of_unlike_kinds() -> None:
    assert len({repr(body) for body in BODIES.values()}) >= 150


@pytest.mark.parametrize("name", BODIES)
def test_mode_off_is_the_nodes_own_answer(
    node: Exchange, gateway: Exchange, shop: Shop, name: str
) -> None:
    body = corpus.filled(BODIES[name], shop.index, shop.vector)
    wanted = node.search(shop.index, body).told()
    assert gateway.search(shop.index, with_mode(body, "off")).told() == wanted


@pytest.mark.parametrize("name", BODIES)
def test_a_search_is_ranked_or_the_nodes_own_answer(
    node: Exchange, gateway: Exchange, shop: Shop, name: str
) -> None:
    body = corpus.filled(BODIES[name], shop.index, shop.vector)
    wanted, answer = node.search(shop.index, body), gateway.search(shop.index, body)
    if wanted.status == 200 and b'"hitweave":{"model"' in answer.body:
        assert answer.status == 200
        assert set(wanted.json()) <= set(answer.json())
        return
    assert answer.told() == wanted.told()


@pytest.mark.parametrize("mode", ["fused", "rrf", "knn"])
def test_a_clients_vector_may_come_as_text(gateway: Exchange, shop: Shop, mode: str) -> None:
    found = []
    for vector in (shop.vector, corpus.as_base64(shop.vector), corpus.as_hex(shop.vector)):
        own = {"field": "embedding", "query_vector": vector, "k": 20, "num_candidates": 400}
        body = with_mode({"query": {"match": {"title": "blue lamp"}}, "knn": own}, mode)
        answer = gateway.search(shop.index, body).json()
        assert answer["hitweave"]["degraded"] is None
        found.append([(hit["_id"], hit["_score"]) for hit in answer["hits"]["hits"]])
    assert found[0] == found[1]
    assert len({*found[0]}) == len(found[2]) == 10
    near = {name for name, _ in found[0]} & {name for name, _ in found[2]}
    assert len(near) > 5  # bytes round what floats tell apart


@pytest.mark.parametrize("name", REQUESTS)
def test_any_other_request_is_the_nodes_own_answer(
    node: Exchange, gateway: Exchange, shop: Shop, name: str
) -> None:
    asked = corpus.request(REQUESTS[name], shop.index)
    wanted = node.ask(asked.method, asked.path, asked.body, asked.headers)
    answer = gateway.ask(asked.method, asked.path, asked.body, asked.headers)
    assert answer.told() == wanted.told()
