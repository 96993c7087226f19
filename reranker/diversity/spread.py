"""From scores to an order with variety, page by page. Pure.

A page is worth the discounted sum of its items' chances to be what is looked for, plus
0.4 * dial^2 * the mean novelty of its pairs. It is picked greedily by what each item adds to that
and then shown best first, so what makes it varied never costs the place of something better on the
same page.
Chances are absolute, so that variety is bought where it is cheapest: in the tail where a model is
sure of the first few. Three things hold wherever the dial stands:

- dial 0 is the order by score, exactly;
- no item below the relevance floor takes a place of one above it, and no page that would hold
  nothing above it is varied;
- each pick has at least 1 - loss_max of the relevance of the best one left, so at every place the
  relevance is at least that share of what stood there by score, and so is any discounted sum of
  it. Quotas come first: the best one left is then the best that they allow.

Scores are log odds: chances are their softmax over what is left for the page and all after it, as
whoever comes to a page has not found it before. Relevance, which the bounds speak of, is the fourth
root of the odds against the best of the list: it leaves something to choose from where a model is
sure.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue.diversity import Diversity
from reranker.diversity.likeness import Looks
from reranker.diversity.novelty import METHODS
from reranker.diversity.quota import Quota, Quotas
from reranker.diversity.taste import NO_TASTE, Page, Taste

Array = NDArray[np.float32]
Rows = NDArray[np.intp]
ITEMS_MAX = 300  # likeness is of all pairs
ROOT = np.float32(0.25)
# What the end of the dial weighs against a chance of 1. The dial counts squared, since what variety
# costs grows faster than what it gives: so distance rises about evenly along it.
NOVELTY_WEIGHT = 0.4


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
    found: Array = np.exp(ROOT * _log_odds(scores, unit))
    return found


def _log_odds(scores: Array, unit: float) -> Array:
    """Log odds [n] against the best."""
    found: Array = (scores - scores.max()) / np.float32(max(unit, 1e-6))
    return found


def spread(scores: Array, looks: Looks, variety: Variety) -> Rows:
    """Rows of the `n` items, in the order in which they are to be shown."""
    rows = np.argsort(-scores, kind="stable")
    if variety.dial <= 0 or len(rows) < 2:
        return rows
    picking = _Picking(scores[rows[:ITEMS_MAX]], variety)
    found = picking.all(looks.take(rows[: picking.pool]))
    return np.concatenate([rows[found], rows[picking.pool :]])


class _Picking:
    """Picks page after page from items by falling score; only the first `pool` may move."""

    def __init__(self, scores: Array, variety: Variety) -> None:
        policy = variety.policy
        worth = relevance(scores, variety.unit)
        above = int((worth >= policy.floor).sum())
        # Of each item, how many come before the first that is too far below it.
        reach = np.searchsorted(-worth, -worth * np.float32(1.0 - policy.loss_max), "right")
        self.pool = int(reach[min(above + policy.page, len(worth)) - 1])
        self._log_odds = _log_odds(scores, variety.unit)[: self.pool]
        self._left = np.ones(self.pool, dtype=bool)
        self._above, self._reach, self._variety = above, reach, variety
        # A pick makes as many pairs as there are picks before it; its place's discount is divided
        # out of all that it adds.
        place = np.arange(policy.page, dtype=np.float32)
        each = np.float32(2 * NOVELTY_WEIGHT * variety.dial**2 / (policy.page * (policy.page - 1)))
        self._weights = each * place * np.log2(place + 2)

    def all(self, looks: Looks) -> Rows:
        """The pool in its order: page by page, each best first, then what is below the floor."""
        likeness = looks.likeness()
        found: list[int] = []
        while self._left[: self._above].any():
            found += sorted(self._page(looks, likeness))
        return np.array([*found, *np.flatnonzero(self._left).tolist()], dtype=np.intp)

    def _page(self, looks: Looks, likeness: Array) -> list[int]:
        """The next page: what is above the floor comes before anything below it."""
        page = _Filling(self._variety, looks, likeness, self._chances())
        picked: list[int] = []
        for end in (self._above, len(self._left)):
            left = int(self._left[:end].sum())
            places = min(self._variety.policy.page, len(picked) + left)
            while len(picked) < places:
                at = self._best(page, len(picked), end)
                if at is None:
                    break
                self._left[at] = False
                picked.append(at)
                page.pick(at)
            picked = self._completed(picked, page.quotas, places, end)
        return picked

    def _chances(self) -> Array:
        """Of each item [n], to be what is looked for, which is one of those left."""
        best = int(self._left.argmax())
        odds = np.exp(np.minimum(self._log_odds - self._log_odds[best], 0))
        odds[~self._left] = 0
        chances: Array = odds / odds.sum()
        chances[~self._left] = -np.inf
        return chances

    def _best(self, page: "_Filling", place: int, end: int) -> int | None:
        """The item before `end` to pick next; None where quotas let none."""
        free = self._left & page.quotas.open if page.bound else self._left
        first = int(free.argmax())
        if first >= end or not free[first]:
            return None
        among = slice(first, min(int(self._reach[first]), end))
        gains = page.gains(self._weights[place], among)
        if page.bound:
            gains[~free[among]] = -np.inf
        return first + int(gains.argmax())

    def _completed(self, picked: list[int], quotas: Quotas, places: int, end: int) -> list[int]:
        """The page filled: by exchange where quotas allow it, else by relevance alone.

        Nothing is exchanged for what is below the floor.
        """
        while len(picked) < places:
            left = np.flatnonzero(self._left[:end]).tolist()
            more = None
            if end == self._above:
                more = quotas.exchanged(picked, sorted([*left, *picked]))
            if more is None:
                more = [*picked, *left[: places - len(picked)]]
            self._left[picked] = True
            self._left[more] = False
            picked = more
        return picked


class _Filling:
    """What a page goes by as it fills, of `n` items that bring `chances` [n] to its first place,
    -inf where they are taken.
    """

    def __init__(self, variety: Variety, looks: Looks, likeness: Array, chances: Array) -> None:
        policy = variety.policy
        self.quotas = Quotas(
            Quota(looks.brands, policy.brand_max),
            Quota(looks.kinds, policy.category_max),
        )
        self.bound = self.quotas.bound
        self._chances = chances
        self._novelty = METHODS[policy.method](likeness, policy.page)
        calibrated = policy.taste > 0 and variety.taste.known
        self._taste = Page(variety.taste, looks.categories) if calibrated else None
        self._taste_weight = np.float32(policy.taste)

    def gains(self, weight: np.float32, among: slice) -> Array:
        """What each of some items would add to the page, over the discount of its place."""
        gains: Array = weight * self._novelty.values[among]
        if self._taste is not None:
            gains += weight * self._taste_weight * self._taste.values[among]
        gains += self._chances[among]
        return gains

    def pick(self, at: int) -> None:
        """Take the item at `at` onto the page."""
        self._chances[at] = -np.inf
        self._novelty.pick(at)
        if self.bound:
            self.quotas.pick(at)
        if self._taste is not None:
            self._taste.pick(at)
