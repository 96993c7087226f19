"""Behavioural vectors of items: what was learned, what stands in for it, and how much there is."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from indexer.identity import hashes
from reranker.signals import item_table
from reranker.signals.item_table import ItemTable
from tests.reranker.signals.situations import item_table as table_of
from tests.reranker.signals.situations import vector

WEIGHTS = np.array([0.9, 0.2, 0.5], dtype=np.float32)


def test_an_item_is_found_by_its_weight_and_an_unknown_one_by_the_least() -> None:
    table = replace(table_of(["a", "b", "c", "unknown"], 4), weights=WEIGHTS)
    asked, text = hashes(["c", "new", "a", "b"]), np.stack([vector(it) for it in "cnab"])
    plain, sized = table.lookup(asked, text), table.sized(asked, text)
    of = {item: WEIGHTS[table.rows(hashes([item]))[0][0]] for item in "abc"}
    shares = [of["c"], WEIGHTS.min(), of["a"], of["b"]]
    np.testing.assert_allclose(sized, plain * np.array(shares)[:, None], rtol=1e-6)


def test_without_weights_all_items_count_alike() -> None:
    table = table_of(["a", "b"], 4)
    np.testing.assert_array_equal(
        table.sized(hashes(["b", "a"]), None), table.lookup(hashes(["b", "a"]), None)
    )


def test_what_is_written_is_read_again_with_and_without_weights(tmp_path: Path) -> None:
    for number, weights in enumerate((None, WEIGHTS)):
        table = replace(table_of(["a", "b", "c", "unknown"], 4), weights=weights)
        item_table.save(table, tmp_path / f"{number}.npz")
        read = item_table.load(tmp_path / f"{number}.npz")
        np.testing.assert_array_equal(read.items, table.items)
        np.testing.assert_allclose(read.vectors, table.vectors, atol=1e-3)
        assert (read.weights is None) == (weights is None)
        if read.weights is not None:
            np.testing.assert_allclose(read.weights, WEIGHTS, rtol=1e-3)


def test_what_was_projected_before_stands_for_the_text_of_unknown_items() -> None:
    random = np.random.default_rng(0)
    known = np.sort(hashes(["a", "b"]))
    table = ItemTable(
        known,
        random.normal(size=(2, 3)).astype(np.float32),
        random.normal(size=(4, 3)).astype(np.float32),
    )
    asked, text = hashes(["b", "new", "a"]), random.normal(size=(3, 4)).astype(np.float32)
    found = table.lookup(asked, text, table.project(text))
    np.testing.assert_allclose(found, table.lookup(asked, text), rtol=1e-5)
    assert found[1].any()
    assert not table.project(np.ones((2, 5), np.float32)).any()  # of a text model of another size
