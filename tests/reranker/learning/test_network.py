"""The network's promises: zero at the start, order and padding change nothing, learns a rule."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reranker.fusion import line
from reranker.learning import fit, measure
from reranker.learning.dataset import ListSet, batches
from reranker.learning.network import FusionNetwork, Lists
from reranker.learning.schedule import Schedule
from reranker.learning.vectors import tensors
from reranker.signals import definition
from tests.reranker.learning.lists import list_set, vectors

SMALL = Schedule(width=16, layers=2, attention_heads=2, batch_lists=16, dropout=0.0)


def network(seed: int = 0, *, trained: bool = True) -> FusionNetwork:
    made = fit.new_network(list_set(), vectors(), SMALL, seed).eval()
    if trained:  # heads that are not zero, or every property would hold of nothing
        generator = torch.Generator().manual_seed(seed)
        made.heads.weight.data.copy_(torch.randn(made.heads.weight.shape, generator=generator))
    return made


def one_list(lists: ListSet, number: int = 0) -> Lists:
    _, rows = next(batches(lists, np.array([number]), 1))
    return tensors(lists, vectors(), np.array([number]), rows)[0]


def test_an_untrained_network_adds_nothing_to_the_prior() -> None:
    heads, attention = network(trained=False)(*one_list(list_set()).tensors())
    assert not heads.any()
    torch.testing.assert_close(attention.sum(dim=-1), torch.ones(attention.shape[:2]))


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=6))
def test_how_much_each_line_counts_is_the_same_to_the_network_and_its_start(
    items: list[int],
) -> None:
    signals = np.zeros((len(items), len(definition.SIGNALS)), dtype=np.float32)
    signals[:, definition.INDEX["shopper_items"]] = np.log1p(items)
    signals[::2, definition.INDEX["own_purchases"]] = np.log1p(1.0)
    shares = torch.cat(network().shares(torch.from_numpy(signals)), dim=1).T
    np.testing.assert_allclose(shares, line.shares(signals), atol=1e-5)
    assert shares[2].tolist() == [1.0 - row % 2 for row in range(len(items))]
    assert shares[1].tolist() == pytest.approx([min(it / 10, 1.0) for it in items], abs=1e-4)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.integers(0, 11))
def test_permuting_the_candidates_permutes_the_heads(seed: int, number: int) -> None:
    batch = one_list(list_set(), number)
    order = torch.randperm(batch.signals.shape[1], generator=torch.Generator().manual_seed(seed))
    moved = replace(
        batch,
        signals=batch.signals[:, order],
        item_vectors=batch.item_vectors[:, order],
        item_rows=batch.item_rows[:, order],
    )
    made = network(seed)
    with torch.no_grad():
        heads, attention = made(*batch.tensors())
        other, other_attention = made(*moved.tensors())
    torch.testing.assert_close(heads[:, order], other, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(attention[:, order], other_attention, rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000))
def test_a_batch_scores_as_its_lists_alone(seed: int) -> None:
    lists, made = list_set(seed=seed), network(seed)
    together = fit.score([made], lists, vectors(), np.array([0.2, 0.3, 0.5], dtype=np.float32))
    weights = torch.tensor([0.2, 0.3, 0.5])
    for number in range(len(lists)):
        picked = np.array([number])
        _, rows = next(batches(lists, picked, 1))
        batch, base = tensors(lists, vectors(), picked, rows)
        with torch.no_grad():
            alone = (base + made(*batch.tensors())[0] @ weights)[0].numpy()
        first, end = lists.start[number], lists.start[number + 1]
        np.testing.assert_allclose(together[first:end], alone, rtol=1e-4, atol=1e-4)


def test_turned_text_vectors_give_what_whole_ones_give() -> None:
    lists, made, picked = list_set(), network(), np.arange(12)
    _, rows = next(batches(lists, picked, 12))
    found = [
        made(*tensors(lists, vectors(), picked, rows, turned=turned)[0].tensors())[0]
        for turned in (True, False)
    ]
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-4)


def test_it_learns_a_rule_that_the_prior_does_not_know() -> None:
    train, held_out = list_set(500, seed=1), list_set(80, seed=2)
    trained = fit.heads_of(train, SMALL.head_weights)
    made = fit.new_network(train, vectors(), SMALL, 0)
    before = measure.reciprocal(fit.score([made], held_out, vectors(), trained.weights), held_out)
    fit.fit(made, train, vectors(), SMALL, epochs=8, learning_rate=1e-2, seed=0, trained=trained)
    after = measure.reciprocal(fit.score([made], held_out, vectors(), trained.weights), held_out)
    assert after.mean() > 0.8 > before.mean() + 0.2


def test_equal_seeds_give_equal_networks() -> None:
    train = list_set(30)
    trained = fit.heads_of(train, SMALL.head_weights)
    drops = SMALL.model_copy(update={"dropout": 0.3})
    made = [fit.new_network(train, vectors(), drops, 5) for _ in range(2)]
    for net in made:
        fit.fit(net, train, vectors(), drops, epochs=1, learning_rate=1e-2, seed=5, trained=trained)
    for a, b in zip(made[0].parameters(), made[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_early_stopping_keeps_the_best_epoch() -> None:
    measured = iter([0.1, 0.5, 0.4, 0.3, 0.2])
    states = []

    def measure_epoch(net: FusionNetwork) -> float:
        states.append(net.heads.weight.detach().clone())
        return next(measured)

    train = list_set(30)
    trained = fit.heads_of(train, SMALL.head_weights)
    made = fit.new_network(train, vectors(), SMALL, 0)
    fitted = fit.fit(
        made,
        train,
        vectors(),
        SMALL,
        epochs=5,
        learning_rate=1e-2,
        seed=0,
        trained=trained,
        measure=measure_epoch,
    )
    assert fitted.epochs == 4  # two epochs without a better one
    torch.testing.assert_close(made.heads.weight, states[1])


@pytest.mark.parametrize(("column", "expected"), [(0, [1.0, 0.0, 0.0]), (2, [0.0, 0.0, 1.0])])
def test_only_heads_with_labels_weigh_in_the_score(column: int, expected: list[float]) -> None:
    lists = list_set()
    labels = np.zeros_like(lists.labels)
    labels[:, column] = lists.labels[:, 2]
    trained = fit.heads_of(replace(lists, labels=labels), SMALL.head_weights)
    assert trained.heads == (column,)
    np.testing.assert_allclose(trained.weights, expected)
