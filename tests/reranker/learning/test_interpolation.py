"""The way back towards the linear ranker, and what the network starts from."""

import numpy as np
import pytest

from reranker.fusion.line import LINES
from reranker.learning import fit, interpolation, linear
from reranker.learning.dataset import ListSet, signal_moments
from reranker.learning.schedule import Schedule
from tests.reranker.learning.lists import list_set, vectors

SMALL = Schedule(width=16, layers=1, attention_heads=2, batch_lists=8)
WEIGHTS = np.array([0.0, 0.0, 1.0], dtype=np.float32)
Array = np.ndarray


def scores(network: fit.FusionNetwork, lists: ListSet) -> Array:
    return fit.score([network], lists, vectors(), WEIGHTS)


def centred(values: Array, lists: ListSet) -> Array:
    parts = [
        values[a:b] - values[a:b].mean()
        for a, b in zip(lists.start[:-1], lists.start[1:], strict=True)
    ]
    return np.concatenate(parts)


@pytest.fixture
def learned() -> tuple[fit.FusionNetwork, Array, ListSet]:
    train = list_set(60, seed=1)
    direct = linear.start(train)
    made = fit.new_network(train, vectors(), SMALL, 0, direct)
    trained = fit.heads_of(train, SMALL.head_weights)
    fit.fit(made, train, vectors(), SMALL, epochs=2, learning_rate=1e-2, seed=0, trained=trained)
    return made, direct, list_set(20, seed=2)


def test_an_untrained_network_orders_as_the_linear_ranker_that_it_starts_from() -> None:
    train, held_out = list_set(60, seed=1), list_set(20, seed=2)
    mean, scale = signal_moments(train)
    values = linear._standardised(train, mean, scale)
    nothing = np.zeros(LINES * len(mean), np.float32)
    read = linear.reading_of(train, mean / scale)
    lines = linear.fitted(values, train, linear.START_PENALTY, nothing, read)
    begun = fit.new_network(train, vectors(), SMALL, 0, linear.start(train))
    values = linear._standardised(held_out, mean, scale)
    alone = linear.scored(values, lines, linear.reading_of(held_out, mean / scale))
    np.testing.assert_allclose(
        centred(scores(begun, held_out), held_out), centred(alone, held_out), atol=0.05
    )


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_scores_go_back_in_a_straight_line(
    learned: tuple[fit.FusionNetwork, Array, ListSet], share: float
) -> None:
    network, direct, held_out = learned
    end = scores(network, held_out)
    start = scores(interpolation.start_of(network, direct), held_out)
    assert np.abs(end - start).max() > 0.1
    interpolation.go_back(network, direct, share)
    np.testing.assert_allclose(scores(network, held_out), start + share * (end - start), atol=1e-3)


def test_weights_go_back_to_where_they_were(
    learned: tuple[fit.FusionNetwork, Array, ListSet],
) -> None:
    network, direct, held_out = learned
    begun = interpolation.start_of(network, direct)
    before = scores(begun, held_out)
    interpolation.go_back_to(network, begun, 0.0)
    np.testing.assert_allclose(scores(network, held_out), before, atol=1e-5)


def test_the_best_share_is_that_of_the_highest_mean_and_the_largest_of_equal_ones() -> None:
    start, end = np.zeros(60), np.ones(60)
    assert interpolation.best_share(start, end, lambda it: -np.abs(it - 0.4)) == 0.4
    assert interpolation.best_share(start, end, lambda it: np.minimum(it, 0.4)) == 1.0


def test_nothing_is_kept_of_what_is_not_ahead_beyond_noise() -> None:
    gains = np.r_[np.full(50, 1.0), np.full(50, -0.9)]  # mean 0.05, standard error 0.095
    assert interpolation.best_share(np.zeros(100), gains, lambda it: it) == 0.0
    assert interpolation.best_share(np.zeros(100), gains + 0.1, lambda it: it) == 0.0
    assert interpolation.best_share(np.zeros(100), gains + 0.2, lambda it: it) == 1.0
    assert interpolation.best_share(np.zeros(100), np.zeros(100), lambda it: it) == 0.0


def test_few_lists_tell_nothing() -> None:
    few = interpolation.LISTS_MIN - 1
    assert interpolation.best_share(np.zeros(few), np.ones(few), lambda it: it) == 0.0
    assert interpolation.best_share(np.zeros(few + 1), np.ones(few + 1), lambda it: it) == 1.0
