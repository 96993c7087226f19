"""What a catalogue line may hold, and what it is refused for."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalogue.product import (
    ProductUpdate,
    epoch_ms,
    iso,
    place,
    read_product,
    rename,
    take,
)
from indexer.errors import InvalidProduct

GOOD: dict[str, Any] = {"id": "1", "title": "Mug"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": ""}, "id"),
        ({"id": None}, "id"),
        ({"id": "ü" * 257}, "512 bytes"),
        ({"title": ""}, "title: a product needs one"),
        ({"title": ["Mug"]}, "title"),
        ({"price": -1}, "price"),
        ({"price": "NaN"}, "price"),
        ({"price": float("inf")}, "price"),
        ({"price": "cheap"}, "price"),
        ({"popularity": "-inf"}, "popularity"),
        ({"available": "perhaps"}, "available"),
        ({"categories": {"a": 1}}, "categories"),
        ({"categories": [["a"]]}, "categories"),
        ({"attributes": "red"}, "attributes"),
        ({"updated_at": "yesterday"}, "updated_at"),
        ({"updated_at": "1969-12-31T23:59:59Z"}, "before 1970"),
        ({"hitweave": {"version": 1}}, "hitweave"),
    ],
)
def test_a_line_that_cannot_be_right_is_refused_with_its_field(
    change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidProduct, match=reason):
        read_product({**GOOD, **change})


def test_numbers_written_as_strings_are_read() -> None:
    product = read_product({"id": 10002, "title": "Globe", "price": "0.85", "available": "false"})
    assert (product.id, product.price, product.available) == ("10002", 0.85, False)


def test_a_single_category_is_a_list_of_one() -> None:
    assert read_product({**GOOD, "categories": "Mugs"}).categories == ("Mugs",)


def test_a_delete_needs_no_title() -> None:
    assert read_product({"id": "1", "deleted": True}).deleted


def test_fields_we_do_not_know_are_kept() -> None:
    assert read_product({**GOOD, "ean": "401", "stock": {"uk": 3}}).extra == {
        "ean": "401",
        "stock": {"uk": 3},
    }


def test_their_names_become_ours_and_the_rest_stays() -> None:
    line = {"sku": "9", "name": "Mug", "money": {"amount": "3.5", "tax": 1}, "brand": "Acme"}
    fields = {"id": "sku", "title": "name", "price": "money.amount"}
    product = read_product(line, fields)
    assert (product.id, product.title, product.price) == ("9", "Mug", 3.5)
    assert (product.brand, product.extra) == ("Acme", {"money": {"tax": 1}})


def test_two_fields_may_change_places() -> None:
    assert rename({"a": 1, "b": 2}, {"a": "b", "b": "a"}) == {"a": 2, "b": 1}


def test_reading_leaves_the_line_as_it_was() -> None:
    line = {"id": "1", "name": "Mug", "money": {"amount": 3}}
    read_product(line, {"title": "name", "price": "money.amount"})
    assert line == {"id": "1", "name": "Mug", "money": {"amount": 3}}


def test_a_time_without_a_zone_is_utc_and_orders_updates_in_ms() -> None:
    product = read_product({**GOOD, "updated_at": "2026-01-02T03:04:05.678"})
    update = ProductUpdate(product=product, received_at_ms=2 * 10**12)
    assert iso(update.version) == "2026-01-02T03:04:05.678Z"


def test_without_updated_at_the_time_of_arrival_orders() -> None:
    assert ProductUpdate(product=read_product(GOOD), received_at_ms=5).version == 5


@pytest.mark.parametrize(("ahead_ms", "version"), [(300_000, 301_000), (300_001, 1000)])
def test_a_time_further_ahead_than_clocks_differ_orders_by_arrival(
    ahead_ms: int, version: int
) -> None:
    product = read_product({**GOOD, "updated_at": iso(1000 + ahead_ms)})
    assert ProductUpdate(product=product, received_at_ms=1000).version == version


@given(st.datetimes(min_value=datetime(1970, 1, 1)))
def test_milliseconds_and_iso_say_the_same_time(moment: Any) -> None:

    aware = moment.replace(tzinfo=UTC)
    assert epoch_ms(datetime.fromisoformat(iso(epoch_ms(aware)))) == epoch_ms(aware)


values = st.none() | st.booleans() | st.text(max_size=5) | st.integers(-(2**53), 2**53)


@given(
    title=st.text(min_size=1).filter(str.strip),
    price=st.none() | st.floats(min_value=0, allow_nan=False, allow_infinity=False),
    extra=st.dictionaries(st.sampled_from(["ean", "stock", "x.y"]), values),
)
def test_a_product_survives_the_queue(
    title: str, price: float | None, extra: dict[str, Any]
) -> None:
    product = read_product({"id": "1", "title": title, "price": price, **extra})
    update = ProductUpdate(product=product, received_at_ms=7, line=3)
    assert ProductUpdate.model_validate(update.to_json()) == update


@given(st.sampled_from(["a", "a.b", "a.b.c"]), st.integers())
def test_what_is_placed_can_be_taken_and_leaves_nothing(path: str, value: int) -> None:
    document: dict[str, Any] = {"z": 1}
    place(document, path, value)
    assert take(document, path) == value
    assert document == {"z": 1}
