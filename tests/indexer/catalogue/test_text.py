"""From a product to its document: what is embedded, what is stored, and which hash changes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalogue.mapping import IndexConfig
from indexer.catalogue.product import ProductUpdate, read_product
from indexer.catalogue.text import Target, product_in, stamped, target_of
from indexer.embedding.recipe import Recipe
from indexer.errors import InvalidProduct

RECIPE = Recipe(encoder="hashed:8", dims=8)
OTHER_RECIPE = Recipe(encoder="hashed:8", dims=8, revision="2")
CONFIG = IndexConfig(encoder="hashed:8")
MUG: dict[str, Any] = {
    "id": "1",
    "title": "Red mug",
    "brand": "Acme",
    "categories": ["Kitchen", "Mugs"],
    "description": "Holds tea.",
    "price": 3.5,
    "attributes": {"size": "large", "height": 9},
}


def target(line: dict[str, Any], received_at_ms: int = 1000, **options: Any) -> Target:
    config, recipe = options.get("config", CONFIG), options.get("recipe", RECIPE)
    product = read_product(line, config.fields)
    return target_of(ProductUpdate(product=product, received_at_ms=received_at_ms), config, recipe)


def test_the_text_begins_with_what_matters_most() -> None:
    assert target(MUG).text == "Red mug. Acme. Kitchen, Mugs. Holds tea. size large"


def test_a_brand_that_the_title_says_is_not_said_twice() -> None:
    assert target({"id": "1", "title": "Acme mug", "brand": "Acme"}).text == "Acme mug"


@pytest.mark.parametrize(
    "change", [{"price": 4}, {"available": False}, {"ean": "401"}, {"popularity": 7}]
)
def test_what_is_not_in_the_text_changes_only_the_fields_hash(change: dict[str, Any]) -> None:
    before, after = target(MUG).expected, target({**MUG, **change}).expected
    assert before.text_hash == after.text_hash
    assert before.fields_hash != after.fields_hash


@pytest.mark.parametrize("change", [{"title": "Blue mug"}, {"description": "Holds coffee."}])
def test_what_is_in_the_text_changes_both_hashes(change: dict[str, Any]) -> None:
    before, after = target(MUG).expected, target({**MUG, **change}).expected
    assert before.text_hash != after.text_hash
    assert before.fields_hash != after.fields_hash


def test_another_recipe_changes_the_text_hash_alone() -> None:
    before, after = target(MUG).expected, target(MUG, recipe=OTHER_RECIPE).expected
    assert before.text_hash != after.text_hash
    assert before.fields_hash == after.fields_hash


def test_arriving_again_changes_no_hash_though_the_document_says_when() -> None:
    first, second = target(MUG, 1000), target(MUG, 2000)
    assert first.expected.fields_hash == second.expected.fields_hash
    assert stamped(first, IndexConfig(), "r")["updated_at"] == "1970-01-01T00:00:01.000Z"
    assert stamped(second, IndexConfig(), "r")["updated_at"] == "1970-01-01T00:00:02.000Z"


def test_an_update_that_says_its_time_changes_the_fields_hash_with_it() -> None:
    first, second = ({**MUG, "updated_at": f"2026-01-0{day}"} for day in (1, 2))
    assert target(first).expected.fields_hash != target(second).expected.fields_hash


def test_the_order_of_fields_in_a_line_changes_nothing() -> None:
    turned = dict(reversed(MUG.items()))
    assert target(MUG).expected == target(turned).expected


def test_a_line_must_not_bring_its_own_vector() -> None:
    with pytest.raises(InvalidProduct, match="embedding"):
        target({**MUG, "embedding": [float("1")] * 8})


def test_the_document_has_their_names_and_our_stamp() -> None:
    config = IndexConfig(encoder="hashed:8", fields={"id": "sku", "price": "money.amount"})
    line = {"sku": "1", "title": "Mug", "money": {"amount": 3, "tax": 1}}
    document = stamped(target(line, config=config), config, RECIPE.digest())
    assert document["sku"] == "1"
    assert document["money"] == {"amount": 3.0, "tax": 1}
    assert document["hitweave"]["id"] == "1"
    assert document["hitweave"]["recipe"] == RECIPE.digest()
    assert document["hitweave"]["version"] == 1000


def test_a_stored_product_is_read_as_far_as_it_fits() -> None:
    config = IndexConfig(encoder="hashed:8", fields={"title": "name"})
    product = product_in({"name": "Mug", "price": "on request", "brand": 7}, config, "x")
    assert (product.id, product.title, product.price, product.brand) == ("x", "Mug", None, "7")
    assert product_in({"name": {"en": "Mug"}}, config, "x").title == "x"
    assert product_in({}, config, "x").title == "x"


def test_what_a_document_says_in_lists_and_objects_of_lists_is_read_as_plainly_said() -> None:
    names = {"title": "name.en", "brand": "brands.name", "categories": "terms.label"}
    config = IndexConfig(encoder="hashed:8", fields=names | {"description": "text"})
    document = {
        "name": {"en": ["Red mug"]},
        "brands": [{"name": "Acme"}, {"name": "Zeta"}],
        "terms": [{"label": "Kitchen"}, {"label": ["Mugs", None]}],
        "text": ["Holds tea.", "Keeps warm."],
        "price": [3.5],
        "available": [True],
    }
    product = product_in(document, config, "1")
    assert (product.title, product.brand, product.price) == ("Red mug", "Acme", 3.5)
    assert product.categories == ("Kitchen", "Mugs")
    assert product.description == "Holds tea. Keeps warm."
    assert product.available is True


@given(
    st.fixed_dictionaries(
        {"title": st.text(min_size=1).filter(str.strip)},
        optional={
            "price": st.floats(0, 1e9),
            "brand": st.text(min_size=1).filter(str.strip),
            "available": st.booleans(),
            "categories": st.lists(st.text(max_size=5), max_size=3),
        },
    )
)
def test_a_document_reads_back_as_the_product_it_was_made_of(line: dict[str, Any]) -> None:
    product = read_product({"id": "1", **line})
    document = target({"id": "1", **line}).source
    back = product_in(document, CONFIG, "1")
    assert back.model_dump(exclude={"updated_at"}) == product.model_dump(exclude={"updated_at"})
