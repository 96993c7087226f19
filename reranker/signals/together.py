"""What the rest of this shopper's history says of each candidate; pure.

Three views: who buys this also bought that (`copurchase` rows, live), learned behavioural vectors
(of the artifact), and text vectors (of the cards).
"""

import numpy as np

from indexer.behaviour.popularity import DAY_SECONDS, PURCHASE
from reranker.signals.listwise import Array, log1p, place
from reranker.signals.past import RECENT_HALF_LIFE_DAYS, within
from reranker.signals.situation import Situation

LIKENESS_TOP = 5


def compute(situation: Situation) -> dict[str, Array]:
    """Columns [n] of the family `together`; NaN where there is no history to compare with."""
    return {**_partners(situation), **_taste(situation), **_likeness(situation)}


def _partners(situation: Situation) -> dict[str, Array]:
    purchase, view, normalised, recent = _gathered(situation)
    total = purchase.sum(axis=0)
    popular = np.sqrt(situation.popularity.total[:, PURCHASE] + 1.0)
    cosine = normalised.sum(axis=0) / popular
    return {
        "bought_with": log1p(total),
        "bought_with_max": log1p(purchase.max(axis=0, initial=0.0)),
        "bought_with_cosine": log1p(10.0 * cosine),
        "bought_with_recent": log1p(recent),
        "bought_with_place": place(total),
        "bought_with_cosine_place": place(cosine),
        "viewed_with": log1p(view.sum(axis=0)),
        "viewed_with_max": log1p(view.max(axis=0, initial=0.0)),
    }


def _gathered(situation: Situation) -> tuple[Array, Array, Array, Array]:
    """Partner weights of history x candidates: purchase, view, normalised [h, n], recent."""
    past = situation.past
    h, n = len(past.partners), len(situation.items)
    purchase = np.zeros((h, n), dtype=np.float32)
    view = np.zeros((h, n), dtype=np.float32)
    if h:
        items, rows, of = past.partner_rows
        found, column = within(items, situation.items)
        purchase[of[found], column] = rows["purchase"][found]
        view[of[found], column] = rows["view"][found]
    normalised = purchase / np.sqrt(past.strength + 1.0)[:, None]
    recent = past.recency[:h] @ purchase if h else np.zeros(n, dtype=np.float32)
    return purchase, view, normalised, recent


def _taste(situation: Situation) -> dict[str, Array]:
    n = len(situation.items)
    unknown = np.full(n, np.nan, dtype=np.float32)
    table, shopper = situation.item_table, situation.shopper.records
    if table is None or not len(shopper):
        return {"taste": unknown, "taste_max": unknown, "taste_place": unknown}
    item = _unit(table.lookup(situation.items, situation.vectors))
    weight = log1p(shopper["count"][:, PURCHASE]) + 0.25
    # Counted from the last deed: a shopper who was away for years has a taste as well.
    age_days = np.maximum(shopper["last"].max() - shopper["last"], 0.0) / DAY_SECONDS
    weight = weight * np.exp2(-age_days / (4 * RECENT_HALF_LIFE_DAYS))
    past = _unit(table.lookup(shopper["item"], None))
    mean = _unit((weight.astype(np.float32) @ past)[None, :])[0]
    taste = item @ mean
    closest = _unit(table.lookup(situation.history["item"], situation.history_vectors))
    other = _others(situation, item @ closest.T)
    return {"taste": taste, "taste_max": other.max(axis=1), "taste_place": place(taste)}


def _likeness(situation: Situation) -> dict[str, Array]:
    n, h = len(situation.items), len(situation.history)
    names = ("likeness", "likeness_max", "likeness_top", "likeness_place")
    if not h or situation.history_cards is None:
        unknown = np.full(n, np.nan, dtype=np.float32)
        return {**dict.fromkeys(names, unknown), **_affinity(situation)}
    cosine = situation.vectors @ situation.history_vectors.T
    other = _others(situation, cosine)
    best = other.max(axis=1)
    top = np.partition(other, -min(LIKENESS_TOP, h), axis=1)[:, -LIKENESS_TOP:]
    return {
        "likeness": cosine @ situation.past.recency_share,
        "likeness_max": best,
        "likeness_top": top.mean(axis=1),
        "likeness_place": place(best),
        **_affinity(situation),
    }


def _others(situation: Situation, cosine: Array) -> Array:
    """`cosine` [n, h] without an item's likeness to itself."""
    same = situation.items[:, None] == situation.history["item"][None, :]
    masked: Array = np.where(same, np.float32(-1.0), cosine)
    return masked


def _affinity(situation: Situation) -> dict[str, Array]:
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


def _unit(rows: Array) -> Array:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Array = rows / np.maximum(length, 1e-6)
    return scaled
