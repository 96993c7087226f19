"""The order with variety: what holds wherever the dial stands."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from indexer.catalogue.diversity import Diversity
from reranker.diversity import taste
from reranker.diversity.likeness import Looks
from reranker.diversity.spread import Variety, relevance, spread
from tests.reranker.diversity.lists import cases, dials, looks, policies, unbound

FREE = Diversity(floor=0.0, loss_max=1.0, taste=0.0, page=5)


def distinct(seed: int) -> tuple[Any, Looks]:
    """Scores and looks of 23 items of which no two are the same."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(0.5, 1.0, (23, 6)).astype(np.float32)
    items = Looks(vectors, np.zeros((23, 1), np.uint32), np.zeros(23, np.uint32))
    return rng.normal(0, 1.5, 23).astype(np.float32), items


def by_score(scores: Any) -> Any:
    return np.argsort(-scores, kind="stable")


@given(cases(), policies)
def test_a_dial_of_zero_gives_exactly_the_order_by_score(case: Any, policy: Diversity) -> None:
    scores, items, _ = case
    assert (spread(scores, items, Variety(0.0, policy)) == by_score(scores)).all()


@settings(deadline=None)
@given(cases(), policies, dials)
def test_every_item_stands_there_once(case: Any, policy: Diversity, dial: float) -> None:
    scores, items, rng = case
    history = rng.integers(0, 5, (6, 2)).astype(np.uint32)
    whom = taste.of_history(history, np.ones(6))
    found = spread(scores, items, Variety(dial, policy, whom))
    assert sorted(found.tolist()) == list(range(len(scores)))


@settings(deadline=None)
@given(cases(), policies, dials)
def test_nothing_below_the_floor_takes_a_place_of_one_above_it(
    case: Any, policy: Diversity, dial: float
) -> None:
    scores, items, _ = case
    odds = relevance(scores)
    found = spread(scores, items, Variety(dial, policy))
    above = int((odds >= policy.floor).sum())
    assert (odds[found[:above]] >= policy.floor).all()


@settings(deadline=None)
@given(cases(), policies, dials)
def test_pages_with_nothing_above_the_floor_are_not_varied(
    case: Any, policy: Diversity, dial: float
) -> None:
    scores, items, _ = case
    above = int((relevance(scores) >= policy.floor).sum())
    rank = np.argsort(by_score(scores))
    rest = spread(scores, items, Variety(dial, policy))[-(-above // policy.page) * policy.page :]
    assert (np.diff(rank[rest]) > 0).all()


@settings(deadline=None)
@given(cases(), unbound, dials)
def test_no_place_loses_more_relevance_than_the_bound(
    case: Any, policy: Diversity, dial: float
) -> None:
    scores, items, _ = case
    odds = relevance(scores)
    found = odds[spread(scores, items, Variety(dial, policy))]
    best = odds[by_score(scores)]
    assert (found >= (1.0 - policy.loss_max) * best * (1.0 - 1e-5)).all()


@settings(deadline=None)
@given(cases(), policies, dials)
def test_each_page_is_shown_best_first(case: Any, policy: Diversity, dial: float) -> None:
    scores, items, _ = case
    found = scores[spread(scores, items, Variety(dial, policy))]
    odds = relevance(found)
    risers = int((odds >= policy.floor).sum()) if len(odds) else 0
    if dial > 0:
        for start in range(0, risers, policy.page):
            page = found[start : start + policy.page]
            assert (np.diff(page) <= 0).all()


@settings(deadline=None, max_examples=60)
@given(cases(), policies, dials)
def test_quotas_hold_on_the_first_page_where_they_can(
    case: Any, policy: Diversity, dial: float
) -> None:
    scores, items, _ = case
    if not len(scores) or dial == 0:
        return
    policy = policy.model_copy(update={"page": 3, "floor": 0.05})
    risers = np.flatnonzero(relevance(scores) >= policy.floor).tolist()
    places = min(policy.page, len(risers))
    possible = any(within_quotas(items, page, policy) for page in combinations(risers, places))
    page = spread(scores, items, Variety(dial, policy))[:places].tolist()
    assert within_quotas(items, page, policy) == possible


def within_quotas(items: Looks, page: Any, policy: Diversity) -> bool:
    """Whether no brand and no category stands more often on the page than it may."""
    for names, at_most in ((items.brands, policy.brand_max), (items.kinds, policy.category_max)):
        named = [int(names[row]) for row in page if names[row]]
        if at_most is not None and any(named.count(name) > at_most for name in named):
            return False
    return True


def test_an_exchange_finds_the_page_that_greedy_picking_misses() -> None:
    # The best closes brand 1 and category 1, so that neither other item fits beside it.
    brands = np.array([1, 1, 2], np.uint32)
    categories = np.array([[1], [2], [1]], np.uint32)
    items = Looks(np.zeros((3, 1), np.float32), categories, brands)
    policy = Diversity(page=2, brand_max=1, category_max=1, floor=0.0, loss_max=1.0)
    page = spread(np.array([3.0, 2.9, 2.8], np.float32), items, Variety(0.001, policy))[:2]
    assert sorted(page.tolist()) == [1, 2]


@pytest.mark.parametrize("dial", [0.1, 0.5, 1.0])
def test_the_second_of_a_page_of_two_is_worth_most_by_its_chance_and_its_novelty(
    dial: float,
) -> None:
    for seed in range(40):
        scores, items = distinct(seed)
        chances = np.exp(scores) / np.exp(scores).sum()
        best = int(scores.argmax())
        worth = chances / np.log2(3) - 0.4 * dial**2 * items.likeness()[best]
        worth[best] = -np.inf
        page = spread(scores, items, Variety(dial, FREE.model_copy(update={"page": 2})))[:2]
        assert set(page.tolist()) == {best, int(worth.argmax())}


def test_each_page_is_picked_as_if_those_before_it_had_never_been_there() -> None:
    for seed in range(40):
        scores, items = distinct(seed)
        found = spread(scores, items, Variety(0.6, FREE))
        later = np.sort(found[FREE.page :])
        again = later[spread(scores[later], items.take(later), Variety(0.6, FREE))]
        assert again.tolist() == found[FREE.page :].tolist()


@pytest.mark.parametrize(("best", "kept"), [(0.0, True), (12.0, False)])
def test_what_is_one_of_two_likely_ones_stays_and_what_has_no_chance_makes_room(
    best: float, kept: bool
) -> None:
    # The second is as much more relevant than the third, and as like the first, in both lists.
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    items = Looks(vectors, np.zeros((3, 1), np.uint32), np.zeros(3, np.uint32))
    scores = np.array([best, 0.0, -3.0], np.float32)
    page = spread(scores, items, Variety(0.5, FREE.model_copy(update={"page": 2})))[:2]
    assert page.tolist() == ([0, 1] if kept else [0, 2])


def test_a_page_with_little_above_the_floor_is_varied_among_what_is_below_it() -> None:
    vectors = np.array([[1, 0], [1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    items = Looks(vectors, np.zeros((5, 1), np.uint32), np.zeros(5, np.uint32))
    scores = np.array([20.0, 0.0, -0.5, -1.0, -1.5], np.float32)
    page = spread(scores, items, Variety(0.5, Diversity(page=3, floor=0.5)))[:3]
    assert page.tolist() == [0, 1, 4]


@pytest.mark.parametrize("method", ["dispersion", "mmr", "dpp"])
def test_turning_the_dial_parts_what_is_alike(method: Any) -> None:
    rng = np.random.default_rng(5)
    topics = np.repeat(rng.normal(size=(4, 16)), 10, axis=0)
    vectors = (topics + 0.1 * rng.normal(size=(40, 16))).astype(np.float32)
    items = Looks(vectors, np.zeros((40, 1), np.uint32), np.zeros(40, np.uint32))
    scores = np.linspace(2.0, 1.0, 40).astype(np.float32)
    policy = Diversity(method=method)
    likeness = items.likeness()

    def alike(dial: float) -> float:
        page = spread(scores, items, Variety(dial, policy))[:10]
        return float(likeness[np.ix_(page, page)].mean())

    assert alike(1.0) < 0.7 * alike(0.0)


def test_a_page_comes_nearer_to_the_shoppers_taste() -> None:
    rng = np.random.default_rng(7)
    items = looks(rng, 40, names=4)
    scores = rng.normal(0, 0.3, 40).astype(np.float32)
    whom = taste.of_history(np.array([[2], [2], [2], [3]], np.uint32), np.ones(4))

    def divergence(weight: float) -> float:
        page = spread(scores, items, Variety(0.8, Diversity(taste=weight), whom))[:10]
        return taste.divergence(whom, items.categories[page])

    assert divergence(2.0) < 0.5 * divergence(0.0)


def test_scores_of_another_scale_are_read_by_their_unit() -> None:
    items = looks(np.random.default_rng(3), 30)
    scores = np.random.default_rng(4).normal(size=30).astype(np.float32)
    policy = Diversity()
    plain = spread(scores, items, Variety(0.5, policy))
    scaled = spread(scores * np.float32(0.0078125), items, Variety(0.5, policy, unit=0.0078125))
    assert (plain == scaled).all()
