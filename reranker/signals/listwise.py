"""Where a value stands within its list; pure. What all families share of arithmetic."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
EQUAL_ABSOLUTE, EQUAL_RELATIVE = 1e-7, 1e-5
LOWEST = np.float32(-1e30)  # of no value: below every value


def log1p(counts: NDArray[np.floating]) -> Array:
    """log(1 + x), negatives as zero."""
    logged: Array = np.log1p(np.maximum(counts, 0.0)).astype(np.float32)
    return logged


def log_days(days: NDArray[np.floating]) -> Array:
    """Log of one plus days; NaN stays NaN."""
    logged: Array = np.log1p(np.maximum(days, 0.0)).astype(np.float32)
    return logged


def place(values: NDArray[np.floating]) -> Array:
    """Share of the list that is strictly below, 0 to 1 [n]; equal values have equal places.

    Values as close as rounding leaves equal ones are equal: the order of a sum must not decide.
    """
    if len(values) < 2:
        return np.zeros(len(values), dtype=np.float32)
    n = len(values)
    filled = np.where(np.isfinite(values), values, LOWEST)
    rising = np.sort(filled)
    apart = rising[1:] - rising[:-1] > EQUAL_ABSOLUTE + EQUAL_RELATIVE * np.abs(rising[1:])
    first = np.zeros(n, dtype=np.intp)  # where the values equal to each one begin
    np.maximum.accumulate(apart * np.arange(1, n), out=first[1:])
    shares: Array = (first[np.searchsorted(rising, filled)] / (n - 1)).astype(np.float32)
    return shares


def share(values: NDArray[np.floating]) -> Array:
    """Each value over the sum of the list [n]; zeros where the sum is zero."""
    positive = np.where(np.isfinite(values), np.maximum(values, 0.0), 0.0)
    total = positive.sum()
    if total <= 0.0:
        return np.zeros(len(values), dtype=np.float32)
    shares: Array = (positive / total).astype(np.float32)
    return shares


def standard(values: NDArray[np.floating]) -> Array:
    """Standard scores over what is finite [n]; NaN stays NaN."""
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return np.zeros(len(values), dtype=np.float32)
    scores = (values - finite.mean()) / (finite.std() + 1e-6)
    return np.asarray(scores, dtype=np.float32)
