"""How much an item is seen, opened, put in carts and bought: decayed counts in one record an item.

Pure. A decayed count is a sum of 2 ** (-age / half life), so events may arrive in any order; the
record has no variable part, and a request decodes all its candidates with one `np.frombuffer`.

A shop whose world turns faster or slower counts by half lives that are all longer or shorter by
one factor. A record says by which it counts, so whoever reads it needs to be told nothing; one
that was counted by others goes on with what they say of the new ones.
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
# Where nothing else is said; others keep their proportion to the third, which is what is trending.
HALF_LIVES_DAYS = (1.0, 7.0, 30.0, 120.0)
USUAL_HALF_LIFE_HOURS = 720.0
TRENDING = 2
DAY_SECONDS, HOUR_SECONDS = 86_400.0, 3600.0
BUYER_BITS = 1024
VERSION, PACED_VERSION = 1, 2
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
# Of an index that counts by other half lives; `half_life_hours` is the third of them.
PACED_RECORD = np.dtype([*RECORD.descr, ("half_life_hours", "<f8")])
_USUAL = np.array([USUAL_HALF_LIFE_HOURS], "<f8").tobytes()


@dataclass(frozen=True, eq=False)
class Popularity:
    """Counts of n items as of `now` (seconds), worked out where they are asked for; the future
    counts as now. Absent items have zero counts and NaN ages; more returned than bought counts as
    nothing bought.
    """

    records: NDArray[np.void]  # [n] of RECORD or of PACED_RECORD
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
        decayed = self.records["decayed"] * _decay(age, self.pace)[:, None, :]
        return np.maximum(decayed, 0.0).astype(np.float32)

    @cached_property
    def pace(self) -> NDArray[np.float64]:
        """By what the half lives of each item are longer than HALF_LIVES_DAYS [n]."""
        pace: NDArray[np.float64] = _half_lives_hours(self.records) / USUAL_HALF_LIFE_HOURS
        return pace

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
        records[hidden] = _nothing(records.dtype)
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


def _nothing(of: np.dtype[np.void]) -> np.void:
    """The record of an item of which nothing is known."""
    record: np.void = np.frombuffer(_EMPTY if of == RECORD else _EMPTY + _USUAL, of)[0]
    return record


def read(blobs: Sequence[bytes | None]) -> NDArray[np.void]:
    """Records [n], of PACED_RECORD where one of them is; absent and foreign ones read as empty."""
    size, paced = RECORD.itemsize, PACED_RECORD.itemsize
    known = [b if b is not None and len(b) in (size, paced) else _EMPTY for b in blobs]
    joined, of, latest = b"".join(known), RECORD, VERSION
    if len(joined) > size * len(known):
        joined = b"".join([b if len(b) == paced else b + _USUAL for b in known])
        of, latest = PACED_RECORD, PACED_VERSION
    records: NDArray[np.void] = np.frombuffer(joined, of)
    version = records["version"]
    foreign = (version < VERSION) | (version > latest)
    if not foreign.any():
        return records
    mended = records.copy()
    mended[foreign] = _nothing(of)
    return mended


def fold(
    blobs: Sequence[bytes | None],
    events: ItemEvents,
    half_life_hours: float = USUAL_HALF_LIFE_HOURS,
) -> list[bytes]:
    """New records for `blobs` after `events`, in the same order, counted by these half lives."""
    records = _counted_by(half_life_hours, read(blobs))
    pace = _half_lives_hours(records) / USUAL_HALF_LIFE_HOURS
    reference = records["reference"].copy()
    np.maximum.at(reference, events.row, events.time)
    records["decayed"] *= _decay(reference - records["reference"], pace)[:, None, :]
    age = reference[events.row] - events.time
    weight = _decay(age, pace[events.row]) * events.sign[:, None]
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


def _half_lives_hours(records: NDArray[np.void]) -> NDArray[np.float64]:
    """The third half life of each record [n]."""
    if records.dtype == RECORD:
        return np.full(len(records), USUAL_HALF_LIFE_HOURS)
    return np.asarray(records["half_life_hours"], dtype=np.float64)


def _counted_by(half_life_hours: float, records: NDArray[np.void]) -> NDArray[np.void]:
    """The records [n], to be changed, counted by these half lives from now on."""
    is_usual = half_life_hours == USUAL_HALF_LIFE_HOURS
    if is_usual and records.dtype == RECORD:
        return records.copy()
    made = np.zeros(len(records), RECORD if is_usual else PACED_RECORD)
    for name in RECORD.fields or ():
        made[name] = records[name]
    made["version"] = VERSION if is_usual else PACED_VERSION
    if not is_usual:
        made["half_life_hours"] = half_life_hours
    before = _half_lives_hours(records)
    for other in np.unique(before[before != half_life_hours]).tolist():
        rows = before == other
        made["decayed"][rows] = _carried_over(records["decayed"][rows], other, half_life_hours)
    return made


def _carried_over(
    decayed: NDArray[np.float32], before_hours: float, after_hours: float
) -> NDArray[np.float32]:
    """Counts [n, kinds, half lives] by other half lives: each from the next longer one, in
    proportion, as if all had come evenly; the longest for want of a longer one as it is.
    """
    before, after = (_HALF_LIVES * hours for hours in (before_hours, after_hours))
    longer = np.minimum(np.searchsorted(before, after), len(before) - 1)
    return decayed[:, :, longer] * np.minimum(after / before[longer], 1.0).astype(np.float32)


def _decay(age_seconds: NDArray[np.float64], pace: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factors [n, half lives]; an age below zero counts as zero, an infinite one as forgotten."""
    ages = np.maximum(age_seconds, 0.0)[:, None]
    factors: NDArray[np.float64] = np.exp2(-ages / (_HALF_LIVES * pace[:, None]))
    return factors
