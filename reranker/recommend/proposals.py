"""The sources' lists as one list of candidates, before anything is learned. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from reranker.recommend.sources import Ranked
from reranker.retrieval.candidates import Candidates

# Which source is believed how far before a model is; reciprocal ranks of each are added up.
SHARES: Mapping[str, float] = {
    "own": 1.0,
    "bought_together": 1.0,
    "collaborative": 0.7,
    "content": 0.3,
    "trending": 0.4,
}
# Beside an item's page or a cart: what goes with it comes first; that something sells well decides
# between neighbours and fills what is left.
SHARES_BESIDE_SEEDS: Mapping[str, float] = {
    "bought_together": 1.0,
    "collaborative": 0.9,
    "content": 0.9,
    "trending": 0.01,
}
RANK_CONSTANT = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """Proposed items, best first by all sources; `source` is the one that put each highest.

    `scores` [n] lie between 0 and 1.
    """

    ids: Sequence[str]
    scores: NDArray[np.float32]
    source: Sequence[str]

    def __len__(self) -> int:
        return len(self.ids)

    def candidates(self) -> Candidates:
        """As the model takes them: the place among the proposals stands where a search has that
        of its vector leg; no keyword is matched.
        """
        nothing = np.full(len(self.ids), np.nan, dtype=np.float32)
        places = np.arange(1, len(self.ids) + 1, dtype=np.float32)
        return Candidates(list(self.ids), nothing, nothing.copy(), self.scores, places)


def merged(
    lists: Mapping[str, Ranked],
    *,
    window: int,
    without: Collection[str] = (),
    shares: Mapping[str, float] = SHARES,
) -> Proposals:
    """The best `window` items of all sources by weighted reciprocal rank, none of `without`."""
    scores: dict[str, float] = {}
    highest: dict[str, tuple[float, str]] = {}
    for name, found in lists.items():
        ids = [item_id for item_id in found.ids if item_id not in without]
        for item_id, part in zip(ids, _parts(shares[name], len(ids)), strict=True):
            before = scores.get(item_id)
            if before is None:
                scores[item_id], highest[item_id] = part, (part, name)
                continue
            scores[item_id] = before + part
            if (part, name) > highest[item_id]:
                highest[item_id] = (part, name)
    best = sorted(scores, key=scores.__getitem__, reverse=True)[:window]
    most = sum(shares.values()) / (RANK_CONSTANT + 1)
    return Proposals(
        ids=best,
        scores=np.array([scores[item_id] / most for item_id in best], dtype=np.float32),
        source=[highest[item_id][1] for item_id in best],
    )


@lru_cache(maxsize=256)
def _parts(share: float, count: int) -> Sequence[float]:
    """What each place of a source's list counts."""
    parts: list[float] = (share / (RANK_CONSTANT + np.arange(1, count + 1))).tolist()
    return parts
