"""What a purchase cannot say of items that nobody had bought yet; pure, seeded.

A derived list is labelled by a purchase, so an item without behaviour is hardly ever the wanted
one, whatever shoppers would have made of it: learned as it stands, to be unknown is to be unwanted,
and the model is worse than the prior wherever much of a catalogue is new. Two corrections, both
stronger the more of a list's other candidates are without behaviour, and none where all have some:

- hiding: the wanted item is shown as if nobody had ever touched it, so that its text must find it
  (DropoutNet: Volkovs, Yu and Poutanen, NeurIPS 2017). Never one that the shopper knows.
- doubt: the label is drawn from the prior, which knows no behaviour (bootstrapped labels: Reed et
  al. 2015, arXiv 1412.6596). By the square of the share: a few novelties, as every shop has them,
  are told by later weeks well enough.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.query_stats import QueryStats
from reranker.fusion.baseline import prior
from reranker.signals.item_table import ItemTable
from reranker.signals.situation import Situation

# The prior's log odds are kept flat, for lists that it orders alone; as odds of being wanted they
# are this much steeper.
STEEPNESS = 2.0
Rows = NDArray[np.bool_]
Hashes = NDArray[np.uint64]


def share_untouched(situation: Situation, labelled: Rows) -> float:
    """Share of the candidates that are not `labelled` [n] with which nothing was ever done."""
    others = ~situation.popularity.present[~labelled]
    return float(others.mean()) if len(others) else 0.0


def to_hide(situation: Situation, labelled: Rows, odds: float, random: np.random.Generator) -> Rows:
    """Which of the `labelled` rows [n] are shown as untouched, each at `odds`; none that the
    shopper knows.
    """
    hidden = labelled & ~np.isin(situation.items, situation.shopper.records["item"])
    hidden[hidden] = random.random(int(hidden.sum())) < odds
    return hidden


def without(situation: Situation, hidden: Rows) -> Situation:
    """The situation as if nobody had ever touched the `hidden` candidates [n]."""
    if not hidden.any():
        return situation
    gone = situation.items[hidden]
    table = situation.item_table
    return replace(
        situation,
        popularity=situation.popularity.without(hidden),
        partners=[rows[~np.isin(rows["item"], gone)] for rows in situation.partners],
        query_stats=_without_stats(situation.query_stats, gone),
        item_table=None if table is None else _without_rows(table, gone),
        prepared=None,
    )


def doubted(signals: NDArray[np.float32], odds: float, random: np.random.Generator) -> int | None:
    """At `odds` a row that the prior draws of a list's `signals` [n, signals]; else None."""
    if random.random() >= odds:
        return None
    logits = STEEPNESS * prior(signals).astype(np.float64)
    shares = np.exp(logits - logits.max())
    return int(random.choice(len(shares), p=shares / shares.sum()))


def _without_stats(stats: QueryStats, gone: Hashes) -> QueryStats:
    return replace(stats, records=stats.records[~np.isin(stats.records["item"], gone)])


def _without_rows(table: ItemTable, gone: Hashes) -> ItemTable:
    kept = ~np.isin(table.items, gone)
    weights = None if table.weights is None else table.weights[kept]
    return replace(table, items=table.items[kept], vectors=table.vectors[kept], weights=weights)
