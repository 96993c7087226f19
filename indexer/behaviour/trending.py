"""What sells most at present: one bounded board an index, folded like everything else.

Pure. A score is the base 2 logarithm of a decayed count carried to a fixed moment (forward decay:
Cormode, Shkapenyuk, Srivastava and Xu 2009), so scores of different times compare and none has to
be renewed while nothing happens. Each comes from the item's own `popularity` record, so the board
loses nothing but items that fell off its end, and those come back with the next deed.
"""

from collections.abc import Mapping

import numpy as np
import orjson

from indexer.behaviour import popularity
from indexer.behaviour.popularity import CART, DAY_SECONDS, PURCHASE, VIEW

BOARD = "trending"
BOARD_MAX = 1000
HALF_LIFE_DAYS = 30.0
WEIGHTS = {PURCHASE: 1.0, CART: 0.3, VIEW: 0.1}
_COLUMN = popularity.HALF_LIVES_DAYS.index(HALF_LIFE_DAYS)
_KINDS = list(WEIGHTS)
_KIND_WEIGHTS = np.array(list(WEIGHTS.values()))


def decode(blob: bytes | None) -> list[tuple[str, float]]:
    """Ids and scores, best first."""
    return [(str(item_id), float(score)) for item_id, score in orjson.loads(blob)] if blob else []


def fold(blob: bytes | None, records: Mapping[str, bytes]) -> bytes:
    """The board after the `popularity` records of some items (id → record) changed."""
    board = dict(decode(blob))
    read = popularity.read(list(records.values()))
    counts = read["decayed"][:, _KINDS, _COLUMN] @ _KIND_WEIGHTS
    for item_id, count, reference in zip(records, counts, read["reference"], strict=True):
        if count > 0:
            when = float(reference) / (HALF_LIFE_DAYS * DAY_SECONDS)
            board[item_id] = round(float(np.log2(count)) + when, 6)
    best = sorted(board.items(), key=lambda it: (-it[1], it[0]))[:BOARD_MAX]
    return orjson.dumps(best)
