"""How much of each category a shopper takes, and what an item does for a page to match it. Pure.

Calibration after Steck 2018 (doi 10.1145/3240323.3240372): the divergence KL(p || q) of the page's
categories q from the shopper's p, q smoothed by a hundredth of p. An item of several categories
counts for each by its share.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Tokens = NDArray[np.uint32]
SMOOTHING = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Taste:
    """Categories [g], sorted tokens, and the share of each [g] in the shopper's history."""

    categories: Tokens
    shares: NDArray[np.float64]

    @property
    def known(self) -> bool:
        """Whether anything is known of it."""
        return len(self.categories) > 0


NO_TASTE = Taste(np.zeros(0, np.uint32), np.zeros(0))


def of_history(categories: Tokens, weights: NDArray[np.floating]) -> Taste:
    """The taste of a history: categories [h, c], 0 for none, and the weight of each item [h]."""
    named = categories != 0
    counts = named.sum(axis=1)
    shares = np.where(named, (weights / np.maximum(counts, 1))[:, None], 0.0)
    if not shares.sum() > 0:
        return NO_TASTE
    found, at = np.unique(categories[named], return_inverse=True)
    totals = np.bincount(at, weights=shares[named], minlength=len(found))
    return Taste(found, totals / totals.sum())


def divergence(taste: Taste, categories: Tokens) -> float:
    """KL of the categories [k, c] of a page from the taste; 0: they are as the shopper's."""
    page = Page(taste, categories)
    for at in range(len(categories)):
        page.pick(at)
    return page.divergence


class Page:
    """One page as it fills: `values` [n], what each item would take off the divergence.

    In shares of the divergence of an empty page, up to what is the same for every item.
    """

    def __init__(self, taste: Taste, categories: Tokens) -> None:
        self._shares = taste.shares
        g = len(taste.shares)
        self._counts = np.maximum(np.count_nonzero(categories, axis=1), 1)
        at = np.searchsorted(taste.categories, categories)
        hit = taste.categories[np.minimum(at, g - 1)] == categories if g else at < 0
        self._at = np.where(hit & (categories != 0), at, g)
        self._sums = np.zeros(g)
        self._picks = 0
        self._refresh()

    @property
    def divergence(self) -> float:
        """KL of what is picked so far."""
        smoothed = _smoothed(self._sums / max(self._picks, 1), self._shares)
        return float((self._shares * np.log(self._shares / smoothed)).sum())

    def pick(self, at: int) -> None:
        """Take the item at `at` onto the page."""
        self._picks += 1
        known = self._at[at][self._at[at] < len(self._sums)]
        np.add.at(self._sums, known, 1.0 / self._counts[at])
        self._refresh()

    def _refresh(self) -> None:
        """Only an item's own categories tell it from the others: a table by category and share."""
        after = self._picks + 1
        without = _smoothed(self._sums / after, self._shares)
        most = int(self._counts.max(initial=1))
        added = 1.0 / np.arange(1, most + 1)[:, None]
        with_it = _smoothed((self._sums + added) / after, self._shares)
        table = np.zeros((most, len(self._shares) + 1))
        table[:, :-1] = self._shares * np.log(with_it / without) / -np.log(SMOOTHING)
        each = table[self._counts[:, None] - 1, self._at]
        self.values: Array = each.sum(axis=1).astype(np.float32)


def _smoothed(page: NDArray[np.float64], taste: NDArray[np.float64]) -> NDArray[np.float64]:
    return (1.0 - SMOOTHING) * page + SMOOTHING * taste
