"""A shopper's taste and how near a page comes to it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.diversity import taste


def test_a_history_is_shared_among_the_categories_of_its_items() -> None:
    history = np.array([[7, 9], [7, 0]], np.uint32)
    found = taste.of_history(history, np.array([1.0, 3.0]))
    assert found.categories.tolist() == [7, 9]
    assert found.shares == pytest.approx([3.5 / 4, 0.5 / 4])


def test_a_history_without_categories_is_no_taste() -> None:
    assert not taste.of_history(np.zeros((3, 2), np.uint32), np.ones(3)).known
    assert not taste.of_history(np.zeros((0, 2), np.uint32), np.ones(0)).known


def test_a_page_like_the_history_diverges_in_nothing() -> None:
    history = np.array([[7], [7], [9], [9]], np.uint32)
    whom = taste.of_history(history, np.ones(4))
    assert taste.divergence(whom, history) == pytest.approx(0.0, abs=1e-9)
    assert taste.divergence(whom, history[:2]) > 1.0


@given(st.integers(0, 10_000))
def test_the_table_says_what_each_item_takes_off_the_divergence(seed: int) -> None:
    rng = np.random.default_rng(seed)
    history = rng.integers(0, 6, (8, 3)).astype(np.uint32)
    items = np.array([rng.permutation(8)[:4] for _ in range(10)], np.uint32)
    whom = taste.of_history(history, rng.random(8) + 0.1)
    if not whom.known:
        return
    page = taste.Page(whom, items)
    picked: list[int] = []
    assert not page.values.any()
    for pick in rng.permutation(10)[:4].tolist():
        page.pick(pick)
        after = [taste.divergence(whom, items[[*picked, pick, at]]) for at in range(10)]
        gained = page.values - page.values[0]
        assert gained == pytest.approx(after[0] - np.array(after), abs=1e-4)
        picked.append(pick)
