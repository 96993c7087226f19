"""A network that says no more than a line over its signals, evaluated as that line; pure.

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

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Line:
    """Scores `(signals - mean) @ weights + constant`; mean and weights [signals]."""

    mean: Array
    weights: Array
    constant: np.float32

    def residual(self, signals: Array) -> Array:
        """What it adds to the prior of each candidate [n]."""
        added = (signals - self.mean) @ self.weights + self.constant
        return added.astype(np.float32, copy=False)


def of_file(content: bytes, heads: Array) -> Line | None:
    """The line of a file of weights; raises InvalidArtifact for one that is none."""
    try:
        return of(unpacked(content), heads)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidArtifact(f"the network's weights cannot be read ({error})") from error


def of(networks: Sequence[Weights], heads: Array) -> Line | None:
    """The line that the mean of the networks is, their `heads` weighed [heads]; None for more.

    All of them standardise the signals alike, since they learned from the same lists.
    """
    first = networks[0]
    beyond = any((heads @ network["heads.weight"]).any() for network in networks)
    alike = all(
        np.array_equal(network[name], first[name])
        for network in networks
        for name in ("signal_mean", "signal_scale")
    )
    if beyond or not alike:
        return None
    direct = np.mean([heads @ network["direct.weight"] for network in networks], axis=0)
    constant = np.mean([heads @ network["heads.bias"] for network in networks])
    weights = (direct / first["signal_scale"]).astype(np.float32)
    return Line(first["signal_mean"], weights, np.float32(constant))
