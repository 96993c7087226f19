"""What the catalogue says of an item; pure."""

import math

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.popularity import DAY_SECONDS
from reranker.signals import definition
from reranker.signals.compiled import BYTES, DOUBLES, FLAGS, FLOATS, INTO, NUMBER, compiled, logged
from reranker.signals.listwise import PRICE_MIN, Array
from reranker.signals.situation import Situation

# The watermark stands still while nobody does anything; an update further ahead of it than this
# was made after the moment that is ranked.
AHEAD_DAYS_MAX = 1.0
(
    PRICE,
    TO_LIST,
    TO_SHOPPER,
    PRICE_PLACE,
    AVAILABLE,
    POPULAR,
    POPULAR_PLACE,
    UPDATED,
    CARD,
) = range(len(definition.PRODUCT))


def compute(situation: Situation, into: Array) -> None:
    """Write the family `product` [its signals, n]; places as the values that are placed."""
    cards = situation.cards
    _compute(
        cards["price"],
        cards["available"],
        cards["popularity"],
        cards["updated_at"],
        situation.cards_present,
        situation.past.usual_price,
        situation.now,
        into,
    )


@compiled(FLOATS, BYTES, FLOATS, DOUBLES, FLAGS, NUMBER, NUMBER, INTO)
def _compute(
    price: Array,
    available: NDArray[np.uint8],
    popularity: Array,
    updated_at: NDArray[np.float64],
    present: NDArray[np.bool_],
    usual_price: float,
    now: float,
    into: Array,
) -> None:
    """`usual_price` is the mean log price of the shopper's items; `now` in seconds."""
    n = len(price)
    rising, known = np.empty(n, np.float32), 0
    for i in range(n):
        into[PRICE, i] = math.log(max(price[i], PRICE_MIN))
        if math.isfinite(into[PRICE, i]):
            rising[known] = into[PRICE, i]
            known += 1
    rising, half, middle = np.sort(rising[:known]), known // 2, np.float32(np.nan)
    if known:
        middle = rising[half] if known % 2 else (rising[half - 1] + rising[half]) / np.float32(2.0)
    for i in range(n):
        into[TO_LIST, i] = into[PRICE, i] - middle
        into[TO_SHOPPER, i] = into[PRICE, i] - usual_price
        into[PRICE_PLACE, i] = into[PRICE, i]
        into[AVAILABLE, i] = available[i] if present[i] else np.nan
        into[POPULAR, i] = logged(popularity[i])
        into[POPULAR_PLACE, i] = popularity[i]
        days = (now - updated_at[i]) / DAY_SECONDS
        of_then = updated_at[i] > 0.0 and days >= -AHEAD_DAYS_MAX
        into[UPDATED, i] = logged(days) if of_then else np.nan
        into[CARD, i] = present[i]
