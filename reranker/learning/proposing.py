"""Candidates of lists without a search, by the sources that serve; pure.

Neighbours are found exactly, by a product with all goods, where serving asks Elasticsearch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour import shopper_profile
from reranker.learning.cases import Case
from reranker.learning.dataset import past_of
from reranker.learning.goods import Goods
from reranker.learning.moments import Moment
from reranker.recommend import seeds, sources
from reranker.recommend.proposals import Proposals, merged
from reranker.recommend.sources import NOTHING, PER_SOURCE, WINDOW, Ranked
from reranker.recommend.wish import sources_of
from reranker.retrieval.candidates import Candidates
from reranker.signals.item_table import ItemTable
from reranker.signals.past import Past

Vectors = NDArray[np.float32]


@dataclass(eq=False)
class Proposer:
    """Proposes for cases; remembers the goods' behavioural vectors of the table used last."""

    goods: Goods
    window: int = WINDOW
    _table: ItemTable | None = None
    _tastes: Vectors | None = None

    def __call__(self, case: Case, moment: Moment, table: ItemTable) -> tuple[Candidates, Past]:
        """The candidates of a case, and its shopper's past with the seeds in it."""
        proposals, past = self.proposed(case, moment, table)
        return proposals.candidates(), past

    def proposed(self, case: Case, moment: Moment, table: ItemTable) -> tuple[Proposals, Past]:
        """The same with the source of each item."""
        profile = moment.shopper(case.user)
        past = self._past(seeds.touched_now(profile, case.seeds, moment.at), moment)
        start = past
        if case.seeds:
            alone = seeds.touched_now(shopper_profile.empty(), case.seeds, moment.at)
            start = self._past(alone, moment)
        lists = {name: self._found(name, start, moment, table) for name in sources_of(case.seeds)}
        return merged(lists, window=self.window, without={*case.seeds}), past

    def _past(self, profile: shopper_profile.ShopperProfile, moment: Moment) -> Past:
        return past_of(profile, moment, self.goods)

    def _found(self, name: str, start: Past, moment: Moment, table: ItemTable) -> Ranked:
        if name == "own":
            found = sources.own(start, PER_SOURCE)
        elif name == "bought_together":
            found = sources.together(start, self._resolve, PER_SOURCE)
        elif name == "trending":
            found = sources.popular(moment.board, PER_SOURCE)
        elif name == "content":
            found = self._nearest(self.goods.vectors, start.vectors, start)
        else:
            rows = table.lookup(start.history["item"], start.vectors)
            found = self._nearest(self._of(table), rows, start)
        return self._there(found)

    def _of(self, table: ItemTable) -> Vectors:
        if self._table is not table or self._tastes is None:
            self._table = table
            self._tastes = table.sized(self.goods.hashes, self.goods.vectors)
        return self._tastes

    def _nearest(self, vectors: Vectors, history: Vectors | None, start: Past) -> Ranked:
        wanted = sources.direction(history, start.recency_share)
        if wanted is None:
            return NOTHING
        cosines = vectors @ wanted
        best = np.argpartition(-cosines, min(PER_SOURCE, len(cosines) - 1))[:PER_SOURCE]
        best = best[np.argsort(-cosines[best], kind="stable")]
        return sources.nearest(
            [self.goods.ids[row] for row in best.tolist()], cosines[best].tolist()
        )

    def _resolve(self, items: NDArray[np.uint64]) -> list[str | None]:
        rows = self.goods.rows_of_hashes(items).tolist()
        return [self.goods.ids[row] if row >= 0 else None for row in rows]

    def _there(self, found: Ranked) -> Ranked:
        """The list without what has left the catalogue."""
        rows = [row for row, item_id in enumerate(found.ids) if item_id in self.goods.row]
        return Ranked([found.ids[row] for row in rows], found.scores[rows])
