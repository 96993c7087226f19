import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.evaluation import variety
from reranker.evaluation.variety import Behaviour

LISTS = [["a", "b"], ["b", "c"]]


def test_coverage_is_the_share_of_the_catalogue_ever_shown() -> None:
    assert variety.coverage(LISTS, items=6) == 3 / 6
    assert variety.coverage(LISTS, items=6, cut=1) == 2 / 6
    assert variety.coverage(LISTS, items=0) is None


def test_novelty_is_the_mean_self_information_of_what_was_shown() -> None:
    met = Behaviour(total=10, by_item={"a": 7, "b": 3})
    items = 6
    bits = [math.log2((10 + 6) / (1 + n)) for n in (7, 3, 3, 0)]
    assert variety.novelty(LISTS, met, items) == pytest.approx(sum(bits) / 4)
    assert variety.novelty([[]], met, items) is None


def test_diversity_is_the_mean_cosine_distance_of_pairs_within_a_list() -> None:
    vectors = {
        "a": np.array([1, 0], np.float32),
        "b": np.array([0, 2], np.float32),
        "c": np.array([3, 3], np.float32),
    }
    pairs = [1 - 0, 1 - 1 / math.sqrt(2), 1 - 1 / math.sqrt(2)]
    assert variety.diversity([["a", "b", "c"]], vectors) == pytest.approx(sum(pairs) / 3)
    assert variety.diversity(LISTS, vectors) == pytest.approx((pairs[0] + pairs[1]) / 2)


def test_lists_without_a_pair_of_known_vectors_have_no_diversity() -> None:
    assert variety.diversity([["a", "x"], ["y"], []], {"a": np.ones(3, np.float32)}) is None


@given(st.permutations(list("abcdefgh")))
def test_the_order_within_the_cut_changes_nothing(ids: list[str]) -> None:
    rng = np.random.default_rng(1)
    vectors = {item: rng.normal(size=4).astype(np.float32) for item in "abcdefgh"}
    met = Behaviour(30, {"a": 20, "c": 10})
    straight, other = [list("abcdefgh")], [ids]
    assert variety.diversity(other, vectors) == pytest.approx(variety.diversity(straight, vectors))
    assert variety.novelty(other, met, 9) == pytest.approx(variety.novelty(straight, met, 9))
    assert variety.coverage(other, 9) == variety.coverage(straight, 9)


def test_showing_what_everybody_buys_is_less_novel() -> None:
    met = Behaviour(100, {"hit": 90})
    hit, rare = (variety.novelty([[item]], met, 50) for item in ("hit", "rare"))
    assert hit is not None
    assert rare is not None
    assert hit < rare
