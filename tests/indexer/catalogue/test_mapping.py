"""Configurations and the mappings they mean."""

from pathlib import Path
from typing import Any

import pytest

from indexer.behaviour.popularity import USUAL_HALF_LIFE_HOURS
from indexer.catalogue import attach
from indexer.catalogue.generation import read_stamp
from indexer.catalogue.mapping import (
    IndexConfig,
    check_name,
    mapping_body,
    mapping_digest,
    put_by_hand,
    read_config,
    settings_body,
    with_added,
)
from indexer.embedding.recipe import Recipe
from indexer.errors import IncompatibleIndex, InvalidConfig, UnknownIndex

RECIPE = Recipe(encoder="hashed:8", dims=8)


def test_a_stamp_reads_back_as_what_it_was_made_of() -> None:
    config = IndexConfig(encoder="hashed:8", fields={"title": "name"}, analyzer="english")
    found = read_stamp("shop", "shop-000001", mapping_body(config, RECIPE))
    assert (found.config, found.recipe) == (config, RECIPE)
    assert not found.is_attached
    assert read_stamp("shop", "shop", mapping_body(config, RECIPE)).is_attached


def test_a_stamped_mapping_tells_which_fields_hold_whole_values() -> None:
    body = mapping_body(IndexConfig(encoder="hashed:8"), RECIPE)
    body["properties"]["name"] = {"type": "text", "fields": {"raw": {"type": "keyword"}}}
    body["properties"]["sort"] = {"properties": {"price": {"type": "integer"}}}
    exact = read_stamp("shop", "shop-000001", body).exact_fields
    assert {"brand", "price", "name.raw", "sort.price"} <= exact
    assert not {"title", "name", "sort"} & exact


def test_an_index_without_a_stamp_is_refused_with_what_to_do() -> None:
    with pytest.raises(UnknownIndex, match="--attach"):
        read_stamp("shop", "shop", {"_meta": {"owner": "them"}})
    with pytest.raises(IncompatibleIndex, match="--rebuild"):
        read_stamp("shop", "shop", {"_meta": {"hitweave": {"config": {"analyzer": "french"}}}})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("analyzer: french", "analyzer"),
        ("fields: {name: title}", "'name' is not a field of ours"),
        ("fields: {title: name, brand: name}", "two of our fields"),
        ("fields: {title: hitweave.title}", "hitweave"),
        ("mappings: {hitweave.id: {type: keyword}}", "mapping of ours"),
        ("mappings: {embedding: {type: float}}", "mapping of ours"),
        ("{fields: {price: money.amount}, mappings: {money: {type: long}}}", "mapping of ours"),
        ("mappings: {published: date}", "published"),
        ("actions: {read: reading}", "actions.read"),
        ("actions: {Add-Favourite: click, add_favourite: click}", "the same action"),
        ("codes: [hitweave.id]", "no field of codes"),
        ("codes: ['']", "no field of codes"),
        ("dims: 5000", "dims"),
        ("trending_half_life_hours: 0", "trending_half_life_hours"),
        ("trending_half_life_hours: 6h", "trending_half_life_hours"),
        ("trending_half_life_hours: .nan", "trending_half_life_hours"),
        ("colour: red", "colour"),
        ("- a list", "an object"),
        ("a: [", "YAML"),
    ],
)
def test_a_configuration_that_cannot_be_carried_out_is_refused(
    text: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "index.yaml"
    path.write_text(text)
    with pytest.raises(InvalidConfig, match=reason):
        read_config(path, "shop")


def test_a_configuration_may_say_nothing(tmp_path: Path) -> None:
    path = tmp_path / "index.yaml"
    path.write_text("")
    assert read_config(path, "shop") == read_config(None, "shop")
    assert read_config(None, "shop").application == ("shop",)
    assert read_config(None, "shop").trending_half_life_hours == USUAL_HALF_LIFE_HOURS


def test_what_is_searched_carries_the_names_of_the_user() -> None:
    config = IndexConfig(fields={"title": "name", "brand": "maker.name"}).with_search_fields()
    assert config.search_fields == ("name^3", "description", "maker.name.text")
    properties = mapping_body(config, RECIPE)["properties"]
    assert properties["maker"]["properties"]["name"]["fields"]["text"]["type"] == "text"


def test_what_the_user_said_to_search_stays() -> None:
    config = IndexConfig(fields={"title": "name"}, search_fields=("label",)).with_search_fields()
    assert config.search_fields == config.chosen_search_fields == ("label",)


def test_what_is_searched_anyway_was_not_chosen() -> None:
    assert IndexConfig().chosen_search_fields == ()
    named = IndexConfig(fields={"title": "name"}).with_search_fields()
    assert named.chosen_search_fields == ()


@pytest.mark.parametrize("name", ["Shop", "_shop", "a*", "a,b", "", "shop-write", "shop-000001"])
def test_names_that_elasticsearch_or_our_aliases_cannot_take_are_refused(name: str) -> None:
    with pytest.raises(InvalidConfig):
        check_name(name)


def test_the_vector_and_the_analyzer_are_those_of_the_configuration() -> None:
    config = IndexConfig(vector_index="bbq_hnsw", analyzer="cjk", vector_field="v")
    properties = mapping_body(config, RECIPE)["properties"]
    assert properties["v"]["dims"] == 8
    assert properties["v"]["index_options"] == {"type": "bbq_hnsw"}
    assert properties["title"] == {"type": "text", "analyzer": "cjk"}
    assert "analysis" not in settings_body(config)
    assert "bilingual" in settings_body(IndexConfig())["analysis"]["analyzer"]


def test_the_digest_changes_with_the_mapping_alone() -> None:
    plain = mapping_digest(IndexConfig(), RECIPE)
    assert mapping_digest(IndexConfig(default_mode="rrf"), RECIPE) == plain
    assert mapping_digest(IndexConfig(analyzer="english"), RECIPE) != plain
    assert mapping_digest(IndexConfig(fields={"title": "name"}), RECIPE) != plain


DECLARED = {"published": {"type": "date"}, "author.name": {"type": "keyword"}}


def test_declared_fields_get_the_mapping_that_they_are_given() -> None:
    config = IndexConfig(mappings=DECLARED)
    properties = mapping_body(config, RECIPE)["properties"]
    assert properties["published"] == {"type": "date"}
    assert properties["author"] == {"properties": {"name": {"type": "keyword"}}}
    assert mapping_digest(config, RECIPE) != mapping_digest(IndexConfig(), RECIPE)


def test_an_index_of_codes_has_a_column_for_them_and_no_other_has() -> None:
    def column(config: IndexConfig) -> Any:
        return mapping_body(config, RECIPE)["properties"]["hitweave"]["properties"].get("codes")

    assert column(IndexConfig()) is None
    assert column(IndexConfig(codes=("sku",))) == {"type": "keyword"}
    digests = {mapping_digest(IndexConfig(codes=it), RECIPE) for it in ((), ("a",), ("b",))}
    assert len(digests) == 3


def test_of_an_index_of_theirs_only_declared_fields_that_it_lacks_are_added() -> None:
    theirs = their_mapping(published={"type": "keyword"})
    added = attach.absent_fields(theirs, IndexConfig(mappings=DECLARED))
    assert "published" not in added
    assert added["author"] == {"properties": {"name": {"type": "keyword"}}}


def their_mapping(**properties: Any) -> dict[str, Any]:
    return {"properties": {"title": {"type": "text"}, **properties}}


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ({"title": {"type": "keyword"}}, "title"),
        ({"price": {"type": "text"}}, "price"),
        ({"available": {"type": "keyword"}}, "available"),
        ({"updated_at": {"type": "keyword"}}, "updated_at"),
        ({"brand": {"properties": {"name": {"type": "text"}}}}, "brand"),
        ({"embedding": {"type": "float"}}, "no dense_vector"),
        ({"embedding": {"type": "dense_vector", "dims": 16}}, "16 dims"),
        (
            {"embedding": {"type": "dense_vector", "dims": 8, "similarity": "l2_norm"}},
            "not indexed for cosine",
        ),
        ({"embedding": {"type": "dense_vector", "dims": 8, "index": False}}, "not indexed"),
    ],
)
def test_a_field_of_a_type_that_cannot_work_is_named(field: dict[str, Any], reason: str) -> None:
    faults = attach.problems(their_mapping(**field), IndexConfig(), RECIPE)
    assert len(faults) == 1
    assert reason in faults[0]


def test_an_index_without_a_title_says_how_to_map_one() -> None:
    faults = attach.problems({"properties": {"name": {"type": "text"}}}, IndexConfig(), RECIPE)
    assert "fields: {title: name}" in faults[0]
    named = IndexConfig(fields={"title": "name"})
    assert attach.problems({"properties": {"name": {"type": "text"}}}, named, RECIPE) == []


def test_fields_and_vectors_that_fit_are_taken_as_they_are() -> None:
    theirs = their_mapping(
        money={"properties": {"amount": {"type": "half_float"}}},
        embedding={"type": "dense_vector", "dims": 8, "similarity": "dot_product", "index": True},
    )
    config = IndexConfig(fields={"price": "money.amount"})
    assert attach.problems(theirs, config, RECIPE) == []


def test_a_title_may_be_a_keyword_whose_words_are_a_text_field_within() -> None:
    name = {"type": "keyword", "fields": {"analyzed": {"type": "text"}}}
    config = IndexConfig(fields={"title": "name"})
    assert attach.problems({"properties": {"name": name}}, config, RECIPE) == []
    assert attach.searched({"properties": {"name": name}}, config) == ("name.analyzed^3",)
    name["fields"] = {"raw": {"type": "keyword"}}
    (fault,) = attach.problems({"properties": {"name": name}}, config, RECIPE)
    assert "'name' is keyword" in fault


def test_searched_are_the_fields_that_hold_text() -> None:
    theirs = their_mapping(
        brand={"type": "keyword", "fields": {"words": {"type": "text"}}},
        categories={"type": "keyword"},
    )
    assert attach.searched(theirs, IndexConfig()) == ("title^3", "brand.words")


def test_fields_that_are_absent_are_added_under_their_names() -> None:
    config = IndexConfig(fields={"price": "money.amount"})
    absent = attach.absent_fields(their_mapping(), config)
    assert "title" not in absent
    assert absent["money"]["properties"]["amount"] == {"type": "double"}
    assert absent["description"] == {"type": "text", "analyzer": "standard"}


def test_what_was_put_there_by_hand_is_told_from_what_was_made() -> None:
    made = mapping_body(IndexConfig(fields={"price": "money.amount"}), RECIPE)["properties"]
    there = {
        **made,
        "money": {"properties": {**made["money"]["properties"], "unit": {"type": "keyword"}}},
        "title": {**made["title"], "fields": {"raw": {"type": "keyword"}}},
        "isbn": {"type": "keyword"},
    }
    assert put_by_hand(made, made) == {}
    added = put_by_hand(there, made)
    assert added == {
        "money": {"properties": {"unit": {"type": "keyword"}}},
        "title": {"fields": {"raw": {"type": "keyword"}}},
        "isbn": {"type": "keyword"},
    }
    assert with_added(made, added) == there


def test_what_was_put_there_by_hand_yields_to_a_new_configuration() -> None:
    now = mapping_body(
        IndexConfig(
            fields={"title": "name"}, mappings={"isbn": {"type": "long"}, "money": {"type": "long"}}
        ),
        RECIPE,
    )["properties"]
    added = {
        "isbn": {"type": "keyword"},
        "money": {"properties": {"unit": {"type": "keyword"}}},
        "title": {"fields": {"raw": {"type": "keyword"}}},
    }
    assert with_added(now, added) == now
