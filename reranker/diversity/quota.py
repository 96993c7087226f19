"""How many of one brand and of one category a page may hold. Pure.

Picking whatever is still open always fills a page where it can be filled by one of the two quotas;
where both hold it may get stuck, and then picks are exchanged along an augmenting path, which finds
a page whenever there is one (Edmonds 1970, the intersection of two partition matroids).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Names = NDArray[np.uint32]


@dataclass(eq=False)
class Quota:
    """One page's count of names [n], 0 for none; `at_most` None: no bound."""

    names: Names
    at_most: int | None
    counts: Counter[int] = field(default_factory=Counter)

    def pick(self, at: int) -> bool:
        """Count one; whether its name is used up with it."""
        name = int(self.names[at])
        self.counts[name] += 1
        return not self.spare(at)

    def drop(self, at: int) -> None:
        """Count one no longer."""
        self.counts[int(self.names[at])] -= 1

    def spare(self, at: int) -> bool:
        """Whether one more of the name of the item at `at` may be picked."""
        name = int(self.names[at])
        return self.at_most is None or name == 0 or self.counts[name] < self.at_most


class Quotas:
    """Both quotas of one page over `n` items; `open` [n] says which may be picked now."""

    def __init__(self, brands: Quota, kinds: Quota) -> None:
        self._brands, self._kinds = brands, kinds
        self.open = np.ones(len(brands.names), dtype=bool)

    @property
    def bound(self) -> bool:
        """Whether anything is asked at all."""
        return self._brands.at_most is not None or self._kinds.at_most is not None

    def pick(self, at: int) -> None:
        """Count one that was picked."""
        for quota in (self._brands, self._kinds):
            if quota.pick(at):
                self.open &= quota.names != quota.names[at]

    def exchanged(self, picked: Sequence[int], pool: Iterable[int]) -> list[int] | None:
        """One more pick than `picked`, with others of `pool` in the place of some; None if none.

        What is picked afterwards is counted here.
        """
        path = self._path(picked, [at for at in pool if at not in set(picked)])
        if path is None:
            return None
        for at in path[1::2]:
            self._brands.drop(at)
            self._kinds.drop(at)
        self.open[:] = True
        kept = [at for at in picked if at not in path]
        for at in path[::2]:
            self._brands.pick(at)
            self._kinds.pick(at)
        found = [*kept, *path[::2]]
        for quota in (self._brands, self._kinds):
            for at in found:
                if not quota.spare(at):
                    self.open &= quota.names != quota.names[at]
        return found

    def _path(self, picked: Sequence[int], others: Sequence[int]) -> list[int] | None:
        """In, out, in, … with one more in than out: each out shares the category of the one before
        it, each further in the brand of the one before it.
        """
        brand_of, kind_of = self._brands.names, self._kinds.names
        came_from: dict[int, int | None] = {at: None for at in others if self._brands.spare(at)}
        queue = list(came_from)
        for at in queue:
            if at not in picked:
                if self._kinds.spare(at):
                    return _walked(came_from, at)
                reached = [it for it in picked if kind_of[it] == kind_of[at]]
            else:
                reached = [it for it in others if brand_of[it] == brand_of[at]]
            for it in reached:
                if it not in came_from:
                    came_from[it] = at
                    queue.append(it)
        return None


def _walked(came_from: dict[int, int | None], end: int) -> list[int]:
    path: list[int] = []
    at: int | None = end
    while at is not None:
        path.append(at)
        at = came_from[at]
    return path[::-1]
