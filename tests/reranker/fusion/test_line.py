"""The lines of a model's weights, also of those that older versions wrote."""

import numpy as np
import pytest

from reranker.fusion.line import LINES, Line, lines, shares
from reranker.signals import definition

SIGNALS = len(definition.SIGNALS)


@pytest.mark.parametrize("count", [1, 2, LINES])
def test_older_weights_are_lines_too(count: int) -> None:
    random = np.random.default_rng(count)
    weights = random.normal(size=(count, SIGNALS)).astype(np.float32)
    found = lines(weights.reshape(-1), SIGNALS)
    assert found.shape == (LINES, SIGNALS)
    np.testing.assert_array_equal(found[0], weights[0])
    np.testing.assert_array_equal(found[1], weights[min(count, 2) - 1])
    np.testing.assert_array_equal(found[2], weights[2] if count == LINES else 0.0)


def test_what_a_shopper_bought_before_has_a_line_more() -> None:
    signals = np.random.default_rng(0).normal(size=(6, SIGNALS)).astype(np.float32)
    signals[:, definition.INDEX["shopper_items"]] = np.log1p([0, 5, 5, 10, 10, 400])
    bought = np.array([0, 0, 1, 0, 3, 0])
    signals[:, definition.INDEX["own_purchases"]] = np.log1p(bought)
    known = [0.0, 0.5, 0.5, 1.0, 1.0, 1.0]
    np.testing.assert_allclose(
        shares(signals), [1.0 - np.array(known), known, bought > 0], atol=1e-6
    )
    weights = np.random.default_rng(1).normal(size=(SIGNALS, LINES)).astype(np.float32)
    mean = np.full(SIGNALS, 0.5, np.float32)
    found = Line(mean, weights, np.float32(2.0)).residual(signals)
    by_line = np.c_[(signals - mean) @ weights[:, :2], signals @ weights[:, 2]]
    expected = [
        (1.0 - share) * row[0] + share * row[1] + (row[2] if own else 0.0) + 2.0
        for share, row, own in zip(known, by_line, bought, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
