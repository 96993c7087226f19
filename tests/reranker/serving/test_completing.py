"""Completions of the catalogue, in English and Chinese, from what a search has read."""

from indexer.catalogue.mapping import IndexConfig
from reranker.serving.completing import body, completions

CONFIG = IndexConfig()
GOODS = [
    {"title": "Sony wireless earphones", "brand": "Sony", "categories": ["Audio"]},
    {"title": "Wired speaker", "brand": "Sonos", "categories": "Audio"},
    {"title": "Sony camera", "brand": "SONY", "categories": ["Cameras", "Audio visual"]},
    {"title": "索尼真无线耳机", "brand": "Sony"},
    {"title": "Sony  Camera", "brand": 3, "categories": [None]},
]


def completed(text: str) -> list[str]:
    return completions(CONFIG, text, GOODS)


def test_brands_of_most_products_come_before_titles() -> None:
    assert completed("so")[:2] == ["Sony", "Sonos"]
    assert completed("so")[2:] == ["Sony wireless earphones", "Sony camera"]


def test_titles_that_begin_so_come_before_those_with_such_a_word() -> None:
    assert completed("wire") == ["Wired speaker", "Sony wireless earphones"]
    assert completed("reless") == []


def test_a_text_of_a_script_without_spaces_may_be_anywhere() -> None:
    assert completed("无线") == ["索尼真无线耳机"]


def test_what_is_typed_already_completes_nothing() -> None:
    assert completed("Sony camera") == []
    assert completed("audio") == ["Audio visual"]


def test_the_shops_own_names_of_fields_are_read() -> None:
    config = IndexConfig(fields={"title": "name.en", "brand": "maker"})
    goods = [{"name": {"en": "Sony camera"}, "maker": "Sonos"}]
    assert completions(config, "so", goods) == ["Sonos", "Sony camera"]
    narrowing = [{"term": {"maker": "Sonos"}}]
    asked = body(config, "so", narrowing)
    assert asked["_source"] == ["name.en", "maker", "categories"]
    assert asked["query"]["bool"]["filter"] == narrowing
    assert asked["query"]["bool"]["minimum_should_match"] == 1
