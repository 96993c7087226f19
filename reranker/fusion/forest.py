"""Boosted trees over the signals, whose scores are added to those of a network.

All tests of a tree are made for all candidates at once, with no branch: each test that fails takes
the leaves of its first side out of the candidate's bit set, and of what is left at the end the
first leaf is the one that walking down the tree would reach (QuickScorer: Lucchese et al. 2015,
doi 10.1145/2766462.2767733). What that needs is read straight through, so a request that finds
nothing of it in the processor's caches is hardly slower.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from indexer.errors import InvalidArtifact
from reranker.fusion import tree_arrays
from reranker.signals import definition
from reranker.signals.compiled import (
    INTO_ONE,
    SOLID_FLOATS,
    SOLID_PLACES,
    SOLID_ROWS,
    SOLID_TOKENS,
    compiled,
)

Array = NDArray[np.float32]
LEAVES_MAX = 32  # the bits of a set
_ALL = np.uint32(0xFFFFFFFF)
_ABREAST = 512  # candidates whose bit sets lie in the processor's nearest cache
# A number whose every five bits differ tells which bit of a power of two is set (Leiserson, Prokop
# and Randall 1998, Using de Bruijn sequences to index a 1 in a computer word).
_DE_BRUIJN = np.uint32(0x077CB531)
_PLACE = np.argsort([((0x077CB531 << bit) & 0xFFFFFFFF) >> 27 for bit in range(LEAVES_MAX)])


class _Packed(NamedTuple):
    """Tests of all trees one after the other [t] and how many each tree has [trees]; leaves from
    the first side to the last [trees, LEAVES_MAX]. `kept` is what a failed test leaves of a set.
    """

    signals: NDArray[np.intp]
    thresholds: Array
    kept: NDArray[np.uint32]
    tests: NDArray[np.intp]
    leaves: Array


class Forest:
    """The trees of one graph; raises InvalidArtifact, naming `what` it should be."""

    def __init__(self, content: bytes, what: str) -> None:
        self._packed = _packed(tree_arrays.flattened(content, what), what)

    def scores(self, signals: Array) -> Array:
        """What they give each candidate [n], of finite signals [n, signals]."""
        found = np.zeros(len(signals), dtype=np.float32)
        for first in range(0, len(signals), _ABREAST):
            some = slice(first, first + _ABREAST)
            _add(np.ascontiguousarray(signals[some].T, np.float32), *self._packed, found[some])
        return found


def _packed(arrays: dict[str, tree_arrays.Array], what: str) -> _Packed:
    yes, no = arrays["yes"].tolist(), arrays["no"].tolist()
    if arrays["signals"].max(initial=0) >= len(definition.SIGNALS):
        raise InvalidArtifact(f"{what} look at signals that are not there")
    order: list[int] = []
    kept: list[int] = []
    tests: list[int] = []
    leaves = np.zeros((len(arrays["roots"]), LEAVES_MAX), dtype=np.float32)
    for tree, root in enumerate(arrays["roots"].tolist()):
        before, ends = len(order), _walk(root, yes, no, order, kept)
        if len(ends) > LEAVES_MAX:
            raise InvalidArtifact(f"{what} have {len(ends)} leaves: {LEAVES_MAX} can be served")
        tests.append(len(order) - before)
        leaves[tree, : len(ends)] = arrays["leaves"][ends]
    return _Packed(
        arrays["signals"][order].astype(np.intp),
        arrays["thresholds"][order].astype(np.float32),
        np.array(kept, dtype=np.uint64).astype(np.uint32),
        np.array(tests, dtype=np.intp),
        leaves,
    )


def _walk(node: int, yes: list[int], no: list[int], order: list[int], kept: list[int]) -> list[int]:
    """Leaves below `node`, first side first; its tests are added to `order`, and to `kept` the set
    of leaves, numbered within the tree, without those of each test's first side.
    """
    ends: list[int] = []

    def below(at: int) -> int:
        if yes[at] == at:
            ends.append(at)
            return 1 << (len(ends) - 1)
        first, second = below(yes[at]), below(no[at])
        order.append(at)
        kept.append(~first & int(_ALL))
        return first | second

    below(node)
    return ends


@compiled(SOLID_ROWS, SOLID_PLACES, SOLID_FLOATS, SOLID_TOKENS, SOLID_PLACES, SOLID_ROWS, INTO_ONE)
def _add(
    signals: Array,
    split: NDArray[np.intp],
    thresholds: Array,
    kept: NDArray[np.uint32],
    tests: NDArray[np.intp],
    leaves: Array,
    into: Array,
) -> None:
    """Add the leaves that the columns of `signals` [signals, n] reach to `into` [n]."""
    left = np.empty(signals.shape[1], np.uint32)
    at = 0
    for tree in range(len(tests)):
        left[:] = _ALL
        for _ in range(tests[tree]):
            row, most, rest = signals[split[at]], thresholds[at], kept[at]
            for i in range(len(left)):
                left[i] &= _ALL if row[i] <= most else rest
            at += 1
        for i in range(len(left)):
            lowest = left[i] & (~left[i] + np.uint32(1))
            place = np.uint32(lowest * _DE_BRUIJN) >> np.uint32(27)
            into[i] += leaves[tree, _PLACE[place]]
