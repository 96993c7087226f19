"""How alike items are by what is known of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalogue import card
from reranker.diversity.likeness import Looks
from tests.reranker.diversity.lists import looks


def test_items_with_vectors_are_alike_by_their_cosine() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(5, 8)).astype(np.float32) * 3
    items = Looks(vectors, np.zeros((5, 4), np.uint32), np.zeros(5, np.uint32))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert items.by == "vectors"
    assert items.likeness() == pytest.approx(unit @ unit.T, abs=1e-5)


def test_an_item_without_a_vector_stands_where_its_category_does() -> None:
    vectors = np.array([[1, 0], [0, 1], [0, 0], [0, 0]], np.float32)
    categories = np.array([[1], [2], [2], [3]], np.uint32)
    items = Looks(vectors, categories, np.zeros(4, np.uint32))
    assert items.by == "vectors and categories"
    found = items.likeness()
    assert found[2] == pytest.approx([0, 1, 1, 0.5])
    assert found[3] == pytest.approx([0.5, 0.5, 0.5, 1])


def test_without_any_vector_shared_names_speak() -> None:
    said = [
        {"categories": ["lamps", "brass"], "brand": "Acme"},
        {"categories": "lamps", "brand": "acme"},
        {"categories": ["chairs"], "brand": "lamps"},
        {},
    ]
    items = Looks.of_names(said)
    assert items.by == "categories"
    found = items.likeness()
    assert found[0, 1] == pytest.approx(2 / np.sqrt(6))
    assert found[0, 2] == found[1, 2] == 0
    assert found[3].tolist() == [0, 0, 0, 1]


def test_nothing_known_is_said_so() -> None:
    assert Looks.of_names([{}, {}]).by == "nothing"


def test_names_that_were_brought_stand_in_for_a_card_that_is_missing() -> None:
    one = card.pack(title="Lamp", vector=np.ones(4, np.float32), categories=["lamps"])
    records, _ = card.unpack_many([one, None], 4)
    items = Looks.of_cards(records).filled(
        Looks.of_names([{"categories": ["chairs"]}, {"categories": ["lamps"]}])
    )
    assert items.kinds.tolist() == [card.token("lamps"), card.token("lamps")]
    assert items.likeness()[0, 1] == pytest.approx(1.0, abs=1e-5)


@given(st.integers(0, 10_000), st.integers(1, 30))
def test_likeness_is_a_kernel_whatever_is_missing(seed: int, n: int) -> None:
    found = looks(np.random.default_rng(seed), n).likeness()
    assert np.diagonal(found) == pytest.approx(1.0)
    assert np.linalg.eigvalsh(found.astype(np.float64)).min() > -1e-4
