"""How much an item is seen, opened, put in carts and bought: decayed counts in one record an item.

Pure. A decayed count is a sum of 2 ** (-age / half life), so events may arrive in any order; the
record has no variable part, and a request decodes all its candidates with one `np.frombuffer`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

KINDS = ("impression", "view", "cart", "purchase")
IMPRESSION, VIEW, CART, PURCHASE = range(len(KINDS))
# What each UBI action counts as; other actions leave popularity alone.
KIND_OF_ACTION = {
    "impression": IMPRESSION,
    "view": VIEW,
    "click": VIEW,
    "watch": VIEW,
    "add_to_cart": CART,
    "purchase": PURCHASE,
}
# What takes a purchase back; it leaves the times of the last and the first event.
RETURNS = frozenset({"return", "refund"})
HALF_LIVES_DAYS = (1.0, 7.0, 30.0, 120.0)
DAY_SECONDS = 86_400.0
BUYER_BITS = 1024
VERSION = 1
_HALF_LIVES = np.array(HALF_LIVES_DAYS) * DAY_SECONDS

RECORD = np.dtype(
    [
        ("version", "<u2"),
        ("reference", "<f8"),  # seconds since the epoch at which the decayed counts hold
        ("first", "<f8"),  # first event of any kind
        ("last", "<f8", (len(KINDS),)),  # last event of each kind; -inf: none
        ("decayed", "<f4", (len(KINDS), len(HALF_LIVES_DAYS))),
        ("total", "<f4", (len(KINDS),)),
        ("buyers", "u1", (BUYER_BITS // 8,)),  # a bit per hashed buyer: linear counting
    ]
)


@dataclass(frozen=True, eq=False)
class Popularity:
    """Counts of n items as of `now` (seconds), worked out where they are asked for; the future
    counts as now. Absent items have zero counts and NaN ages; more returned than bought counts as
    nothing bought.
    """

    records: NDArray[np.void]  # [n] of RECORD
    now: float

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Of which items anything is known [n]."""
        present: NDArray[np.bool_] = np.isfinite(self.records["reference"])
        return present

    @cached_property
    def decayed(self) -> NDArray[np.float32]:
        """Decayed counts [n, kinds, half lives]."""
        age = np.where(self.present, self.now - self.records["reference"], 0.0)
        decayed = self.records["decayed"] * _decay(age)[:, None, :]
        return np.maximum(decayed, 0.0).astype(np.float32)

    @cached_property
    def total(self) -> NDArray[np.float32]:
        """All that ever was [n, kinds]."""
        total: NDArray[np.float32] = np.maximum(self.records["total"], 0.0)
        return total

    @cached_property
    def buyers(self) -> NDArray[np.float32]:
        """Distinct buyers [n] by linear counting (Whang et al. 1990): -m ln(share of zero bits);
        about 7,000 at the most.
        """
        zero = BUYER_BITS - np.bitwise_count(self.records["buyers"]).sum(axis=1, dtype=np.int64)
        estimate = -BUYER_BITS * np.log(np.maximum(zero, 1) / BUYER_BITS)
        return np.asarray(estimate, dtype=np.float32)

    @cached_property
    def first_age_days(self) -> NDArray[np.float32]:
        """Days since the first event [n]."""
        return self._age_days(self.records["first"])

    @cached_property
    def last_age_days(self) -> NDArray[np.float32]:
        """Days since the last event of each kind [n, kinds]."""
        return self._age_days(self.records["last"])

    def _age_days(self, times: NDArray[np.float64]) -> NDArray[np.float32]:
        age = np.where(np.isfinite(times), np.maximum(self.now - times, 0.0), np.nan)
        return (age / DAY_SECONDS).astype(np.float32)

    def without(self, hidden: NDArray[np.bool_]) -> "Popularity":
        """The same with nothing known of the items at `hidden` [n]."""
        records = self.records.copy()
        records[hidden] = np.frombuffer(_EMPTY, RECORD)[0]
        return Popularity(records, self.now)


@dataclass(frozen=True)
class ItemEvents:
    """Events as columns: `row` says which record each belongs to; times in seconds.

    `sign` is -1 for what takes one of its kind back.
    """

    row: NDArray[np.intp]
    kind: NDArray[np.intp]
    time: NDArray[np.float64]
    buyer: NDArray[np.int64]  # digest of the buyer >= 0, -1 where unknown or not a purchase
    sign: NDArray[np.float32]


def _empty() -> bytes:
    record = np.zeros((), RECORD)
    record["version"] = VERSION
    record["reference"] = record["last"] = -np.inf
    record["first"] = np.inf
    return record.tobytes()


_EMPTY = _empty()


def read(blobs: Sequence[bytes | None]) -> NDArray[np.void]:
    """Records [n]; absent and foreign ones read as empty."""
    size = RECORD.itemsize
    joined = b"".join([b if b is not None and len(b) == size else _EMPTY for b in blobs])
    records: NDArray[np.void] = np.frombuffer(joined, RECORD)
    if (records["version"] == VERSION).all():
        return records
    mended = records.copy()
    mended[records["version"] != VERSION] = np.frombuffer(_EMPTY, RECORD)[0]
    return mended


def fold(blobs: Sequence[bytes | None], events: ItemEvents) -> list[bytes]:
    """New records for `blobs` after `events`, in the same order."""
    records = read(blobs).copy()
    reference = records["reference"].copy()
    np.maximum.at(reference, events.row, events.time)
    records["decayed"] *= _decay(reference - records["reference"])[:, None, :]
    weight = _decay(reference[events.row] - events.time) * events.sign[:, None]
    np.add.at(records["decayed"], (events.row, events.kind), weight.astype(np.float32))
    records["reference"] = reference
    np.add.at(records["total"], (events.row, events.kind), events.sign)
    done = events.sign > 0
    np.minimum.at(records["first"], events.row[done], events.time[done])
    np.maximum.at(records["last"], (events.row[done], events.kind[done]), events.time[done])
    known = events.buyer >= 0
    bit = events.buyer[known] % BUYER_BITS
    np.bitwise_or.at(
        records["buyers"], (events.row[known], bit // 8), (1 << (bit % 8)).astype(np.uint8)
    )
    return [record.tobytes() for record in records]


def unpack_many(blobs: Sequence[bytes | None], now: float) -> Popularity:
    """Counts of the items of `blobs` as of `now` (seconds)."""
    return Popularity(read(blobs), now)


def _decay(age_seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factors [n, half lives]; an age below zero counts as zero, an infinite one as forgotten."""
    factors: NDArray[np.float64] = np.exp2(-np.maximum(age_seconds, 0.0)[:, None] / _HALF_LIVES)
    return factors
