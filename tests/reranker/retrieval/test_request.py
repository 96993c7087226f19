"""Which searches are ranked, with what, and which go through untouched."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import InvalidRequest
from reranker.retrieval.request import (
    Defaults,
    PassThrough,
    RankedRequest,
    Shopper,
    parse,
    strip,
)

MATCH = {"match": {"title": "red shoes"}}
DEFAULTS = Defaults()
TERM = {"term": {"brand": "acme"}}


def ranked(
    body: dict[str, Any],
    params: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    defaults: Defaults = DEFAULTS,
) -> RankedRequest:
    found = parse(body, params or {}, headers or {}, defaults)
    assert isinstance(found, RankedRequest), found
    return found


def passed(body: dict[str, Any], params: dict[str, str] | None = None) -> PassThrough:
    found = parse(body, params or {}, {}, Defaults())
    assert isinstance(found, PassThrough), found
    return found


def test_a_plain_text_search_is_ranked_by_the_defaults() -> None:
    asked = ranked({"query": MATCH}, defaults=Defaults(mode="rrf", window=50))
    assert (asked.text, asked.start, asked.size) == ("red shoes", 0, 10)
    assert (asked.options.mode, asked.options.window, asked.options.record) == ("rrf", 50, True)


def test_the_users_own_words_count_before_the_query() -> None:
    asked = ranked({"query": MATCH, "ext": {"ubi": {"user_query": "rode schoenen"}}})
    assert asked.text == "rode schoenen"
    assert asked.query == MATCH


@pytest.mark.parametrize(
    ("value", "number"),
    [("3", 3), (" +3 ", 3), ("3.7", 3), ("3e0", 3), ("03", 3), ("-0", 0), (".5", 0), (3.0, 3)],
)
def test_numbers_may_be_text_as_elasticsearch_reads_them(value: Any, number: int) -> None:
    asked = ranked({"query": MATCH, "size": value, "from": value})
    assert (asked.start, asked.size) == (number, number)
    assert (asked.body["from"], asked.body["size"]) == (number, number)


@pytest.mark.parametrize(
    "value",
    ["", "x", "-1", "3d", "1_000", "0x3", "NaN", "Infinity", "99999999999", "٣", -1.0, 1e30],
)
def test_what_is_no_number_is_left_to_elasticsearch(value: Any) -> None:
    assert passed({"query": MATCH, "size": value}).reason == "page"
    assert passed({"query": MATCH, "from": value}).reason == "page"


def test_flags_may_be_text_and_an_empty_sort_is_none() -> None:
    asked = ranked({"query": MATCH, "explain": "true", "version": "false", "track_scores": ""})
    assert asked.options.explain is True
    assert (asked.body["version"], asked.body["track_scores"]) == (False, False)
    for sort in ([], {}, [{}]):
        assert "sort" not in ranked({"query": MATCH, "sort": sort}).body
    for flag in ("False", "no", "1", 1, 0):
        assert passed({"query": MATCH, "explain": flag}).reason == "flag"
    assert passed({"query": MATCH, "sort": [[]]}).reason == "sort"
    exact = {"rest_total_hits_as_int": "true"}
    assert passed({"query": MATCH, "track_total_hits": "5"}, exact).reason == "total"
    assert ranked({"query": MATCH, "track_total_hits": "true"}, exact).body["track_total_hits"]


def test_a_standard_retriever_is_a_query_with_its_filter() -> None:
    asked = ranked({"retriever": {"standard": {"query": MATCH, "filter": TERM}}})
    assert asked.text == "red shoes"
    assert asked.filters == (TERM,)


def test_our_ext_is_taken_out_and_the_rest_stays() -> None:
    body = {"query": MATCH, "ext": {"ubi": {"query_id": "q"}, "hitweave": {}, "theirs": {"a": 1}}}
    own, ubi, hitweave = strip(body)
    assert own == {"query": MATCH, "ext": {"theirs": {"a": 1}}}
    assert (ubi, hitweave) == ({"query_id": "q"}, {})
    assert strip({"query": MATCH, "ext": {"ubi": {}}})[0] == {"query": MATCH}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"query": {"match_all": {}}}, "no_text"),
        ({}, "no_text"),
        ({"query": MATCH, "sort": ["price"]}, "sort"),
        ({"query": MATCH, "sort": ["price", "_score"]}, "sort"),
        ({"query": MATCH, "sort": ["_score", "price", "_score"]}, "sort"),
        ({"query": MATCH, "sort": ["_score", "price"], "rescore": {}}, "sort"),
        ({"query": MATCH, "sort": [{"_score": "asc"}]}, "sort"),
        ({"query": MATCH, "search_after": [1], "sort": ["_score"]}, "search_after"),
        ({"query": MATCH, "search_after": [1], "sort": ["_score", "price"]}, "search_after"),
        ({"query": MATCH, "search_after": ["a", 1], "sort": ["_score", "price"]}, "search_after"),
        (
            {"query": MATCH, "search_after": [1, 2], "sort": ["_score", "price"], "from": 5},
            "search_after",
        ),
        ({"query": MATCH, "stored_fields": "_none_", "_source": ["title"]}, "stored_fields"),
        ({"query": MATCH, "stored_fields": "_none_", "highlight": {}}, "stored_fields"),
        ({"query": MATCH, "pit": {"id": "x"}}, "pit"),
        ({"query": MATCH, "slice": {"id": 0, "max": 2}}, "slice"),
        ({"query": MATCH, "profile": True}, "profile"),
        ({"query": MATCH, "from": -1}, "page"),
        ({"query": MATCH, "size": "ten"}, "page"),
        ({"query": MATCH, "from": 9_995}, "result_window"),
        ({"query": MATCH, "collapse": {"field": "brand", "inner_hits": {}}}, "collapse"),
        ({"query": MATCH, "retriever": {"standard": {"query": MATCH}}}, "retriever"),
        ({"retriever": {"knn": {}}}, "retriever"),
        ({"query": MATCH, "ext": {"theirs": {}}}, "ext"),
        ({"query": "red"}, "query"),
        ({"query": MATCH, "no_such_key": 1}, "no_such_key"),
        ({"query": MATCH, "ext": {"hitweave": {"mode": "off"}}}, "off"),
    ],
)
def test_what_cannot_be_ranked_goes_through_with_its_reason(
    body: dict[str, Any], reason: str
) -> None:
    assert passed(body).reason == reason


@pytest.mark.parametrize("sort", [None, "_score", ["_score"], [{"_score": {"order": "desc"}}]])
def test_sorting_by_score_is_no_reason_to_pass_through(sort: Any) -> None:
    body = {"query": MATCH} if sort is None else {"query": MATCH, "sort": sort}
    assert ranked(body).text == "red shoes"


@pytest.mark.parametrize(
    "sort",
    [
        ["_score", {"price": "asc"}],
        [{"_score": {"order": "DESC"}}, {"price": "asc"}],
        {"_score": "desc", "price": "asc"},
    ],
)
def test_what_breaks_ties_behind_the_score_is_kept_for_the_hits(sort: Any) -> None:
    asked = ranked({"query": MATCH, "sort": sort})
    assert (asked.ties, asked.after) == (({"price": "asc"},), None)
    assert ranked({"query": MATCH, "sort": sort, "search_after": [2.5, 10]}).after == 2.5


def test_a_match_of_a_keyword_is_no_text() -> None:
    kind, exact = {"match": {"kind": "product"}}, Defaults(exact_fields=frozenset({"kind"}))
    found = parse({"query": {"bool": {"must": [MATCH, kind]}}}, {}, {}, exact)
    assert isinstance(found, RankedRequest)
    assert (found.text, found.filters) == ("red shoes", ({"term": {"kind": {"value": "product"}}},))
    assert parse({"query": kind}, {}, {}, exact) == PassThrough("no_text")


def test_hits_without_anything_stored_are_asked_for_with_their_ids() -> None:
    asked = ranked({"query": MATCH, "stored_fields": "_none_", "docvalue_fields": ["_id"]})
    assert asked.without_ids
    assert asked.body == {"query": MATCH, "docvalue_fields": ["_id"], "_source": False}
    assert not ranked({"query": MATCH, "stored_fields": ["title"]}).without_ids


def test_a_scroll_goes_through() -> None:
    assert passed({"query": MATCH}, {"scroll": "1m"}).reason == "parameter_scroll"


def test_parameters_of_the_url_win_over_the_body() -> None:
    asked = ranked(
        {"query": MATCH, "size": 5},
        {"size": "20", "from": "10", "_source": "title,price", "track_total_hits": "true"},
    )
    assert (asked.start, asked.size) == (10, 20)
    assert asked.body["_source"] == {"includes": ["title", "price"]}
    assert asked.body["track_total_hits"] is True


def test_a_query_in_the_url_is_ranked() -> None:
    asked = ranked({}, {"q": "red shoes", "df": "title"})
    assert asked.text == "red shoes"
    assert asked.query == {"query_string": {"query": "red shoes", "default_field": "title"}}


def test_routing_and_preference_go_to_every_leg() -> None:
    asked = ranked({"query": MATCH}, {"routing": "a", "preference": "_local", "pretty": "true"})
    assert asked.leg_params == {"routing": "a", "preference": "_local"}


def test_headers_serve_where_a_client_cannot_change_the_body() -> None:
    headers = {"X-User-Id": "u1", "X-Session-Id": "s1"}
    assert ranked({"query": MATCH}, headers=headers).shopper == Shopper("u1", "s1", None)
    named = {"query": MATCH, "ext": {"ubi": {"user_id": "u2", "client_id": 7}}}
    assert ranked(named, headers=headers).shopper == Shopper("u2", "s1", "7")


def test_unavailable_goods_are_asked_for_by_naming_the_field() -> None:
    asked = {"bool": {"must": [MATCH], "filter": [{"term": {"in_stock": False}}]}}
    defaults = Defaults(available_field="in_stock")
    assert ranked({"query": asked}, defaults=defaults).unavailable_asked_for
    assert not ranked({"query": asked}).unavailable_asked_for
    behind = {"query": MATCH, "post_filter": {"term": {"available": False}}}
    assert ranked(behind).unavailable_asked_for


@pytest.mark.parametrize(
    "hitweave",
    [
        {"mode": "best"},
        {"rank_window_size": 0},
        {"rank_window_size": 1001},
        {"rank_window_size": True},
        {"diversity": 1.5},
        {"diversity": "much"},
        {"context": ["mobile"]},
    ],
)
def test_what_hitweave_cannot_do_is_refused(hitweave: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        parse({"query": MATCH, "ext": {"hitweave": hitweave}}, {}, {}, Defaults())


def test_options_are_read() -> None:
    hitweave = {
        "mode": "knn",
        "rank_window_size": 30,
        "diversity": 0.5,
        "explain": True,
        "context": {"device": "mobile"},
        "experiment": "e1",
        "record": False,
    }
    options = ranked({"query": MATCH, "ext": {"hitweave": hitweave}}).options
    assert (options.mode, options.window, options.diversity) == ("knn", 30, 0.5)
    assert (options.explain, options.context, options.experiment, options.record) == (
        True,
        {"device": "mobile"},
        "e1",
        False,
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 20_000) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "query",
                        "match",
                        "bool",
                        "must",
                        "filter",
                        "should",
                        "title",
                        "sort",
                        "size",
                    ),
                    *("from", "collapse", "field", "retriever", "standard", "aggs", "post_filter"),
                    *("knn", "min_score", "ext", "ubi", "_source", "term", "function_score"),
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=25,
)
BODIES = st.dictionaries(st.sampled_from(["query", "sort", "size", "from", "knn", "ext"]), JSON)


@given(BODIES)
def test_no_body_breaks_the_parser_and_what_goes_through_says_why(
    body: dict[str, Any],
) -> None:
    try:
        found = parse(body, {}, {}, Defaults())
    except InvalidRequest:
        return
    if isinstance(found, PassThrough):
        assert found.reason
    else:
        assert found.text.strip()
        assert found.start >= 0
        assert found.size >= 0
