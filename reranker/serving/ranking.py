"""A ranked window: the order of all its candidates, and what it was made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from reranker.experiments.exposure import Exposure
from reranker.retrieval.candidates import Retrieved
from reranker.retrieval.request import RankedRequest
from reranker.rules.effects import NO_EFFECTS, Effects
from reranker.rules.placing import Placed
from reranker.serving import adaptation
from reranker.serving.exploration import Exploration
from reranker.serving.order import Ordered, Scores
from reranker.serving.pins import Pin
from reranker.serving.scoring import Fused
from reranker.serving.varied import Varied
from reranker.signals import served
from reranker.signals.served import Served


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """What one retrieval came to.

    `placed` is the whole order, also of pinned products that are no candidates; `ordered` are the
    candidates in it. `greedy` [n] are their scores without chance, where something may be tried.
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
    greedy: Scores | None = None

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

    def named(self) -> dict[str, float]:
        """The scores of what the query names by its code."""
        named = set(self.retrieved.named)
        placed = zip(self.placed.ids, self.placed.scores, strict=True) if named else ()
        return {name: score for name, score in placed if name in named}

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

    def further(self, ids: Sequence[str], rows_max: int) -> list[str]:
        """What stood behind the shown ids, so many with them at the most; nothing where no chance
        was at work: it is kept to judge later what another order would have earned.
        """
        if self.greedy is None:
            return []
        shown = set(ids)
        behind = (name for name in self.placed.ids if name not in shown)
        return list(islice(behind, max(rows_max - len(ids), 0)))

    def without_chance(self, ids: Sequence[str]) -> list[float | None]:
        """The scores of ids without chance; None for what is no candidate."""
        if self.greedy is None:
            return []
        row_of = {name: row for row, name in enumerate(self.retrieved.candidates.ids)}
        scores = self.greedy.tolist()
        return [round(scores[row_of[name]], 4) if name in row_of else None for name in ids]

    def _places(self, ids: Sequence[str]) -> list[int]:
        """Where each id stands among those that the model saw; -1 for one that it did not."""
        rows, names = self.fused.rows, self.retrieved.candidates.ids
        seen = [] if rows is None else rows.tolist()
        place = {names[row]: number for number, row in enumerate(seen)}
        return [place.get(name, -1) for name in ids]
