"""What rules come to together, and the request that is asked under them."""

from typing import Any

import pytest

from reranker.retrieval.request import Defaults, RankedRequest, parse
from reranker.rules import effects, rule
from reranker.rules.effects import NO_EFFECTS, Effects


def of(*thens: dict[str, Any]) -> Effects:
    made = [rule.read({"then": then}, "shop", f"r{at}") for at, then in enumerate(thens)]
    return effects.of(made)


def request(body: dict[str, Any]) -> RankedRequest:
    asked = parse(body, {}, {}, Defaults())
    assert isinstance(asked, RankedRequest)
    return asked


ACME = {"term": {"brand": "acme"}}
LAMP = {"query": {"match": {"title": "lamp"}}}


def test_without_rules_the_request_is_the_same_one() -> None:
    asked = request(LAMP)
    assert effects.of([]) is NO_EFFECTS
    assert effects.narrowed(asked, NO_EFFECTS) is asked


def test_what_one_rule_hides_no_other_pins_and_the_first_decides() -> None:
    found = of(
        {"pin": [{"id": "a", "position": 3}, {"id": "b", "position": 1}], "redirect": "/one"},
        {"pin": [{"id": "a", "position": 1}], "hide": ["b"], "redirect": "/two"},
        {"replace_query": "light"},
    )
    assert found.pins == (("a", 3),)
    assert found.hidden == ("b",)
    assert (found.redirect, found.text) == ("/one", "light")
    assert found.told() == {"rules": ["r0", "r1", "r2"], "redirect": "/one"}


def test_hidden_products_are_asked_for_nowhere() -> None:
    found = of({"hide": ["b"], "filter": {"term": {"brand": "acme"}}})
    asked = request({**LAMP, "knn": {"field": "v", "query_vector": [1.0], "k": 3}})
    narrowed = effects.narrowed(asked, found)
    hidden = {"bool": {"must_not": [{"ids": {"values": ["b"]}}]}}
    wanted = [{"term": {"brand": "acme"}}, hidden]
    assert narrowed.query == {"bool": {"must": [LAMP["query"]], "filter": wanted}}
    assert narrowed.body["query"] == narrowed.query
    assert list(narrowed.filters) == wanted
    assert narrowed.body["knn"][0]["filter"] == wanted
    assert narrowed.text == asked.text


def test_a_replaced_query_is_asked_where_the_text_stood_and_filters_stay() -> None:
    body = {
        "query": {
            "bool": {
                "must": [
                    {"multi_match": {"query": "lmap", "fields": ["title^3", "description"]}},
                    {"match": {"title": {"query": "lmap", "operator": "and", "boost": 2}}},
                ],
                "should": {"match_phrase": {"title": "lmap", "boost": 3}},
                "filter": [{"match": {"brand": "lmap"}}],
            }
        }
    }
    narrowed = effects.narrowed(request(body), of({"replace_query": "lamp"}))
    assert narrowed.text == "lamp"
    assert narrowed.query == {
        "bool": {
            "must": [
                {"multi_match": {"query": "lamp", "fields": ["title^3", "description"]}},
                {"match": {"title": {"query": "lamp", "operator": "and", "boost": 2}}},
            ],
            "should": {"match_phrase": {"title": "lamp", "boost": 3}},
            "filter": [{"match": {"brand": "lmap"}}],
        }
    }


def test_synonyms_are_searched_for_beside_what_was_said() -> None:
    body = {"query": {"bool": {"must": {"match": {"title": "Red SOFA"}}, "filter": [ACME]}}}
    found = of({"synonyms": {"sofa": ["couch", "settee"], "bed": "cot"}})
    narrowed = effects.narrowed(request(body), found)
    queries = narrowed.query["dis_max"]["queries"]
    asked = [query["bool"]["must"]["match"]["title"] for query in queries]
    assert asked == ["Red SOFA", "red couch", "red settee"]
    assert all(query["bool"]["filter"] == [ACME] for query in queries)
    assert narrowed.text == "Red SOFA"
    assert list(narrowed.filters) == [ACME]
    same = request(LAMP)
    assert effects.narrowed(same, found) is same


@pytest.mark.parametrize(
    ("text", "word", "wanted"),
    [
        ("sofabed", "sofa", []),
        ("a sofa, red", "sofa", ["a X, red"]),
        ("无线耳机套", "耳机", ["无线X套"]),
        ("ＳＯＦＡ", "Sofa", ["X"]),
        ("c++ book", "c++", ["X book"]),
    ],
)
def test_a_synonym_stands_in_for_whole_words(text: str, word: str, wanted: list[str]) -> None:
    assert effects.variants(text, [(word, ["X"])]) == wanted
    assert effects.variants("a", [("a", [r"\g<0>\1"])]) == [r"\g<0>\1"]


def test_a_standard_retriever_is_asked_as_the_query_that_it_is() -> None:
    retriever = {"standard": {"query": LAMP["query"], "filter": {"term": {"brand": "acme"}}}}
    narrowed = effects.narrowed(request({"retriever": retriever}), of({"hide": ["b"]}))
    assert "retriever" not in narrowed.body
    assert {"term": {"brand": "acme"}} in narrowed.filters


def test_the_window_reaches_to_the_last_pinned_place() -> None:
    asked = request({**LAMP, "ext": {"hitweave": {"rank_window_size": 5}}})
    found = of({"pin": [{"id": "a", "position": 40}]})
    assert effects.narrowed(asked, found).options.window == 40
    assert effects.narrowed(request(LAMP), found).options.window == 100


def test_shares_add_up_by_id_and_by_mark() -> None:
    found = of(
        {"boost": [{"field": "brand", "value": "acme", "by": 0.5}, {"ids": ["b"], "by": 0.25}]},
        {"bury": [{"field": "price", "value": [1, 2], "by": 0.125}]},
    )
    assert len(found.marks) == 2
    marks = [frozenset({0}), frozenset({0, 1}), frozenset()]
    shares = effects.shares(found, ["a", "b", "c"], marks)
    assert shares is not None
    assert shares.tolist() == [0.5, 0.625, 0.0]
    assert effects.shares(found, ["b"], []) is not None
    assert effects.shares(of({"hide": ["x"]}), ["b"], []) is None


@pytest.mark.parametrize(
    "then",
    [
        {"hide": ["b"], "filter": {"term": {"brand": "acme"}}},
        {"redirect": "/x", "replace_query": "y"},
        {"synonyms": {"lamp": ["light", "luminaire"]}},
        {"pin": [{"id": "a", "position": 2}]},
    ],
)
def test_a_kept_order_knows_what_its_later_pages_need(then: dict[str, Any]) -> None:
    found = of(then)
    again = effects.from_kept(effects.kept(found))
    assert effects.kept(again) == effects.kept(found)
    assert again.told() == found.told()
    assert again.narrowing == found.narrowing
    assert effects.from_kept(effects.kept(NO_EFFECTS)) is NO_EFFECTS


def test_an_own_order_tells_only_of_rules_that_narrow_it() -> None:
    found = of({"pin": [{"id": "a", "position": 1}]}, {"hide": ["b"]})
    assert found.told(ordered=False) == {"rules": ["r1"]}
