"""What the rest of this shopper's history says of each candidate; pure.

Three views: who buys this also bought that (`copurchase` rows, live), learned behavioural vectors
(of the artifact), and text vectors (of the cards).
"""

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.popularity import PURCHASE
from reranker.signals.listwise import Array, PlaceOf, log1p, unit
from reranker.signals.past import within
from reranker.signals.situation import Situation

LIKENESS_TOP = 5


def compute(situation: Situation) -> dict[str, Array | PlaceOf]:
    """Columns [n] of the family `together`; NaN where there is no history to compare with."""
    return {**_partners(situation), **_taste(situation), **_likeness(situation)}


def _partners(situation: Situation) -> dict[str, Array | PlaceOf]:
    """From the pairs of a history item and a candidate that are bought or looked at together."""
    past, n = situation.past, len(situation.items)
    items, rows, of = past.partner_rows
    found, column = within(items, situation.items)
    if not len(found):
        return _no_partners(n)
    purchase, view, of = rows["purchase"][found], rows["view"][found], of[found]

    def total(weights: NDArray[np.floating]) -> Array:
        return np.bincount(column, weights=weights, minlength=n).astype(np.float32)

    def most(weights: Array) -> Array:
        highest = np.zeros(n, dtype=np.float32)
        np.maximum.at(highest, column, weights)
        return highest

    bought = total(purchase)
    popular = np.sqrt(situation.popularity.total[:, PURCHASE] + 1.0)
    cosine = total(purchase / np.sqrt(past.strength[of] + 1.0)) / popular
    return {
        "bought_with": log1p(bought),
        "bought_with_max": log1p(most(purchase)),
        "bought_with_cosine": log1p(10.0 * cosine),
        "bought_with_recent": log1p(total(past.recency[of] * purchase)),
        "bought_with_place": PlaceOf(bought),
        "bought_with_cosine_place": PlaceOf(cosine),
        "viewed_with": log1p(total(view)),
        "viewed_with_max": log1p(most(view)),
    }


def _no_partners(n: int) -> dict[str, Array | PlaceOf]:
    """The same of a list with nothing that goes with the history."""
    names = ("bought_with", "bought_with_max", "bought_with_cosine", "bought_with_recent")
    places = ("bought_with_place", "bought_with_cosine_place")
    return dict.fromkeys((*names, *places, "viewed_with", "viewed_with_max"), np.zeros(n, "f4"))


def _taste(situation: Situation) -> dict[str, Array | PlaceOf]:
    table, rows = situation.item_table, situation.item_rows
    if table is None or rows is None or not len(situation.shopper.records):
        unknown = np.full(len(situation.items), np.nan, dtype=np.float32)
        return {"taste": unknown, "taste_max": unknown, "taste_place": PlaceOf(unknown)}
    item, own = unit(rows), situation.past.taste(table)
    taste = item @ own.mean
    other = _others(situation, item @ own.closest.T)
    return {"taste": taste, "taste_max": other.max(axis=1), "taste_place": PlaceOf(taste)}


def _likeness(situation: Situation) -> dict[str, Array | PlaceOf]:
    n, h = len(situation.items), len(situation.history)
    names = ("likeness", "likeness_max", "likeness_top", "likeness_place")
    if not h or situation.history_cards is None:
        unknown = np.full(n, np.nan, dtype=np.float32)
        return {**dict.fromkeys(names, unknown), **_affinity(situation)}
    cosine = situation.vectors @ situation.history_vectors.T
    rising = np.sort(_others(situation, cosine), axis=1)
    best, top = rising[:, -1], rising[:, -LIKENESS_TOP:]
    return {
        "likeness": cosine @ situation.past.recency_share,
        "likeness_max": best,
        "likeness_top": top.mean(axis=1),
        "likeness_place": PlaceOf(best),
        **_affinity(situation),
    }


def _others(situation: Situation, cosine: Array) -> Array:
    """`cosine` [n, h] without an item's likeness to itself."""
    masked: Array = np.where(situation.in_history, np.float32(-1.0), cosine)
    return masked


def _affinity(situation: Situation) -> dict[str, Array | PlaceOf]:
    history = situation.history_cards
    n = len(situation.items)
    if history is None or not len(history):
        unknown = np.full(n, np.nan, dtype=np.float32)
        return {"brand_affinity": unknown, "category_affinity": unknown}
    brand = situation.cards["brand"]
    same_brand = (brand[:, None] == history["brand"][None, :]) & (brand != 0)[:, None]
    tokens = situation.cards["categories"]
    shared = np.zeros((n, len(history)), dtype=bool)
    if tokens.any():
        for level in range(tokens.shape[1]):
            column = tokens[:, level]
            inside = (column[:, None, None] == history["categories"][None]).any(axis=2)
            shared |= inside & (column != 0)[:, None]
    return {
        "brand_affinity": same_brand.mean(axis=1, dtype=np.float32),
        "category_affinity": shared.mean(axis=1, dtype=np.float32),
    }
