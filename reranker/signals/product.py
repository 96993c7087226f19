"""What the catalogue says of an item; pure."""

import numpy as np

from indexer.behaviour.popularity import DAY_SECONDS
from reranker.signals.listwise import Array, PlaceOf, log1p, log_days, log_price
from reranker.signals.situation import Situation

# The watermark stands still while nobody does anything; an update further ahead of it than this
# was made after the moment that is ranked.
AHEAD_DAYS_MAX = 1.0


def compute(situation: Situation) -> dict[str, Array | PlaceOf]:
    """Columns [n] of the family `product`."""
    cards, present = situation.cards, situation.cards_present
    price = log_price(cards["price"])
    known = np.sort(price[np.isfinite(price)])
    popularity = np.ascontiguousarray(cards["popularity"])
    return {
        "price": price,
        "price_to_list": price - (_middle(known) if len(known) else np.nan),
        "price_to_shopper": price - situation.past.usual_price,
        "price_place": PlaceOf(price, known_only=True),
        "available": np.where(present, cards["available"], np.nan).astype(np.float32),
        "catalogue_popularity": log1p(popularity),
        "catalogue_popularity_place": PlaceOf(popularity),
        "days_updated": _days_updated(situation),
        "card": present.astype(np.float32),
    }


def _middle(rising: Array) -> float:
    """The median of sorted values, at least one."""
    half = len(rising) // 2
    return float(rising[half]) if len(rising) % 2 else float(rising[half - 1 : half + 1].mean())


def _days_updated(situation: Situation) -> Array:
    """Log days since the card's `updated_at`; NaN where it has none or was written later."""
    at = situation.cards["updated_at"]
    days = (situation.now - at) / DAY_SECONDS
    return log_days(np.where((at > 0) & (days >= -AHEAD_DAYS_MAX), days, np.nan))
