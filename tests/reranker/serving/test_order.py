"""Orders: scores never rise, what cannot be had is last, groups show their best."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reranker.serving import order

SCORES = st.lists(st.floats(-5, 5, width=32), max_size=30)


@given(SCORES, st.data())
def test_every_candidate_is_placed_once_and_scores_never_rise(
    scores: list[float], data: st.DataObject
) -> None:
    available = data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    found = order.by_score(
        np.array(scores, dtype=np.float32), available=np.array(available, dtype=bool)
    )
    assert sorted(found.rows.tolist()) == list(range(len(scores)))
    assert (np.diff(found.scores) <= 0).all()
    placed = [available[row] for row in found.rows]
    assert placed == sorted(placed, reverse=True)


@given(SCORES, st.randoms())
def test_the_order_does_not_depend_on_how_candidates_came(
    scores: list[float], random: object
) -> None:
    distinct = list(dict.fromkeys(scores))
    shuffled = list(distinct)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one = order.by_score(np.array(distinct, dtype=np.float32))
    other = order.by_score(np.array(shuffled, dtype=np.float32))
    assert [distinct[row] for row in one.rows] == [shuffled[row] for row in other.rows]


def test_equal_scores_keep_the_order_of_finding() -> None:
    found = order.by_score(np.array([1, 2, 1, 2], dtype=np.float32))
    assert found.rows.tolist() == [1, 3, 0, 2]


def test_of_a_group_only_the_best_stays_and_items_without_one_all_do() -> None:
    scores = np.array([1, 4, 3, 2, 0], dtype=np.float32)
    found = order.by_score(scores, groups=["a", None, "a", "b", None])
    assert found.rows.tolist() == [1, 2, 3, 4]


def test_what_sold_out_goes_last_without_a_rising_score() -> None:
    scores = np.array([9, 1, 5], dtype=np.float32)
    found = order.by_score(scores, available=np.array([False, True, True]))
    assert found.rows.tolist() == [2, 1, 0]
    assert found.scores.tolist() == [5, 1, 1]
