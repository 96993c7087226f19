"""What the network is measured against: fitted to the same lists, and read as it was written."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import check_grad

from reranker.evaluation import baselines as reading
from reranker.fusion import artifact
from reranker.fusion.line import LINES
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
    shares = random.random((LINES, len(lists.item))).astype(np.float32)
    added = random.normal(size=lists.signals.shape[1]).astype(np.float32)
    reading = None if known is None else linear.Reading(shares, added)
    loss = linear.loss_of(lists.signals.astype(np.float32), lists, 0.01, reading)
    count = lists.signals.shape[1] * (1 if known is None else LINES)
    start = random.normal(scale=0.1, size=count)
    off = check_grad(lambda w: loss(w)[0], lambda w: loss(w)[1], start, epsilon=1e-3)
    assert off < 1e-2 * np.linalg.norm(loss(start)[1])


@pytest.mark.parametrize("known", [None, "some"])
def test_the_curvature_is_that_of_the_slope(known: str | None) -> None:
    lists = list_set(20, 5)
    random = np.random.default_rng(0)
    values = lists.signals.astype(np.float32)
    shares = random.random((LINES, len(values))).astype(np.float32)
    added = random.normal(size=values.shape[1]).astype(np.float32)
    reading = None if known is None else linear.Reading(shares, added)
    asked = values, lists, 0.01, reading
    loss, curvature = linear.loss_of(*asked), linear.curvature_of(*asked)
    at, along = random.normal(scale=0.1, size=(2, values.shape[1] * (LINES if known else 1)))
    step = 1e-2 * along
    slope = (loss(at + step)[1] - loss(at - step)[1]) / 2e-2
    np.testing.assert_allclose(curvature(at) @ along, slope, atol=2e-2 * np.abs(slope).max())


def test_the_best_line_is_found_where_signals_say_nearly_the_same() -> None:
    """At the one best of a convex loss there is no slope left."""
    lists = list_set(100, 6)
    values = lists.signals.astype(np.float32)
    values /= values.std(axis=0) + 1e-2
    values[:, 1::2] = values[:, ::2][:, : values[:, 1::2].shape[1]] + 0.02 * values[:, 1::2]
    nothing = np.zeros(values.shape[1], np.float32)
    loss = linear.loss_of(values, lists, 1e-3)
    found = linear.fitted(values, lists, 1e-3, nothing)
    left = [np.abs(loss(it.astype(np.float64))[1]).max() for it in (found, nothing)]
    assert left[0] < 5e-5 * left[1]


def test_what_holds_for_strangers_need_not_hold_for_known_shoppers() -> None:
    """Strangers take what is bought most, known shoppers what is bought with their items."""
    strangers = of_people(list_set(200, 1, signal="purchases_30d"), items=0)
    known = of_people(list_set(200, 2, signal="bought_with"), items=40)
    found = linear.start(joined(strangers, known), 1e-2)[2]
    mean, scale = signal_moments(joined(strangers, known))
    for new, half, signal in ((strangers, 0, "purchases_30d"), (known, 1, "bought_with")):
        lines = found + linear.prior_lines(linear.prior_weights() * scale)
        weights = np.split(lines, LINES)[half]
        assert np.argmax(weights) == definition.INDEX[signal]
        scores = (new.signals.astype(np.float32) - mean) / scale @ weights
        assert measure.reciprocal(scores, new).mean() > 0.95


def of_people(lists: ListSet, *, items: int, bought: float = 0.0) -> ListSet:
    """The same lists of shoppers of so many items, who bought that share of each list before."""
    signals = lists.signals.copy()
    signals[:, definition.INDEX["shopper_items"]] = np.log1p(items)
    own = np.random.default_rng(9).random(len(signals)) < bought
    signals[:, definition.INDEX["own_purchases"]] = own
    return replace(lists, signals=signals)


def test_what_holds_for_new_items_need_not_hold_for_those_bought_before() -> None:
    """Of what a shopper knows the dearest is wanted, of the rest what is bought with it."""
    lists = of_people(list_set(400, 1), items=40, bought=0.5)
    own = lists.signals[:, definition.INDEX["own_purchases"]] > 0
    price, beside = (
        lists.signals[:, definition.INDEX[name]].astype(np.float32)
        for name in ("price", "bought_with")
    )
    worth = np.where(own, price / price.std(), beside / beside.std())
    labels = np.zeros_like(lists.labels)
    best = [first + worth[first:end].argmax() for first, end in pairwise(lists.start)]
    labels[best, 2] = 1.0
    lists = replace(lists, labels=labels, target=labels[:, 2] > 0)
    mean, scale = signal_moments(lists)
    values = (lists.signals.astype(np.float32) - mean) / scale
    reading = linear.reading_of(lists, mean / scale)
    start = linear.start(lists, 1e-3)[2] + linear.prior_lines(linear.prior_weights() * scale)
    nothing = np.zeros(len(mean), np.float32)
    alike = linear.fitted(values, lists, 1e-3, nothing)
    reached = measure.reciprocal(linear.scored(values, start, reading), lists).mean()
    assert reached > measure.reciprocal(values @ alike, lists).mean() + 0.1


def test_more_penalty_means_smaller_weights() -> None:
    values, start = TRAIN.signals.astype(np.float32), np.zeros(TRAIN.signals.shape[1], np.float32)
    sizes = [np.linalg.norm(linear.fitted(values, TRAIN, p, start)) for p in (1e-3, 1e-1, 10.0)]
    assert sizes[0] > sizes[1] > sizes[2]


def test_the_largest_penalty_that_is_as_good_is_chosen() -> None:
    assert linear.best_penalty(TRAIN, HELD_OUT, [0.5]) == 0.5
    assert linear.best_penalty(TRAIN, HELD_OUT, [1e-4, 1e-3, 1e3]) == 1e-3
