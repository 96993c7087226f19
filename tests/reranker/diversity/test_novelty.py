"""Greedy picks against what they approximate step by step, worked out by brute force."""

from typing import Any

import numpy as np
import pytest

from reranker.diversity.novelty import METHODS


def kernel(seed: int, n: int, dims: int) -> Any:
    rows = np.random.default_rng(seed).normal(size=(n, dims))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return (unit @ unit.T).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_dpp_picks_what_raises_the_determinant_most(seed: int) -> None:
    likeness = kernel(seed, 9, 12)
    quality = np.random.default_rng(seed + 100).normal(size=9)
    novelty = METHODS["dpp"](likeness, 6)
    picked: list[int] = []
    exact = likeness.astype(np.float64)

    def log_probability(rows: list[int]) -> float:
        determinant = np.linalg.det(exact[np.ix_(rows, rows)])
        return float(quality[rows].sum() + 0.5 * np.log(determinant))

    for _ in range(6):
        left = [at for at in range(9) if at not in picked]
        best = max(left, key=lambda at: log_probability([*picked, at]))
        gains = quality + novelty.values
        assert max(left, key=lambda at: gains[at]) == best
        gained = log_probability([*picked, best]) - (log_probability(picked) if picked else 0.0)
        assert gains[best] == pytest.approx(gained, abs=1e-3)
        picked.append(best)
        novelty.pick(best)


def test_dpp_knows_a_twin_for_one() -> None:
    likeness = np.ones((2, 2), np.float32)
    novelty = METHODS["dpp"](likeness, 2)
    novelty.pick(0)
    assert novelty.values[1] < -5
    novelty.pick(1)
    assert np.isfinite(novelty.values).all()


def test_mmr_is_the_likeness_to_the_most_alike_pick() -> None:
    likeness = kernel(1, 8, 4)
    novelty = METHODS["mmr"](likeness, 4)
    assert (novelty.values == 0).all()
    for count, pick in enumerate([3, 0, 6], start=1):
        novelty.pick(pick)
        assert novelty.values == pytest.approx(-likeness[[3, 0, 6][:count]].max(axis=0))


def test_dispersion_is_the_mean_likeness_to_the_picks() -> None:
    likeness = kernel(2, 8, 4)
    novelty = METHODS["dispersion"](likeness, 4)
    for count, pick in enumerate([1, 2, 7], start=1):
        novelty.pick(pick)
        assert novelty.values == pytest.approx(-likeness[[1, 2, 7][:count]].mean(axis=0), abs=1e-6)
