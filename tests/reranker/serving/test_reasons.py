"""What a shopper is told: each family has its sentence, and none is told where it does not hold."""

import math
from dataclasses import replace
from typing import Any

import pytest

from reranker.fusion.attribution import ITEM, QUERY, SHOPPER
from reranker.serving.evidence import Deed, Evidence
from reranker.serving.reasons import GROUNDS, Reason, reason, reasons
from reranker.serving.sentences import OF_MEDIA, SENTENCES, say
from reranker.signals import definition

BAG = Deed("bag", "purchase", 3.0)
DEFAULTS = {signal.name: signal.default for signal in definition.SIGNALS}
ONE, TWO, FIVE = math.log1p(1), math.log1p(2), math.log1p(5)


def evidence(strongest: str, deeds: dict[str, Deed] | None = None, **signals: float) -> Evidence:
    """A candidate for which `strongest` speaks most; all other signals at their defaults."""
    return Evidence({strongest: 1.0, "candidates": 0.1}, DEFAULTS | signals, **(deeds or {}))


RATE = math.log((4 + 0.5) / (20 + 10))  # four clicks in twenty exposures
TABLE: list[tuple[str, str, dict[str, Deed], dict[str, float], str]] = [
    ("relevance", "bm25", {}, {"bm25": 3.0}, "Matches your words."),
    ("relevance", "knn", {}, {"knn": 0.6, "knn_share": 1.0}, "Close in meaning to your search."),
    (
        "title",
        "query_covered",
        {},
        {"query_covered": 1.0, "query_words": TWO},
        "Its title has the words you searched for.",
    ),
    (
        "title",
        "phrase",
        {},
        {"query_covered": 1.0, "query_words": math.log1p(8)},
        "Matches your words.",
    ),
    ("product", "price", {}, {"price_to_list": -0.5}, "Costs less than most here."),
    (
        "product",
        "price_to_shopper",
        {},
        {"price_to_shopper": 0.1, "shopper_items": ONE},
        "Near the price you usually pay.",
    ),
    ("product", "available", {}, {"card": 1.0}, "Available now."),
    ("product", "catalogue_popularity", {}, {"catalogue_popularity": 1.0}, "Popular here."),
    (
        "popularity",
        "purchases_30d",
        {},
        {"purchases": FIVE, "purchases_120d_place": 0.9},
        "Popular with others.",
    ),
    ("popularity", "buyers", {}, {"purchases": FIVE}, "Others bought this."),
    ("popularity", "views_30d", {}, {"views_30d": ONE}, "Others looked at this."),
    (
        "popularity",
        "trend_7d",
        {},
        {"trend_7d": 0.5, "purchases_7d": ONE, "purchases": FIVE},
        "Bought more than usual these days.",
    ),
    (
        "search",
        "click_rate",
        {},
        {"click_rate": RATE, "exposure": math.log1p(20)},
        "Popular for this search.",
    ),
    ("personal", "own_days", {}, {"own_purchases": ONE}, "You bought this before."),
    ("personal", "own_carts", {}, {"own_carts": ONE}, "You put this in your cart before."),
    ("personal", "own_views", {}, {"own_views": ONE}, "You looked at this before."),
    (
        "together",
        "bought_with",
        {"bought_with": BAG},
        {},
        "Because you bought RED BAG: the two are often bought together.",
    ),
    (
        "together",
        "bought_with_max",
        {"bought_with": replace(BAG, weight=0.7)},
        {},
        "Has been bought together with RED BAG.",
    ),
    (
        "together",
        "bought_with",
        {"bought_with": replace(BAG, kind="view")},
        {},
        "Often bought together with RED BAG, which you looked at.",
    ),
    (
        "together",
        "viewed_with",
        {"viewed_with": BAG},
        {},
        "Has been looked at together with RED BAG.",
    ),
    ("together", "likeness", {"alike": BAG}, {}, "Similar to RED BAG, which you bought."),
    ("together", "taste", {"looked_at": BAG}, {}, "Because you bought RED BAG."),
    ("together", "brand_affinity", {}, {"brand_affinity": 0.2}, "From a brand you chose before."),
    (
        "together",
        "category_affinity",
        {},
        {"category_affinity": 0.2},
        "From a category you chose before.",
    ),
    ("context", "same_domain", {}, {"same_domain": 1.0}, "From the section you are in."),
    (
        SHOPPER,
        SHOPPER,
        {"looked_at": replace(BAG, kind="cart")},
        {},
        "Because you put RED BAG in your cart.",
    ),
    (QUERY, QUERY, {}, {}, "Fits your search."),
    (ITEM, ITEM, {}, {}, "Fits your search."),
]


@pytest.mark.parametrize(("family", "strongest", "deeds", "signals", "sentence"), TABLE)
def test_the_strongest_reason_is_told_where_it_holds(
    family: str, strongest: str, deeds: dict[str, Deed], signals: dict[str, float], sentence: str
) -> None:
    told = reason(evidence(strongest, deeds, **signals))
    assert say(told, "en", "RED BAG") == sentence
    as_family = reason(evidence(family, deeds, **signals))  # signals not told apart
    assert as_family.key in SENTENCES


def test_every_family_and_every_token_has_a_sentence() -> None:
    assert {row[0] for row in TABLE} == {*definition.FAMILIES, QUERY, ITEM, SHOPPER}
    for name in (*definition.NAMES, *definition.FAMILIES, QUERY, ITEM, SHOPPER):
        assert sum(name in ground.of for ground in GROUNDS) == 1, name


@pytest.mark.parametrize("strongest", [*definition.NAMES, QUERY, ITEM, SHOPPER])
def test_nothing_is_claimed_of_whom_nothing_is_known(strongest: str) -> None:
    told = reason(evidence(strongest))
    assert told == Reason("fits")


@pytest.mark.parametrize(
    ("strongest", "deeds", "signals"),
    [
        ("own_days", {}, {"own_views": 0.0, "own_dismissed": ONE}),
        ("purchases", {}, {"purchases": TWO, "own_purchases": TWO}),  # nobody else bought it
        (
            "trend_7d",
            {},
            {"trend_7d": 1.0, "purchases_7d": ONE, "purchases": ONE, "own_purchases": ONE},
        ),
        ("click_rate", {}, {"exposure": math.log1p(20), "click_rate": math.log(0.5 / 30)}),
        ("click_rate", {}, {"exposure": math.log1p(20), "click_rate": RATE, "own_views": FIVE}),
        ("likeness", {}, {"likeness": 0.9}),
        ("price", {}, {"price_to_list": 0.3, "price_to_shopper": 0.0, "shopper_items": ONE}),
        ("knn", {}, {"knn": 0.5, "knn_share": -1.0}),
    ],
)
def test_a_claim_that_does_not_hold_is_not_made(
    strongest: str, deeds: Any, signals: dict[str, float]
) -> None:
    told = reason(evidence(strongest, deeds, **signals))
    assert told.key in {"fits", "bought_before"}
    if told.key == "bought_before":
        assert signals["own_purchases"] > 0


def test_the_next_reason_is_told_where_the_strongest_does_not_hold() -> None:
    found = Evidence({"own_purchases": 2.0, "bm25": 1.0}, DEFAULTS | {"bm25": 4.0})
    assert reason(found) == Reason("words")


def test_what_speaks_against_a_hit_is_no_reason() -> None:
    found = Evidence({"own_purchases": -2.0, "bm25": 1.0}, {"own_purchases": ONE, "bm25": 4.0})
    assert reason(found) == Reason("words")


def test_what_could_be_said_of_every_hit_sets_none_apart() -> None:
    words = {"bm25": 4.0}
    shown = {
        "a": Evidence({"bm25": 5.0, "purchases": 0.2}, words | {"purchases": FIVE}),
        "b": Evidence({"bm25": 3.0, "own_days": 0.1}, words | {"own_purchases": ONE}),
        "c": Evidence({"bm25": 4.0, "purchases": -0.5}, words | {"purchases": FIVE}),
    }
    told = reasons(shown)
    assert {name: it.key for name, it in told.items()} == {
        "a": "others_bought",
        "b": "bought_before",
        "c": "words",  # nothing speaks for it but what speaks for all
    }


def test_a_hit_alone_is_told_its_strongest_reason() -> None:
    alone = evidence("own_days", own_purchases=ONE)
    assert reasons({"a": alone}) == {"a": reason(alone)}
    assert reasons({}) == {}


OF_SALES = ("bought", "purchase", "cart", "cheaper", "usual_price", "trending")


@pytest.mark.parametrize("key", [key for key in SENTENCES if not any(w in key for w in OF_SALES)])
def test_what_is_no_sale_can_be_said_of_an_article(key: str) -> None:
    english, chinese = SENTENCES[key]
    assert not any(word in english for word in ("shop", "buy", "bought", "sell"))
    assert not any(word in chinese for word in ("买", "卖", "售", "货"))


@pytest.mark.parametrize("key", [key for key in SENTENCES if any(w in key for w in OF_SALES)])
def test_of_media_nothing_is_said_of_buying(key: str) -> None:
    if "price" in key or key == "cheaper":
        return
    for language in ("en", "zh"):
        said = say(Reason(key), language, "X", "media")
        assert not any(word in said for word in ("ought", "cart", "买", "购"))
        assert ("{title}" in OF_MEDIA[key][0]) == ("{title}" in SENTENCES[key][0])
        assert said != say(Reason(key), language, "X")


@pytest.mark.parametrize("key", SENTENCES)
def test_no_sentence_calls_an_item_goods_or_people_shoppers(key: str) -> None:
    english, chinese = SENTENCES[key]
    assert not any(word in english.casefold() for word in ("goods", "product", "shop", "stock"))
    assert not any(word in chinese for word in ("商品", "顾客", "本店", "销量", "有货"))


@pytest.mark.parametrize(
    ("title", "language", "said"),
    [
        ("Apple Inc.", "en", "Similar to Apple Inc."),
        ("Ready?", "en", "Similar to Ready?"),
        ("Apple", "en", "Similar to Apple."),
        ("Apple Inc.", "zh", "与Apple Inc.相似。"),
    ],
)
def test_a_title_that_ends_a_sentence_ends_it_once(title: str, language: str, said: str) -> None:
    assert say(Reason("like_seed", "x"), language, title) == said


@pytest.mark.parametrize("language", ["zh", "zh-CN", "ZH_Hans"])
def test_chinese_is_spoken_where_it_is_asked_for(language: str) -> None:
    assert (
        say(Reason("because_purchase", "bag"), language, "红色手提袋") == "因为您买过红色手提袋。"
    )
    assert say(Reason("because_purchase", "bag"), language, None) == "基于您以前的购买。"


def test_an_item_without_a_title_is_not_named() -> None:
    assert (
        say(Reason("because_purchase", "bag"), "en", None) == "Because of what you bought before."
    )


def test_a_title_with_braces_is_said_as_it_is() -> None:
    assert say(Reason("because_view", "x"), "en", "{0} {title}") == (
        "Because you looked at {0} {title}."
    )


@pytest.mark.parametrize("key", SENTENCES)
def test_a_sentence_that_names_an_item_has_one_that_does_not(key: str) -> None:
    english, chinese = SENTENCES[key]
    assert ("{title}" in english) == ("{title}" in chinese)
    if "{title}" in english:
        assert "{title}" not in "".join(SENTENCES[f"{key}_unnamed"])
