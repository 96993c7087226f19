"""Declared keys of a context become numbers: the same everywhere, distinct, nothing for nothing."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from indexer.catalogue.context_keys import KEYS_MAX, USUAL, ContextKeys, Number
from indexer.catalogue.mapping import IndexConfig
from reranker.signals import declared, definition
from reranker.signals.declared import WIDTH, codes, worth_keeping

KEYS: ContextKeys = {"weather": "word", "shop": "word", "degrees": Number(low=-10, high=30)}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def test_each_place_of_a_code_is_a_declared_signal() -> None:
    names = [s.name for s in definition.CONTEXT if s.name.startswith("context_")]
    assert tuple(names) == declared.NAMES
    assert len(names) == WIDTH
    assert {(s.low, s.high) for s in definition.CONTEXT if s.name in names} == {
        (-KEYS_MAX, KEYS_MAX)
    }


@given(st.dictionaries(st.sampled_from([*KEYS, "other"]), anything))
def test_anything_that_a_client_says_gives_a_finite_code(context: dict[str, Any]) -> None:
    found = codes(context, KEYS)
    assert found.shape == (WIDTH,)
    assert np.isfinite(found).all()
    assert (np.abs(found) <= len(KEYS)).all()
    without = {key: value for key, value in context.items() if key != "other"}
    assert (codes(without, KEYS) == found).all()
    kept = worth_keeping(context, KEYS)
    assert (codes(kept, KEYS) == found).all()


def test_words_are_told_apart_and_case_and_spaces_do_not_count() -> None:
    said = [codes({"weather": f"sort {n}"}, KEYS) for n in range(40)]
    assert len({found.tobytes() for found in said}) == 40
    assert (codes({"weather": " Rain "}, KEYS) == codes({"weather": "rain"}, KEYS)).all()
    assert not (codes({"weather": "rain"}, KEYS) == codes({"shop": "rain"}, KEYS)).all()
    assert not codes({}, KEYS).any()


def test_keys_add_up_in_any_order() -> None:
    one, other = {"weather": "rain", "shop": "Graz"}, {"shop": "Graz", "weather": "rain"}
    both = codes({"weather": "rain"}, KEYS) + codes({"shop": "Graz"}, KEYS)
    assert (codes(one, KEYS) == both).all()
    assert (codes(other, KEYS) == both).all()


def test_a_number_counts_by_its_place_between_the_ends() -> None:
    cold, middle, hot = (codes({"degrees": value}, KEYS) for value in (-10, 10, 30))
    assert (cold == -hot).all()
    assert not middle.any()
    assert (codes({"degrees": 99}, KEYS) == hot).all()
    assert (codes({"degrees": "30"}, KEYS) == hot).all()
    assert not codes({"degrees": "warm"}, KEYS).any()


def test_what_is_kept_is_what_a_model_goes_by() -> None:
    said = {"device": "phone", "weather": "rain", "trace": "abc", "shop": ["a"], "degrees": 3}
    assert worth_keeping(said, KEYS) == {"device": "phone", "weather": "rain", "degrees": 3}


def test_an_index_declares_season_location_and_weather_unless_it_says_otherwise() -> None:
    assert IndexConfig().context == USUAL
    own = IndexConfig.model_validate({"context": {"degrees": {"low": -10, "high": 30}}})
    assert own.context == {"degrees": Number(low=-10, high=30)}
    assert IndexConfig.model_validate(own.model_dump(mode="json")) == own


@pytest.mark.parametrize(
    ("context", "says"),
    [
        ({"device": "word"}, "signals of its own"),
        ({"degrees": {"low": 3, "high": 3}}, "low must be below high"),
        ({"weather": "words"}, "word"),
        ({f"k{n}": "word" for n in range(KEYS_MAX + 1)}, str(KEYS_MAX)),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(context: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        IndexConfig.model_validate({"context": context})
