"""What is tried, with which chances, and what is found by it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.behaviour import adaptive, query_stats, shopper_profile
from indexer.behaviour.adaptive import Layer, Lesson
from indexer.catalogue.generation import Generation
from indexer.catalogue.mapping import IndexConfig
from indexer.embedding.recipe import Recipe
from reranker.experiments.exposure import Exposure, Part
from reranker.retrieval.candidates import Candidates, Retrieved
from reranker.retrieval.request import Defaults, Options, RankedRequest, parse
from reranker.rules.effects import NO_EFFECTS, Effects
from reranker.serving import adaptation, exploration, exploring, ruling
from reranker.serving.adaptation import WIDTH
from reranker.serving.call import Call
from reranker.serving.deadline import Deadline
from reranker.serving.exploring import DRAWS, Tried
from reranker.serving.knowledge import Asked, Known
from reranker.serving.scoring import Fused
from reranker.signals.past import Past

ITEMS, PAGE, PLANTED = 20, 5, 9
SCORES = np.linspace(0.9, 0.0, ITEMS).astype(np.float32)
SCORES[PAGE:PLANTED] -= 1.0
SCORES[PLANTED] = SCORES[PAGE - 1] - 0.1  # the first that the page has no room for
SIGNALS = np.zeros((ITEMS, WIDTH), np.float32)
SIGNALS[np.arange(ITEMS), np.arange(ITEMS)] = 1.0  # nothing is learned of one by another
IDS = [f"i{row}" for row in range(ITEMS)]
GENERATION = Generation("shop", "shop-000001", IndexConfig(), Recipe(encoder="hashed:8", dims=8))
SEGMENT = "new:"


def call(**changes: Any) -> Call:
    asked = parse({"query": {"match": {"title": "lamp"}}}, {}, {}, Defaults())
    assert isinstance(asked, RankedRequest)
    asked = dataclasses.replace(asked, options=dataclasses.replace(asked.options, **changes))
    return Call(asked, GENERATION, "shop", {}, "somebody", "q", Deadline(0.0, 1.0))


def listed(layer: Layer) -> tuple[Asked, Fused]:
    """The list as it is scored under a layer."""
    nothing = np.full(ITEMS, np.nan, np.float32)
    who = Known(Past(shopper_profile.empty(), None, (), 0.0), query_stats.decode(None), layer)
    asked = Asked(
        "shop", "r", "lamp", Candidates(IDS, *[nothing] * 4), 100, None, who, 8, {}, layer="l"
    )
    adapted = adaptation.adapt(layer, SIGNALS, SEGMENT)
    scores = SCORES + adapted.added
    fused = Fused(scores, rows=np.arange(ITEMS), adapted=adapted, own_scores=SCORES)
    return asked, fused


def try_it(layer: Layer, chance: str, share: float = 0.5, **changes: Any) -> Tried | None:
    return exploring.tried(share, call(**changes), *listed(layer), chance)


def in_order(scores: Any, effects: Effects = NO_EFFECTS) -> list[str]:
    nothing = np.full(ITEMS, np.nan, np.float32)
    retrieved = Retrieved(Candidates(IDS, *[nothing] * 4), total=None, shards={}, timed_out=False)
    return ruling.in_order(effects, retrieved, scores, None)[1].ids


def tried(layer: Layer, chance: str, share: float = 0.5) -> Tried:
    found = try_it(layer, chance, share)
    assert found is not None
    return found


def served(share: float, searches: int) -> tuple[Layer, set[str]]:
    """So many searches of shoppers who like the planted item alone; what they ever saw of it."""
    layer, random, seen = adaptive.empty(WIDTH), np.random.default_rng(1), set[str]()
    for number in range(searches):
        found = try_it(layer, f"q{number}", share)
        fused = listed(layer)[1] if found is None else found.fused
        shown = in_order(fused.scores)[:PAGE]
        seen |= set(shown)
        rows = [IDS.index(name) for name in shown]
        likes = [0.8 if row == PLANTED else 0.1 for row in rows]
        for place in np.flatnonzero(random.random(PAGE) < likes):
            assert fused.adapted is not None
            features = fused.adapted.features[rows]
            lesson = Lesson(features, SCORES[rows], int(place), 0.3, SEGMENT)
            layer = adaptive.learn(layer, lesson)
    return layer, seen


def test_exploration_finds_a_better_item_that_is_never_shown_without_it() -> None:
    blind, seen = served(0.0, 600)
    assert IDS[PLANTED] not in seen
    assert IDS[PLANTED] not in in_order(listed(blind)[1].scores)[:PAGE]
    layer, seen = served(0.3, 600)
    assert IDS[PLANTED] in seen
    assert in_order(listed(layer)[1].scores)[0] == IDS[PLANTED]  # now without any chance


def test_the_same_search_is_tried_in_the_same_way_again() -> None:
    layer = adaptive.empty(WIDTH)
    once, again = tried(layer, "q1"), tried(layer, "q1")
    assert once.is_drawn == again.is_drawn
    np.testing.assert_array_equal(once.fused.scores, again.fused.scores)
    assert once.explored(in_order) == again.explored(in_order)
    orders = {tuple(in_order(tried(layer, f"q{n}").fused.scores)) for n in range(40)}
    assert len(orders) > 5


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_so_much_of_the_traffic_explores_and_the_rest_is_as_it_was(share: float) -> None:
    layer = adaptive.empty(WIDTH)
    found = [tried(layer, f"q{n}", share) for n in range(2000)]
    drawn = np.array([it.is_drawn for it in found])
    assert drawn.mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 2000))
    for it in found:
        same = np.array_equal(it.fused.scores, SCORES)
        assert same != it.is_drawn


def test_propensities_are_how_often_items_stand_at_their_places() -> None:
    layer, searches = adaptive.empty(WIDTH), 1500
    said = [tried(layer, f"q{n}") for n in range(searches)]
    shown = [(in_order(it.fused.scores), it.explored(in_order)) for it in said]
    places = {(name, at) for ids, _ in shown[:50] for at, name in enumerate(ids[:PAGE])}
    for name, at in places:
        # What is shown somewhere is weighed up to one: nothing is lost and nothing counted twice.
        weights = np.array([1 / it.propensities[at] if ids[at] == name else 0 for ids, it in shown])
        count = int((weights > 0).sum())
        if count > 100:
            spread = weights.std() / np.sqrt(searches)
            assert weights.mean() == pytest.approx(1.0, abs=4 * spread)


def test_propensities_are_at_least_one_draw_of_the_traffic() -> None:
    layer = adaptive.empty(WIDTH)
    for number in range(50):
        found = tried(layer, f"q{number}", 0.2)
        least = 0.2 / DRAWS if found.is_drawn else 0.8
        chances = found.explored(in_order).propensities
        assert least - 1e-6 <= min(chances) <= max(chances) <= 1.0


@given(st.integers(0, 10_000), st.floats(0.01, 1000))
def test_what_is_tried_stays_within_the_bound_of_the_layer(number: int, size: float) -> None:
    layer = adaptive.empty(WIDTH)
    layer = Layer(layer.means, layer.precisions / size)
    found = tried(layer, f"q{number}")
    moved = np.abs(np.array(found.pool) - SCORES).max()
    assert moved <= adaptive.PART_MAX + 1e-4
    if found.is_drawn:
        assert found.fused.adapted is not None
        np.testing.assert_allclose(
            found.fused.adapted.parts.sum(axis=1), found.fused.scores - SCORES, atol=1e-4
        )


def test_what_a_rule_pins_stays_where_it_is_pinned() -> None:
    pinned = Effects(pins=((IDS[-1], 1),))
    for number in range(20):
        found = tried(adaptive.empty(WIDTH), f"q{number}")
        assert in_order(found.fused.scores, pinned)[0] == IDS[-1]
        said = found.explored(lambda scores: in_order(scores, pinned))
        assert said.propensities[0] == 1.0


def nobody_trusts(layer: Layer) -> Layer:
    return dataclasses.replace(layer, noise=adaptive.NOISE_MAX)


@pytest.mark.parametrize(
    "changes",
    [{"record": False}, {"diversity": 0.3}, {"model": "v1"}],
    ids=["not recorded", "varied", "another model"],
)
def test_some_searches_try_nothing(changes: dict[str, Any]) -> None:
    assert try_it(adaptive.empty(WIDTH), "q", **changes) is None


def test_a_layer_that_is_not_trusted_tries_what_it_does_not_know() -> None:
    learned = Layer(np.ones((1, WIDTH)), np.full((1, WIDTH), adaptive.SHOP_PRECISION))
    pools = [tried(it, "q").pool for it in (adaptive.empty(WIDTH), nobody_trusts(learned))]
    np.testing.assert_allclose(*pools, atol=1e-5)


def test_nothing_is_tried_by_default_nor_without_a_chance() -> None:
    layer = adaptive.empty(WIDTH)
    asked, fused = listed(layer)
    assert exploring.tried(0.0, call(), asked, fused, "q") is None
    assert exploring.tried(0.5, call(), asked, fused, None) is None
    unread = dataclasses.replace(fused, adapted=None)
    assert exploring.tried(0.5, call(), asked, unread, "q") is None
    sides = (Options(), Options())
    both = dataclasses.replace(
        call(), part=Part(Exposure("e", "a"), asked=Options(), rankers=sides)
    )
    assert exploring.tried(0.5, both, asked, fused, "q") is None


@given(st.booleans(), st.text(max_size=8), st.lists(st.floats(0, 1), max_size=6))
def test_what_is_kept_for_later_pages_is_read_again(
    explored: bool, chance: str, chances: Sequence[float]
) -> None:
    found = exploration.Exploration(explored, chance, chances)
    assert exploration.from_kept(exploration.kept(found)) == found
    assert exploration.from_kept(exploration.kept(None)) is None


def test_hits_are_told_their_own_chances_on_every_page() -> None:
    found = exploration.Exploration(True, "q", [0.5, 0.25])
    told = found.told(["a", "b", "c"], ["b", "c"])
    assert told == {"exploration": {"explored": True, "propensities": [0.25, None]}}
