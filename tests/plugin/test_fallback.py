"""Whatever becomes of the sidecar, a search answers, by reciprocal ranks, and says why."""

import json
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from tests.gateway.conftest import Shop
from tests.plugin.asking import fusion, keyword, knn, reciprocal_rank_order, search, set_node
from tests.plugin.conftest import Answering, Impostor

RED = "red lamp"


def _changed(**last: object) -> Answering:
    """All candidates with falling scores, but the last one changed."""

    def answering(sent: bytes) -> tuple[int, bytes]:
        asked = json.loads(sent)["candidates"]
        items = [{"id": one["id"], "score": -row} for row, one in enumerate(asked)]
        items[-1] |= last
        return 200, json.dumps({"model": "m", "degraded": None, "items": items}).encode()

    return answering


WRONG: dict[str, tuple[Answering, str]] = {
    "hung": (lambda sent: None, "sidecar_late"),
    "error": (lambda sent: (500, b"{}"), "sidecar_status_500"),
    "garbage": (lambda sent: (200, b"<html>"), "not JSON"),
    "few": (lambda sent: (200, b'{"items":[{"id":"lamp-0","score":1}]}'), "other items"),
    "nan": (_changed(score=float("nan")), "not JSON"),
    "rising": (_changed(score=9), "rise"),
    "foreign": (_changed(id="nobody"), "other items"),
}


def _expected(es: Elasticsearch, shop: Shop) -> list[str]:
    legs = [{"standard": {"query": keyword(RED)}}, knn(shop.vector)]
    return reciprocal_rank_order(es, shop.index, legs)[:100]


@pytest.mark.parametrize("how", WRONG)
def test_a_sidecar_that_fails_leaves_the_order_of_reciprocal_ranks(
    how: str, es: Elasticsearch, shop: Shop, impostor: Impostor
) -> None:
    impostor.answering, reason = WRONG[how]
    said = search(es, index=shop.index, retriever=fusion(RED, shop.vector), size=100)
    assert said.ids == _expected(es, shop)
    assert reason in said.warnings[0]
    assert impostor.asked == 1
    told = search(es, index=shop.index, retriever=fusion(RED, shop.vector), explain=True)
    assert "scored by rrf" in str(told.answer["hits"]["hits"][0]["_explanation"])


@pytest.mark.usefixtures("nobody")
def test_a_sidecar_that_is_down_leaves_the_order_of_reciprocal_ranks(
    es: Elasticsearch, shop: Shop
) -> None:
    said = search(es, index=shop.index, retriever=fusion(RED, shop.vector), size=100)
    assert said.ids == _expected(es, shop)
    assert "sidecar_down" in said.warnings[0]


def test_an_answer_of_the_sidecar_is_the_order(
    es: Elasticsearch, shop: Shop, impostor: Impostor
) -> None:
    impostor.answering = _changed()
    said = search(es, index=shop.index, retriever=fusion(RED, shop.vector), size=10)
    assert said.warnings == []
    words = {"standard": {"query": keyword(RED)}}
    assert said.ids == search(es, index=shop.index, retriever=words, size=10).ids


def test_after_a_failure_nothing_is_asked_until_the_pause_ends(
    es: Elasticsearch, shop: Shop, impostor: Impostor
) -> None:
    impostor.answering = WRONG["error"][0]
    set_node(es, pause_after_failure="1h")
    asked = {"index": shop.index, "retriever": fusion(RED, shop.vector)}
    assert "sidecar_status_500" in search(es, **asked).warnings[0]
    assert "sidecar_paused" in search(es, **asked).warnings[0]
    assert impostor.asked == 1
    impostor.answering = _changed()
    set_node(es, pause_after_failure="0s")
    assert search(es, **asked).warnings == []


def test_who_asks_what_and_where_reaches_the_sidecar(
    es: Elasticsearch, shop: Shop, impostor: Impostor
) -> None:
    sent: list[dict[str, Any]] = []

    def answering(body: bytes) -> tuple[int, bytes]:
        sent.append(json.loads(body))
        return 500, b""

    impostor.answering = answering
    named = fusion(RED, shop.vector, user_id="u1", session_id="s1", context={"device": "phone"})
    ubi = {"query_id": "q1", "user_id": "u2", "session_id": "s2", "user_query": "lamps"}
    ext = {"ubi": ubi, "hitweave": {"context": {"device": "desk"}}}
    search(es, index=shop.index, retriever=named, ext=ext)
    search(es, index=shop.index, retriever=fusion(RED, shop.vector), ext=ext)
    search(es, index=shop.index, retriever=fusion(RED, shop.vector))
    (concrete,) = es.indices.get_alias(name=shop.index).body
    assert {one["index"] for one in sent} == {concrete}
    keys = ("query", "user_id", "session_id", "context", "query_id")
    assert [[one.get(key) for key in keys] for one in sent] == [
        ["lamps", "u1", "s1", {"device": "phone"}, "q1"],
        ["lamps", "u2", "s2", {"device": "desk"}, "q1"],
        [RED, None, None, None, None],
    ]
    assert len({one["id"] for one in sent[0]["candidates"]}) == len(sent[0]["candidates"]) > 100


def test_documents_without_the_column_of_ids_are_ranked_by_their_ids(
    es: Elasticsearch, index_name: str, impostor: Impostor
) -> None:
    impostor.answering = _changed()
    lines = [part for n in (1, 2, 3) for part in ({"index": {"_id": f"d{n}"}}, {"t": "a " * n})]
    assert not es.bulk(index=index_name, operations=lines, refresh=True)["errors"]
    child = {"standard": {"query": {"match": {"t": "a"}}}}
    retriever = {"attention_fusion": {"retrievers": [child], "filter": {"match": {"t": "a"}}}}
    said = search(es, index=index_name, retriever=retriever)
    assert said.warnings == []
    assert sorted(said.ids) == ["d1", "d2", "d3"]
    assert impostor.asked == 1
    es.indices.delete(index=index_name)
