"""Where a value stands within its list; pure. What all families share of arithmetic."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def log1p(counts: NDArray[np.floating]) -> Array:
    """log(1 + x), negatives as zero."""
    logged: Array = np.log1p(np.maximum(counts, 0.0)).astype(np.float32)
    return logged


def log_days(days: NDArray[np.floating]) -> Array:
    """Log of one plus days; NaN stays NaN."""
    logged: Array = np.log1p(np.maximum(days, 0.0)).astype(np.float32)
    return logged


def place(values: NDArray[np.floating]) -> Array:
    """Share of the list that is strictly below, 0 to 1 [n]; equal values have equal places."""
    if len(values) < 2:
        return np.zeros(len(values), dtype=np.float32)
    filled = np.where(np.isfinite(values), values, -np.inf)
    below = np.searchsorted(np.sort(filled), filled, side="left")
    return (below / (len(values) - 1)).astype(np.float32)


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
