"""Drift: silent where nothing moved, at a stated rate, and loud where something did."""

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reranker.signals import definition, drift

N = len(definition.NAMES)
PRICE, CARD, PURCHASES, SEASON = (
    definition.INDEX[name] for name in ("price", "card", "purchases", "season_sine")
)
THRESHOLD = 0.25


def lists(count: int, seed: int, *, rows: int = 20) -> np.ndarray:
    """Signals of lists whose candidates are wholly alike: the worst case for chance."""
    random = np.random.default_rng(seed)
    signals = np.repeat(random.normal(size=(count, N)), rows, axis=0).astype(np.float32)
    signals[:, CARD] = 1.0
    signals[:, PURCHASES] = np.log1p(random.poisson(0.4, size=len(signals)))  # mostly zeros
    return signals


@pytest.mark.parametrize(("trained", "served"), [(200, 200), (400, 500), (60, 300)])
def test_without_drift_fewer_than_one_in_two_hundred_signals_is_above(
    trained: int, served: int
) -> None:
    above, measured = 0, 0
    for seed in range(12):
        told = drift.reference(lists(trained, seed), trained)
        found = drift.measure(told, lists(served, 1000 + seed), served)
        above += len(drift.moved(found, THRESHOLD))
        measured += len(found)
    assert measured == 12 * N
    assert above / measured < 1 / 200


def test_a_planted_shift_is_above_and_alone() -> None:
    told = drift.reference(lists(300, 1), 300)
    served = lists(300, 2)
    served[:, PRICE] += 1.0  # one standard deviation
    assert list(drift.moved(drift.measure(told, served, 300), THRESHOLD)) == ["price"]


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_a_signal_that_was_constant_is_above_when_it_changes_either_way(value: float) -> None:
    told = drift.reference(lists(300, 1), 300)
    served = lists(300, 2)
    served[: len(served) // 2, CARD] = value
    assert "card" in drift.moved(drift.measure(told, served, 300), THRESHOLD)


def test_full_precision_does_not_look_like_drift() -> None:
    """Log counts in half precision, as training keeps them, against those that serve."""
    signals = lists(300, 1)
    told = drift.reference(signals.astype(np.float16), 300)
    assert not drift.moved(drift.measure(told, signals, 300), 0.01)


def test_the_calendar_is_measured_but_is_no_alarm() -> None:
    told = drift.reference(lists(300, 1), 300)
    served = lists(300, 2)
    served[:, SEASON] += 3.0
    found = drift.measure(told, served, 300)
    assert found["season_sine"].index > 1.0
    assert not drift.moved(found, THRESHOLD)


def test_a_reference_is_small_and_survives_json() -> None:
    told = drift.reference(lists(300, 1), 300)
    assert orjson.loads(orjson.dumps(told)) == told
    assert len(orjson.dumps(told)) < 50_000


def test_without_a_reference_nothing_is_measured() -> None:
    assert drift.measure({}, lists(300, 1), 300) == {}
    assert drift.measure(drift.reference(lists(9, 1), 9), np.empty((0, N)), 0) == {}


shares = st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4)


@settings(deadline=None)
@given(shares, shares)
def test_the_index_is_symmetric_never_negative_and_zero_for_equals(
    one: list[float], other: list[float]
) -> None:
    a, b = np.array(one), np.array(other)
    assert drift.stability_index(a, b) >= 0
    assert drift.stability_index(a, b) == pytest.approx(drift.stability_index(b, a))
    assert drift.stability_index(a, a) == 0


def test_the_index_of_known_shares_is_what_the_paper_says() -> None:
    expected, found = np.array([0.5, 0.5]), np.array([0.75, 0.25])
    by_hand = 0.25 * np.log(1.5) - 0.25 * np.log(0.5)
    assert drift.stability_index(expected, found) == pytest.approx(by_hand)
