"""Which items are bought, or looked at, together: the strongest partners of each item.

Pure. A row keeps at most `PARTNERS_MAX` partners, so weak pairs that come late may be lost: the
weights are a lower bound. A pair from a basket of n items weighs 1 / sqrt(n), since a wholesale
order of 400 lines says little about any two of them.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import orjson
from numpy.typing import NDArray

from indexer.identity import hashes

PARTNERS_MAX = 128
BASKET_ITEMS_MAX = 128
BOUGHT, VIEWED = 2, 1  # bits of how an item came into a basket

PARTNER = np.dtype([("item", "<u8"), ("purchase", "<f4"), ("view", "<f4")])


# Item, partner (hashes [p]) and what they add (float32 [p, 2]: purchase, view).
Pairs = tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.float32]]


def unpack(blob: bytes | None) -> NDArray[np.void]:
    """The partners of one item, strongest first, as records of `PARTNER`."""
    if blob is None or len(blob) % PARTNER.itemsize:
        return np.empty(0, PARTNER)
    return np.frombuffer(blob, PARTNER)


def decode_basket(blob: bytes | None) -> dict[str, int]:
    """Item id → bits of how it came in, oldest first."""
    return dict(orjson.loads(blob)) if blob else {}


def encode_basket(items: Mapping[str, int]) -> bytes:
    """The latest `BASKET_ITEMS_MAX` items of a basket."""
    return orjson.dumps(list(items.items())[-BASKET_ITEMS_MAX:])


def pairs(before: Mapping[str, int], after: Mapping[str, int]) -> Pairs:
    """Pairs that a basket gained, both ways round."""
    items = list(after)[-BASKET_ITEMS_MAX:]
    ids = hashes(items)
    new = np.array([after[i] for i in items], dtype=np.uint8)
    old = np.array([before.get(i, 0) for i in items], dtype=np.uint8)
    gained = _both(new)[:, :, None] & ~_both(old)[:, :, None] & np.array([BOUGHT, VIEWED])
    gained[np.arange(len(items)), np.arange(len(items))] = 0
    left, right = np.nonzero(gained.any(axis=2))
    weight = np.float32(1.0 / np.sqrt(max(len(items), 1)))
    return ids[left], ids[right], (gained[left, right] > 0) * weight


def fold(
    keys: Sequence[int],
    blobs: Sequence[bytes | None],
    items: NDArray[np.uint64],
    partners: NDArray[np.uint64],
    weights: NDArray[np.float32],
) -> list[bytes | None]:
    """New rows of the items with hashes `keys`; None where a row did not change.

    `items`, `partners` [p] and `weights` [p, 2] are pairs; those of items not in `keys` are left.
    """
    order = np.argsort(np.array(keys, dtype=np.uint64))
    sorted_keys = np.array(keys, dtype=np.uint64)[order]
    slot = np.searchsorted(sorted_keys, items)
    known = slot < len(sorted_keys)
    known[known] = sorted_keys[slot[known]] == items[known]
    row_of_pair = order[slot[known]]
    changed = np.unique(row_of_pair)
    kept = [blobs[row] or b"" for row in changed.tolist()]
    old = np.frombuffer(b"".join(kept), PARTNER)
    old_row = np.repeat(changed, [len(blob) // PARTNER.itemsize for blob in kept])
    both = np.stack([old["purchase"], old["view"]], axis=1)
    return _merge(
        len(keys),
        np.concatenate([old_row, row_of_pair]),
        np.concatenate([old["item"], partners[known]]),
        np.concatenate([both, weights[known]]).astype(np.float32),
    )


def _both(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bits that two items share [n, n]; who buys an item has also looked at it."""
    seen = (bits | ((bits & BOUGHT) >> 1)).astype(np.uint8)
    return seen[:, None] & seen[None, :]


def _merge(
    count: int,
    row: NDArray[np.intp],
    item: NDArray[np.uint64],
    weight: NDArray[np.float32],
) -> list[bytes | None]:
    out: list[bytes | None] = [None] * count
    if not len(row):
        return out
    # One key sorts by row and item: 20 bits for the row of a chunk, 44 of the item's hash.
    key = (row.astype(np.uint64) << np.uint64(44)) | (item >> np.uint64(20))
    order = np.argsort(key)
    row, item, weight = row[order], item[order], weight[order]
    key = key[order]
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    merged = np.zeros(len(starts), PARTNER)
    total = np.add.reduceat(weight, starts, axis=0)
    merged["item"], merged["purchase"], merged["view"] = item[starts], total[:, 0], total[:, 1]
    strength = total[:, 0] + total[:, 1] / 16
    ranked = np.lexsort((merged["item"], -strength, row[starts]))
    rows, merged = row[starts][ranked], merged[ranked]
    bounds = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1], True])
    for begin, end in pairwise(bounds.tolist()):
        out[rows[begin]] = merged[begin : min(end, begin + PARTNERS_MAX)].tobytes()
    return out
