"""What the query languages mean: the words a person said, and whether operators demand anything."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.retrieval import clause, syntax

AND = {"default_operator": "and"}
FIELDS = {"fields": ["name^2", "title"]}


def said(kind: str, query: str, extra: dict[str, Any]) -> tuple[str, bool]:
    found = syntax.meaning(kind, {"query": query, **extra})
    return found.words, found.demands


@pytest.mark.parametrize(
    ("query", "extra", "words", "demands"),
    [
        # Plain text asks for more than it names, and so may the vectors find more.
        ("red shoes", {}, "red shoes", False),
        ("red shoes", AND, "red shoes", False),
        ("red shoes", {"minimum_should_match": "75%"}, "red shoes", False),
        ("t-shirt", {}, "t-shirt", False),
        ("C++", {}, "C++", False),
        ("lamp - red", {}, "lamp red", False),
        ("lamp ! red", {}, "lamp red", False),
        (r"3\:2 \-red", {}, "3:2 -red", False),
        (r"\*", {}, "*", False),
        ("rock&roll not and or", {}, "rock&roll not and or", False),
        ("ANDROID", {}, "ANDROID", False),
        ("roam~ red^2", {}, "roam red", False),
        ("red OR blue", {}, "red blue", False),
        ("red || blue", {}, "red blue", False),
        ("lamp (red)", {}, "lamp red", False),
        ("耳机　无线", {}, "耳机 无线", False),
        # Operators leave out what words alone would not.
        ("red AND shoes", {}, "red shoes", True),
        ("red && shoes", {}, "red shoes", True),
        ("+red shoes", {}, "red shoes", True),
        ("耳机 NOT 有线", {}, "耳机", True),
        ("耳机 -有线", {}, "耳机", True),
        ("耳机 !有线", {}, "耳机", True),
        ("red -(old OR used) shoes", {}, "red shoes", True),
        ("red -(old (or used)) shoes", {}, "red shoes", True),
        ('red -"well used" shoes', {}, "red shoes", True),
        ('"red shoes"~2', {}, "red shoes", True),
        ("red OR blue", AND, "red blue", True),
        ("(red blue) shoes", AND, "red blue shoes", True),
        ("red OR blue", {"minimum_should_match": 1}, "red blue", True),
        ("lam* d?sk", {}, "lam d sk", True),
        ("/joh?n/ red", {}, "red", True),
        # A field is an operator; its values are words where it is one of text.
        ("耳机 AND brand:索尼", {}, "耳机", True),
        ("耳机 brand : 索尼 红色", {}, "耳机 红色", True),
        ("brand:(acme OR zeta) lamp", {}, "lamp", True),
        ("-brand:acme lamp", {}, "lamp", True),
        ('brand:"acme red" lamp', {}, "lamp", True),
        ("title:red", {}, "red", True),
        ("title:(red AND lamp) -brand:zeta", {}, "red lamp", True),
        ("-title:red lamp", {}, "lamp", True),
        ("brand.text:acme", {}, "acme", True),
        ("name:red", {}, "", True),
        ("name:red", FIELDS, "red", True),
        ("name:red", {"default_field": "name"}, "red", True),
        ("ti:red", {"fields": ["t*"]}, "red", True),
        ("brand:red", {"fields": ["*"]}, "", True),
        ("3:2", {}, "", True),
        ("_exists_:title lamp", {}, "lamp", True),
        # Bounds are no words.
        ("耳机 AND price:[0 TO 100]", {}, "耳机", True),
        ("lamp price:{10 TO *}", {}, "lamp", True),
        ("lamp price:>=10", {}, "lamp", True),
        ("lamp title:>a", {}, "lamp", True),
        ("[a TO b] lamp", {}, "lamp", True),
        ("*", {}, "", True),
        ("*:*", {}, "", True),
        ("", {}, "", False),
    ],
)
def test_a_query_string_is_read_as_lucene_reads_it(
    query: str, extra: dict[str, Any], words: str, demands: bool
) -> None:
    assert said("query_string", query, extra) == (words, demands)


@pytest.mark.parametrize(
    ("query", "extra", "words", "demands"),
    [
        ("red shoes", {}, "red shoes", False),
        ("red shoes", AND, "red shoes", False),
        ("t-shirt 3:2 brand:acme", {}, "t-shirt 3:2 brand:acme", False),
        ("red NOT shoes AND price:[0 TO 9]", {}, "red NOT shoes AND price:[0 TO 9]", False),
        ("C++", {}, "C", False),
        ("C++ book", {}, "C book", True),
        ("red + shoes", {}, "red shoes", True),
        ("+red", {}, "red", False),
        ("red | blue", {}, "red blue", False),
        ("red | blue", AND, "red blue", True),
        ("耳机 -有线", {}, "耳机", True),
        ("耳机 -有线", AND, "耳机", True),
        ("lamp - red", {}, "lamp red", False),
        ("lamp --red", {}, "lamp red", False),
        ("red -(old used) shoes", {}, "red shoes", True),
        ('red -"well used"', {}, "red", True),
        ('"red shoes"~2', {}, "red shoes", True),
        ('27" screen', {}, "27 screen", False),
        ("lam*", {}, "lam", True),
        (r"lam\*", {}, "lam*", False),
        (r"lamp \-red", {}, "lamp -red", False),
        ("lamp roam~2", {}, "lamp roam", False),
        ("*", {}, "", False),
        ("耳机 -有线", {"flags": "AND|OR"}, "耳机 -有线", False),
        ("耳机 -有线", {"flags": "OR|NOT|WHITESPACE"}, "耳机", True),
        ("耳机 -有线", {"flags": "NONE"}, "耳机 -有线", False),
        ("耳机 -有线", {"flags": 2}, "耳机 -有线", False),
        ("耳机 -有线", {"flags": 2 | 128}, "耳机", True),
        ("耳机 -有线", {"flags": -1}, "耳机", True),
        ('"red" lam* a+b', {"flags": "WHITESPACE"}, '"red" lam* a+b', False),
    ],
)
def test_a_simple_query_string_has_the_operators_of_its_flags(
    query: str, extra: dict[str, Any], words: str, demands: bool
) -> None:
    assert said("simple_query_string", query, extra) == (words, demands)


def test_words_of_a_demand_find_more_only_where_they_match() -> None:
    plain = {"query_string": {"query": "red shoes"}}
    strict = {"query_string": {"query": "red -old"}}
    term = {"term": {"brand": "acme"}}
    assert clause.filters_of(plain) == []
    assert clause.filters_of(strict) == [strict]
    assert clause.filters_of({"bool": {"must": strict, "filter": term}}) == [
        {"bool": {"filter": [term, strict]}}
    ]
    assert clause.filters_of({"function_score": {"query": strict}}) == [strict]
    assert clause.filters_of({"bool": {"should": [strict, term]}}) == [
        {"bool": {"should": [strict, term], "minimum_should_match": 1}}
    ]
    assert clause.filters_of({"bool": {"should": [strict, plain]}}) == []
    assert clause.filters_of({"bool": {"must": plain, "should": [strict]}}) == []
    assert clause.filters_of({"dis_max": {"queries": [strict, term]}}) == [
        {"bool": {"should": [strict, term], "minimum_should_match": 1}}
    ]


def test_another_text_leaves_what_a_query_string_demands() -> None:
    strict = {"query_string": {"query": "red -old"}}
    assert clause.with_text(strict, "blue") == strict
    plain = {"query_string": {"query": "red shoes"}}
    assert clause.with_text(plain, "blue -boots") == {"query_string": {"query": "blue boots"}}


@given(
    st.text(alphabet='ab \\"()[]{}/:*?~^+-!|&>01　', max_size=40), st.sampled_from(["and", "or"])
)
def test_any_text_is_read(text: str, operator: str) -> None:
    for kind in syntax.KINDS:
        found = syntax.meaning(kind, {"query": text, "default_operator": operator})
        assert found.words == " ".join(found.words.split())
