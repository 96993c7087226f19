"""Variety in the list that is served: places, scores, groups, rules, and what it goes by."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.behaviour import shopper_profile
from indexer.catalogue import card
from indexer.catalogue.diversity import Diversity
from indexer.errors import ValkeyUnavailable
from reranker.diversity.likeness import Looks
from reranker.retrieval.candidates import Candidates, Retrieved
from reranker.rules.effects import NO_EFFECTS, Effects, Move
from reranker.serving import explanation, ruling, varied
from reranker.serving.evidence import Grounds
from reranker.serving.order import by_score
from reranker.serving.scoring import Fused
from reranker.serving.varied import Wish, by_cards
from reranker.signals.past import Past
from tests.reranker.diversity import lists

DIMS = 6


class Cards:
    """A memory that has these cards alone."""

    def __init__(self, blobs: dict[str, bytes], *, away: bool = False) -> None:
        self._blobs = blobs
        self._away = away

    def cards(self, index: str, ids: Sequence[str]) -> list[bytes | None]:
        if self._away:
            raise ValkeyUnavailable("away")
        return [self._blobs.get(name) for name in ids]


def retrieved(n: int, groups: Sequence[str | None] | None = None) -> Retrieved:
    nothing = np.full(n, np.nan, np.float32)
    candidates = Candidates([f"i{row}" for row in range(n)], *[nothing] * 4)
    return Retrieved(candidates, total=None, shards={}, timed_out=False, groups=groups)


def wish(items: Looks, dial: float, **policy: Any) -> Wish:
    """A wish for items that are looked at without any memory."""
    row_of = {f"i{row}": row for row in range(len(items))}
    return Wish(
        ids=list(row_of),
        window=100,
        dial=dial,
        policy=Diversity(**{"page": 4, "floor": 0.0, **policy}),
        look=lambda ids: items.take(np.array([row_of[name] for name in ids], np.intp)),
    )


def served(
    scores: Any,
    wanted: Wish,
    *,
    available: Any = None,
    groups: Any = None,
    effects: Effects = NO_EFFECTS,
) -> Any:
    found = wanted.varied(Fused(scores), available, groups)
    listed = retrieved(len(scores), groups)
    return ruling.in_order(effects, listed, scores, available, found)


@settings(deadline=None)
@given(lists.cases(), st.floats(0, 1), st.booleans(), st.booleans())
def test_scores_never_rise_and_nothing_is_lost(
    case: Any, dial: float, some_sold_out: bool, collapsed: bool
) -> None:
    scores, items, rng = case
    n = len(scores)
    available = rng.random(n) < 0.8 if some_sold_out else None
    groups = [str(number) for number in rng.integers(0, 6, n)] if collapsed else None
    ordered, placed = served(scores, wish(items, dial), available=available, groups=groups)
    plain, _ = served(scores, wish(items, 0.0), available=available, groups=groups)
    assert (np.diff(ordered.scores) <= 0).all()
    assert sorted(ordered.rows.tolist()) == sorted(plain.rows.tolist())
    assert sorted(placed.ids) == sorted(f"i{row}" for row in plain.rows.tolist())
    if available is not None:
        assert (np.diff(available[ordered.rows].astype(int)) <= 0).all()
    if n:
        assert ordered.scores[0] == plain.scores[0]


@settings(deadline=None)
@given(lists.cases(), st.floats(0.01, 1))
def test_the_order_served_is_the_order_picked(case: Any, dial: float) -> None:
    scores, items, _ = case
    wanted = wish(items, dial)
    ordered, _ = served(scores, wanted)
    picked = varied.spread.spread(scores, items, varied.Variety(dial, wanted.policy))
    assert ordered.rows.tolist() == picked.tolist()


def twins() -> tuple[Any, Looks]:
    """Three of one kind, and then another."""
    vectors = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    items = Looks(vectors, np.zeros((4, 1), np.uint32), np.zeros(4, np.uint32))
    return np.array([2.0, 1.9, 1.8, 1.7], np.float32), items


def test_boosts_and_pins_come_after_variety() -> None:
    scores, items = twins()
    wanted = wish(items, 0.5, page=2)
    assert served(scores, wanted)[1].ids[:2] == ["i0", "i3"]
    lifted = Effects(moves=(Move(share=1.0, ids=frozenset({"i1"})),))
    assert served(scores, wanted, effects=lifted)[1].ids[0] == "i1"
    pinned = Effects(pins=(("i2", 1),))
    assert served(scores, wanted, effects=pinned)[1].ids == ["i2", "i0", "i3", "i1"]


def test_only_the_window_is_moved() -> None:
    scores, items = twins()
    near = wish(items, 1.0, page=2)
    short = Wish(near.ids, 2, near.dial, near.policy, near.look)
    assert served(scores, short)[1].ids == ["i0", "i1", "i2", "i3"]


def test_an_explanation_says_what_was_placed_for_variety() -> None:
    scores, items = twins()
    found = wish(items, 0.5, page=2).varied(Fused(scores), None)
    assert found is not None
    fused = varied.with_variety(Fused(scores), found)
    grounds = Grounds(fused, retrieved(4).candidates)
    told = explanation.of(grounds, 3, float(found.scores[3]), {})
    moved = [part for part in told["details"] if part["description"] == "placed for variety"]
    assert [part["value"] for part in moved] == pytest.approx([0.2])
    assert sum(part["value"] for part in told["details"]) == pytest.approx(told["value"])
    still = explanation.of(grounds, 0, 2.0, {})
    assert [part["description"] for part in still["details"]] == ["by its places: none"]


def packed(vector: Any, category: str) -> bytes:
    return card.pack(title="x", vector=np.array(vector, np.float32), categories=[category])


def test_cards_that_are_missing_are_named_and_brought_names_stand_in() -> None:
    cards = {"a": packed([1, 0], "lamps"), "b": packed([0, 1], "chairs")}
    memory: Any = Cards(cards)
    assert by_cards(memory, "shop", 2)(["a", "b"]).by == "vectors"
    assert by_cards(memory, "shop", 2)(["a", "x"]).by == "vectors and categories"
    brought = {"x": {"categories": ["chairs"]}, "y": {"brand": "acme"}}
    assert by_cards(memory, "shop", 2, brought)(["x", "y"]).by == "categories"
    looks = by_cards(memory, "shop", 2, brought)(["a", "b", "x"])
    assert looks.likeness()[2] == pytest.approx([0.0, 1.0, 1.0], abs=0.01)
    away: Any = Cards(cards, away=True)
    assert by_cards(away, "shop", 2, brought)(["a", "x"]).by == "categories"


def test_with_nothing_to_go_by_the_order_stays_and_that_is_said() -> None:
    away: Any = Cards({}, away=True)
    scores = np.array([1.0, 3.0, 2.0], np.float32)
    wanted = Wish(["i0", "i1", "i2"], 100, 0.5, Diversity(), by_cards(away, "shop", 2))
    found = wanted.varied(Fused(scores), None)
    assert found is not None
    assert found.told() == {"diversity": {"dial": 0.5, "by": "nothing"}}
    assert served(scores, wanted)[1].ids == ["i1", "i2", "i0"]


def test_no_dial_is_no_variety() -> None:
    scores, items = twins()
    assert wish(items, 0.0).varied(Fused(scores), None) is None


def test_scores_that_are_no_log_odds_are_read_by_their_spread() -> None:
    scores, items = twins()
    small = scores / np.float32(128)

    def order(fused: Fused, dial: float) -> list[int]:
        found = wish(items, dial, page=2, loss_max=1.0).varied(fused, None)
        assert found is not None
        order: list[int] = np.argsort(-found.scores).tolist()
        return order

    assert order(Fused(small), 0.5) == [0, 3, 1, 2]  # as log odds they are almost one
    assert order(Fused(small, log_odds=False), 0.5) == [0, 1, 2, 3]
    assert order(Fused(small, log_odds=False), 0.8) == [0, 3, 1, 2]


def test_a_shopper_without_cards_in_their_history_has_no_taste() -> None:
    assert not varied.taste_of(None).known
    assert not varied.taste_of(Past(shopper_profile.empty(), None, (), 0.0)).known


@settings(deadline=None)
@given(lists.cases(), st.floats(0.01, 1))
def test_a_list_that_nobody_searched_for_is_varied_by_cards_at_hand(case: Any, dial: float) -> None:
    scores, items, rng = case
    n = len(scores)
    cards = np.zeros(n, card.card_dtype(items.vectors.shape[1]))
    cards["categories"][:, : items.categories.shape[1]] = items.categories
    cards["brand"] = items.brands
    ids, there = [f"i{row}" for row in range(n)], rng.random(n) < 0.8
    policy = Diversity(page=4, floor=0.0)
    found = varied.wish_among(ids, cards, dial, policy, None).varied(Fused(scores), there)
    assert found is not None
    rows = by_score(scores, available=there).rows[: there.sum()]
    looks = Looks.of_cards(cards[rows])
    order = rows
    if looks.by != "nothing" and len(rows) > 1:
        order = rows[varied.spread.spread(scores[rows], looks, varied.Variety(dial, policy))]
    shown = by_score(found.scores, places=found.places).rows
    assert shown[there[shown]].tolist() == order.tolist()
    assert varied.wish_among(ids, cards, 0.0, policy, None).varied(Fused(scores), there) is None
