"""What sells most at present: one bounded board an index, folded like everything else.

Pure. A score is the base 2 logarithm of a decayed count carried to a fixed moment (forward decay:
Cormode, Shkapenyuk, Srivastava and Xu 2009), so scores of different times compare and none has to
be renewed while nothing happens. Each comes from the item's own `popularity` record, so the board
loses nothing but items that fell off its end, and those come back with the next deed. A board says
by which half life it counts, where that is not the usual one; by another one its items go on from
what they stand at.
"""

from collections.abc import Mapping

import numpy as np
import orjson

from indexer.behaviour import popularity
from indexer.behaviour.popularity import (
    CART,
    HOUR_SECONDS,
    PURCHASE,
    TRENDING,
    USUAL_HALF_LIFE_HOURS,
    VIEW,
)

BOARD = "trending"
BOARD_MAX = 1000
WEIGHTS = {PURCHASE: 1.0, CART: 0.3, VIEW: 0.1}
_KINDS = list(WEIGHTS)
_KIND_WEIGHTS = np.array(list(WEIGHTS.values()))


def decode(blob: bytes | None) -> list[tuple[str, float]]:
    """Ids and scores, best first."""
    return _decoded(blob)[0]


def _decoded(blob: bytes | None) -> tuple[list[tuple[str, float]], float]:
    """The same, and the half life in hours that the scores are by."""
    said = orjson.loads(blob) if blob else []
    if isinstance(said, list):
        said = {"items": said, "half_life_hours": USUAL_HALF_LIFE_HOURS}
    items = [(str(item_id), float(score)) for item_id, score in said["items"]]
    return items, float(said["half_life_hours"])


def fold(
    blob: bytes | None,
    records: Mapping[str, bytes],
    half_life_hours: float = USUAL_HALF_LIFE_HOURS,
) -> bytes:
    """The board after the `popularity` records of some items (id → record) changed; these count
    by the same half life.
    """
    read = popularity.read(list(records.values()))
    counts = read["decayed"][:, _KINDS, TRENDING] @ _KIND_WEIGHTS
    half_life = half_life_hours * HOUR_SECONDS
    now = float(read["reference"].max(initial=-np.inf))
    board = _carried_over(*_decoded(blob), half_life_hours, now)
    for item_id, count, reference in zip(records, counts, read["reference"], strict=True):
        if count > 0:
            when = float(reference) / half_life
            board[item_id] = round(float(np.log2(count)) + when, 6)
    best = sorted(board.items(), key=lambda it: (-it[1], it[0]))[:BOARD_MAX]
    if half_life_hours == USUAL_HALF_LIFE_HOURS:
        return orjson.dumps(best)
    return orjson.dumps({"half_life_hours": half_life_hours, "items": best})


def _carried_over(
    items: list[tuple[str, float]], before_hours: float, after_hours: float, now: float
) -> dict[str, float]:
    """Scores by another half life, of which as much is kept as `popularity` does at `now`."""
    if before_hours == after_hours or not np.isfinite(now):
        return dict(items)
    aged = now / HOUR_SECONDS / before_hours
    again = now / HOUR_SECONDS / after_hours + min(np.log2(after_hours / before_hours), 0.0)
    return {item_id: round(float(score - aged + again), 6) for item_id, score in items}
