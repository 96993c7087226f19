"""What each item would add to those already picked, three ways. Pure.

Of each the sum over picks is what is maximised, so that each can be weighed against relevance; the
first pick adds 0 whichever it is.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue.diversity import Method

Array = NDArray[np.float32]
SPENT = 1e-6  # what is left of an item that those picked span wholly


class Novelty(Protocol):
    """What is new about each of `n` items, by the picks so far: `values` [n]."""

    values: Array

    def pick(self, at: int) -> None:
        """Take the item at `at` into the picks."""
        ...


class Dispersion:
    """Less the mean likeness to the picks: what max-sum dispersion adds greedily.

    Gollapudi and Sharma 2009 (doi 10.1145/1526709.1526761); the mean distance within a list is
    its sum over the pairs.
    """

    def __init__(self, likeness: Array, _picks_max: int) -> None:
        self._likeness = likeness
        self._sums = np.zeros(len(likeness), np.float32)
        self._picks = 0
        self.values: Array = np.zeros(len(likeness), np.float32)

    def pick(self, at: int) -> None:
        """Take the item at `at` into the picks."""
        self._picks += 1
        self._sums += self._likeness[at]
        np.multiply(self._sums, np.float32(-1.0 / self._picks), out=self.values)


class Mmr:
    """Less the likeness to the most alike pick: maximal marginal relevance.

    Carbonell and Goldstein 1998 (doi 10.1145/290941.291025).
    """

    def __init__(self, likeness: Array, _picks_max: int) -> None:
        self._likeness = likeness
        self._picks = 0
        self.values: Array = np.zeros(len(likeness), np.float32)

    def pick(self, at: int) -> None:
        """Take the item at `at` into the picks."""
        own = -self._likeness[at]
        self.values = own if not self._picks else np.minimum(self.values, own)
        self._picks += 1


class Dpp:
    """The gain in log determinant of the likeness of the picks, halved: a greedy DPP MAP.

    Chen, Zhang and Zhou 2018 (arXiv 1709.05135), algorithm 1: a row of the Cholesky factor a pick.
    Halved, so that it is the log of the distance from what the picks span.
    """

    def __init__(self, likeness: Array, picks_max: int) -> None:
        self._likeness = likeness
        self._factor = np.zeros((picks_max, len(likeness)), np.float32)
        self._left = np.diagonal(likeness).copy()
        self._picks = 0
        self.values: Array = np.zeros(len(likeness), np.float32)

    def pick(self, at: int) -> None:
        """Take the item at `at` into the picks; at most `picks_max` of them."""
        known = self._factor[: self._picks]
        row = self._likeness[at] - known[:, at] @ known
        row /= np.sqrt(max(float(self._left[at]), SPENT))
        self._factor[self._picks] = row
        self._picks += 1
        self._left -= row * row
        distance: Array = np.sqrt(np.maximum(self._left, np.float32(SPENT)))
        self.values = np.log(distance)


METHODS: dict[Method, type[Dispersion] | type[Mmr] | type[Dpp]] = {
    "dispersion": Dispersion,
    "mmr": Mmr,
    "dpp": Dpp,
}
