"""Fusion without learning: reciprocal ranks, and the prior that every model starts from; pure.

The prior is a convex combination of scores on their theoretical scales (Bruch, Gai and Ingber
2023, arXiv 2210.11934): keyword score over the list's best, cosine, and the share of the query's
words that the title has. It is what an untrained shop is served with, and what a model's residual
is added to. One setting for every shop: the weights were chosen over four catalogues (electronics,
films, a Chinese shop, giftware), each left out in turn.

Where a script does not part its words, Elasticsearch matches pairs of characters, and half of a
word matches by chance: 有线耳机 has two of the three pairs of 无线耳机. So without a model what
words say of such a query counts as the square of how much of it the title has.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue import card
from indexer.errors import InvalidArtifact
from reranker.retrieval.candidates import Candidates
from reranker.signals import definition

Array = NDArray[np.float32]
RANK_CONSTANT = 60.0

_SHARE = definition.INDEX["bm25_share"]
_COSINE = definition.INDEX["knn"]
_COVERED = definition.INDEX["query_covered"]
_CARD = definition.INDEX["card"]


@dataclass(frozen=True)
class PriorWeights:
    """Parts of the prior, in units of log odds; an artifact carries those it was trained on.

    What words say counts by the share of the query's words in the title: the keyword score by that
    share to the power `doubt`, the covered words by the share itself at least. The doubt of a model
    is 0, so that what is learned from it starts from a line.
    """

    keyword: float = 2.4
    cosine: float = 4.0
    covered: float = 0.8
    doubt: float = 0.0

    @classmethod
    def read(cls, weights: Mapping[str, float]) -> Self:
        """The weights an artifact carries; a part that it does not name weighs nothing in it.

        Raises InvalidArtifact for a part that is not known here.
        """
        if unknown := sorted(set(weights) - {part.name for part in fields(cls)}):
            raise InvalidArtifact(
                f"the prior of this model has a part {unknown[0]!r} that is not known here: it was "
                "made by a newer version"
            )
        return cls(**{**{part.name: 0.0 for part in fields(cls)}, **weights})

    def as_dict(self) -> dict[str, float]:
        """Name → weight; `doubt` only where there is any, since models have none."""
        return {name: weight for name, weight in asdict(self).items() if weight or name != "doubt"}


SPACED, UNSPACED = PriorWeights(), PriorWeights(doubt=2.0)


def untrained_weights(query: str) -> PriorWeights:
    """The weights that a query is answered by where there is no model."""
    return UNSPACED if card.is_unspaced(query) else SPACED


def prior(signals: Array, weights: PriorWeights | None = None) -> Array:
    """Log odds up to a constant [..., n], of filled signals [..., n, signals]."""
    parts = prior_parts(signals, weights or PriorWeights())
    return np.asarray(sum(parts.values()), dtype=np.float32)


def prior_parts(signals: Array, weights: PriorWeights) -> dict[str, Array]:
    """What each signal adds to the prior [..., n]; exact, for explanations."""
    keyword, covered = weights.keyword * signals[..., _SHARE], signals[..., _COVERED]
    if weights.doubt:
        known = np.where(signals[..., _CARD] > 0, covered, 1.0)
        keyword = keyword * known**weights.doubt
        covered = covered ** max(weights.doubt, 1.0)
    return {
        "bm25_share": keyword,
        "knn": weights.cosine * signals[..., _COSINE],
        "query_covered": weights.covered * covered,
    }


def prior_of_legs(candidates: Candidates, weights: PriorWeights | None = None) -> Array:
    """The prior [n] of what Elasticsearch said alone, where no title or vector can be looked at.

    What the vector leg did not find is at most as near as the last that it did: it counts as that.
    """
    weights = weights or PriorWeights()
    best = np.nanmax(candidates.bm25) if np.isfinite(candidates.bm25).any() else 1.0
    last = np.nanmin(candidates.knn) if np.isfinite(candidates.knn).any() else 0.0
    keyword = np.nan_to_num(candidates.bm25 / max(float(best), 1e-9))
    cosine = np.nan_to_num(candidates.knn, nan=float(last))
    scores: Array = weights.keyword * keyword + weights.cosine * cosine
    return scores


def rrf(
    candidates: Candidates, rank_constant: float = RANK_CONSTANT, window: float = np.inf
) -> Array:
    """Reciprocal rank fusion [n] (Cormack, Clarke and Büttcher 2009) of lists of `window` hits."""
    ranks = np.stack([candidates.bm25_rank, candidates.knn_rank])
    parts = np.where(ranks <= window, 1.0 / (rank_constant + ranks), 0.0)
    return np.asarray(parts.sum(axis=0), dtype=np.float32)
