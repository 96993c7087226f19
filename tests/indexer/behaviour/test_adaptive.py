"""The adaptive layer: what one feedback may do, what many teach, and when it is not believed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.behaviour import adaptive
from indexer.behaviour.adaptive import PART_MAX, STEP_MAX, Layer, Lesson

WIDTH, SHOWN = 6, 10
seeds = st.integers(0, 2**32 - 1)


def lesson(
    random: np.random.Generator, chosen: int | None = None, weight: float = 1.0, segment: str = "k"
) -> Lesson:
    """A list of standardised signals, of which the first one decides where nothing is said."""
    seen = adaptive.features(random.normal(size=(SHOWN, WIDTH)))
    scores = random.normal(size=SHOWN) / 2
    place = int(seen[:, 0].argmax()) if chosen is None else chosen
    return Lesson(seen, scores, place, weight, segment)


def taught(lessons: int, seed: int, **said: object) -> Layer:
    random, layer = np.random.default_rng(seed), adaptive.empty(WIDTH)
    for _ in range(lessons):
        layer = adaptive.learn(layer, lesson(random, **said))  # type: ignore[arg-type]
    return layer


def test_an_empty_layer_adds_nothing_and_is_believed() -> None:
    layer = adaptive.empty(WIDTH)
    assert layer.gain == 1.0
    assert not layer.part(np.ones((3, WIDTH)), "k").any()


@settings(max_examples=50)
@given(seeds, st.floats(-5, 5), st.integers(0, SHOWN - 1), st.floats(0.1, 1e4))
def test_no_feedback_moves_a_weight_farther_than_the_longest_step(
    seed: int, weight: float, chosen: int, size: float
) -> None:
    random = np.random.default_rng(seed)
    before = taught(3, seed).with_segment("k")
    given = lesson(random, chosen, weight)
    wild = Lesson(given.features * size, given.scores, chosen, weight, "k")
    after = adaptive.learn(before, wild)
    assert np.abs(after.means - before.means).max() <= STEP_MAX * (1 + 1e-9)


@settings(max_examples=50)
@given(seeds, st.floats(-3, 3), st.integers(0, SHOWN - 1))
def test_a_feedback_never_makes_a_weight_less_certain(
    seed: int, weight: float, chosen: int
) -> None:
    random = np.random.default_rng(seed)
    before = taught(2, seed).with_segment("k")
    after = adaptive.learn(before, lesson(random, chosen, weight))
    assert (after.variances("k") <= before.variances("k")).all()


@given(seeds, st.floats(1.0, 1e6))
def test_the_part_stays_within_its_bound(seed: int, size: float) -> None:
    random, layer = np.random.default_rng(seed), taught(20, seed)
    assert np.abs(layer.part(size * random.normal(size=(SHOWN, WIDTH)), "k")).max() <= PART_MAX


def test_what_is_chosen_again_and_again_rises_and_variance_falls() -> None:
    layer = taught(300, 1)
    weights = layer.weights("k")
    assert weights[0] > 5 * np.abs(weights[1:]).max()
    assert layer.variances("k")[0] < adaptive.empty(WIDTH).with_segment("k").variances("k")[0]
    assert layer.gain == 1.0
    assert layer.lessons == 300


def test_what_is_given_back_falls() -> None:
    random = np.random.default_rng(2)
    given = lesson(random, 3)
    before = adaptive.empty(WIDTH)
    after = adaptive.learn(before, Lesson(given.features, given.scores, 3, -1.0, "k"))
    moved = after.part(given.features, "k") - before.part(given.features, "k")
    assert moved[3] < 0


def test_a_segment_leans_on_its_shop() -> None:
    layer = taught(100, 3, segment="k")
    strangers = layer.weights("never seen")
    assert 0 < strangers[0] < layer.weights("k")[0]


def test_there_are_only_so_many_segments() -> None:
    random, layer = np.random.default_rng(4), adaptive.empty(WIDTH)
    for number in range(adaptive.SEGMENTS_MAX + 5):
        layer = adaptive.learn(layer, lesson(random, segment=f"s{number}"))
    assert len(layer.segments) == adaptive.SEGMENTS_MAX
    assert layer.lessons == adaptive.SEGMENTS_MAX + 5


@pytest.mark.parametrize("seed", range(5))
def test_clicks_anywhere_are_taken_for_chance_and_switch_the_layer_off(seed: int) -> None:
    random, layer = np.random.default_rng(seed), adaptive.empty(WIDTH)
    for _ in range(400):
        given = lesson(random)
        sharp = Lesson(given.features, 6 * given.scores, int(random.integers(SHOWN)), 1.0, "k")
        layer = adaptive.learn(layer, sharp)
    assert layer.noise > adaptive.NOISE_REFUSED
    assert layer.gain == 0.0


def test_a_layer_that_ranks_worse_is_switched_off_and_comes_back() -> None:
    layer = taught(200, 5)
    assert layer.gain == 1.0
    random = np.random.default_rng(6)

    def turned() -> Lesson:  # the taste has turned: what was high is now avoided
        given = lesson(random)
        return Lesson(given.features, given.scores, int(given.features[:, 0].argmin()), 1.0, "k")

    gains = []
    for _ in range(3000):
        layer = adaptive.learn(layer, turned())
        gains.append(layer.gain)
    assert min(gains) == 0.0
    assert gains[-1] == 1.0
    assert layer.weights("k")[0] < 0


@given(seeds, st.integers(0, 30))
def test_a_kept_layer_is_the_same_in_single_precision(seed: int, lessons: int) -> None:
    layer = taught(lessons, seed)
    read = adaptive.decode(adaptive.encode(layer), WIDTH)
    assert np.allclose(read.means, layer.means, atol=1e-6)
    assert np.allclose(read.precisions, layer.precisions, rtol=1e-6)
    assert (read.segments, read.lessons, read.trial) == (
        layer.segments,
        layer.lessons,
        layer.trial,
    )
    assert adaptive.encode(adaptive.decode(adaptive.encode(layer), WIDTH)) == adaptive.encode(layer)


def test_a_layer_of_other_signals_has_learned_nothing() -> None:
    blob = adaptive.encode(taught(5, 7))
    assert adaptive.decode(blob, WIDTH + 1).lessons == 0
    assert adaptive.decode(None, WIDTH).lessons == 0


def test_what_all_candidates_share_is_no_feature() -> None:
    seen = adaptive.features(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]))
    assert not seen[:, 1].any()
    assert seen[:, 0].mean() == pytest.approx(0.0, abs=1e-6)
