"""What may be said of two arms at any time: few false alarms, and enough found."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.experiments import comparison, cuped, power, sample_ratio, sequential
from reranker.experiments.comparison import Terms
from reranker.experiments.power import Baseline
from reranker.experiments.ratio import Sums, linear

LOOKS = 20


def crossings(effect: float, runs: int, planned: int, seed: int) -> float:
    """The share of runs in which some look at a growing sample of normal values finds something."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((runs, planned)) + effect
    counts = np.linspace(planned / LOOKS, planned, LOOKS).astype(int)
    found = np.zeros(runs, bool)
    for count in counts:
        seen = values[:, :count]
        for run in np.flatnonzero(~found):
            variance = float(seen[run].var(ddof=1)) / count
            low, high = sequential.interval(
                float(seen[run].mean()), variance, count / planned, 0.05
            )
            found[run] = low > 0 or high < 0
    return float(found.mean())


def test_looking_again_and_again_finds_nothing_where_nothing_is() -> None:
    assert crossings(0.0, runs=600, planned=2000, seed=1) <= 0.05


def test_the_same_looks_with_a_fixed_interval_find_far_too_much() -> None:
    """The simulation can tell: 1.96 standard errors at each look are wrong."""
    rng = np.random.default_rng(1)
    values = rng.standard_normal((600, 2000)).cumsum(axis=1)
    counts = np.linspace(2000 / LOOKS, 2000, LOOKS).astype(int)
    found = (np.abs(values[:, counts - 1]) > 1.96 * np.sqrt(counts)).any(axis=1)
    assert found.mean() > 0.15


def test_a_real_difference_is_found_as_often_as_planned() -> None:
    baseline = Baseline(mean=1.0, deviation=1.0)
    # One sample against a known 0 has a quarter of the variance of two halves.
    planned = power.units_needed(baseline, 0.1, [1, 1], 0.05) // 4
    assert crossings(0.1, runs=300, planned=planned, seed=2) >= 0.8


@given(
    st.floats(-5, 5), st.floats(1e-6, 10), st.floats(0.01, 50), st.sampled_from([0.01, 0.05, 0.1])
)
def test_the_p_value_and_the_interval_say_the_same(
    estimate: float, variance: float, share: float, alpha: float
) -> None:
    low, high = sequential.interval(estimate, variance, share, alpha)
    p_value = sequential.p_value(estimate, variance, share, alpha)
    assert 0.0 <= p_value <= 1.0
    if abs(p_value - alpha) > 1e-9:
        assert (p_value < alpha) == (low > 0 or high < 0)


def test_the_interval_is_narrowest_about_the_planned_end() -> None:
    reach = [sequential.threshold(share, 0.05) for share in (0.05, 0.3, 1.0, 4.0, 50.0)]
    assert reach[2] == min(reach)
    assert reach[2] == pytest.approx(3.035, abs=0.01)
    assert math.isinf(sequential.threshold(0.0, 0.05))


def test_a_ratio_and_its_linear_values_agree() -> None:
    rng = np.random.default_rng(3)
    searches = rng.integers(1, 30, 500).astype(float)
    clicks = rng.binomial(searches.astype(int), rng.beta(2, 5, 500)).astype(float)
    values = linear(clicks, searches)
    assert values.mean() == pytest.approx(clicks.sum() / searches.sum())
    drawn = rng.integers(0, 500, (4000, 500))
    resampled = clicks[drawn].sum(axis=1) / searches[drawn].sum(axis=1)
    assert values.std() / math.sqrt(500) == pytest.approx(resampled.std(), rel=0.06)


def units(count: int, rng: np.random.Generator, lift: float = 1.0) -> Sums:
    """Units whose past tells half of what they do."""
    taste = rng.gamma(2.0, 1.0, count)
    ones = np.ones(count)
    now = rng.poisson(5 * taste * lift).astype(float)
    return Sums(now, ones, rng.poisson(5 * taste).astype(float), ones)


def test_what_units_did_before_takes_noise_off_and_leaves_the_difference() -> None:
    rng = np.random.default_rng(4)
    with_past, without = [], []
    for _ in range(60):
        arms = [units(400, rng), units(400, rng, lift=1.1)]
        after = cuped.adjusted(arms)
        with_past.append(after[1].mean() - after[0].mean())
        without.append(arms[1].value - arms[0].value)
    assert np.var(with_past) < 0.35 * np.var(without)
    assert np.mean(with_past) == pytest.approx(1.0, abs=0.1)
    assert cuped.reduction(arms, after) > 0.6


def test_a_past_that_nobody_has_changes_nothing() -> None:
    top, ones, nothing = np.arange(50.0), np.ones(50), np.zeros(50)
    plain = cuped.adjusted([Sums(top, ones), Sums(top + 1, ones)])
    empty = cuped.adjusted([Sums(it, ones, nothing, nothing) for it in (top, top + 1)])
    for one, other in zip(plain, empty, strict=True):
        np.testing.assert_array_equal(one, other)


def test_few_units_say_nothing() -> None:
    few = Sums(np.array([0.0, 1.0] * 20), np.ones(40))
    many = Sums(few.top + 100, few.bottom)
    (found,) = comparison.against_first([few, many], Terms(1000, 0.05))
    assert (found.is_found, found.p_value, found.difference) == (False, 1.0, 100.0)


def test_an_arm_that_nobody_saw_is_no_error() -> None:
    none = Sums(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0))
    full = units(300, np.random.default_rng(5))
    found = comparison.against_first([full, none, full], Terms(1000, 0.05))
    assert [it.is_found for it in found] == [False, False]


def test_a_lopsided_split_sounds_the_alarm_and_a_fair_one_does_not() -> None:
    assert not sample_ratio.is_off([5000, 5060], [1, 1])
    assert sample_ratio.is_off([5000, 5600], [1, 1])
    assert not sample_ratio.is_off([7030, 1990, 980], [0.7, 0.2, 0.1])
    assert sample_ratio.is_off([6700, 2300, 1000], [0.7, 0.2, 0.1])
    assert not sample_ratio.is_off([0, 0], [1, 1])


def test_the_alarm_stays_silent_however_often_a_fair_split_is_looked_at() -> None:
    rng = np.random.default_rng(6)
    alarms = 0
    for _ in range(400):
        arms = rng.random(5000) < 0.5
        ones = arms.cumsum()[99::100]
        counts = np.arange(100, 5001, 100)
        p_values = [
            sample_ratio.p_value([int(one), int(n - one)], [1, 1])
            for one, n in zip(ones, counts, strict=True)
        ]
        alarms += min(p_values) < 0.05
    assert alarms <= 0.05 * 400


@given(st.floats(0.01, 10), st.floats(0.01, 10), st.floats(0.01, 0.5), st.booleans())
def test_units_needed_and_what_they_find_belong_together(
    mean: float, deviation: float, effect: float, fixed: bool
) -> None:
    baseline = Baseline(mean, deviation)
    needed = power.units_needed(baseline, effect, [2, 1, 1], 0.05, fixed=fixed)
    found = power.detectable(baseline, needed, [2, 1, 1], 0.05, fixed=fixed)
    assert found <= effect * (1 + 1e-9)
    if needed > 1000:
        assert found == pytest.approx(effect, rel=0.01)


def test_the_textbook_case_needs_the_textbook_number() -> None:
    """16 s^2 / d^2 an arm, for a fixed test with 80 % power at 5 %."""
    needed = power.units_needed(Baseline(1.0, 1.0), 0.1, [1, 1], 0.05, fixed=True)
    assert needed == pytest.approx(2 * 15.7 / 0.01, rel=0.01)
