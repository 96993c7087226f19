"""A rule holds when all that it names holds, whatever the case and width of the letters."""

import fnmatch
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.rules import rule
from reranker.rules.matching import RuleSet, Seen, seen

NOW = 1_780_000_000.0  # 2026-05-28


def search(text: str = "lamp", filters: Any = (), **context: Any) -> Seen:
    return seen(text, filters, context, NOW)


def holds(when: dict[str, Any], asked: Seen, **others: Any) -> bool:
    document = {"when": when, "then": {"hide": ["x"]}, **others}
    return bool(RuleSet([rule.read(document, "shop", "r")]).matching(asked))


@pytest.mark.parametrize(
    ("form", "text", "wanted"),
    [
        ({"exact": "red lamp"}, "  RED   lamp", True),
        ({"exact": "ｌａｍｐ"}, "lamp", True),
        ({"exact": "red lamp"}, "red lamps", False),
        ({"words": "lamp red"}, "a red desk lamp", True),
        ({"words": "lamp"}, "lampshade", False),
        ({"words": "台灯"}, "护眼台灯", True),
        ({"words": "台灯"}, "灯台", False),
        ({"words": "蓝牙 耳机"}, "无线耳机 蓝牙", True),
        ({"words": "t-shirt"}, "white t-shirt xl", True),
        ({"words": "t-shirt"}, "shirt t", False),
        ({"prefix": "lam"}, "Lampshade", True),
        ({"prefix": "lam"}, "a lamp", False),
        ({"pattern": "* lamp for *"}, "desk lamp for kids", True),
        ({"pattern": "* lamp for *"}, "lamp for kids", False),
        ({"pattern": "ab*ba"}, "aba", False),
        ({"exact": "x", "prefix": "des"}, "desk", True),
    ],
)
def test_a_query_reads_as_its_form_says(form: Any, text: str, wanted: bool) -> None:
    assert holds({"query": form}, search(text)) is wanted


@given(st.text("ab* ", max_size=12), st.text("ab ", max_size=20))
def test_a_pattern_means_what_a_shell_means_by_stars(pattern: str, text: str) -> None:
    pattern = " ".join(pattern.split())
    if not pattern:
        return
    asked = search(text)
    assert holds({"query": {"pattern": pattern}}, asked) is fnmatch.fnmatchcase(asked.text, pattern)


@pytest.mark.parametrize(
    "filters",
    [
        [{"term": {"categories": "shoes"}}],
        [{"term": {"categories": {"value": "Shoes"}}}],
        [{"bool": {"filter": [{"terms": {"categories": ["hats", "SHOES"], "boost": 2}}]}}],
        [{"range": {"price": {"lt": 5}}}, {"bool": {"must": {"match": {"categories": "shoes"}}}}],
        [{"constant_score": {"filter": {"term": {"categories": "shoes"}}}}],
    ],
)
def test_a_category_is_seen_wherever_a_request_filters_by_it(filters: Any) -> None:
    assert holds({"filters": {"categories": "Shoes"}}, search(filters=filters))


@pytest.mark.parametrize(
    "filters",
    [
        [],
        [{"term": {"brand": "shoes"}}],
        [{"bool": {"must_not": [{"term": {"categories": "shoes"}}]}}],
        [{"bool": {"should": [{"term": {"categories": "shoes"}}]}}],
        ["no clause", {"term": "none"}],
    ],
)
def test_a_category_that_is_not_asked_for_is_not_seen(filters: Any) -> None:
    assert not holds({"filters": {"categories": "Shoes"}}, search(filters=filters))


def test_context_counts_as_it_is_said() -> None:
    when = {"context": {"device": ["mobile", "tablet"], "hour": 8, "member": True}}
    assert holds(when, search(device="Mobile", hour=8.0, member=True))
    assert holds(when, search(device=["tv", "tablet"], hour="8", member="true"))
    assert not holds(when, search(device="mobile", hour=9, member=True))
    assert not holds(when, search(device="mobile", hour=8))


@pytest.mark.parametrize(
    ("starts", "ends", "wanted"),
    [
        (0, None, True),
        (1, None, False),
        (None, 0, False),
        (None, 1, True),
        (-1, 1, True),
    ],
)
def test_a_time_window_counts_its_start_and_not_its_end(
    starts: int | None, ends: int | None, wanted: bool
) -> None:
    named = {"starts": starts, "ends": ends}
    when = {name: NOW + by for name, by in named.items() if by is not None}
    assert holds(when, search()) is wanted


def test_what_is_switched_off_never_holds_and_what_says_nothing_always_does() -> None:
    assert holds({}, search("anything"))
    assert not holds({}, search("anything"), enabled=False)
    assert not RuleSet([rule.read({"then": {"hide": ["x"]}, "enabled": False}, "shop", "r")])


def test_rules_that_ask_elasticsearch_more_can_be_left_out() -> None:
    thens: dict[str, Any] = {
        "a": {"hide": ["x"]},
        "b": {"filter": {"term": {"brand": "acme"}}},
        "c": {"bury": [{"field": "brand", "value": "acme", "by": 1}]},
        "d": {"boost": [{"ids": ["x"], "by": 1}]},
    }
    made = RuleSet([rule.read({"then": then}, "shop", name) for name, then in thens.items()])
    plain = made.without_queries()
    assert [it.id for it in plain.rules] == ["a", "d"]
    assert plain.without_queries() is plain


def test_rules_come_in_the_order_of_their_ids() -> None:
    made = [rule.read({"then": {"hide": ["x"]}}, "shop", name) for name in ("b", "a", "c")]
    assert [it.id for it in RuleSet(made).matching(search())] == ["a", "b", "c"]
