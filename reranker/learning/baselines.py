"""What the network is measured against in the same run: fitted to its lists, kept beside it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.fusion import artifact
from reranker.learning import lambdamart, linear
from reranker.learning.dataset import ListSet


@dataclass(frozen=True, eq=False)
class Baselines:
    """Scores of the held-out lists [rows] by name, the files for the artifact, what was chosen.

    `trees` are LambdaMART's, as measured and as fitted to all lists; None where there are none.
    """

    scores: dict[str, NDArray[np.floating]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    chosen: dict[str, Any] = field(default_factory=dict)
    trees: tuple[bytes, bytes] | None = None


def fit(
    train: ListSet,
    held_out: ListSet,
    late: ListSet | None,
    *,
    seed: int,
    threads: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Baselines:
    """LambdaMART and the tuned linear ranker; `progress` counts the two of them."""
    trees = lambdamart.fit(train, held_out, late, seed, threads)
    progress(1)
    line = linear.fit(train, held_out, late)
    progress(1)
    return Baselines(
        scores={"lambdamart": trees.held_out, "linear": line.held_out},
        files={artifact.LAMBDAMART: trees.model, artifact.LINEAR: line.model},
        chosen={"lambdamart": {"rounds": trees.rounds}, "linear": {"penalty": line.penalty}},
        trees=(trees.measured, trees.model),
    )
