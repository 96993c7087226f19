"""What happened with which items after one search text: decayed counts in one packed value.

Pure. `exposure` adds 1 / position ** 0.7 an impression: how likely the item was looked at, so that
a rate over exposure does not punish an item for having stood low.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.popularity import DAY_SECONDS, IMPRESSION, KIND_OF_ACTION, KINDS
from indexer.identity import hash64

ITEMS_MAX = 300
HALF_LIFE_DAYS = 60.0
EXPOSURE_POWER = 0.7
VERSION = 1

HEADER = np.dtype([("version", "<u2"), ("reference", "<f8")])
ITEM = np.dtype(
    [("item", "<u8"), ("count", "<f4", (len(KINDS),)), ("exposure", "<f4")]  # decayed
)


@dataclass(frozen=True)
class QueryEvent:
    """One action after this search; `position` counts from 1, `time` in seconds."""

    item_id: str
    action: str
    time: float
    position: int | None = None


@dataclass(frozen=True)
class QueryStats:
    """Counts as of `reference`; records of `ITEM`, sorted by item hash."""

    reference: float
    records: NDArray[np.void]


def decode(blob: bytes | None) -> QueryStats:
    """The counts of a value; absent or foreign ones read as none."""
    if blob is not None and len(blob) >= HEADER.itemsize:
        header = np.frombuffer(blob, HEADER, count=1)[0]
        if header["version"] == VERSION and not (len(blob) - HEADER.itemsize) % ITEM.itemsize:
            records = np.frombuffer(blob, ITEM, offset=HEADER.itemsize)
            return QueryStats(reference=float(header["reference"]), records=records)
    return QueryStats(reference=-np.inf, records=np.empty(0, ITEM))


def fold(blob: bytes | None, events: Sequence[QueryEvent]) -> bytes:
    """The value after `events`."""
    stats = decode(blob)
    times = np.array([e.time for e in events])
    reference = max(stats.reference, float(times.max()))
    new = np.zeros(len(events), ITEM)
    new["item"] = np.array([hash64(e.item_id) for e in events], dtype=np.uint64)
    kinds = [KIND_OF_ACTION[e.action] for e in events]
    weight = _decay(reference - times).astype(np.float32)
    new["count"][np.arange(len(events)), kinds] = weight
    new["exposure"] = weight * [
        (e.position or 1) ** -EXPOSURE_POWER if kind == IMPRESSION else 0.0
        for e, kind in zip(events, kinds, strict=True)
    ]
    return _encode(reference, _merge(_aged(stats, reference), new))


def at(stats: QueryStats, items: NDArray[np.uint64], now: float) -> NDArray[np.void]:
    """Records [n] of the items with hashes `items` as of `now`; zero where nothing is known."""
    found = np.zeros(len(items), ITEM)
    found["item"] = items
    if not len(stats.records):
        return found
    slot = np.minimum(np.searchsorted(stats.records["item"], items), len(stats.records) - 1)
    known = stats.records["item"][slot] == items
    factor = np.float32(_decay(np.array([now - stats.reference]))[0])
    found["count"][known] = stats.records["count"][slot[known]] * factor
    found["exposure"][known] = stats.records["exposure"][slot[known]] * factor
    return found


def _aged(stats: QueryStats, reference: float) -> NDArray[np.void]:
    records = stats.records.copy()
    if len(records):
        factor = np.float32(_decay(np.array([reference - stats.reference]))[0])
        records["count"] *= factor
        records["exposure"] *= factor
    return records


def _merge(old: NDArray[np.void], new: NDArray[np.void]) -> NDArray[np.void]:
    both = np.concatenate([old, new])
    items, row = np.unique(both["item"], return_inverse=True)
    merged = np.zeros(len(items), ITEM)
    merged["item"] = items
    np.add.at(merged["count"], row, both["count"])
    np.add.at(merged["exposure"], row, both["exposure"])
    strength = merged["count"] @ np.array([1e-3, 1.0, 3.0, 5.0], dtype=np.float32)
    kept = np.sort(np.argsort(-strength, kind="stable")[:ITEMS_MAX])
    return merged[kept]


def _encode(reference: float, records: NDArray[np.void]) -> bytes:
    header = np.zeros((), HEADER)
    header["version"], header["reference"] = VERSION, reference
    return header.tobytes() + records.tobytes()


def _decay(age_seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    factors: NDArray[np.float64] = np.exp2(
        -np.maximum(age_seconds, 0.0) / (HALF_LIFE_DAYS * DAY_SECONDS)
    )
    return factors
