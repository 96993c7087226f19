"""What lists are assembled from beside the behaviour state."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.popularity import USUAL_HALF_LIFE_HOURS
from indexer.catalogue.context_keys import USUAL, ContextKeys
from reranker.learning.cases import Case
from reranker.learning.goods import Goods
from reranker.learning.moments import Moment
from reranker.retrieval.candidates import Candidates
from reranker.signals.item_table import ItemTable
from reranker.signals.past import Past

Found = Mapping[str, Candidates]  # query → candidates
# What stands in a list without a search, and the past of its shopper with the list's seeds.
Propose = Callable[[Case, Moment, ItemTable], tuple[Candidates, Past]]


@dataclass(frozen=True, eq=False)
class World:
    """One shop as lists see it, but for its behaviour state.

    Candidates are those `found` for a query, or else what `propose` says where it is there.
    """

    goods: Goods
    found: Found
    query_vectors: Mapping[str, NDArray[np.float32]]
    query_row: Mapping[str, int]
    tables: Sequence[ItemTable]
    table_of_moment: Sequence[int]
    propose: Propose | None = None
    context_keys: ContextKeys = field(default_factory=lambda: USUAL)
    half_life_hours: float = USUAL_HALF_LIFE_HOURS

    def table_at(self, moment: int) -> ItemTable:
        """The table that a moment reads."""
        return self.tables[self.table_of_moment[moment]]

    @cached_property
    def projected(self) -> list[NDArray[np.float32]]:
        """Where each table would have the goods start [goods, width]."""
        return [table.project(self.goods.vectors) for table in self.tables]
