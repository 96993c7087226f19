"""A feed cut into chunks: everything once, within the limits, and told apart by arrival."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from indexer.catalogue.product import Product, ProductUpdate
from indexer.catalogue.submission import Intake, Limits, chunks
from indexer.catalogue.tally import Rejection


def products(count: int) -> Iterator[tuple[int, Product]]:
    return (
        (line, Product(id=str(line), title="x" * (line % 50 + 1))) for line in range(1, count + 1)
    )


@given(st.integers(0, 300), st.integers(1, 40), st.integers(100, 5000))
def test_every_product_is_in_one_chunk_within_the_limits(count: int, items: int, size: int) -> None:
    found = list(chunks(products(count), Limits(items, size), lambda: 1000))
    assert [update["line"] for chunk in found for update in chunk] == list(range(1, count + 1))
    assert all(len(chunk) <= items for chunk in found)


def test_no_two_chunks_arrive_at_the_same_time_and_products_of_one_do() -> None:
    found = list(chunks(products(30), Limits(10, 10**6), lambda: 1000))
    arrivals = [{update["received_at_ms"] for update in chunk} for chunk in found]
    assert arrivals == [{1000}, {1001}, {1002}]


def test_a_chunk_ends_at_its_bytes() -> None:
    sizes = [len(chunk) for chunk in chunks(products(40), Limits(1000, 300), lambda: 1000)]
    assert len(sizes) > 5
    assert sum(sizes) == 40


def test_a_chunk_reads_back_as_updates() -> None:
    (chunk,) = chunks(products(3), Limits(10, 10**6), lambda: 1000)
    updates = [ProductUpdate.model_validate(update) for update in chunk]
    assert [update.product for update in updates] == [product for _, product in products(3)]
    assert {update.version for update in updates} == {1000}


def test_rejected_lines_are_counted_as_read_and_taken_once() -> None:
    intake = Intake()
    bad = Rejection(2, "wrong", "{}")
    lines = [(1, Product(id="1", title="a")), (2, bad)]
    assert [number for number, _ in intake.products(lines)] == [1]
    assert intake.read == 2
    assert intake.take_rejections() == [bad]
    assert intake.take_rejections() == []
