"""The bodies that go to Elasticsearch: filters in every leg, nothing asked for twice."""

from typing import Any

import numpy as np
import orjson
import pytest

from reranker.retrieval import query as bodies
from reranker.retrieval.query import CODE_NAME, ID_COLUMN, MARK_NAME, Beside, Legs, VectorSearch
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


def test_with_a_least_score_facets_are_counted_over_what_the_keywords_find() -> None:
    aggs = {"brands": {"terms": {"field": "brand"}}}
    found = legs({"query": MATCH, "aggs": aggs, "min_score": 2})
    assert found.keyword is not None
    assert (found.keyword["aggs"], found.keyword["min_score"]) == (aggs, 2)
    assert found.facets is None


def test_what_matched_within_a_document_is_shown_by_the_page_alone() -> None:
    within = {"path": "offers", "query": {"term": {"offers.seller": "s1"}}}
    plain, showing = {"nested": within}, {"nested": {**within, "inner_hits": {}}}
    body = {
        "query": {"bool": {"must": MATCH, "filter": showing}},
        "post_filter": {"bool": {"should": [showing]}},
        "aggs": {"brands": {"terms": {"field": "brand"}}},
    }
    beside = Beside(pinned=["a"])
    found = bodies.legs(asked(body), VECTOR, SEARCH, FIELDS, id_column=True, beside=beside)
    assert b"inner_hits" not in orjson.dumps(
        [found.keyword, found.knn, found.facets, found.pinned],
        option=orjson.OPT_SERIALIZE_NUMPY,
    )
    assert knn_of(found)["filter"] == [plain, {"bool": {"should": [plain]}}]
    page = bodies.page(asked(body), ["a"], FIELDS)
    assert page["query"]["bool"]["should"] == [body["query"]]
    assert page["post_filter"] == body["post_filter"]


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
        ({"query": MATCH, "_source": False, "collapse": {"field": "brand"}}, True),
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


def test_marks_score_nothing_and_stand_in_both_legs() -> None:
    beside = Beside(marks=[TERM, MATCH])
    found = bodies.legs(
        asked({"query": MATCH}), VECTOR, SEARCH, FIELDS, id_column=True, beside=beside
    )
    assert found.keyword is not None
    assert found.knn is not None
    for leg in (found.keyword, found.knn):
        marked = leg["query"]["bool"]
        assert [part["constant_score"]["boost"] for part in marked["should"]] == [0, 0]
        names = [part["constant_score"]["_name"] for part in marked["should"]]
        assert names == [f"{MARK_NAME}0", f"{MARK_NAME}1"]
    assert found.keyword["query"]["bool"]["must"] == [MATCH]
    assert found.pinned is None


@pytest.mark.parametrize("vector", [VECTOR, None])
def test_pinned_documents_are_asked_for_under_the_clients_filters(vector: Any) -> None:
    behind = {"range": {"price": {"lt": 9}}}
    body = {
        "query": {"bool": {"must": MATCH, "filter": TERM}},
        "post_filter": behind,
        "aggs": {"brands": {"terms": {"field": "brand"}}},
        "collapse": {"field": "brand"},
    }
    beside = Beside(pinned=["a", "b"])
    found = bodies.legs(asked(body), vector, SEARCH, FIELDS, id_column=True, beside=beside)
    by_id = {"ids": {"values": ["a", "b"]}}
    assert found.pinned is not None
    (chosen,) = found.pinned["query"]["bool"]["must"]
    assert chosen["bool"]["filter"] == [by_id, TERM, behind]
    assert found.pinned["docvalue_fields"] == [ID_COLUMN, "brand"]
    assert "collapse" not in found.pinned
    assert found.facets is not None
    union = found.facets["query"]["bool"]["filter"][0]["bool"]["should"]
    assert union[-1]["bool"]["filter"] == [by_id, TERM]
    assert found.keyword is not None
    assert "aggs" not in found.keyword


def test_documents_are_asked_for_by_code_beside_those_by_id() -> None:
    beside = Beside(pinned=["a"], code="600519")
    found = bodies.legs(
        asked({"query": MATCH}), VECTOR, SEARCH, FIELDS, id_column=True, beside=beside
    )
    assert found.pinned is not None
    (chosen,) = found.pinned["query"]["bool"]["must"]
    by_id, by_code = chosen["bool"]["filter"][0]["bool"]["should"]
    assert by_id == {"ids": {"values": ["a"]}}
    assert by_code == {"term": {"hitweave.codes": {"value": "600519", "_name": CODE_NAME}}}
    assert found.pinned["size"] == 11


def test_a_least_score_asks_for_nothing_by_id() -> None:
    body = {"query": MATCH, "min_score": 1}
    beside = Beside(pinned=["a"])
    assert bodies.legs(asked(body), VECTOR, SEARCH, FIELDS, id_column=True, beside=beside) == legs(
        body
    )
