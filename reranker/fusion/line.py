"""The line over the signals that a network starts from, and networks that say no more; pure.

Strangers and known shoppers have a line each. What everybody buys says most of a stranger, what
lies beside the shopper's own items most of a known one: one weight for both would be wrong for
each. A third line is added for what the shopper bought before: whether that is due again is
another question than whether something new will please.

Training keeps of a network what is ahead of the linear ranker beyond noise; where that is nothing,
its heads are zero and the attention under them changes no score. The line is that of the weights
before any rounding, as it is inside the node.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.errors import InvalidArtifact
from reranker.fusion.weights import Weights, unpacked
from reranker.signals import definition

Array = NDArray[np.float32]
WELL_KNOWN_ITEMS = 10.0  # of a shopper of whom the line of known ones says all
ITEMS, BOUGHT = definition.INDEX["shopper_items"], definition.INDEX["own_purchases"]
LINES = 3


def shares(signals: NDArray[np.floating]) -> Array:
    """How much of each line counts for each row [LINES, rows]: the first two sum to one, the second
    by how well the shopper is known; the third is 1 for what the shopper bought before.
    """
    items = np.expm1(signals[:, ITEMS].astype(np.float32))
    known = np.clip(items / WELL_KNOWN_ITEMS, 0.0, 1.0)
    return np.stack([1.0 - known, known, (signals[:, BOUGHT] > 0.0).astype(np.float32)])


def lines(weights: NDArray[np.floating], signals: int) -> Array:
    """The lines [LINES, signals] in weights one after the other. Older models have one for
    everybody, or those of strangers and of known shoppers alone.
    """
    found = weights.reshape(-1, signals).astype(np.float32)
    both = found if len(found) > 1 else np.repeat(found, 2, axis=0)
    return np.concatenate([both, np.zeros((LINES - len(both), signals), dtype=np.float32)])


@dataclass(frozen=True, eq=False)
class Line:
    """Scores `(signals - mean) @ weights + constant`; mean [signals], and weights [signals, LINES]
    of strangers, of known shoppers, and what is added for items that the shopper bought before.
    From these no mean is taken: for them alone it would be no constant.
    """

    mean: Array
    weights: Array
    constant: np.float32

    def residual(self, signals: Array) -> Array:
        """What it adds to the prior of each candidate [n]."""
        found = (signals - self.mean) @ self.weights
        found[:, -1] += self.mean @ self.weights[:, -1]
        added: Array = (found.T * shares(signals)).sum(axis=0) + self.constant
        return added.astype(np.float32, copy=False)


def of_file(content: bytes, heads: Array, *, whole: bool = True) -> Line | None:
    """The line of a file of weights (see `of`, `within`); raises InvalidArtifact for one that is
    none.
    """
    try:
        networks = unpacked(content)
        return of(networks, heads) if whole else within(networks, heads)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidArtifact(f"the network's weights cannot be read ({error})") from error


def of(networks: Sequence[Weights], heads: Array) -> Line | None:
    """The line that the mean of the networks is, their `heads` weighed [heads]; None for more."""
    beyond = any((heads @ network["heads.weight"]).any() for network in networks)
    return None if beyond else within(networks, heads)


def within(networks: Sequence[Weights], heads: Array) -> Line | None:
    """The line that the mean of the networks adds its attention to; None where they do not
    standardise the signals alike, as those that learned from the same lists do.
    """
    first = networks[0]
    alike = all(
        np.array_equal(network[name], first[name])
        for network in networks
        for name in ("signal_mean", "signal_scale")
    )
    if not alike:
        return None
    direct = np.mean([heads @ network["direct.weight"] for network in networks], axis=0)
    constant = np.mean([heads @ network["heads.bias"] for network in networks])
    weights = lines(direct, len(first["signal_mean"])) / first["signal_scale"]
    return Line(first["signal_mean"], weights.T, np.float32(constant))
