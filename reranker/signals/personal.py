"""What this shopper did with each candidate itself; pure."""

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.popularity import CART, DAY_SECONDS, PURCHASE, VIEW
from reranker.signals import definition
from reranker.signals.compiled import (
    DOUBLES,
    FLOAT_ROWS,
    FLOATS,
    HASHES,
    INTO,
    NUMBER,
    PLACES,
    compiled,
    logged,
    place_in,
)
from reranker.signals.listwise import Array
from reranker.signals.situation import Situation

BOUGHT, DAYS, TOUCHED, DUE, VIEWS, CARTS, DISMISSED, SHARE, NEWEST = range(len(definition.PERSONAL))
Doubles = NDArray[np.float64]


def compute(situation: Situation, into: Array) -> None:
    """Write the family `personal` [its signals, n]; NaN where the shopper never touched the item,
    places as the values that are placed.
    """
    records = situation.shopper.records
    items, order = situation.past.by_item
    _compute(
        situation.items,
        items,
        order,
        records["count"],
        records["dismissed"],
        records["first_purchase"],
        records["last_purchase"],
        records["last"],
        situation.now,
        into,
    )


@compiled(HASHES, HASHES, PLACES, FLOAT_ROWS, FLOATS, DOUBLES, DOUBLES, DOUBLES, NUMBER, INTO)
def _compute(
    items: NDArray[np.uint64],
    own: NDArray[np.uint64],
    order: NDArray[np.intp],
    count: Array,
    dismissed: Array,
    first_purchase: Doubles,
    last_purchase: Doubles,
    last: Doubles,
    now: float,
    into: Array,
) -> None:
    """`own` are hashes of the shopper's items, sorted, `order` the record that each one has."""
    total = 0.0
    for i in range(len(items)):
        into[:, i] = 0.0
        into[DAYS, i] = into[TOUCHED, i] = into[DUE, i] = into[NEWEST, i] = np.nan
        slot = place_in(own, items[i])
        if slot == len(own) or own[slot] != items[i]:
            continue
        row = order[slot]
        bought = count[row, PURCHASE]
        into[BOUGHT, i] = logged(bought)
        into[TOUCHED, i] = logged((now - last[row]) / DAY_SECONDS)
        into[VIEWS, i] = logged(count[row, VIEW])
        into[CARTS, i] = logged(count[row, CART])
        into[DISMISSED, i] = logged(dismissed[row])
        into[SHARE, i] = max(bought, 0.0)
        total += into[SHARE, i]
        if bought > 0.0:
            into[DAYS, i] = logged((now - last_purchase[row]) / DAY_SECONDS)
            into[NEWEST, i] = -(now - last_purchase[row]) / DAY_SECONDS
        if bought >= 2.0:  # how due a repeat is: days since the last one over the mean gap
            gap = (last_purchase[row] - first_purchase[row]) / max(bought - 1.0, 1.0)
            into[DUE, i] = logged((now - last_purchase[row]) / max(gap, DAY_SECONDS))
    if total > 0.0:
        for i in range(len(items)):
            into[SHARE, i] /= total
