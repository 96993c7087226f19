"""Texts to vectors within a time, and encoders that take longer to open than a task may last."""

import math
import time
from collections.abc import Iterator, Sequence
from threading import Event

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.catalogue import encode
from indexer.embedding.encoder import Encoder
from indexer.embedding.recipe import Recipe
from indexer.errors import CouldNotReach, EncoderUnavailable, InvalidVector

RECIPE = Recipe(encoder="hashed:8", dims=8)


class TimedEncoder:
    """Takes so many seconds a text on a clock of its own; refuses texts that say so."""

    recipe = RECIPE
    dims = 8

    def __init__(self, seconds_each: float) -> None:
        self.seconds_each = seconds_each
        self.now = 0.0
        self.asked: list[int] = []

    def encode(self, texts: Sequence[str], *, role: str) -> NDArray[np.float32]:
        assert role == "passage"
        self.asked.append(len(texts))
        self.now += self.seconds_each * len(texts)
        if any("NaN" in text for text in texts):
            raise InvalidVector("vector holds NaN")
        return np.array([[float(len(text))] * 8 for text in texts], dtype=np.float32)


def encoded(encoder: TimedEncoder, texts: dict[int, str], deadline: float) -> encode.Encoded:
    return encode.encode(texts, encoder, deadline, lambda: encoder.now)


def test_a_fast_encoder_gets_all_that_is_left_at_once() -> None:
    encoder = TimedEncoder(0.001)
    found = encoded(encoder, dict.fromkeys(range(256), "x"), 10)
    assert encoder.asked == [8, 248]
    assert sorted(found.vectors) == list(range(256))


def test_without_a_deadline_nothing_is_left() -> None:
    assert encoded(TimedEncoder(5), dict.fromkeys(range(100), "x"), math.inf).left == []


def test_a_slow_encoder_stops_in_time_and_leaves_the_rest() -> None:
    encoder = TimedEncoder(0.5)
    found = encoded(encoder, dict.fromkeys(range(100), "x"), 10)
    assert encoder.now <= 10
    assert len(found.vectors) >= 14
    assert sorted([*found.vectors, *found.left]) == list(range(100))


def test_the_first_texts_are_encoded_however_late_it_is() -> None:
    found = encoded(TimedEncoder(1), dict.fromkeys(range(20), "x"), -5)
    assert list(found.vectors) == list(range(8))


def test_a_text_whose_vector_is_unusable_is_refused_alone() -> None:
    texts = {3: "a", 5: "NaN", 9: "ccc"}
    found = encoded(TimedEncoder(0.001), texts, 10)
    assert found.refused == {5: "vector holds NaN"}
    assert {key: vector[0] for key, vector in found.vectors.items()} == {3: 1, 9: 3}


@given(
    st.dictionaries(st.integers(0, 500), st.sampled_from(["a", "bb", "NaN"]), max_size=60),
    st.floats(0.001, 2),
    st.floats(0, 20),
)
def test_every_text_ends_in_one_place(texts: dict[int, str], each: float, deadline: float) -> None:
    found = encoded(TimedEncoder(each), texts, deadline)
    assert sorted([*found.vectors, *found.refused, *found.left]) == sorted(texts)
    assert all(texts[key] == "NaN" for key in found.refused)
    assert all(found.vectors[key][0] == len(texts[key]) for key in found.vectors)


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Encoders open only once this is set."""
    event = Event()

    def open_slowly(recipe: Recipe) -> Encoder:
        event.wait(10)
        return TimedEncoder(0.0)

    monkeypatch.setattr(encode, "open_encoder", open_slowly)
    encode._openings.clear()
    yield event
    event.set()
    encode._openings.clear()


def test_a_task_does_not_wait_for_an_encoder_longer_than_it_may(allowed: Event) -> None:
    with pytest.raises(CouldNotReach, match="still being opened"):
        encode.opened(RECIPE, time.monotonic() + 0.05)
    allowed.set()
    first = encode.opened(RECIPE, time.monotonic() + 10)
    assert encode.opened(RECIPE, time.monotonic() + 10) is first


def test_what_an_encoder_cannot_be_opened_for_is_raised_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []

    def refuse(recipe: Recipe) -> Encoder:
        calls.append(recipe)
        raise EncoderUnavailable("the model is not here")

    monkeypatch.setattr(encode, "open_encoder", refuse)
    for _ in range(2):
        with pytest.raises(EncoderUnavailable, match="not here"):
            encode.opened(RECIPE, time.monotonic() + 10)
    assert len(calls) == 2
