"""The retriever on the stack's node: what a search with it can be asked for beside ranking."""

from typing import Any

import pytest
from elasticsearch import BadRequestError, Elasticsearch

from tests.gateway.conftest import Shop
from tests.plugin import asking
from tests.plugin.asking import fusion, keyword, knn, search

pytestmark = pytest.mark.usefixtures("patient")
RED = "red lamp"


@pytest.fixture
def red(shop: Shop) -> dict[str, Any]:
    """The retriever that everybody here asks."""
    return fusion(RED, shop.vector)


def test_pages_are_pieces_of_one_order(es: Elasticsearch, shop: Shop, red: Any) -> None:
    whole = search(es, index=shop.index, retriever=red, size=60)
    pages = [search(es, index=shop.index, retriever=red, size=20, from_=at) for at in (0, 20, 40)]
    assert whole.warnings == []
    assert [name for page in pages for name in page.ids] == whole.ids
    assert len(set(whole.ids)) == 60
    scores = [hit["_score"] for hit in whole.answer["hits"]["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert whole.answer["hits"]["max_score"] == scores[0]


def test_more_than_the_window_is_refused(es: Elasticsearch, shop: Shop, red: Any) -> None:
    with pytest.raises(BadRequestError, match="rank_window_size"):
        es.search(index=shop.index, retriever=red, size=101)


def test_totals_and_facets_cover_all_that_matches(es: Elasticsearch, shop: Shop, red: Any) -> None:
    brands = {"brands": {"terms": {"field": "brand"}}}
    found = search(es, index=shop.index, retriever=red, aggs=brands, size=5).answer
    words = es.count(index=shop.index, query=keyword(RED))["count"]
    assert found["hits"]["total"]["value"] >= words > 100
    counted = sum(it["doc_count"] for it in found["aggregations"]["brands"]["buckets"])
    assert counted == found["hits"]["total"]["value"]


def test_highlight_fields_and_source_are_those_of_a_plain_search(
    es: Elasticsearch, shop: Shop, red: Any
) -> None:
    found = search(
        es,
        index=shop.index,
        retriever=red,
        source=["title"],
        fields=["price"],
        highlight={"fields": {"title": {}}, "highlight_query": keyword("red")},
    ).answer
    for hit in found["hits"]["hits"]:
        assert set(hit["_source"]) == {"title"}
        assert hit["fields"]["price"]
    assert "<em>red</em>" in found["hits"]["hits"][0]["highlight"]["title"][0]


def test_collapse_keeps_the_best_of_each_group(es: Elasticsearch, shop: Shop, red: Any) -> None:
    whole = search(es, index=shop.index, retriever=red, size=100, source=["brand"]).answer
    brands = [hit["_source"]["brand"] for hit in whole["hits"]["hits"]]
    found = search(es, index=shop.index, retriever=red, collapse={"field": "brand"}).answer
    collapsed = [hit["fields"]["brand"][0] for hit in found["hits"]["hits"]]
    assert collapsed == list(dict.fromkeys(brands))


def test_explain_names_the_scorer_and_both_legs(es: Elasticsearch, shop: Shop, red: Any) -> None:
    plain = search(es, index=shop.index, retriever=red)
    told = search(es, index=shop.index, retriever=red, explain=True)
    assert told.ids == plain.ids
    hit = told.answer["hits"]["hits"][0]
    text = str(hit["_explanation"])
    assert "attention_fusion, rank 1, scored by" in text
    assert "bm25, rank" in text or "knn (cosine), rank" in text


def test_filters_reach_every_child(es: Elasticsearch, shop: Shop) -> None:
    only = {"term": {"brand": "zeta"}}
    found = search(
        es, index=shop.index, retriever=fusion(RED, shop.vector, filter=only), size=50
    ).answer
    assert {hit["_source"]["brand"] for hit in found["hits"]["hits"]} == {"zeta"}
    outer = {"attention_fusion": {"retrievers": [fusion(RED, shop.vector)], "filter": only}}
    nested = search(es, index=shop.index, retriever=outer, query=None, size=50).answer
    assert {hit["_source"]["brand"] for hit in nested["hits"]["hits"]} == {"zeta"}


def test_min_score_cuts_the_fused_order(es: Elasticsearch, shop: Shop, red: Any) -> None:
    whole = search(es, index=shop.index, retriever=red, size=50)
    scores = [hit["_score"] for hit in whole.answer["hits"]["hits"]]
    asked = fusion(RED, shop.vector, min_score=scores[9])
    assert search(es, index=shop.index, retriever=asked, size=50).ids == whole.ids[:10]


def test_a_point_in_time_serves(es: Elasticsearch, shop: Shop, red: Any) -> None:
    live = search(es, index=shop.index, retriever=red, size=30)
    pit = es.open_point_in_time(index=shop.index, keep_alive="1m")["id"]
    found = search(es, pit={"id": pit, "keep_alive": "1m"}, retriever=red, size=30)
    assert es.close_point_in_time(id=pit)["succeeded"]
    assert found.ids == live.ids
    assert found.warnings == []


def test_it_nests_in_and_around_other_retrievers(es: Elasticsearch, shop: Shop, red: Any) -> None:
    rescored = {
        "rescorer": {
            "retriever": red,
            "rescore": {"window_size": 50, "query": {"rescore_query": keyword("zeta")}},
        }
    }
    around = {
        "attention_fusion": {
            "retrievers": [red, {"standard": {"query": keyword("blue lamp")}}],
            "query": "lamp",
        }
    }
    for retriever in (rescored, around):
        found = search(es, index=shop.index, retriever=retriever, size=20)
        assert len(set(found.ids)) == 20
        assert found.warnings == []


def test_ext_sections_are_taken_with_and_without_the_retriever(
    es: Elasticsearch, shop: Shop, red: Any
) -> None:
    ext = {"ubi": {"query_id": "q1", "user_id": "u"}, "hitweave": {"context": {"device": "phone"}}}
    assert search(es, index=shop.index, query=keyword(RED), ext=ext).ids
    vector = {"attention_fusion": {"retrievers": [knn(shop.vector)]}}
    said = search(es, index=shop.index, retriever=vector, ext={"ubi": {"user_query": RED}})
    assert said.ids
    assert said.warnings == []


def test_without_any_words_the_answer_says_so(es: Elasticsearch, shop: Shop) -> None:
    retriever = {"attention_fusion": {"retrievers": [knn(shop.vector)]}}
    said = search(es, index=shop.index, retriever=retriever)
    assert said.ids == asking.reciprocal_rank_order(es, shop.index, [knn(shop.vector)])[:10]
    assert "no_query_text" in said.warnings[0]


def test_a_search_that_finds_nothing_is_not_degraded(es: Elasticsearch, shop: Shop) -> None:
    nothing = {"attention_fusion": {"retrievers": [{"standard": {"query": keyword("qqq")}}]}}
    said = search(es, index=shop.index, retriever=nothing)
    assert said.ids == []
    assert said.warnings == []


def test_an_address_in_a_request_is_refused(es: Elasticsearch, shop: Shop) -> None:
    asked = fusion(RED, shop.vector, url="http://127.0.0.1:1")
    with pytest.raises(BadRequestError, match="url"):
        es.search(index=shop.index, retriever=asked)
