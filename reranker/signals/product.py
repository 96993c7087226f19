"""What the catalogue says of an item; pure."""

import numpy as np

from indexer.behaviour.popularity import DAY_SECONDS
from reranker.signals.listwise import Array, log1p, log_days, place
from reranker.signals.situation import Situation

PRICE_MIN = 0.01
# The watermark stands still while nobody does anything; an update further ahead of it than this
# was made after the moment that is ranked.
AHEAD_DAYS_MAX = 1.0


def compute(situation: Situation) -> dict[str, Array]:
    """Columns [n] of the family `product`."""
    cards, present = situation.cards, situation.cards_present
    price = _log_price(cards["price"])
    known = price[np.isfinite(price)]
    usual = _usual_price(situation)
    return {
        "price": price,
        "price_to_list": price - (float(np.median(known)) if len(known) else np.nan),
        "price_to_shopper": price - usual,
        "price_place": np.where(np.isfinite(price), place(price), np.nan),
        "available": np.where(present, cards["available"], np.nan).astype(np.float32),
        "catalogue_popularity": log1p(cards["popularity"]),
        "catalogue_popularity_place": place(cards["popularity"]),
        "days_updated": _days_updated(situation),
        "card": present.astype(np.float32),
    }


def _days_updated(situation: Situation) -> Array:
    """Log days since the card's `updated_at`; NaN where it has none or was written later."""
    at = situation.cards["updated_at"]
    days = (situation.now - at) / DAY_SECONDS
    return log_days(np.where((at > 0) & (days >= -AHEAD_DAYS_MAX), days, np.nan))


def _log_price(price: Array) -> Array:
    return np.log(np.maximum(price, PRICE_MIN)).astype(np.float32)


def _usual_price(situation: Situation) -> float:
    """Mean log price of the shopper's history; NaN without one."""
    if situation.history_cards is None:
        return float("nan")
    prices = _log_price(situation.history_cards["price"])
    known = prices[np.isfinite(prices)]
    return float(known.mean()) if len(known) else float("nan")
