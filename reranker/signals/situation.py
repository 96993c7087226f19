"""All that is known at the moment of ranking one list, before any signal is computed; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer import identity
from indexer.behaviour import query_stats, shopper_profile
from indexer.behaviour.popularity import Popularity
from indexer.behaviour.query_stats import QueryStats
from indexer.behaviour.shopper_profile import ShopperProfile
from indexer.catalogue import card
from indexer.catalogue.context_keys import USUAL, ContextKeys
from reranker.retrieval.candidates import Candidates
from reranker.signals.item_table import ItemTable
from reranker.signals.past import HISTORY_MAX, Past

__all__ = ["HISTORY_MAX", "Past", "Situation"]


@dataclass(frozen=True, eq=False)
class Situation:
    """One list to rank. `n` candidates, `h` history items (at most HISTORY_MAX, latest first).

    `cards` are records of `card.card_dtype(dims)`; an absent one reads as an empty record.
    `partners` are decoded `copurchase` rows of the history items. `now` is the event-time
    watermark in seconds, the moment that windows count back from. `context_keys` are those that the
    index declares.
    """

    candidates: Candidates
    query_vector: NDArray[np.float32] | None  # [dims], None: the encoder is missing
    cards: NDArray[Any]  # [n]
    cards_present: NDArray[np.bool_]  # [n]
    popularity: Popularity  # of the n candidates
    now: float
    query: str = ""
    shopper: ShopperProfile = field(default_factory=shopper_profile.empty)
    history_cards: NDArray[Any] | None = None  # [h]
    partners: Sequence[NDArray[np.void]] = ()  # [h] rows
    query_stats: QueryStats = field(default_factory=lambda: query_stats.decode(None))
    context: Mapping[str, Any] = field(default_factory=dict)
    context_keys: ContextKeys = field(default_factory=lambda: USUAL)
    item_table: ItemTable | None = None
    projected: NDArray[np.float32] | None = None  # [n, width] by that table, if known before
    prepared: Past | None = None  # of the same shopper, where it was computed before

    @cached_property
    def past(self) -> Past:
        """The shopper's side, whoever computed it."""
        if self.prepared is not None:
            return self.prepared
        return Past(self.shopper, self.history_cards, self.partners, self.now)

    @cached_property
    def items(self) -> NDArray[np.uint64]:
        """Hashes of the candidates [n]."""
        return identity.hashes(self.candidates.ids)

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """Text vectors of the candidates [n, dims]; zero where there is no card."""
        return card.vectors(self.cards)

    @cached_property
    def item_rows(self) -> NDArray[np.float32] | None:
        """Learned vectors of the candidates [n, width]; None without a table."""
        if self.item_table is None:
            return None
        return self.item_table.lookup(self.items, self.vectors, self.projected)

    @cached_property
    def history(self) -> NDArray[np.void]:
        """Profile records of the history items [h]."""
        return self.past.history

    @cached_property
    def history_vectors(self) -> NDArray[np.float32]:
        """Text vectors of the history items [h, dims]; zero where there is no card."""
        found = self.past.vectors
        if found is None:
            return np.zeros((len(self.history), self.vectors.shape[1]), dtype=np.float32)
        return found
