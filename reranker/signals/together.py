"""What the rest of this shopper's history says of each candidate; pure.

Three views: who buys this also bought that (`copurchase` rows, live), learned behavioural vectors
(of the artifact), and text vectors (of the cards).
"""

import math

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.popularity import PURCHASE
from reranker.signals import definition
from reranker.signals.compiled import (
    FLOAT_ROWS,
    FLOATS,
    HASHES,
    INTO,
    PLACES,
    TOKEN_ROWS,
    TOKENS,
    callee,
    compiled,
    logged,
    place_in,
)
from reranker.signals.listwise import Array
from reranker.signals.situation import Situation

LIKENESS_TOP = 5
(
    BOUGHT,
    BOUGHT_MAX,
    BOUGHT_COSINE,
    BOUGHT_RECENT,
    BOUGHT_PLACE,
    BOUGHT_COSINE_PLACE,
    VIEWED,
    VIEWED_MAX,
    TASTE,
    TASTE_MAX,
    TASTE_PLACE,
    LIKENESS,
    LIKENESS_MAX,
    LIKENESS_MEAN,
    LIKENESS_PLACE,
    BRAND,
    CATEGORY,
) = range(len(definition.TOGETHER))
Hashes = NDArray[np.uint64]
Places = NDArray[np.intp]


def compute(situation: Situation, into: Array) -> None:
    """Write the family `together` [its signals, n], places as the values that are placed; NaN
    where there is no history to compare with.
    """
    items, past = situation.items, situation.past
    partners, rows, of = past.partner_rows
    _partners(
        items,
        partners,
        rows["purchase"],
        rows["view"],
        of,
        past.strength,
        past.recency,
        situation.popularity.records["total"],
        into,
    )
    table, own = situation.item_table, situation.item_rows
    if table is None or own is None or not len(past.shopper.records):
        into[TASTE : TASTE_PLACE + 1] = np.nan
    else:
        taste = past.taste(table)
        _taste(items, past.history["item"], own, own @ taste.mean, own @ taste.closest.T, into)
    history = past.history_cards
    if history is None or not len(history):
        into[LIKENESS:] = np.nan
        return
    cosine = situation.vectors @ situation.history_vectors.T
    _likeness(items, past.history["item"], cosine, past.recency_share, into)
    cards = situation.cards
    _affinity(cards["brand"], history["brand"], cards["categories"], history["categories"], into)


@compiled(HASHES, HASHES, FLOATS, FLOATS, PLACES, FLOATS, FLOATS, FLOAT_ROWS, INTO)
def _partners(
    items: Hashes,
    partners: Hashes,
    purchase: Array,
    view: Array,
    of: Places,
    strength: Array,
    recency: Array,
    total: Array,
    into: Array,
) -> None:
    """`partners` are sorted, with the weights of the pair and whose partner `of` each one is."""
    for i in range(len(items)):
        bought, bought_max, shared, recent, viewed, viewed_max = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        pair = place_in(partners, items[i])
        while pair < len(partners) and partners[pair] == items[i]:
            bought += purchase[pair]
            bought_max = max(bought_max, purchase[pair])
            shared += purchase[pair] / math.sqrt(strength[of[pair]] + 1.0)
            recent += recency[of[pair]] * purchase[pair]
            viewed += view[pair]
            viewed_max = max(viewed_max, view[pair])
            pair += 1
        cosine = shared / math.sqrt(max(total[i, PURCHASE], 0.0) + 1.0)
        into[BOUGHT, i] = logged(bought)
        into[BOUGHT_MAX, i] = logged(bought_max)
        into[BOUGHT_COSINE, i] = logged(10.0 * cosine)
        into[BOUGHT_RECENT, i] = logged(recent)
        into[BOUGHT_PLACE, i] = bought
        into[BOUGHT_COSINE_PLACE, i] = cosine
        into[VIEWED, i] = logged(viewed)
        into[VIEWED_MAX, i] = logged(viewed_max)


@compiled(HASHES, HASHES, FLOAT_ROWS, FLOATS, FLOAT_ROWS, INTO)
def _taste(
    items: Hashes, history: Hashes, rows: Array, along: Array, closeness: Array, into: Array
) -> None:
    """Products `along` the shopper's mean [n] and with each history item [n, h] become cosines."""
    for i in range(len(items)):
        length = 0.0
        for column in range(rows.shape[1]):
            length += rows[i, column] ** 2
        length = max(math.sqrt(length), 1e-6)
        best = np.float32(-np.inf)
        for j in range(len(history)):
            own = history[j] == items[i]
            best = max(best, np.float32(-1.0 if own else closeness[i, j] / length))
        into[TASTE, i] = along[i] / length
        into[TASTE_MAX, i] = best
        into[TASTE_PLACE, i] = into[TASTE, i]


@compiled(HASHES, HASHES, FLOAT_ROWS, FLOATS, INTO)
def _likeness(items: Hashes, history: Hashes, cosine: Array, share: Array, into: Array) -> None:
    """An item's likeness to itself does not count among the best."""
    best = np.empty(min(LIKENESS_TOP, len(history)), np.float32)  # falling
    for i in range(len(items)):
        best[:] = -np.inf
        mean = 0.0
        for j in range(len(history)):
            mean += cosine[i, j] * share[j]
            value = np.float32(-1.0) if history[j] == items[i] else cosine[i, j]
            if value <= best[-1]:
                continue
            place = len(best) - 1
            while place > 0 and best[place - 1] < value:
                best[place] = best[place - 1]
                place -= 1
            best[place] = value
        into[LIKENESS, i] = mean
        into[LIKENESS_MAX, i] = best[0]
        into[LIKENESS_MEAN, i] = best.mean()
        into[LIKENESS_PLACE, i] = best[0]


@callee
def _meet(
    categories: NDArray[np.uint32], i: int, depth: int, others: NDArray[np.uint32], j: int
) -> bool:
    """Whether one of the first `depth` categories of item i is one of item j's."""
    for level in range(depth):
        for other in range(others.shape[1]):
            if categories[i, level] == others[j, other] != 0:
                return True
    return False


@compiled(TOKENS, TOKENS, TOKEN_ROWS, TOKEN_ROWS, INTO)
def _affinity(
    brand: NDArray[np.uint32],
    own_brand: NDArray[np.uint32],
    categories: NDArray[np.uint32],
    own_categories: NDArray[np.uint32],
    into: Array,
) -> None:
    n, h, width = len(brand), len(own_brand), categories.shape[1]
    for i in range(n):
        same, shared = 0, 0
        for j in range(h):
            same += brand[i] != 0 and brand[i] == own_brand[j]
        depth = width  # of a product without categories none
        while depth and categories[i, depth - 1] == 0:
            depth -= 1
        for j in range(h if depth else 0):
            shared += _meet(categories, i, depth, own_categories, j)
        into[BRAND, i] = same / h
        into[CATEGORY, i] = shared / h
