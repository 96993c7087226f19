"""Losses: values worked out by hand, and padding that changes nothing."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reranker.learning.losses import LOSSES, lambda_loss, neural_ndcg, softmax_cross_entropy

ALL = pytest.mark.parametrize("name", sorted(LOSSES))


def tensors(
    scores: list[list[float]], labels: list[list[float]]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    found = torch.tensor(scores)
    return found, torch.tensor(labels), torch.ones_like(found, dtype=torch.bool)


def test_softmax_cross_entropy_is_minus_the_log_share_of_the_positive() -> None:
    loss = softmax_cross_entropy(*tensors([[2.0, 1.0, 0.0]], [[0.0, 1.0, 0.0]]))
    expected = -math.log(math.e / (math.e**2 + math.e + 1))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_two_positives_share_the_label() -> None:
    loss = softmax_cross_entropy(*tensors([[1.0, 1.0, -50.0]], [[1.0, 1.0, 0.0]]))
    assert loss.item() == pytest.approx(math.log(2), rel=1e-5)


def test_lambda_loss_of_one_pair() -> None:
    loss = lambda_loss(*tensors([[0.0, 1.0]], [[1.0, 0.0]]))
    rho = abs(1 / math.log2(2) - 1 / math.log2(3))
    delta = abs(1 / math.log2(2) - 1 / math.log2(3))
    log_odds = math.log(1 / (1 + math.exp(1.0)))  # the positive scores one less
    assert loss.item() == pytest.approx(-(rho + 10 * delta) * log_odds, rel=1e-5)


def test_neural_ndcg_nears_ndcg_as_the_temperature_falls() -> None:
    given_lists = tensors([[3.0, 2.0, 1.0]], [[0.0, 1.0, 0.0]])
    loss = neural_ndcg(*given_lists, temperature=0.01)
    assert loss.item() == pytest.approx(-1 / math.log2(3), abs=1e-4)


@ALL
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_padding_changes_no_loss(name: str, data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 6))
    numbers = st.lists(st.floats(-3, 3), min_size=n, max_size=n)
    scores, labels, mask = tensors([data.draw(numbers)], [[1.0] + [0.0] * (n - 1)])
    pad = data.draw(st.integers(1, 4))
    garbage = torch.full((1, pad), data.draw(st.floats(-5, 5)))
    padded = (
        torch.cat([scores, garbage], dim=1),
        torch.cat([labels, torch.ones(1, pad)], dim=1),
        torch.cat([mask, torch.zeros(1, pad, dtype=torch.bool)], dim=1),
    )
    loss = LOSSES[name]
    torch.testing.assert_close(loss(scores, labels, mask), loss(*padded), rtol=1e-4, atol=1e-5)


@ALL
def test_a_list_without_a_positive_counts_nothing(name: str) -> None:
    loss = LOSSES[name]
    alone = loss(*tensors([[1.0, 0.0]], [[1.0, 0.0]]))
    with_empty = loss(*tensors([[1.0, 0.0], [5.0, 1.0]], [[1.0, 0.0], [0.0, 0.0]]))
    torch.testing.assert_close(alone, with_empty)


@ALL
def test_raising_the_positive_lowers_the_loss(name: str) -> None:
    loss = LOSSES[name]
    low, high = (loss(*tensors([[s, 0.5, 0.0]], [[1.0, 0.0, 0.0]])) for s in (0.0, 3.0))
    assert high < low


@ALL
def test_gradients_are_finite_with_padding(name: str) -> None:
    scores, labels, mask = tensors([[1.0, 0.0, 9.0]], [[1.0, 0.0, 0.0]])
    scores.requires_grad_()
    mask[0, 2] = False
    (gradient,) = torch.autograd.grad(LOSSES[name](scores, labels, mask), scores)
    assert torch.isfinite(gradient).all()
    assert gradient[0, 2] == 0


@ALL
@settings(max_examples=30)
@given(weight=st.floats(1.5, 10), scores=st.lists(st.floats(-2, 2), min_size=3, max_size=3))
def test_a_weighted_label_counts_in_proportion(
    name: str, weight: float, scores: list[float]
) -> None:
    plain, weighted = (
        LOSSES[name](*tensors([scores], [[0.0, label, 0.0]])) for label in (1.0, weight)
    )
    torch.testing.assert_close(weighted, weight * plain, rtol=1e-4, atol=1e-5)
