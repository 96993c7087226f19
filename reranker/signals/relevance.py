"""How well an item answers the query, by keywords and by vectors; pure."""

import math

import numpy as np
from numpy.typing import NDArray

from reranker.signals import definition
from reranker.signals.compiled import FLAG, FLAGS, FLOATS, INTO, compiled, logged
from reranker.signals.listwise import Array
from reranker.signals.situation import Situation

BM25, BM25_SHARE, BM25_GAP, BM25_RANK, KNN, KNN_SHARE, KNN_RANK, BOTH, MATCHES = range(
    len(definition.RELEVANCE)
)


def compute(situation: Situation, into: Array) -> None:
    """Write the family `relevance` [its signals, n]; NaN where a leg does not know the item."""
    found, query = situation.candidates, situation.query_vector
    own, has_own = found.knn, False
    if query is not None and situation.vectors.shape[1] == len(query):
        own, has_own = situation.vectors @ query, True
    _compute(
        found.bm25,
        found.bm25_rank,
        found.knn,
        found.knn_rank,
        own,
        has_own,
        situation.cards_present,
        into,
    )


@compiled(FLOATS, FLOATS, FLOATS, FLOATS, FLOATS, FLAG, FLAGS, INTO)
def _compute(
    bm25: Array,
    bm25_rank: Array,
    knn: Array,
    knn_rank: Array,
    own: Array,
    has_own: bool,
    present: NDArray[np.bool_],
    into: Array,
) -> None:
    """The cosine is that of the card, else what the vector leg said, else NaN."""
    n = len(bm25)
    rising = np.empty(n, np.float32)
    matched, cosines, total = 0, 0, 0.0
    for i in range(n):
        if math.isfinite(bm25[i]):
            rising[matched] = bm25[i]
            matched += 1
        by_card = has_own and present[i] and math.isfinite(own[i])
        into[KNN, i] = own[i] if by_card else knn[i]
        if math.isfinite(into[KNN, i]):
            cosines += 1
            total += into[KNN, i]
    rising = np.sort(rising[:matched])
    best = rising[-1] if matched else np.float32(0.0)
    distinct = 0
    for i in range(matched):
        if distinct == 0 or rising[i] > rising[distinct - 1]:
            rising[distinct] = rising[i]
            distinct += 1
    mean, spread = total / max(cosines, 1), 0.0
    for i in range(n):
        if math.isfinite(into[KNN, i]):
            spread += (into[KNN, i] - mean) ** 2
    spread = math.sqrt(spread / max(cosines, 1)) + 1e-6
    for i in range(n):
        into[BM25, i] = bm25[i]
        into[BM25_SHARE, i] = bm25[i] / best if best > 0.0 else bm25[i]
        into[BM25_GAP, i] = np.nan
        if math.isfinite(bm25[i]):
            above = distinct - np.searchsorted(rising[:distinct], bm25[i], side="right")
            into[BM25_GAP, i] = logged(above) / logged(distinct)
        into[BM25_RANK, i] = logged(bm25_rank[i])
        into[KNN_SHARE, i] = (into[KNN, i] - mean) / spread if cosines > 1 else 0.0
        into[KNN_RANK, i] = logged(knn_rank[i])
        into[BOTH, i] = math.isfinite(bm25_rank[i]) and math.isfinite(knn_rank[i])
        into[MATCHES, i] = logged(matched)
