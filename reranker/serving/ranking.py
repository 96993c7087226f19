"""A ranked window: the order of all its candidates, and what it was made of."""

from dataclasses import dataclass

import numpy as np

from reranker.retrieval.candidates import Retrieved
from reranker.retrieval.request import RankedRequest
from reranker.serving.order import Ordered
from reranker.serving.pins import Pin
from reranker.serving.scoring import Fused


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """What one retrieval came to."""

    ordered: Ordered
    fused: Fused
    retrieved: Retrieved
    degraded: str | None
    elasticsearch_ms: float
    fusion_ms: float

    def as_pin(self, request: RankedRequest) -> Pin:
        """What must stay the same on every page.

        Where the keyword leg was not full, all matches are known: nothing follows the window.
        """
        retrieved, ids = self.retrieved, self.retrieved.candidates.ids
        in_keyword_leg = int(np.isfinite(retrieved.candidates.bm25_rank).sum())
        return Pin(
            ids=[ids[row] for row in self.ordered.rows.tolist()],
            scores=self.ordered.scores.tolist(),
            total=retrieved.total,
            model=self.fused.model,
            degraded=self.degraded,
            aggregations=retrieved.aggregations,
            suggest=retrieved.suggest,
            complete=request.options.mode == "knn" or in_keyword_leg < request.options.window,
        )
