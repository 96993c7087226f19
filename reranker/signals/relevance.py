"""How well an item answers the query, by keywords and by vectors; pure."""

import numpy as np
from numpy.typing import NDArray

from reranker.signals.listwise import Array, log1p, standard
from reranker.signals.situation import Situation


def compute(situation: Situation) -> dict[str, Array]:
    """Columns [n] of the family `relevance`; NaN where a leg does not know the item."""
    found = situation.candidates
    bm25 = found.bm25
    cosine = _cosine(situation)
    matched = np.isfinite(bm25)
    best = float(bm25[matched].max(initial=0.0))
    both = np.isfinite(found.bm25_rank) & np.isfinite(found.knn_rank)
    return {
        "bm25": bm25,
        "bm25_share": bm25 / best if best > 0 else bm25,
        "bm25_gap": _gap(bm25, matched),
        "bm25_rank": log1p(found.bm25_rank),
        "knn": cosine,
        "knn_share": standard(cosine),
        "knn_rank": log1p(found.knn_rank),
        "both_legs": both.astype(np.float32),
        "matches": np.full(len(bm25), np.log1p(matched.sum()), dtype=np.float32),
    }


def _cosine(situation: Situation) -> Array:
    """Cosine for every candidate: from the card, else what the vector leg said, else NaN."""
    leg = situation.candidates.knn
    query = situation.query_vector
    if query is None or situation.vectors.shape[1] != len(query):
        return leg
    own = situation.vectors @ query
    cosine: Array = np.where(situation.cards_present & np.isfinite(own), own, leg)
    return cosine.astype(np.float32)


def _gap(scores: Array, matched: NDArray[np.bool_]) -> Array:
    """Log share of distinct keyword scores above each one [n]: 0 is the best."""
    rising = np.sort(scores[matched])
    distinct = rising[np.append(True, rising[1:] > rising[:-1])[: len(rising)]]
    above = len(distinct) - np.searchsorted(distinct, scores, side="right")
    gap = np.log1p(above) / np.log1p(max(len(distinct), 1))
    return np.where(matched, gap, np.nan).astype(np.float32)
