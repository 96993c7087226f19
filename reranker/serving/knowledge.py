"""What is known of shopper, search and items at the moment of ranking, as one situation.

Reading is split in two, so that Valkey works while the query is encoded and Elasticsearch
searches: `ask` before, `Known` after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour import (
    copurchase,
    event,
    popularity,
    query_stats,
    shopper_profile,
    state,
    watermark,
)
from indexer.behaviour.query_stats import QueryStats
from indexer.catalogue import card
from reranker.retrieval.candidates import Candidates
from reranker.serving import metrics
from reranker.serving.memory import Memory, Reading
from reranker.signals.item_table import ItemTable
from reranker.signals.past import HISTORY_MAX, Past
from reranker.signals.situation import Situation


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The side of a situation that is there before any candidate is."""

    past: Past
    query_stats: QueryStats


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A list to score: for which words, whom and which index.

    `window` is how many candidates the model looks at, `dims` the length of the index's vectors.
    """

    index: str
    text: str
    candidates: Candidates
    window: int
    vector: NDArray[np.float32] | None
    who: Known | None
    dims: int
    context: Mapping[str, Any]


def ask(memory: Memory, index: str, shopper: str | None, text: str | None) -> Reading:
    """Send for what does not depend on the candidates; without a text only for the revisions."""
    suffixes = []
    if text is not None:
        suffixes = [state.WATERMARK, state.query_stats_key(event.query_key(text))]
    if shopper is not None:
        suffixes.append(state.shopper_key(shopper))
    return memory.ask(index, suffixes)


def known(memory: Memory, index: str, reading: Reading, dims: int, clock_now: float) -> Known:
    """What the reading says; the history's cards and partners are read and made ready now.

    Windows count back from the watermark, from the clock where no event ever came.
    """
    mark_blob, stats_blob, shopper_blob = (*reading.finish(), None, None, None)[:3]
    mark = watermark.decode(mark_blob)
    now = clock_now if mark.at is None else mark.at
    shopper = shopper_profile.decode(shopper_blob)
    stats = query_stats.decode(stats_blob)
    ids = shopper.ids(min(len(shopper), HISTORY_MAX))
    if not ids:
        return Known(Past(shopper, None, (), now), stats)
    cards, rows = memory.history(index, ids)
    past = Past(
        shopper=shopper,
        history_cards=card.unpack_many(cards, dims)[0],
        partners=tuple(copurchase.unpack(row) for row in rows),
        now=now,
    )
    return Known(past.prepare(), stats)


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """What is remembered of candidates: cards [n], which are there [n], popularity as stored."""

    cards: NDArray[Any]
    present: NDArray[np.bool_]
    counts: Sequence[bytes | None]

    @property
    def available(self) -> NDArray[np.bool_]:
        """Which items can be had; those without a card are taken to be [n]."""
        can_be_had: NDArray[np.bool_] = (self.cards["available"] != 0) | ~self.present
        return can_be_had

    def take(self, rows: NDArray[np.intp]) -> "Items":
        """The items at `rows`, in that order."""
        counts = [self.counts[row] for row in rows.tolist()]
        return Items(self.cards[rows], self.present[rows], counts)


def items(memory: Memory, index: str, ids: Sequence[str], dims: int) -> Items:
    """What is remembered of items; raises ValkeyUnavailable."""
    cards, counts = memory.items(index, ids)
    records, present = card.unpack_many(cards, dims)
    if not present.all():
        metrics.CARDS_MISSING.inc(int((~present).sum()))
    return Items(records, present, counts)


def situation(
    asked: Asked,
    who: Known,
    candidates: Candidates,
    remembered: Items,
    item_table: ItemTable | None,
) -> Situation:
    """Everything the signals are computed from."""
    past = who.past
    return Situation(
        candidates=candidates,
        query_vector=asked.vector,
        cards=remembered.cards,
        cards_present=remembered.present,
        popularity=popularity.unpack_many(remembered.counts, past.now),
        now=past.now,
        query=asked.text,
        shopper=past.shopper,
        history_cards=past.history_cards,
        partners=past.partners,
        prepared=past,
        query_stats=who.query_stats,
        context=asked.context,
        item_table=item_table,
    )
