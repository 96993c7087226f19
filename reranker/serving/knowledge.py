"""What is known of shopper, search and items at the moment of ranking, as one situation.

Reading is split in two, so that Valkey works while the query is encoded and Elasticsearch
searches: `ask` before, `Known` after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour import (
    adaptive,
    event,
    pending,
    popularity,
    query_stats,
    state,
    watermark,
)
from indexer.behaviour.adaptive import Layer
from indexer.behaviour.query_stats import QueryStats
from indexer.catalogue import card
from indexer.catalogue.context_keys import USUAL, ContextKeys
from reranker.retrieval.candidates import Candidates
from reranker.serving import histories, metrics
from reranker.serving.histories import Pasts
from reranker.serving.memory import Memory, Reading
from reranker.serving.refill import Refill
from reranker.signals import definition
from reranker.signals.item_table import ItemTable
from reranker.signals.past import Past
from reranker.signals.situation import Situation

# Read with every request, and the same for many: decoding them anew would take longer.
_layer = lru_cache(maxsize=32)(adaptive.decode)
_mark = lru_cache(maxsize=32)(watermark.decode)
# Nothing is ever kept under it.
NO_KEY = "none"


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The side of a situation that is there before any candidate is.

    `layer` is the adaptive layer that was asked for, None where none was.
    """

    past: Past
    query_stats: QueryStats
    layer: Layer | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A list to score: for which words, whom and which index.

    `window` is how many candidates the model looks at, `closely` how many of these its network
    does, None: all; `recipe_digest` and `dims` are those of the index's vectors; `kept_as` names
    whose models score, None: those of the index's searches;
    `model` is a version in place of the serving one. `layer` is the key that the
    adaptive layer was read by, None: it was not. `policy` says whether a slate policy may add to
    the scores. Of `context` the model goes by `context_keys` and by what it always knows.
    """

    index: str
    recipe_digest: str
    text: str
    candidates: Candidates
    window: int
    vector: NDArray[np.float32] | None
    who: Known | None
    dims: int
    context: Mapping[str, Any]
    kept_as: str | None = None
    model: str | None = None
    layer: str | None = None
    policy: bool = False
    closely: int | None = None
    context_keys: ContextKeys = field(default_factory=lambda: USUAL)


def ask(
    memory: Memory,
    index: str,
    shopper: str | None,
    text: str | None,
    layer: str | None = None,
    lenders: Sequence[str] = (),
) -> Reading:
    """Send for what does not depend on the candidates; without a text only for the revisions.

    `layer` is the key of the adaptive layer, None: it is not wanted. `lenders` are indices whose
    histories count as well.
    """
    if text is None:
        return memory.ask(index, [])
    suffixes = [state.WATERMARK, state.query_stats_key(event.query_key(text))]
    suffixes.append(layer or NO_KEY)
    if shopper is None:
        return memory.ask(index, suffixes)
    own = histories.suffixes(shopper)
    return memory.ask(index, [*suffixes, *own], dict.fromkeys(lenders, own))


def known(memory: Memory, pasts: Pasts, reading: Reading, dims: int, clock_now: float) -> Known:
    """What the reading says; the history's cards and partners are read and made ready now.

    Windows count back from the watermark, from the clock where no event ever came.
    """
    mark_blob, stats_blob, layer_blob, shopper_blob, due = (*reading.finish(), *[None] * 5)[:5]
    shopper_blob = pending.over(shopper_blob, due)
    mark = _mark(mark_blob)
    now = clock_now if mark.at is None else mark.at
    stats = query_stats.decode(stats_blob)
    layer = _layer(layer_blob, len(definition.SIGNALS))
    past = histories.kept_past(memory, pasts, reading, shopper_blob, dims, now).prepare()
    return Known(past, stats, layer)


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


def items(memory: Memory, refill: Refill, index: str, ids: Sequence[str], dims: int) -> Items:
    """What is remembered of items; raises ValkeyUnavailable. Missing cards are asked for."""
    cards, counts = memory.items(index, ids)
    records, present = card.unpack_many(cards, dims)
    if not present.all():
        missing = [ids[row] for row in np.flatnonzero(~present).tolist()]
        metrics.CARDS_MISSING.inc(len(missing))
        refill.ask(index, missing)
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
        context_keys=asked.context_keys,
        item_table=item_table,
    )
