"""What a logged search says of its list beside what is assembled now; pure.

Shown items carry the signals they were served with. The other candidates are assembled from the
state of the case's moment, so what is equal for a whole list (the hour, the page, how many
candidates) is taken over to them: otherwise it would tell who was shown, and so who could be
clicked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.learning.cases import Case
from reranker.learning.goods import Goods
from reranker.retrieval.candidates import Candidates
from reranker.signals import definition
from reranker.signals.served import Served

LIST_WIDE = np.array([definition.INDEX[name] for name in sorted(definition.LIST_WIDE)])


@dataclass(frozen=True, eq=False)
class LoggedSignals:
    """Signals of shown items by id, and the history that the network had, in rows of the goods."""

    served: Served
    row: Mapping[str, int]  # of the shown items that the model saw and that there still are
    history: NDArray[np.intp]  # [h]
    history_features: NDArray[np.float16]  # [h, HISTORY_FEATURES]

    def beside(self, found: Candidates) -> Candidates:
        """The candidates with the shown items that were not among them, as in no leg."""
        known = set(found.ids)
        missing = [item_id for item_id in self.row if item_id not in known]
        nowhere = np.full(len(missing), np.nan, dtype=np.float32)
        legs = (found.bm25, found.bm25_rank, found.knn, found.knn_rank)
        return Candidates([*found.ids, *missing], *(np.r_[leg, nowhere] for leg in legs))

    def over(
        self, signals: NDArray[np.float32], ids: Sequence[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """`signals` [n, signals] of `ids` with what was served in its place, and where [n]."""
        rows = np.array([self.row.get(item_id, -1) for item_id in ids])
        shown = rows >= 0
        own = self.served.signals.astype(np.float32)
        both = signals.copy()
        both[:, LIST_WIDE] = own[next(iter(self.row.values())), LIST_WIDE]
        both[shown] = own[rows[shown]]
        return both, shown


def of(case: Case, goods: Goods) -> LoggedSignals | None:
    """What was logged with a case; None where nothing was, or nothing of it is left."""
    if case.served is None or case.shown is None:
        return None
    seen = zip(case.shown, case.served.seen.tolist(), strict=False)  # the first shown have signals
    row = {item: place for place, (item, known) in enumerate(seen) if known and item in goods.row}
    if not row:
        return None
    history = goods.rows_of_hashes(case.served.history)
    there = history >= 0
    return LoggedSignals(case.served, row, history[there], case.served.history_features[there])
