"""A ranked window: the order of all its candidates, and what it was made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reranker.experiments.exposure import Exposure
from reranker.retrieval.candidates import Retrieved
from reranker.retrieval.request import RankedRequest
from reranker.rules.effects import NO_EFFECTS, Effects
from reranker.rules.placing import Placed
from reranker.serving import adaptation
from reranker.serving.exploration import Exploration
from reranker.serving.order import Ordered
from reranker.serving.pins import Pin
from reranker.serving.scoring import Fused
from reranker.serving.varied import Varied
from reranker.signals import served
from reranker.signals.served import Served


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """What one retrieval came to.

    `placed` is the whole order, also of pinned products that are no candidates; `ordered` are the
    candidates in it.
    """

    ordered: Ordered
    placed: Placed
    fused: Fused
    retrieved: Retrieved
    degraded: str | None
    elasticsearch_ms: float
    fusion_ms: float
    effects: Effects = NO_EFFECTS
    exposure: Exposure | None = None
    varied: Varied | None = None
    explored: Exploration | None = None

    def as_pin(self, request: RankedRequest) -> Pin:
        """What must stay the same on every page.

        Where the keyword leg was not full, all matches are known: nothing follows the window.
        """
        retrieved = self.retrieved
        in_keyword_leg = int(np.isfinite(retrieved.candidates.bm25_rank).sum())
        return Pin(
            ids=self.placed.ids,
            scores=self.placed.scores,
            total=retrieved.total,
            model=self.fused.model,
            degraded=self.degraded,
            aggregations=retrieved.aggregations,
            suggest=retrieved.suggest,
            complete=request.options.mode == "knn" or in_keyword_leg < request.options.window,
            effects=self.effects,
            exposure=self.exposure,
            diversity=self.varied.told() if self.varied else None,
            explored=self.explored,
        )

    def left_behind(self, ids: Sequence[str], now: float) -> bytes | None:
        """What feedback on the shown ids may teach the adaptive layer by; None: nothing."""
        fused = self.fused
        if fused.adapted is None or fused.own_scores is None:
            return None
        shown = ids[: adaptation.SHOWN_MAX]
        places = self._places(shown)
        return adaptation.left_behind(
            fused.adapted, fused.model, fused.own_scores, places, shown, now
        )

    def served(self, ids: Sequence[str], rows_max: int) -> Served | None:
        """The signals of the first shown ids as the model saw them; None where it saw none."""
        fused = self.fused
        if fused.inputs is None or fused.rows is None or fused.history is None:
            return None
        rows = self._places(ids[:rows_max])
        return served.of(rows, fused.inputs, fused.history, fused.model)

    def _places(self, ids: Sequence[str]) -> list[int]:
        """Where each id stands among those that the model saw; -1 for one that it did not."""
        rows, names = self.fused.rows, self.retrieved.candidates.ids
        seen = [] if rows is None else rows.tolist()
        place = {names[row]: number for number, row in enumerate(seen)}
        return [place.get(name, -1) for name in ids]
