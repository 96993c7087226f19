"""Candidate sources of a recommendation, each a ranked list of items. Pure.

The same functions propose when serving and when training. A source says which items are worth a
look; in which order they are shown is the fusion model's to say.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour import trending
from indexer.behaviour.popularity import CART, DAY_SECONDS, PURCHASE, VIEW
from reranker.signals.compiled import (
    FLOATS,
    HASHES,
    INTO_ONE,
    INTO_PLACES,
    PLACES,
    compiled,
)
from reranker.signals.past import Past

# Items that each source proposes, that all of them together hand to the model, and that its network
# compares with each other, about half as many as it does in training.
PER_SOURCE = 100
WINDOW = 160
CLOSELY = 30
OWN_HALF_LIFE_DAYS = 120.0
VIEW_SHARE = 0.3  # what being looked at together weighs beside being bought together
Resolve = Callable[[NDArray[np.uint64]], Sequence[str | None]]
"""Ids of hashed items [n], None for one that is not in the catalogue."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """Items of one source, best first; scores [n] are comparable within it alone."""

    ids: Sequence[str]
    scores: NDArray[np.float32]


NOTHING = Ranked((), np.empty(0, np.float32))


def own(past: Past, limit: int) -> Ranked:
    """What the shopper bought, put in a cart or looked at before: the likeliest to be due again.

    Purchases count most and fade with a half life of `OWN_HALF_LIFE_DAYS`.
    """
    records = past.shopper.records
    if not len(records):
        return NOTHING
    deeds = records["count"][:, [PURCHASE, CART, VIEW]] @ np.array([1.0, 0.3, 0.1], np.float32)
    age_days = np.maximum(past.now - records["last"], 0.0) / DAY_SECONDS
    scores = np.log1p(np.maximum(deeds, 0.0)) * np.exp2(-age_days / OWN_HALF_LIFE_DAYS)
    scores = np.where(records["dismissed"] > 0, 0.0, scores).astype(np.float32)
    rows = _best(scores, limit)
    ids = past.shopper.ids(int(rows.max(initial=-1)) + 1)
    return Ranked([ids[row] for row in rows.tolist()], scores[rows])


def together(past: Past, resolve: Resolve, limit: int) -> Ranked:
    """What is bought, or looked at, together with the shopper's latest items.

    A partner's weight is its share of its item's, so that a bestseller's many baskets do not
    drown the others (item-item co-occurrence: Linden, Smith and York 2003).
    """
    if not past.partners:
        return NOTHING
    items, rows, of = past.partner_rows
    if not len(items):
        return NOTHING
    scores = np.zeros(len(items), dtype=np.float32)
    _shared(items, rows["purchase"], rows["view"], of, past.recency_share, scores)
    best = _best(scores, limit)
    named = zip(resolve(items[best]), scores[best].tolist(), strict=True)
    known = [(name, score) for name, score in named if name is not None]
    return Ranked([name for name, _ in known], np.array([s for _, s in known], np.float32))


@compiled(HASHES, FLOATS, FLOATS, PLACES, FLOATS, INTO_ONE)
def _shared(
    items: NDArray[np.uint64],
    purchase: NDArray[np.float32],
    view: NDArray[np.float32],
    of: NDArray[np.intp],
    share: NDArray[np.float32],
    into: NDArray[np.float32],
) -> None:
    """The score of each partner, of which `items` are sorted, where its first pair stands."""
    whole = np.zeros(len(share))
    for pair in range(len(items)):
        whole[of[pair]] += purchase[pair] + VIEW_SHARE * view[pair]
    for item in range(len(share)):
        whole[item] = share[item] / math.sqrt(max(whole[item], 1e-9))
    first, summed = 0, 0.0
    for pair in range(len(items)):
        if items[pair] != items[first]:
            into[first] = summed
            first, summed = pair, 0.0
        summed += (purchase[pair] + VIEW_SHARE * view[pair]) * whole[of[pair]]
    if len(items):
        into[first] = summed


def popular(board: bytes | None, limit: int) -> Ranked:
    """What sells most at present (`indexer.behaviour.trending`)."""
    whole = _board(board)
    return Ranked(whole.ids[:limit], whole.scores[:limit])


@lru_cache(maxsize=8)
def _board(blob: bytes | None) -> Ranked:
    found = trending.decode(blob)
    return Ranked([name for name, _ in found], np.array([s for _, s in found], np.float32))


def nearest(ids: Sequence[str], scores: Sequence[float]) -> Ranked:
    """What a vector search found, nearest first."""
    return Ranked(ids, np.array(scores, dtype=np.float32))


def direction(
    vectors: NDArray[np.float32] | None, weights: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """The weighted mean of item vectors [h, dims], of length 1; None where there is none to say."""
    if vectors is None or not len(vectors):
        return None
    mean = weights[: len(vectors)] @ vectors
    length = float(np.linalg.norm(mean))
    return (mean / length).astype(np.float32) if length > 0 else None


def _best(scores: NDArray[np.float32], limit: int) -> NDArray[np.intp]:
    """Places of the `limit` highest scores above 0, falling; of equal ones the first."""
    places = np.full(limit, -1, dtype=np.intp)
    _highest(scores, places)
    return places[places >= 0]


@compiled(FLOATS, INTO_PLACES)
def _highest(scores: NDArray[np.float32], into: NDArray[np.intp]) -> None:
    known = 0
    for row in range(len(scores)):
        value = scores[row]
        if not value > 0 or (known == len(into) and not value > scores[into[known - 1]]):
            continue
        place = min(known, len(into) - 1)
        while place > 0 and scores[into[place - 1]] < value:
            into[place] = into[place - 1]
            place -= 1
        into[place] = row
        known = min(known + 1, len(into))
