"""What the network is measured against: fitted to the same lists, and read as it was written."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import check_grad

from reranker.evaluation import baselines as reading
from reranker.fusion import artifact
from reranker.learning import baselines, linear, measure
from reranker.learning.baselines import Baselines
from reranker.learning.dataset import ListSet, joined, signal_moments
from reranker.signals import definition
from tests.reranker.learning.lists import list_set

TRAIN, HELD_OUT, LATE = list_set(400, 1), list_set(120, 2), list_set(80, 3)


@pytest.fixture(scope="module")
def fitted() -> Baselines:
    return baselines.fit(TRAIN, HELD_OUT, LATE, seed=3, threads=1)


@pytest.mark.parametrize("name", reading.NAMES)
def test_it_finds_the_signal_that_decides(fitted: Baselines, name: str) -> None:
    assert measure.reciprocal(fitted.scores[name], HELD_OUT).mean() > 0.8
    assert measure.reciprocal(np.zeros(len(HELD_OUT.item)), HELD_OUT).mean() < 0.5


@pytest.mark.parametrize("name", reading.NAMES)
def test_what_is_written_ranks_as_well_when_it_is_read(fitted: Baselines, name: str) -> None:
    read = reading.OPENERS[name](fitted.files[reading.FILES[name]])
    scores = read(HELD_OUT.signals.astype(np.float32))
    assert measure.reciprocal(scores, HELD_OUT).mean() > 0.8


def test_without_late_lists_what_is_written_is_what_was_measured() -> None:
    found = baselines.fit(TRAIN, HELD_OUT, None, seed=3, threads=1)
    for name, file in reading.FILES.items():
        read = reading.OPENERS[name](found.files[file])(HELD_OUT.signals.astype(np.float32))
        for first, end in pairwise(HELD_OUT.start):
            own = found.scores[name][first:end]
            np.testing.assert_allclose(
                read[first:end] - read[first], own - own[0], rtol=1e-3, atol=1e-3
            )


def test_what_was_chosen_is_told(fitted: Baselines) -> None:
    assert fitted.chosen["lambdamart"]["rounds"] >= 1
    assert fitted.chosen["linear"]["penalty"] in linear.PENALTIES
    assert set(fitted.files) == {artifact.LAMBDAMART, artifact.LINEAR}


def test_equal_seeds_give_equal_files(fitted: Baselines) -> None:
    again = baselines.fit(TRAIN, HELD_OUT, LATE, seed=3, threads=1)
    assert again.files == fitted.files


@pytest.mark.parametrize("known", [None, "some"])
def test_the_linear_loss_has_the_slope_it_says(known: str | None) -> None:
    lists = list_set(20, 5)
    random = np.random.default_rng(0)
    shares = None if known is None else random.random(len(lists.item)).astype(np.float32)
    loss = linear.loss_of(lists.signals.astype(np.float32), lists, 0.01, shares)
    count = lists.signals.shape[1] * (1 if known is None else 2)
    start = random.normal(scale=0.1, size=count)
    off = check_grad(lambda w: loss(w)[0], lambda w: loss(w)[1], start, epsilon=1e-3)
    assert off < 1e-2 * np.linalg.norm(loss(start)[1])


def test_what_holds_for_strangers_need_not_hold_for_known_shoppers() -> None:
    """Strangers take what is bought most, known shoppers what is bought with their items."""
    strangers = of_people(list_set(200, 1, signal="purchases_30d"), items=0)
    known = of_people(list_set(200, 2, signal="bought_with"), items=40)
    found = linear.start(joined(strangers, known), 1e-2)[2]
    mean, scale = signal_moments(joined(strangers, known))
    for new, half, signal in ((strangers, 0, "purchases_30d"), (known, 1, "bought_with")):
        weights = np.split(found + np.tile(linear.prior_weights() * scale, 2), 2)[half]
        assert np.argmax(weights) == definition.INDEX[signal]
        scores = (new.signals.astype(np.float32) - mean) / scale @ weights
        assert measure.reciprocal(scores, new).mean() > 0.95


def of_people(lists: ListSet, *, items: int) -> ListSet:
    signals = lists.signals.copy()
    signals[:, definition.INDEX["shopper_items"]] = np.log1p(items)
    return replace(lists, signals=signals)


def test_more_penalty_means_smaller_weights() -> None:
    values, start = TRAIN.signals.astype(np.float32), np.zeros(TRAIN.signals.shape[1], np.float32)
    sizes = [np.linalg.norm(linear.fitted(values, TRAIN, p, start)) for p in (1e-3, 1e-1, 10.0)]
    assert sizes[0] > sizes[1] > sizes[2]


def test_the_largest_penalty_that_is_as_good_is_chosen() -> None:
    assert linear.best_penalty(TRAIN, HELD_OUT, [0.5]) == 0.5
    assert linear.best_penalty(TRAIN, HELD_OUT, [1e-4, 1e-3, 1e3]) == 1e-3
