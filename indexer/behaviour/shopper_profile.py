"""What one shopper did with which items, in one packed value.

Pure. Counts add up and times take their extremes, so the order of events does not matter, except
that a profile keeps at most `ITEMS_MAX` items, those touched last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.popularity import (
    CART,
    KIND_OF_ACTION,
    KINDS,
    PURCHASE,
    RETURNS,
    VIEW,
)
from indexer.identity import hash64

ITEMS_MAX = 1000
VERSION = 1
REMOVED, DISMISSED = "remove_from_cart", "dismiss"
TAKEN_BACK = -1  # stands for the kind of those two, and of a return

HEADER = np.dtype(
    [
        ("version", "<u2"),
        ("items", "<u4"),
        ("first", "<f8"),  # seconds since the epoch, any action
        ("last", "<f8"),
        ("events", "<f4", (len(KINDS),)),  # also of items no longer kept
    ]
)
ITEM = np.dtype(
    [
        ("item", "<u8"),
        ("count", "<f4", (len(KINDS),)),
        ("dismissed", "<f4"),
        ("first_purchase", "<f8"),  # +inf: never bought
        ("last_purchase", "<f8"),  # -inf: never bought
        ("last", "<f8"),  # -inf: only dismissed or taken out of a cart
        ("last_kind", "u1"),
        ("id_bytes", "<u2"),
    ]
)


@dataclass(frozen=True)
class ShopperEvent:
    """One action of this shopper; `time` in seconds."""

    item_id: str
    action: str
    time: float


@dataclass(frozen=True)
class ShopperProfile:
    """A decoded profile; records of `ITEM`, touched last first."""

    header: NDArray[np.void]
    records: NDArray[np.void]  # [items]
    id_blob: bytes

    @cached_property
    def every_id(self) -> list[str]:
        """Ids of all items."""
        ends = np.cumsum(self.records["id_bytes"], dtype=np.int64)
        parts = pairwise([0, *ends.tolist()])
        if self.id_blob.isascii():  # then a sign is a byte
            text = self.id_blob.decode()
            return [text[a:b] for a, b in parts]
        return [self.id_blob[a:b].decode() for a, b in parts]

    def ids(self, count: int) -> list[str]:
        """Ids of the first `count` items."""
        return self.every_id[:count]

    def __len__(self) -> int:
        return len(self.records)


def handles(action: str) -> bool:
    """Whether an action changes a profile; impressions do not, they are not the shopper's deed."""
    return action in (REMOVED, DISMISSED, *RETURNS) or KIND_OF_ACTION.get(action, 0) >= VIEW


def empty() -> ShopperProfile:
    """The profile of a shopper never seen."""
    header = np.zeros((), HEADER)
    header["version"], header["first"], header["last"] = VERSION, np.inf, -np.inf
    return ShopperProfile(header=header, records=np.empty(0, ITEM), id_blob=b"")


def decode(blob: bytes | None) -> ShopperProfile:
    """The profile of a value; absent or foreign ones read as never seen."""
    if blob is None or len(blob) < HEADER.itemsize:
        return empty()
    header = np.frombuffer(blob, HEADER, count=1)[0]
    start = HEADER.itemsize + int(header["items"]) * ITEM.itemsize
    if header["version"] != VERSION or len(blob) < start:
        return empty()
    records = np.frombuffer(blob, ITEM, count=int(header["items"]), offset=HEADER.itemsize)
    return ShopperProfile(header=header, records=records, id_blob=blob[start:])


def encode(profile: ShopperProfile) -> bytes:
    """The value of a profile; `decode(encode(p))` is p."""
    return profile.header.tobytes() + profile.records.tobytes() + profile.id_blob


def fold(blob: bytes | None, events: Sequence[ShopperEvent]) -> bytes:
    """The value after `events`."""
    profile = decode(blob)
    ids = profile.ids(len(profile))
    rows = {item_id: row for row, item_id in enumerate(ids)}
    for event in events:
        rows.setdefault(event.item_id, len(rows))
    records = _grown(profile.records, list(rows)[len(ids) :])
    row = np.array([rows[e.item_id] for e in events], dtype=np.intp)
    time = np.array([e.time for e in events])
    kind = np.array([KIND_OF_ACTION.get(e.action, TAKEN_BACK) for e in events])
    header = profile.header.copy()
    header["first"] = min(header["first"], time.min())
    header["last"] = max(header["last"], time.max())
    done = kind != TAKEN_BACK
    header["events"] += np.bincount(kind[done], minlength=len(KINDS)).astype(np.float32)
    _count(records, row[done], kind[done], time[done])
    removed = np.array([e.action == REMOVED for e in events])
    np.subtract.at(records["count"], (row[removed], CART), 1.0)
    returned = np.array([e.action in RETURNS for e in events])
    np.subtract.at(records["count"], (row[returned], PURCHASE), 1.0)
    np.add.at(records["dismissed"], row[~done & ~removed & ~returned], 1.0)
    return encode(_latest(header, records, list(rows)))


def merged(into: bytes | None, other: bytes) -> bytes:
    """The value of one person who was known as two: counts add up, times take their extremes."""
    profiles = [decode(into), decode(other)]
    header = profiles[0].header.copy()
    header["first"] = min(profile.header["first"] for profile in profiles)
    header["last"] = max(profile.header["last"] for profile in profiles)
    header["events"] = sum(profile.header["events"] for profile in profiles)
    first = profiles[0].ids(len(profiles[0]))
    rows = {item_id: row for row, item_id in enumerate(first)}
    for item_id in profiles[1].ids(len(profiles[1])):
        rows.setdefault(item_id, len(rows))
    records = _grown(profiles[0].records, list(rows)[len(first) :])
    added = profiles[1].records
    row = np.array([rows[item_id] for item_id in profiles[1].ids(len(added))], dtype=np.intp)
    own = records[row]  # a copy: each item is there once
    later = (added["last"] > own["last"]) | (
        (added["last"] == own["last"]) & (added["last_kind"] > own["last_kind"])
    )
    own["count"] += added["count"]
    own["dismissed"] += added["dismissed"]
    own["first_purchase"] = np.minimum(own["first_purchase"], added["first_purchase"])
    own["last_purchase"] = np.maximum(own["last_purchase"], added["last_purchase"])
    own["last_kind"] = np.where(later, added["last_kind"], own["last_kind"])
    own["last"] = np.maximum(own["last"], added["last"])
    records[row] = own
    return encode(_latest(header, records, list(rows)))


def _grown(old: NDArray[np.void], new_ids: Sequence[str]) -> NDArray[np.void]:
    """A copy of `old` with records of new items behind."""
    records = np.zeros(len(old) + len(new_ids), ITEM)
    records[: len(old)] = old
    new = records[len(old) :]
    new["item"] = np.array([hash64(i) for i in new_ids], dtype=np.uint64)
    new["first_purchase"], new["last_purchase"], new["last"] = np.inf, -np.inf, -np.inf
    new["id_bytes"] = [len(i.encode()) for i in new_ids]
    return records


def _count(
    records: NDArray[np.void],
    row: NDArray[np.intp],
    kind: NDArray[np.intp],
    time: NDArray[np.float64],
) -> None:
    """Add deeds to their items. Taking back is not one: it leaves the time of the last deed."""
    np.add.at(records["count"], (row, kind), 1.0)
    # Of two deeds at the same moment the weightier one names the item's last kind; assignment
    # by a list of rows keeps the last one given.
    order = np.lexsort((kind, time))
    latest_time, latest_kind = np.full(len(records), -np.inf), np.zeros(len(records), np.intp)
    latest_time[row[order]], latest_kind[row[order]] = time[order], kind[order]
    newer = (latest_time > records["last"]) | (
        (latest_time == records["last"]) & (latest_kind > records["last_kind"])
    )
    records["last"] = np.where(newer, latest_time, records["last"])
    records["last_kind"] = np.where(newer, latest_kind, records["last_kind"])
    bought = kind == PURCHASE
    np.minimum.at(records["first_purchase"], row[bought], time[bought])
    np.maximum.at(records["last_purchase"], row[bought], time[bought])


def _latest(
    header: NDArray[np.void], records: NDArray[np.void], ids: Sequence[str]
) -> ShopperProfile:
    """Newest first, of the same moment what was bought most; beyond `ITEMS_MAX` dropped."""
    bought = -records["count"][:, PURCHASE]
    order = np.lexsort((records["item"], bought, -records["last"]))[:ITEMS_MAX]
    header["items"] = len(order)
    blob = "".join(ids[i] for i in order).encode()
    return ShopperProfile(header=header, records=records[order], id_blob=blob)
