"""What the adaptive layer adds when serving, and what a list leaves behind."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.behaviour import adaptive, shown_list
from indexer.behaviour.adaptive import Layer, Lesson
from reranker.serving import adaptation
from reranker.serving.adaptation import WIDTH


def taught(seed: int, lessons: int = 40) -> Layer:
    random, layer = np.random.default_rng(seed), adaptive.empty(WIDTH)
    for _ in range(lessons):
        seen = adaptive.features(random.normal(size=(8, WIDTH)))
        layer = adaptive.learn(layer, Lesson(seen, np.zeros(8), 0, 1.0, "known:"))
    return layer


@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_parts_by_signal_add_up_to_what_is_added_and_stay_within_the_bound(
    seed: int, size: float
) -> None:
    layer = taught(1)
    layer = Layer(size * layer.means, layer.precisions, layer.segments)
    signals = np.random.default_rng(seed).normal(size=(8, WIDTH)).astype(np.float32)
    made = adaptation.adapt(layer, signals, "known:")
    assert made.parts.sum(axis=1) == pytest.approx(made.added, abs=1e-4)
    wanted = layer.gain * layer.part(made.features, "known:")
    assert made.added == pytest.approx(wanted, abs=1e-3)
    assert np.abs(made.added).max() <= adaptive.PART_MAX + 1e-3


def test_a_layer_that_has_learned_nothing_adds_exactly_nothing() -> None:
    signals = np.random.default_rng(0).normal(size=(5, WIDTH)).astype(np.float32)
    assert not adaptation.adapt(adaptive.empty(WIDTH), signals, "new:").added.any()


def test_segments_are_known_and_new_shoppers_of_each_domain() -> None:
    assert adaptation.segment_of(0, {}) == "new:"
    assert adaptation.segment_of(3, {"domain": "films"}) == "known:films"
    assert adaptation.segment_of(3, {"domain": ["films"]}) == "known:"


def test_a_list_leaves_what_was_shown_and_seen_in_its_order() -> None:
    signals = np.random.default_rng(0).normal(size=(4, WIDTH)).astype(np.float32)
    made = adaptation.adapt(taught(2), signals, "new:")
    scores = np.arange(4, dtype=np.float32)
    blob = adaptation.left_behind(made, None, scores, [2, -1, 0], ["c", "pinned", "a"], 5.0)
    read = shown_list.decode(blob)
    assert read is not None
    assert read.scores.tolist() == [2.0, 0.0]
    assert (read.place("c"), read.place("a"), read.place("pinned")) == (0, 1, None)
    assert read.features.tolist() == made.features[[2, 0]].astype(np.float16).tolist()
    assert adaptation.left_behind(made, "v", scores, [1, -1], ["b", "x"], 5.0) is None


def test_layers_are_kept_apart_by_model() -> None:
    assert adaptation.key("v1") != adaptation.key("v2") != adaptation.key(None)
