"""What a query asks in words, and what of it is a filter."""

from typing import Any

import pytest

from reranker.retrieval import clause

MATCH = {"match": {"title": "red shoes"}}


def match(text: str) -> dict[str, Any]:
    return {"match": {"description": text}}


TERM = {"term": {"brand": "acme"}}
RANGE = {"range": {"price": {"lt": 50}}}


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (MATCH, "red shoes"),
        ({"match": {"title": {"query": "red shoes", "operator": "and"}}}, "red shoes"),
        ({"match": {"boost": 2, "title": "red shoes"}}, "red shoes"),
        ({"match_phrase": {"title": "red shoes"}}, "red shoes"),
        ({"multi_match": {"query": "red shoes", "fields": ["title"]}}, "red shoes"),
        ({"combined_fields": {"query": "red shoes", "fields": ["title"]}}, "red shoes"),
        ({"query_string": {"query": 'title:red AND "shoes"~2'}}, "red shoes"),
        ({"simple_query_string": {"query": "red + shoes*"}}, "red shoes"),
        ({"query_string": {"query": "+t-shirt^2 -blue"}}, "t-shirt"),
        ({"bool": {"must": MATCH, "filter": [TERM]}}, "red shoes"),
        ({"bool": {"should": [MATCH, {"match": {"brand": "red shoes"}}]}}, "red shoes"),
        ({"bool": {"must": [MATCH, {"match": {"brand": "acme"}}]}}, "red shoes acme"),
        ({"dis_max": {"queries": [TERM, MATCH]}}, "red shoes"),
        # Word by word, then the whole; and the same text in another case.
        ({"bool": {"should": [match("red"), match("shoes"), MATCH]}}, "red shoes"),
        ({"bool": {"must": [match("Red Shoes"), MATCH]}}, "Red Shoes"),
        ({"bool": {"must": [match("shoe"), MATCH]}}, "shoe red shoes"),
        ({"function_score": {"query": {"bool": {"must": [MATCH]}}, "functions": []}}, "red shoes"),
        ({"script_score": {"query": MATCH, "script": {}}}, "red shoes"),
        ({"boosting": {"positive": MATCH, "negative": TERM}}, "red shoes"),
        ({"pinned": {"ids": [], "organic": MATCH}}, "red shoes"),
        ({"function_score": {"query": {"pinned": {"ids": [], "organic": MATCH}}}}, "red shoes"),
        ({"pinned": {"ids": ["a"], "organic": MATCH}}, ""),
        ({"pinned": {"docs": [{"_id": "a"}], "organic": MATCH}}, ""),
        ({"match_all": {}}, ""),
        (TERM, ""),
        ({"match": {"year": 2011}}, ""),
        ({"query_string": {"query": "*"}}, ""),
        ({"bool": {"filter": [MATCH]}}, ""),
        ({"bool": {"must_not": [MATCH]}}, ""),
        ({"nested": {"path": "a", "query": MATCH}}, ""),
        ({"match": "broken"}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_text_is_found_where_clients_put_it(query: Any, text: str) -> None:
    assert clause.text_of(query) == text


@pytest.mark.parametrize(
    ("query", "filters"),
    [
        (MATCH, []),
        ({"match_all": {}}, []),
        (TERM, [TERM]),
        ({"bool": {"must": [MATCH]}}, []),
        ({"bool": {"must": MATCH, "filter": TERM}}, [TERM]),
        ({"bool": {"must": [MATCH, TERM]}}, [TERM]),
        (
            {"bool": {"must": [MATCH], "filter": [TERM, RANGE]}},
            [{"bool": {"filter": [TERM, RANGE]}}],
        ),
        ({"bool": {"filter": [MATCH]}}, [MATCH]),
        ({"bool": {"must": [MATCH], "must_not": [TERM]}}, [{"bool": {"must_not": [TERM]}}]),
        # Optional clauses demand nothing; needed ones do.
        ({"bool": {"must": [MATCH], "should": [TERM]}}, []),
        (
            {"bool": {"must": [MATCH], "should": [TERM], "minimum_should_match": 1}},
            [{"bool": {"should": [TERM], "minimum_should_match": 1}}],
        ),
        (
            {"bool": {"should": [TERM, RANGE]}},
            [{"bool": {"should": [TERM, RANGE], "minimum_should_match": 1}}],
        ),
        # Whoever matches by text alone may be found by vectors alone.
        ({"bool": {"should": [TERM, MATCH]}}, []),
        ({"dis_max": {"queries": [TERM, MATCH]}}, []),
        ({"dis_max": {"queries": [TERM]}}, [{"dis_max": {"queries": [TERM]}}]),
        ({"function_score": {"query": {"bool": {"must": MATCH, "filter": TERM}}}}, [TERM]),
        ({"pinned": {"ids": [], "organic": {"bool": {"must": MATCH, "filter": TERM}}}}, [TERM]),
        ({"constant_score": {"filter": TERM}}, [{"constant_score": {"filter": TERM}}]),
        (
            {"bool": {"must": [{"bool": {"must": [MATCH], "filter": [RANGE]}}, TERM]}},
            [{"bool": {"filter": [RANGE, TERM]}}],
        ),
    ],
)
def test_filters_are_what_every_hit_must_satisfy(query: Any, filters: list[Any]) -> None:
    assert clause.filters_of(query) == filters


def test_a_field_is_found_wherever_a_clause_names_it() -> None:
    filters = [{"bool": {"filter": [{"term": {"available": True}}]}}]
    assert clause.mentions(filters, "available")
    assert clause.mentions({"exists": {"field": "available"}}, "available")
    assert not clause.mentions(filters, "price")


KIND = {"match": {"kind": {"query": "product_abstract", "boost": 2}}}
EXACT_KIND = {"term": {"kind": {"value": "product_abstract", "boost": 2}}}


def test_a_match_of_a_whole_value_is_a_term_and_no_text() -> None:
    asked = {"function_score": {"query": {"bool": {"must": [MATCH, KIND], "should": KIND}}}}
    query = clause.with_terms(asked, {"kind"})
    part = {"bool": {"must": [MATCH, EXACT_KIND], "should": EXACT_KIND}}
    assert query == {"function_score": {"query": part}}
    assert clause.text_of(query) == "red shoes"
    assert clause.filters_of(query) == [EXACT_KIND]
    assert clause.with_text(query, "blue")["function_score"]["query"]["bool"]["must"][1:] == [
        EXACT_KIND
    ]


@pytest.mark.parametrize(
    "query",
    [
        MATCH,
        {"match": {"kind": {"query": "product", "fuzziness": 1}}},
        {"match": {"kind": {"query": "product", "analyzer": "english"}}},
        {"match": {"kind": None}},
        {"match": {"kind": "a", "title": "b"}},
        {"match": {}},
        {"bool": {"filter": [KIND], "must_not": KIND}},
        {"match": "broken"},
    ],
)
def test_any_other_match_stays_as_it_was_asked(query: Any) -> None:
    assert clause.with_terms(query, {"kind"}) == query
