"""Thompson sampling over the adaptive layer: some searches are ranked by weights as they may be.

A search explores when a hash of its id falls below the share of traffic. Then the layer's weights
are drawn from what is known of them (Chapelle and Li 2011, An empirical evaluation of Thompson
sampling) in place of their means, bounded like them; the order that comes of it is ranked, ruled
and kept like any other. What is drawn hangs on the id alone: the same search id gives the same
order.

`DRAWS` orders are drawn a search, and one of them is shown. Given those, each is as likely as any
other, so propensities are exact counts: a product is shown at a place with the share of the draws
that put it there, times the share of traffic. What no draw shows has none.

Nothing is tried in an answer that is degraded, not recorded, interleaved, varied (diversity above
0) or ranked by a model that was asked for by name.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour import adaptive
from reranker.serving import scoring
from reranker.serving.adaptation import SHOWN_MAX, Adapted
from reranker.serving.call import Call
from reranker.serving.exploration import DIGITS, Exploration
from reranker.serving.knowledge import Asked
from reranker.serving.scoring import Fused

DRAWS = 64
Scores = NDArray[np.float32]
InOrder = Callable[[Scores], Sequence[str]]


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """The scores to rank by, drawn or not; `greedy` [n] are those without chance, and `pool`
    [DRAWS, n] those that were drawn.
    """

    fused: Fused
    greedy: Scores
    pool: Sequence[Scores]
    is_drawn: bool
    share: float
    chance: str

    def explored(self, in_order: InOrder) -> Exploration:
        """What is said of it; `in_order` gives the ids of an order by its scores."""
        shown = list(in_order(self.fused.scores))[:SHOWN_MAX]
        chances = np.zeros(len(shown))
        for scores in self.pool:
            chances += self.share / DRAWS * _same(in_order(scores), shown)
        chances += (1.0 - self.share) * _same(in_order(self.greedy), shown)
        return Exploration(self.is_drawn, self.chance, chances.round(DIGITS).tolist())


def tried(share: float, call: Call, asked: Asked, fused: Fused, chance: str | None) -> Tried | None:
    """The list as chance has it, in so much of the traffic; None where nothing may be tried."""
    options = call.request.options
    interleaved = call.part is not None and bool(call.part.rankers)
    if chance is None or not share or not options.record or options.diversity > 0 or interleaved:
        return None
    layer = asked.who.layer if asked.who else None
    if layer is None or fused.adapted is None or options.model is not None:
        return None
    random = np.random.default_rng(_seed(call.generation.index, chance))
    is_drawn = bool(random.random() < share)
    adapted = fused.adapted
    drawn = layer.drawn(adapted.segment, DRAWS, random)
    parts = adaptive.bounded(adapted.features @ drawn.T).T
    pool = [_placed(asked, fused, row) for row in parts.astype(np.float32)]
    greedy = fused.scores
    if is_drawn:
        added = parts[0].astype(np.float32)
        own = Adapted(adapted.segment, adapted.signals, drawn[0], added, drawn=True)
        fused = replace(fused, scores=pool[0], adapted=own)
    return Tried(fused, greedy, pool, is_drawn, share, chance)


def _placed(asked: Asked, fused: Fused, added: Scores) -> Scores:
    assert fused.rows is not None and fused.own_scores is not None  # noqa: S101, PT018 - adapted
    return scoring.placed(asked.candidates, fused.rows, fused.own_scores + added)


def _same(ids: Sequence[str], shown: Sequence[str]) -> NDArray[np.float64]:
    """Where an order has what is shown [shown]."""
    return np.array([one == other for one, other in zip(ids, shown, strict=False)], dtype=float)


def _seed(index: str, chance: str) -> int:
    digest = hashlib.blake2b(f"explore\n{index}\n{chance}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")
