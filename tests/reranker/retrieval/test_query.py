"""The bodies that go to Elasticsearch: filters in every leg, nothing asked for twice."""

from typing import Any

import numpy as np
import orjson
import pytest

from reranker.retrieval import query as bodies
from reranker.retrieval.query import Legs, VectorSearch
from reranker.retrieval.request import Defaults, RankedRequest, parse

MATCH = {"match": {"title": "red shoes"}}
TERM = {"term": {"brand": "acme"}}
VECTOR = np.array([0.6, 0.8], dtype=np.float32)
SEARCH = VectorSearch("embedding", num_candidates=50, similarity_floor=0.3)
FIELDS = ("title^3", "description")


def asked(body: dict[str, Any]) -> RankedRequest:
    found = parse(body, {}, {}, Defaults())
    assert isinstance(found, RankedRequest)
    return found


def legs(body: dict[str, Any], vector: Any = VECTOR) -> Legs:
    return bodies.legs(asked(body), vector, SEARCH, FIELDS, id_column=True)


def knn_of(found: Legs) -> dict[str, Any]:
    assert found.knn is not None
    clause: dict[str, Any] = found.knn["query"]["bool"]["must"][0]["knn"]
    return clause


def test_the_keyword_leg_is_the_clients_query_over_the_window() -> None:
    found = legs({"query": MATCH, "min_score": 2, "track_total_hits": 50, "timeout": "1s"})
    assert found.keyword is not None
    assert found.keyword["query"] == MATCH
    assert (found.keyword["size"], found.keyword["min_score"]) == (100, 2)
    assert (found.keyword["track_total_hits"], found.keyword["timeout"]) == (50, "1s")
    assert found.keyword["_source"] is False


def test_the_vector_leg_asks_for_the_window_above_the_floor() -> None:
    asked_for = knn_of(legs({"query": MATCH}))
    assert (asked_for["field"], asked_for["k"], asked_for["similarity"]) == ("embedding", 100, 0.3)
    assert asked_for["num_candidates"] == 100  # never below k
    assert "filter" not in asked_for


def test_filters_and_post_filter_hold_for_the_vector_leg() -> None:
    behind = {"range": {"price": {"lt": 9}}}
    found = legs({"query": {"bool": {"must": MATCH, "filter": TERM}}, "post_filter": behind})
    assert knn_of(found)["filter"] == [TERM, behind]
    assert found.keyword is not None
    assert found.keyword["post_filter"] == behind


def test_facets_are_counted_over_the_union_and_not_narrowed_by_post_filter() -> None:
    aggs = {"brands": {"terms": {"field": "brand"}}}
    found = legs({"query": MATCH, "aggs": aggs, "post_filter": TERM})
    assert found.facets is not None
    assert found.keyword is not None
    assert "aggs" not in found.keyword
    matching, nearest = found.facets["query"]["bool"]["filter"][0]["bool"]["should"]
    assert matching == MATCH
    assert "filter" not in nearest["knn"]
    assert (found.facets["size"], found.facets["aggs"]) == (0, aggs)


def test_without_a_vector_the_keyword_leg_answers_alone() -> None:
    aggs = {"brands": {"terms": {"field": "brand"}}}
    found = legs({"query": MATCH, "aggs": aggs}, vector=None)
    assert found.knn is None
    assert found.facets is None
    assert found.keyword is not None
    assert found.keyword["aggs"] == aggs


def test_the_mode_knn_has_no_keyword_leg() -> None:
    found = legs({"query": MATCH, "ext": {"hitweave": {"mode": "knn"}}})
    assert found.keyword is None
    assert found.knn is not None


def test_a_clients_own_vectors_are_searched_with_its_filters() -> None:
    own = {"field": "image", "query_vector": [1.0], "k": 5, "num_candidates": 9, "filter": TERM}
    found = legs(
        {"query": {"bool": {"must": MATCH, "filter": [{"exists": {"field": "a"}}]}}, "knn": own}
    )
    clause = knn_of(found)
    assert (clause["field"], clause["k"]) == ("image", 5)
    assert clause["filter"] == [TERM, {"exists": {"field": "a"}}]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"match_all": {}}, {"multi_match": {"query": "red", "fields": list(FIELDS)}}),
        (
            TERM,
            {
                "bool": {
                    "must": [{"multi_match": {"query": "red", "fields": list(FIELDS)}}],
                    "filter": [TERM],
                }
            },
        ),
        (MATCH, MATCH),
    ],
)
def test_words_are_searched_where_the_query_asks_none(
    query: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = legs({"query": query, "ext": {"ubi": {"user_query": "red"}}})
    assert found.keyword is not None
    assert found.keyword["query"] == expected


def test_a_page_keeps_what_the_client_wants_to_see() -> None:
    request = asked({"query": MATCH, "_source": ["title"], "highlight": {"fields": {"title": {}}}})
    page = bodies.page(request, ["a", "b"], FIELDS)
    assert page["_source"] == ["title"]
    assert page["query"]["bool"]["filter"] == [{"ids": {"values": ["a", "b"]}}]
    assert page["query"]["bool"]["should"] == [MATCH]  # what there is to highlight
    assert page["size"] == 2


def test_a_page_without_highlight_does_not_search_again() -> None:
    page = bodies.page(asked({"query": MATCH}), ["a"], FIELDS)
    assert "should" not in page["query"]["bool"]


@pytest.mark.parametrize(
    ("body", "needed"),
    [
        ({"query": MATCH}, True),
        ({"query": MATCH, "_source": False}, False),
        ({"query": MATCH, "_source": ["title"]}, True),
        ({"query": MATCH, "_source": False, "fields": ["title"]}, True),
        ({"query": MATCH, "_source": False, "highlight": {"fields": {"title": {}}}}, True),
    ],
)
def test_documents_are_fetched_only_when_something_of_them_is_shown(
    body: dict[str, Any], needed: bool
) -> None:
    assert bodies.needs_documents(asked(body)) is needed


def test_every_search_of_a_multi_search_has_its_header() -> None:
    lines = bodies.ndjson("shop", {"routing": "a"}, [{"size": 1}, {"size": 2}]).splitlines()
    assert [orjson.loads(line) for line in lines] == [
        {"index": "shop", "routing": "a"},
        {"size": 1},
        {"index": "shop", "routing": "a"},
        {"size": 2},
    ]
