"""Pins land where they belong, nothing is lost or doubled, scores never rise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.rules.placing import moved, place

IDS = [f"p{number}" for number in range(30)]


@st.composite
def lists(draw: st.DrawFn) -> tuple[list[str], list[float]]:
    ids = draw(st.lists(st.sampled_from(IDS), unique=True, max_size=20))
    scores = draw(st.lists(st.floats(-50, 50, width=32), min_size=len(ids), max_size=len(ids)))
    return ids, sorted(scores, reverse=True)


PINS = st.dictionaries(
    st.sampled_from([*IDS[:10], "other-1", "other-2"]), st.integers(1, 25), max_size=6
).map(lambda pins: sorted(pins.items(), key=lambda pin: pin[1]))


@given(lists(), PINS)
def test_nothing_is_lost_and_nothing_stands_twice(
    given_list: tuple[list[str], list[float]], pins: list[tuple[str, int]]
) -> None:
    ids, scores = given_list
    found = place(ids, scores, pins)
    assert sorted(found.ids) == sorted({*ids, *(name for name, _ in pins)})
    taken = {name for name, _ in pins}
    assert [name for name in found.ids if name not in taken] == [n for n in ids if n not in taken]


@given(lists(), PINS)
def test_scores_never_rise(
    given_list: tuple[list[str], list[float]], pins: list[tuple[str, int]]
) -> None:
    found = place(*given_list, pins)
    assert found.scores == sorted(found.scores, reverse=True)
    assert np.isfinite(found.scores).all()
    assert len(found.scores) == len(found.ids)


@given(lists(), st.sets(st.integers(1, 20), max_size=5), st.data())
def test_pins_land_on_their_places(
    given_list: tuple[list[str], list[float]], places: set[int], data: st.DataObject
) -> None:
    ids, scores = given_list
    names = data.draw(st.permutations(IDS))[: len(places)]
    pins = list(zip(names, sorted(places), strict=True))
    found = place(ids, scores, pins)
    for name, position in pins:
        at = found.ids.index(name) + 1
        later = [other for other in found.ids[at:] if other not in dict(pins)]
        assert at == position or (at < position and not later)


def test_two_at_one_place_follow_each_other() -> None:
    found = place(["a", "b", "c"], [3.0, 2.0, 1.0], [("x", 2), ("c", 2)])
    assert found.ids == ["a", "x", "c", "b"]
    assert found.scores == [3.0, 2.0, 2.0, 2.0]


def test_where_nothing_was_found_what_is_pinned_is_shown() -> None:
    assert place([], [], [("x", 3)]).ids == ["x"]
    assert place([], [], [("x", 3)]).scores == [0.0]


def test_of_a_group_only_what_is_pinned_first_stays() -> None:
    groups = {"a": "red", "b": "blue", "x": "red", "y": "red"}
    found = place(["a", "b"], [2.0, 1.0], [("x", 1), ("y", 2)], groups)
    assert found.ids == ["x", "b"]


@given(
    st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=20),
    st.data(),
)
def test_a_score_moves_by_no_more_than_the_whole_spread(
    scores: list[float], data: st.DataObject
) -> None:
    shares = data.draw(
        st.lists(st.floats(-3, 3), min_size=len(scores), max_size=len(scores)).map(np.array)
    )
    given_scores = np.array(scores, dtype=np.float32)
    spread = given_scores.max() - given_scores.min()
    found = moved(given_scores, shares)
    assert (np.abs(found - given_scores) <= spread * (1 + 1e-5) + 1e-4).all()
    assert ((found - given_scores) * np.sign(shares) >= -1e-4).all()


def test_all_of_the_spread_lifts_the_last_to_the_level_of_the_first() -> None:
    found = moved(np.array([4.0, 3.0, 1.0], dtype=np.float32), np.array([0.0, 0.0, 1.0]))
    assert found.tolist() == pytest.approx([4.0, 3.0, 4.0])
