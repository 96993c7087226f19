"""Where a value stands within its list; pure. What all families share of arithmetic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True, eq=False)
class PlaceOf:
    """A column that says where `values` [n] stand in the list.

    Families hand these in, so that all lists are sorted at once. What has no value stands below
    everything, or nowhere (NaN) where `known_only`.
    """

    values: NDArray[np.floating]
    known_only: bool = False


Columns = Mapping[str, "Array | PlaceOf"]


def placed(columns: Columns) -> dict[str, Array]:
    """The columns with those that are places worked out."""
    found: dict[str, Array] = {}
    asked: dict[str, PlaceOf] = {}
    for name, it in columns.items():
        if isinstance(it, PlaceOf):
            asked[name] = it
        else:
            found[name] = it
    shares = places([it.values for it in asked.values()])
    for (name, it), below in zip(asked.items(), shares, strict=True):
        found[name] = np.where(np.isfinite(it.values), below, np.nan) if it.known_only else below
    return found


def places(lists: Sequence[NDArray[np.floating]]) -> Array:
    """Share of each list that is strictly below, 0 to 1 [lists, n]; equal values are at one place.

    Values as close as rounding leaves equal ones are equal: the order of a sum must not decide.
    """
    values = np.array(lists, dtype=np.float32)
    if values.size == 0 or values.shape[1] < 2:
        return np.zeros_like(values)
    n = values.shape[1]
    filled = np.where(np.isfinite(values), values, LOWEST)
    order = np.argsort(filled, axis=1)
    order += np.arange(0, values.size, n)[:, None]  # by place in the whole table
    rising = filled.ravel()[order]
    apart = np.diff(rising, axis=1) > EQUAL_ABSOLUTE + EQUAL_RELATIVE * np.abs(rising[:, 1:])
    first = np.zeros(values.shape, dtype=np.intp)  # where the values equal to each one begin
    np.maximum.accumulate(apart * np.arange(1, n), axis=1, out=first[:, 1:])
    shares = np.empty(values.size, dtype=np.float32)
    shares[order] = first / np.float32(n - 1)
    return shares.reshape(values.shape)


def unit(rows: Array) -> Array:
    """Rows [rows, width] at length one; zeros stay zeros."""
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    scaled: Array = rows / np.maximum(length, np.float32(1e-6))[:, None]
    return scaled


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
