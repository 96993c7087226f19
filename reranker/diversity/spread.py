"""From scores to an order with variety, page by page. Pure.

A page is picked greedily by relevance + 2.5 * dial * novelty and then shown best first, so what
makes it varied never costs the place of something better on the same page. Three things hold
wherever the dial stands:

- dial 0 is the order by score, exactly;
- no item below the relevance floor rises;
- each pick has at least 1 - loss_max of the relevance of the best one left, so at every place the
  relevance is at least that share of what stood there by score, and so is any discounted sum of
  it. Quotas come first: the best one left is then the best that they allow.

Scores are log odds. Relevance is the mean of the odds against the best of the list and of their
fourth root: the odds guard the top, the root leaves something to choose from where a model is sure.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue.diversity import Diversity
from reranker.diversity.likeness import Looks
from reranker.diversity.novelty import METHODS, Novelty
from reranker.diversity.quota import Quota, Quotas
from reranker.diversity.taste import NO_TASTE, Page, Taste

Array = NDArray[np.float32]
Rows = NDArray[np.intp]
ITEMS_MAX = 300  # likeness is of all pairs
# Both chosen for distance at equal nDCG on held-out purchases. Relevance counts at the end of the
# dial too: beyond it distance hardly grew.
NOVELTY_WEIGHT, ROOT = 2.5, np.float32(0.25)


@dataclass(frozen=True, slots=True, eq=False)
class Variety:
    """How a list shall be varied: the dial from 0 to 1, the bounds, and for whom.

    `unit` is the difference in score that one step of log odds is worth.
    """

    dial: float
    policy: Diversity
    taste: Taste = NO_TASTE
    unit: float = 1.0


def relevance(scores: Array, unit: float = 1.0) -> Array:
    """Relevance against the best [n], from 0 to 1, of scores [n] in any order."""
    if not len(scores):
        return scores
    gaps: Array = (scores - scores.max()) / np.float32(max(unit, 1e-6))
    found: Array = (np.exp(gaps) + np.exp(ROOT * gaps)) / np.float32(2.0)
    return found


def spread(scores: Array, looks: Looks, variety: Variety) -> Rows:
    """Rows of the `n` items, in the order in which they are to be shown."""
    rows = np.argsort(-scores, kind="stable")
    if variety.dial <= 0 or len(rows) < 2:
        return rows
    worth = relevance(scores[rows], variety.unit)
    risers = min(int((worth >= variety.policy.floor).sum()), ITEMS_MAX)
    picking = _Picking(worth[:risers], looks.take(rows[:risers]), variety)
    found = np.array(picking.all(), dtype=np.intp)
    return np.concatenate([rows[found], rows[risers:]])


class _Picking:
    """Picks page after page from `n` items by falling relevance."""

    def __init__(self, worth: Array, looks: Looks, variety: Variety) -> None:
        policy = variety.policy
        self._worth, self._looks, self._variety = worth, looks, variety
        self._likeness = looks.likeness()
        self._left = np.ones(len(worth), dtype=bool)
        # Of each item, how many come before the first that is too far below it.
        self._reach = np.searchsorted(-worth, -worth * np.float32(1.0 - policy.loss_max), "right")
        self._weight = np.float32(NOVELTY_WEIGHT * variety.dial)

    def all(self) -> list[int]:
        """Every item, page by page, each page best first."""
        found: list[int] = []
        while self._left.any():
            found += sorted(self._page())
        return found

    def _page(self) -> list[int]:
        policy = self._variety.policy
        places = min(policy.page, int(self._left.sum()))
        quotas = Quotas(
            Quota(self._looks.brands, policy.brand_max),
            Quota(self._looks.kinds, policy.category_max),
        )
        novelty = METHODS[policy.method](self._likeness, policy.page)
        calibrated = policy.taste > 0 and self._variety.taste.known
        taste = Page(self._variety.taste, self._looks.categories) if calibrated else None
        picked: list[int] = []
        while len(picked) < places:
            at = self._best(novelty, taste, quotas)
            if at is None:
                break
            self._left[at] = False
            picked.append(at)
            novelty.pick(at)
            quotas.pick(at)
            if taste is not None:
                taste.pick(at)
        return self._completed(picked, quotas, places)

    def _best(self, novelty: Novelty, taste: Page | None, quotas: Quotas) -> int | None:
        """The item to pick next; None where quotas let none."""
        free = self._left & quotas.open if quotas.bound else self._left
        first = int(free.argmax())
        if not free[first]:
            return None
        among = slice(first, int(self._reach[first]))
        gains = self._worth[among] + self._weight * novelty.values[among]
        if taste is not None:
            gains += self._weight * np.float32(self._variety.policy.taste) * taste.values[among]
        gains[~free[among]] = -np.inf
        return first + int(gains.argmax())

    def _completed(self, picked: list[int], quotas: Quotas, places: int) -> list[int]:
        """The page filled: by exchange where quotas allow it, else by relevance alone."""
        while len(picked) < places:
            pool = [*np.flatnonzero(self._left).tolist(), *picked]
            more = quotas.exchanged(picked, sorted(pool))
            if more is None:
                rest = np.flatnonzero(self._left)[: places - len(picked)].tolist()
                more = [*picked, *rest]
            self._left[picked] = True
            self._left[more] = False
            picked = more
        return picked
