"""Position bias: planted curves are found again, and what they hid comes to light."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.behaviour.event import BehaviourEvent
from reranker.learning import cases, plan
from reranker.learning.cases import LoggedSearch
from reranker.learning.losses import softmax_cross_entropy
from reranker.learning.position_bias import (
    NO_CORRECTION,
    WEIGHT_MAX,
    Impressions,
    PositionBias,
    harvest,
)
from reranker.learning.schedule import Schedule
from tests.reranker.learning import shop

DEPTH = 10


def simulated(
    eta: float, *, searches: int = 20_000, noise: float = 0.3, seed: int = 0
) -> Impressions:
    """Searches over 50 texts with 20 items each, of which ten are shown.

    Looked at with probability 1 / rank ** eta, clicked if looked at and relevant. The order follows
    a score that knows something of relevance, and noise that moves the items.
    """
    random = np.random.default_rng(seed)
    relevance = random.beta(1, 4, size=(50, 20))
    score = relevance + random.normal(0, 0.2, size=relevance.shape)
    text = random.integers(0, 50, searches)
    order = np.argsort(-(score[text] + random.normal(0, noise, size=(searches, 20))), axis=1)
    order = order[:, :DEPTH]
    position = np.tile(np.arange(1, DEPTH + 1), (searches, 1))
    chance = position**-eta * relevance[text[:, None], order]
    return Impressions(
        (text[:, None] * 20 + order).ravel(),
        position.ravel(),
        (random.random(position.shape) < chance).ravel(),
    )


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_a_planted_curve_is_found_again_within_a_tenth_or_two_hundredths(
    eta: float, noise: float
) -> None:
    found = harvest(simulated(eta, noise=noise))
    planted = np.arange(1, DEPTH + 1) ** -eta
    np.testing.assert_allclose(found.estimated, planted, rtol=0.1, atol=0.02)
    assert found.propensities[0] == 1.0
    np.testing.assert_allclose(
        found.propensities, np.maximum(planted, 1 / WEIGHT_MAX), rtol=0.1, atol=0.02
    )


def test_clicks_by_position_alone_would_tell_another_curve() -> None:
    """The better items stand higher, so that a curve of click rates is too steep."""
    seen = simulated(0.5, noise=0.1)
    rate = np.array([seen.clicked[seen.position == k].mean() for k in range(1, DEPTH + 1)])
    assert rate[-1] / rate[0] < 0.6 * DEPTH**-0.5


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(20, 400))
def test_propensities_start_at_one_never_rise_and_are_bounded(seed: int, searches: int) -> None:
    found = harvest(simulated(1.0, searches=searches, seed=seed), clicks_min=1)
    values = np.array(found.propensities)
    assert len(values) == 0 or values[0] == 1.0
    assert (np.diff(values) <= 0).all()
    assert (values >= 1 / WEIGHT_MAX).all()
    assert np.isfinite(found.estimated).all()
    assert all(1.0 <= found.weight(k) <= WEIGHT_MAX for k in range(-1, 200))


def test_with_few_clicks_on_moved_items_nothing_is_corrected() -> None:
    found = harvest(simulated(1.0, searches=60))
    assert 0 < found.clicks < 200
    assert found.propensities == ()
    assert [found.weight(k) for k in (1, 5, 500)] == [1.0] * 3
    assert found.as_dict()["method"] == "none"


def test_items_that_never_moved_tell_nothing_however_many_clicks_there_are() -> None:
    position = np.tile(np.arange(1, 6), 10_000)
    clicked = np.random.default_rng(0).random(len(position)) < 1 / position
    assert harvest(Impressions(position, position, clicked)) == NO_CORRECTION


def test_no_impressions_are_no_correction() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert harvest(Impressions(none, none, none.astype(bool))) == NO_CORRECTION


def test_items_that_are_always_clicked_do_not_break_the_estimate() -> None:
    pair = np.repeat(np.arange(100), 6)
    position = np.tile([1, 2, 3], 200)
    found = harvest(Impressions(pair, position, np.ones(len(pair), dtype=bool)))
    np.testing.assert_allclose(found.propensities, 1.0, atol=1e-6)


def test_a_position_between_two_that_are_known_is_like_its_neighbours() -> None:
    seen = simulated(1.0)
    hole = seen.position != 3
    found = harvest(Impressions(seen.pair[hole], seen.position[hole], seen.clicked[hole]))
    assert found.estimated[3] < found.estimated[2] < found.estimated[1]


# From here on: a log in which the order hid what is relevant.

RELEVANCE = {"a": 0.15, "b": 0.3, "c": 0.45, "d": 0.6, "e": 0.75, "f": 0.9}


def click_on(name: str, time: float, query_id: str) -> BehaviourEvent:
    return BehaviourEvent(f"{query_id}{name}", "click", name, time, query_id=query_id)


def misled_log(
    eta: float, searches: int, seed: int = 0
) -> tuple[list[LoggedSearch], list[BehaviourEvent]]:
    """A shop that mostly shows the least relevant first."""
    random = np.random.default_rng(seed)
    names = list(RELEVANCE)
    logged, events = [], []
    for number in range(searches):
        key = np.arange(len(names)) + random.normal(0, 1.5, size=len(names))
        shown = tuple(names[row] for row in np.argsort(key))
        time = shop.START + number
        logged.append(LoggedSearch(f"q{number}", time, None, "lamp", shown))
        for row, name in enumerate(shown):
            looked = random.random() < (row + 1) ** -eta
            if looked and random.random() < RELEVANCE[name]:
                event = BehaviourEvent(
                    f"{number}{name}", "click", name, time, query_id=f"q{number}"
                )
                events.append(event)
    return logged, events


def labels_of(bias: PositionBias, eta: float) -> NDArray[np.float32]:
    """Click labels [searches, items] of the misled log, as training gets them."""
    found = cases.logged(*misled_log(eta, 4000), [shop.START - 1], bias)
    rows = [[case.labels.get(name, (0.0,))[0] for name in RELEVANCE] for case in found]
    return np.array(rows, dtype=np.float32)


def fitted(labels: NDArray[np.float32]) -> list[str]:
    """Items by the scores of a model with one weight an item, best first."""
    scores = torch.zeros(labels.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([scores], max_iter=100, line_search_fn="strong_wolfe")
    given_labels = torch.from_numpy(labels)
    mask = torch.ones_like(given_labels, dtype=torch.bool)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = softmax_cross_entropy(scores.expand(len(labels), -1), given_labels, mask)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)
    names = list(RELEVANCE)
    return [names[row] for row in scores.detach().argsort(descending=True).tolist()]


@pytest.mark.parametrize("eta", [1.0, 1.5])
def test_a_ranker_trained_on_weighted_clicks_finds_the_true_order_and_a_naive_one_does_not(
    eta: float,
) -> None:
    true = sorted(RELEVANCE, key=lambda name: -RELEVANCE[name])
    bias = harvest(cases.impressions(*misled_log(eta, 4000)))
    assert fitted(labels_of(bias, eta)) == true
    assert fitted(labels_of(NO_CORRECTION, eta)) != true


def stories() -> Iterator[tuple[Schedule, int]]:
    yield Schedule(cases=10, held_out_cases=10), 6
    yield Schedule(cases=10, held_out_cases=10, position_bias="none"), 0


@pytest.mark.parametrize(("schedule", "positions"), stories())
def test_the_plan_weights_the_clicks_it_trains_on_and_not_those_it_measures_on(
    schedule: Schedule, positions: int
) -> None:
    logged, clicks = misled_log(1.0, 4000)
    made = plan.plan(clicks, logged, {}, schedule)
    assert made is not None
    assert len(made.position_bias.propensities) == positions

    def weights(of: list[cases.Case]) -> set[float]:
        return {round(label[0], 3) for case in of for label in case.labels.values()}

    assert weights(made.held_out) == {1.0}
    assert (max(weights(made.train)) > 3) == (max(weights(made.late)) > 3) == (positions > 0)
