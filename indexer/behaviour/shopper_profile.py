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

from indexer.behaviour.identity import hash64
from indexer.behaviour.popularity import CART, DAY_SECONDS, KIND_OF_ACTION, KINDS, PURCHASE, VIEW

ITEMS_MAX = 1000
VERSION = 1
REMOVED, DISMISSED = "remove_from_cart", "dismiss"

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
    def ends(self) -> NDArray[np.int64]:
        """Where each id ends in the blob [items]."""
        return np.cumsum(self.records["id_bytes"], dtype=np.int64)

    def ids(self, count: int) -> list[str]:
        """Ids of the first `count` items."""
        ends = [0, *self.ends[:count].tolist()]
        return [self.id_blob[a:b].decode() for a, b in pairwise(ends)]

    def __len__(self) -> int:
        return len(self.records)


def handles(action: str) -> bool:
    """Whether an action changes a profile; impressions do not, they are not the shopper's deed."""
    return action in (REMOVED, DISMISSED) or KIND_OF_ACTION.get(action, 0) >= VIEW


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
        if event.item_id not in rows:
            rows[event.item_id] = len(rows)
    records = np.concatenate([profile.records, _new_records(list(rows)[len(ids) :])])
    header = profile.header.copy()
    for event in events:
        _apply(header, records[rows[event.item_id]], event)
    return encode(_latest(header, records, list(rows)))


def regularity(records: NDArray[np.void], now: float) -> NDArray[np.float32]:
    """How due a repeat is [n]: days since the last purchase over the mean gap; NaN below two."""
    count = records["count"][:, PURCHASE]
    gap = (records["last_purchase"] - records["first_purchase"]) / np.maximum(count - 1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        due = (now - records["last_purchase"]) / np.maximum(gap, DAY_SECONDS)
    return np.where(count >= 2, due, np.nan).astype(np.float32)


def _new_records(ids: Sequence[str]) -> NDArray[np.void]:
    records = np.zeros(len(ids), ITEM)
    records["item"] = np.array([hash64(i) for i in ids], dtype=np.uint64)
    records["first_purchase"], records["last_purchase"] = np.inf, -np.inf
    records["last"] = -np.inf
    records["id_bytes"] = [len(i.encode()) for i in ids]
    return records


def _apply(header: NDArray[np.void], record: NDArray[np.void], event: ShopperEvent) -> None:
    header["first"] = min(header["first"], event.time)
    header["last"] = max(header["last"], event.time)
    kind = KIND_OF_ACTION.get(event.action)
    if kind is None:
        _apply_negative(record, event)
        return
    header["events"][kind] += 1
    record["count"][kind] += 1
    # Of two deeds at the same moment the weightier one names the item's last kind.
    if (event.time, kind) >= (float(record["last"]), int(record["last_kind"])):
        record["last"], record["last_kind"] = event.time, kind
    if kind == PURCHASE:
        record["first_purchase"] = min(record["first_purchase"], event.time)
        record["last_purchase"] = max(record["last_purchase"], event.time)


def _apply_negative(record: NDArray[np.void], event: ShopperEvent) -> None:
    """Taking back leaves the time of the last deed: it says what the shopper turned to."""
    if event.action == REMOVED:
        record["count"][CART] -= 1
    else:
        record["dismissed"] += 1


def _latest(
    header: NDArray[np.void], records: NDArray[np.void], ids: Sequence[str]
) -> ShopperProfile:
    """Newest first, the oldest beyond `ITEMS_MAX` dropped."""
    order = np.lexsort((records["item"], -records["last"]))[:ITEMS_MAX]
    header["items"] = len(order)
    blob = "".join(ids[i] for i in order).encode()
    return ShopperProfile(header=header, records=records[order], id_blob=blob)
