"""What this shopper did with each candidate itself; pure."""

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour import shopper_profile
from indexer.behaviour.popularity import CART, DAY_SECONDS, PURCHASE, VIEW
from reranker.signals import definition
from reranker.signals.listwise import Array, PlaceOf, log1p, log_days, share
from reranker.signals.situation import Situation


def compute(situation: Situation) -> dict[str, Array | PlaceOf]:
    """Columns [n] of the family `personal`; NaN where the shopper never touched the item."""
    records, known = _own(situation)
    if not known.any():
        return _nothing(len(known))
    count = np.where(known[:, None], records["count"], 0.0).astype(np.float32)
    bought = count[:, PURCHASE]
    days = (situation.now - records["last_purchase"]) / DAY_SECONDS
    days = np.where(bought > 0, days, np.nan)
    due = shopper_profile.regularity(records, situation.now)
    return {
        "own_purchases": log1p(bought),
        "own_days": log_days(days),
        "own_touched": log_days(
            np.where(known, (situation.now - records["last"]) / DAY_SECONDS, np.nan)
        ),
        "own_due": log1p(np.where(known, due, np.nan)),
        "own_views": log1p(count[:, VIEW]),
        "own_carts": log1p(count[:, CART]),
        "own_dismissed": log1p(np.where(known, records["dismissed"], 0.0)),
        "own_share": share(bought),
        "own_newest": PlaceOf(-days),
    }


def _nothing(n: int) -> dict[str, Array | PlaceOf]:
    """The same of a list in which the shopper knows nothing."""
    zero, unknown = np.zeros(n, dtype=np.float32), np.full(n, np.nan, dtype=np.float32)
    at_no_time = ("own_days", "own_touched", "own_due")
    return {s.name: unknown if s.name in at_no_time else zero for s in definition.PERSONAL}


def _own(situation: Situation) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
    """The shopper's record of each candidate [n], and whether there is one."""
    records = situation.shopper.records
    found = np.zeros(len(situation.items), shopper_profile.ITEM)
    if not len(records):
        return found, np.zeros(len(found), dtype=bool)
    items, order = situation.past.by_item
    slot = np.minimum(np.searchsorted(items, situation.items), len(items) - 1)
    known = items[slot] == situation.items
    found[known] = records[order[slot[known]]]
    return found, known
