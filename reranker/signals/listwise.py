"""Where a value stands within its list, and arithmetic that is shared; pure."""

import math

import numpy as np
from numpy.typing import NDArray

from reranker.signals.compiled import FLAGS, FLOAT_ROWS, INTO, PLACE_ROWS, compiled

Array = NDArray[np.float32]
EQUAL_ABSOLUTE, EQUAL_RELATIVE = 1e-7, 1e-5
PRICE_MIN = 0.01
LOWEST = np.float32(-1e30)  # of no value: below every value


def log1p(counts: NDArray[np.floating]) -> Array:
    """log(1 + x), negatives as zero."""
    logged: Array = np.log1p(np.maximum(counts, 0.0)).astype(np.float32)
    return logged


def log_price(prices: NDArray[np.floating]) -> Array:
    """Log of a price, of PRICE_MIN for one below it; NaN stays NaN."""
    logged: Array = np.log(np.maximum(prices, PRICE_MIN)).astype(np.float32)
    return logged


def log_days(days: NDArray[np.floating]) -> Array:
    """Log of one plus days; NaN stays NaN."""
    logged: Array = np.log1p(np.maximum(days, 0.0)).astype(np.float32)
    return logged


def places(values: Array, known_only: NDArray[np.bool_]) -> Array:
    """Share of each list that is strictly below, 0 to 1 [lists, n]; equal values are at one place.

    Values as close as rounding leaves equal ones are equal: the order of a sum must not decide.
    What has no value stands below everything, or nowhere (NaN) in lists of `known_only` [lists].
    """
    filled = np.where(np.isfinite(values), values, LOWEST)
    shares = np.empty_like(filled)
    _places(filled, np.argsort(filled, axis=1), known_only, shares)
    return shares


@compiled(FLOAT_ROWS, PLACE_ROWS, FLAGS, INTO)
def _places(
    values: Array, order: NDArray[np.intp], known_only: NDArray[np.bool_], into: Array
) -> None:
    """`order` are the places of each list's values, rising."""
    lists, n = values.shape
    for row in range(lists):
        first = 0  # where the values equal to this one begin
        for i in range(n):
            here = values[row, order[row, i]]
            if i and here - values[row, order[row, i - 1]] > (
                EQUAL_ABSOLUTE + EQUAL_RELATIVE * math.fabs(here)
            ):
                first = i
            nowhere = known_only[row] and here == LOWEST
            into[row, order[row, i]] = np.nan if nowhere else first / max(n - 1, 1)


def unit(rows: Array) -> Array:
    """Rows [rows, width] at length one; zeros stay zeros."""
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    scaled: Array = rows / np.maximum(length, np.float32(1e-6))[:, None]
    return scaled
