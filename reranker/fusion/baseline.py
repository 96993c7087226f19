"""Fusion without learning: reciprocal ranks, and the prior that every model starts from; pure.

The prior is a convex mix of the keyword score (over the list's best) and the cosine. It is what an
untrained shop is served with, and what a model's residual is added to.
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.retrieval.candidates import Candidates
from reranker.signals import definition

Array = NDArray[np.float32]
RANK_CONSTANT = 60.0

_SHARE = definition.INDEX["bm25_share"]
_COSINE = definition.INDEX["knn"]
_COVERED = definition.INDEX["query_covered"]


@dataclass(frozen=True)
class PriorWeights:
    """Parts of the prior, in units of log odds; an artifact carries those it was trained on."""

    keyword: float = 4.0
    cosine: float = 4.0

    def as_dict(self) -> dict[str, float]:
        """Name → weight."""
        return asdict(self)


def prior(signals: Array, weights: PriorWeights | None = None) -> Array:
    """Log odds up to a constant [..., n], of filled signals [..., n, signals]."""
    parts = prior_parts(signals, weights or PriorWeights())
    return np.asarray(sum(parts.values()), dtype=np.float32)


def prior_parts(signals: Array, weights: PriorWeights) -> dict[str, Array]:
    """What each signal adds to the prior [..., n]; exact, for explanations."""
    return {
        "bm25_share": weights.keyword * signals[..., _SHARE],
        "knn": weights.cosine * signals[..., _COSINE],
    }


def rrf(candidates: Candidates, rank_constant: float = RANK_CONSTANT) -> Array:
    """Reciprocal rank fusion [n] (Cormack, Clarke and Büttcher 2009)."""
    ranks = np.stack([candidates.bm25_rank, candidates.knn_rank])
    parts = np.where(np.isfinite(ranks), 1.0 / (rank_constant + ranks), 0.0)
    return np.asarray(parts.sum(axis=0), dtype=np.float32)
