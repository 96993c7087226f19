import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reranker.evaluation import compare

VALUES = st.lists(st.floats(-1, 1).map(lambda value: round(value, 3)), min_size=1, max_size=9)


@given(VALUES)
def test_the_randomisation_p_value_is_that_of_all_sign_flips(values: list[float]) -> None:
    differences = np.array(values)
    flips = np.array(list(itertools.product([-1, 1], repeat=len(values)))) @ differences
    exact = float((np.abs(flips) >= abs(differences.sum()) - 1e-9).mean())
    assert compare.sign_flip_p_value(differences, seed=1, rounds=4000) == pytest.approx(
        exact, abs=0.04
    )


def test_the_p_value_agrees_with_scipy() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.random(60), rng.random(60) - 0.08
    theirs = stats.permutation_test(
        (a - b,), np.mean, permutation_type="samples", n_resamples=5000, rng=rng
    )
    ours = compare.paired(a, b, seed=3, rounds=5000)
    assert ours.p_value == pytest.approx(float(theirs.pvalue), abs=0.02)


def test_the_interval_agrees_with_scipy() -> None:
    rng = np.random.default_rng(6)
    differences = rng.normal(0.1, 0.4, 80)
    theirs = stats.bootstrap(
        (differences,), np.mean, method="percentile", n_resamples=5000, rng=rng
    ).confidence_interval
    ours = compare.bootstrap_interval(differences, seed=3, rounds=5000)
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_equal_systems_are_not_told_apart() -> None:
    values = np.linspace(0, 1, 30)
    found = compare.paired(values, values, seed=1, rounds=500)
    assert (found.mean_difference, found.p_value, found.interval) == (0.0, 1.0, (0.0, 0.0))
    assert (found.wins, found.losses, found.ties) == (0, 0, 30)
    assert not found.better
    assert not found.worse


@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_queries_and_the_sides_change_only_the_sign(
    values: list[float], shuffler: random.Random
) -> None:
    order = list(range(len(values)))
    shuffler.shuffle(order)
    a, b = np.array(values), np.zeros(len(values))
    there, back = (compare.paired(*pair, seed=1, rounds=400) for pair in ((a, b), (b, a)))
    moved = compare.paired(a[order], b, seed=1, rounds=400)
    assert there.mean_difference == pytest.approx(-back.mean_difference)
    assert (there.wins, there.losses) == (back.losses, back.wins)
    assert there.p_value == back.p_value
    assert (moved.wins, moved.ties) == (there.wins, there.ties)
    assert moved.mean_difference == pytest.approx(there.mean_difference)


def test_equal_seeds_give_equal_numbers() -> None:
    a, b = np.random.default_rng(1).random((2, 50))
    assert compare.paired(a, b, seed=9) == compare.paired(a, b, seed=9)


def test_noise_alone_is_called_significant_about_as_often_as_promised() -> None:
    rng = np.random.default_rng(11)
    draws = [compare.sign_flip_p_value(rng.normal(size=40), n, 400) for n in range(400)]
    assert 0.02 <= float(np.mean(np.array(draws) <= 0.05)) <= 0.085


def test_a_planted_difference_is_found_and_lies_in_the_interval() -> None:
    noise = np.random.default_rng(2).normal(0, 0.2, 400)
    found = compare.paired(0.5 + 0.1 + noise, np.full(400, 0.5), seed=1, rounds=2000)
    assert found.p_value == 1 / 2001
    assert found.better
    assert found.interval[0] < 0.1 < found.interval[1]


def test_holm_multiplies_the_smallest_by_all_and_never_falls() -> None:
    adjusted = compare.holm({"bm25": 0.01, "knn": 0.04, "rrf": 0.03})
    assert adjusted == pytest.approx({"bm25": 3 * 0.01, "rrf": 2 * 0.03, "knn": 2 * 0.03})


def test_holm_agrees_with_the_step_down_definition() -> None:
    p_values = {"a": 0.5, "b": 0.9, "c": 0.001}
    assert compare.holm(p_values) == pytest.approx({"a": 1.0, "b": 1.0, "c": 3 * 0.001})


@pytest.mark.parametrize(("a", "b"), [([], []), ([1.0], [1.0, 2.0])])
def test_values_of_other_queries_are_refused(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="paired values of the same queries"):
        compare.paired(a, b, seed=1)
