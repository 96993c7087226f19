"""Searches answered by a policy that draws its lists, where the truth of any policy is known. Pure.

Each search shows `PLACES` of the candidates of its kind, drawn without repeats by the policy's
scores plus Gumbel noise (Plackett and Luce). A click needs a look at the place and a liking for the
item, so the reward of an item at a place does not hang on its neighbours, and the worth of a policy
is a sum over items and places. Propensities are those of an item at a place.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reranker.evaluation import reward_table
from reranker.evaluation.offpolicy import Impressions
from reranker.evaluation.reward_table import Shown

Floats = NDArray[np.float64]
KINDS, ITEMS, PLACES = 6, 15, 3
EXAMINED = 1.0 / np.log2(np.arange(2, PLACES + 2))
DRAWS = 200_000  # lists a kind that probabilities of places are counted over


@dataclass(frozen=True)
class World:
    """How likely each kind of search is to like each item [kinds, items], and two policies.

    `old` and `new` are scores [kinds, items] that lists are drawn by.
    """

    likes: Floats
    old: Floats
    new: Floats
    seed: int

    @cached_property
    def chances(self) -> tuple[Floats, Floats]:
        """How likely each policy puts an item at a place [kinds, places, items], of both."""
        rng = np.random.default_rng(self.seed)
        return places(self.old, rng), places(self.new, rng)

    @cached_property
    def truth(self) -> float:
        """Clicks an impression of the new policy."""
        worth = self.likes[:, None, :] * EXAMINED[:, None]
        return float((self.chances[1] * worth).sum(axis=2).mean())

    def logged(self, searches: int, seed: int) -> Impressions:
        """So many searches answered by the old policy, a row an impression."""
        rng = np.random.default_rng((self.seed, seed))
        kind = rng.integers(0, KINDS, searches)
        lists = drawn(self.old[kind], rng)
        looked = rng.random(lists.shape) < EXAMINED
        liked = rng.random(lists.shape) < np.take_along_axis(self.likes[kind], lists, axis=1)
        at = np.ix_(range(searches), range(PLACES))
        old, new = (it[kind[:, None], at[1], lists] for it in self.chances)
        return self._judged(kind, lists, (looked & liked).astype(float), old, new, seed)

    def _judged(
        self,
        kind: NDArray[np.int64],
        lists: NDArray[np.intp],
        reward: Floats,
        old: Floats,
        new: Floats,
        seed: int,
    ) -> Impressions:
        """With a reward model that knows items and places, not kinds of searches: a poor one."""
        searches = len(kind)
        group = np.repeat(np.arange(searches), PLACES)
        shown = Shown(
            lists.ravel(), np.tile(np.arange(PLACES), searches), reward.ravel(), ITEMS, PLACES
        )
        policy = self.chances[1].mean(axis=0)
        fold = reward_table.folds(group.size, seed, group)
        of_shown, of_target = reward_table.cross_fitted(shown, policy, fold)
        clicks, logged, target = (it.ravel() for it in (reward, old, new))
        return Impressions(
            clicks, logged, target, model_shown=of_shown, model_target=of_target, group=group
        )


def world(click_rate: float, spread: float, seed: int) -> World:
    """Likings of that mean, an old policy of that spread that knows nothing, a better new one."""
    rng = np.random.default_rng(seed)
    likes = rng.beta(1.2, 1.2 / click_rate - 1.2, (KINDS, ITEMS))
    known = (likes - likes.mean()) / likes.std()
    old = spread * rng.standard_normal(likes.shape)
    return World(likes, old, known + 0.3 * rng.standard_normal(likes.shape), seed)


def drawn(scores: Floats, rng: np.random.Generator) -> NDArray[np.intp]:
    """Lists [n, places] drawn without repeats by scores [n, items]."""
    found: NDArray[np.intp] = np.argsort(-(scores + rng.gumbel(size=scores.shape)), axis=1)
    return found[:, :PLACES]


def places(scores: Floats, rng: np.random.Generator) -> Floats:
    """How likely each item stands at each place [kinds, places, items], counted over draws."""
    found = np.empty((len(scores), PLACES, ITEMS))
    for kind, row in enumerate(scores):
        lists = drawn(np.tile(row, (DRAWS, 1)), rng)
        for place in range(PLACES):
            found[kind, place] = np.bincount(lists[:, place], minlength=ITEMS) / DRAWS
    return found
