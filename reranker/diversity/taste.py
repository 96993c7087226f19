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

    In nats, up to what is the same for every item; nothing for the first pick, which is for
    relevance alone. Of the categories [n, c] of an item none may stand twice.
    """

    def __init__(self, taste: Taste, categories: Tokens) -> None:
        self._shares = taste.shares
        g = len(taste.shares)
        counts = np.maximum(np.count_nonzero(categories, axis=1), 1)
        at = np.searchsorted(taste.categories, categories)
        hit = taste.categories[np.minimum(at, g - 1)] == categories if g else at < 0
        self._at = np.where(hit & (categories != 0), at, g)
        self._each = 1.0 / counts
        self._added = 1.0 / np.arange(1, int(counts.max(initial=1)) + 1)[:, None]
        # One row for each number of categories, and in each a last place for all others.
        self._cells = (counts[:, None] - 1) * (g + 1) + self._at
        self._table = np.zeros((len(self._added), g + 1))
        self._smooth = SMOOTHING / (1.0 - SMOOTHING) * self._shares
        self._sums = np.zeros(g)
        self._picks = 0
        self.values: Array = np.zeros(len(categories), np.float32)

    @property
    def divergence(self) -> float:
        """KL of what is picked so far."""
        page = self._sums / max(self._picks, 1)
        smoothed = (1.0 - SMOOTHING) * page + SMOOTHING * self._shares
        return float((self._shares * np.log(self._shares / smoothed)).sum())

    def pick(self, at: int) -> None:
        """Take the item at `at` onto the page."""
        self._picks += 1
        for category in self._at[at].tolist():
            if category < len(self._sums):
                self._sums[category] += self._each[at]
        self._refresh()

    def _refresh(self) -> None:
        """Only an item's own categories tell it from the others: a table by category and share."""
        without = self._sums + (self._picks + 1) * self._smooth
        self._table[:, :-1] = self._shares * np.log1p(self._added / without)
        self.values = self._table.take(self._cells).sum(axis=1).astype(np.float32)
