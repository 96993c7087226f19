"""Intervals hold a planted truth where clicks are rare and the policies are far apart."""

from collections.abc import Callable

import numpy as np
import pytest

from reranker.evaluation import offpolicy
from reranker.evaluation.offpolicy import Estimate, Impressions
from tests.bench import logged_slates
from tests.bench.logged_slates import ITEMS, PLACES, World
from tests.bench.offpolicy import judged

RUNS = 150
Estimator = Callable[[Impressions], Estimate]
ESTIMATORS: list[Estimator] = [offpolicy.ips, offpolicy.snips, offpolicy.dr]


@pytest.fixture(scope="module", params=[(0.02, 300), (0.005, 3000)], ids=["short", "rare clicks"])
def planted(request: pytest.FixtureRequest) -> tuple[World, list[Impressions]]:
    """A world in which the old policy hardly shows what the new one would, and logs of it."""
    click_rate, searches = request.param
    world = logged_slates.world(click_rate, 1.5, seed=11)
    return world, [world.logged(searches, seed) for seed in range(RUNS)]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_at_least_nine_in_ten_intervals_hold_the_truth(
    planted: tuple[World, list[Impressions]], estimator: Estimator
) -> None:
    world, logs = planted
    found = judged([estimator(log) for log in logs], world.truth, estimator.__name__)
    assert found["covered"] >= 0.9
    # What makes it a test: the same errors under a normal curve do not.
    assert found["covered_normal"] < 0.9


def test_the_planted_truth_is_what_the_new_policy_earns_when_it_serves() -> None:
    world = logged_slates.world(0.1, 1.0, seed=3)
    rng = np.random.default_rng(4)
    kind = rng.integers(0, len(world.likes), 200_000)
    lists = logged_slates.drawn(world.new[kind], rng)
    earned = np.take_along_axis(world.likes[kind], lists, axis=1) * logged_slates.EXAMINED
    assert earned.mean() == pytest.approx(world.truth, rel=0.01)
    old, new = world.chances
    assert old.shape == new.shape == (len(world.likes), PLACES, ITEMS)
    assert old.sum(axis=2) == pytest.approx(1.0)


def test_a_log_without_a_click_leaves_room_for_what_was_not_seen() -> None:
    nothing = Impressions(np.zeros(300), np.full(300, 0.2), np.full(300, 0.1))
    low, high = offpolicy.ips(nothing).interval
    assert low == 0.0
    # Of 300 impressions at half the weight, about 3.7 clicks at most were missed by chance.
    assert 0.5 * 2.0 / 300 < high < 0.5 * 6.0 / 300


def test_rewards_below_zero_are_judged_by_a_normal_interval() -> None:
    reward = np.random.default_rng(5).normal(size=400)
    found = offpolicy.ips(Impressions(reward, np.full(400, 0.5), np.full(400, 0.5)))
    low, high = found.interval
    assert found.value - low == pytest.approx(high - found.value)
