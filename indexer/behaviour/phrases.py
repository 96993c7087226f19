"""Texts of searches that led to something, counted with decay, for suggestions and spelling.

Pure. A text is only kept once enough shoppers searched for it, so that what one person typed is
nowhere to be read; until then its digest is counted. Values are buckets of many texts, so that a
reader gets all of them in one round trip.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgpack

from indexer.behaviour import state, watermark
from indexer.behaviour.event import BehaviourEvent
from indexer.behaviour.popularity import (
    CART,
    DAY_SECONDS,
    KIND_OF_ACTION,
    PURCHASE,
    USUAL_HALF_LIFE_HOURS,
    VIEW,
)
from indexer.identity import hash64

BUCKETS = 64
ENTRIES_MAX = 1000  # of one bucket; the weakest are forgotten
HALF_LIFE_DAYS = 60.0
WEIGHTS = {VIEW: 1.0, CART: 3.0, PURCHASE: 5.0}
TEXT_CHARACTERS_MAX = 80
# Twice as many as the setting may ask for, so that clashing digests do not keep it out of reach.
SHOPPER_BITS = 64
VERSION = 1
KEYS = tuple(f"phrases:{number}" for number in range(BUCKETS))
_HALF_LIFE_SECONDS = HALF_LIFE_DAYS * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Phrase:
    """One text; `strength` is the logarithm to base 2 of its count, comparable at any time."""

    text: str
    strength: float


@dataclass(slots=True)
class _Entry:
    """What is known by a digest: decayed count at `reference` (seconds), a bit a shopper."""

    reference: float
    count: float
    shoppers: int
    text: str

    def add(self, time: float, weight: float, bit: int) -> None:
        reference = max(self.reference, time)
        self.count = _aged(self.count, reference - self.reference)
        self.count += _aged(weight, reference - time)
        self.reference, self.shoppers = reference, self.shoppers | bit

    @property
    def strength(self) -> float:
        return math.log2(self.count) + self.reference / _HALF_LIFE_SECONDS


@dataclass(frozen=True, slots=True)
class Folding:
    """The behaviour state and beside it the phrases; `shoppers_min` is how many must agree.

    `half_life_hours` is that of what is trending.
    """

    shoppers_min: int
    half_life_hours: float = USUAL_HALF_LIFE_HOURS

    def basket_keys(self, events: Iterable[BehaviourEvent]) -> list[str]:
        """As of the state."""
        return state.basket_keys(events)

    def keys_for(
        self, events: Sequence[BehaviourEvent], baskets: Mapping[str, bytes | None]
    ) -> list[str]:
        """Those of the state and the buckets of the texts."""
        buckets = {key_of(it.query_key) for it in events if it.query_key and succeeded(it)}
        return [*state.keys_for(events, baskets), *sorted(buckets)]

    def fold(
        self, values: Mapping[str, bytes | None], events: Sequence[BehaviourEvent]
    ) -> dict[str, bytes]:
        """New values of state and buckets."""
        changed = state.fold(values, events, self.half_life_hours)
        if not changed:
            return changed
        latest = watermark.decode(changed[state.WATERMARK]).latest_for_counts()
        by_bucket: dict[str, list[BehaviourEvent]] = defaultdict(list)
        for event in events:
            if event.query_key and succeeded(event):
                by_bucket[key_of(event.query_key)].append(event)
        return changed | {
            key: fold(values.get(key), found, latest, self.shoppers_min)
            for key, found in by_bucket.items()
        }


def key_of(text: str) -> str:
    """The key of the bucket that a text is counted in."""
    return KEYS[hash64(text) % BUCKETS]


def succeeded(event: BehaviourEvent) -> bool:
    """Whether an event shows that its search led to something."""
    known = event.query_key is not None and len(event.query_key) <= TEXT_CHARACTERS_MAX
    return known and KIND_OF_ACTION.get(event.action) in WEIGHTS


def fold(
    blob: bytes | None, events: Sequence[BehaviourEvent], latest: float, shoppers_min: int
) -> bytes:
    """The bucket after events of its texts; none counts as later than `latest` (seconds)."""
    entries = _decode(blob)
    for event in events:
        text, time = event.query_key or "", min(event.timestamp, latest)
        entry = entries.setdefault(hash64(text), _Entry(time, 0.0, 0, ""))
        who = event.user or event.session
        bit = 1 << (hash64(who) % SHOPPER_BITS) if who else 0
        entry.add(time, WEIGHTS[KIND_OF_ACTION[event.action]], bit)
        if entry.shoppers.bit_count() >= shoppers_min:
            entry.text = text
    return _encode(entries)


def read(blob: bytes | None) -> list[Phrase]:
    """The texts of a bucket that enough shoppers searched for."""
    return [Phrase(it.text, it.strength) for it in _decode(blob).values() if it.text]


def _decode(blob: bytes | None) -> dict[int, _Entry]:
    if blob is None:
        return {}
    version, rows = msgpack.unpackb(blob)
    return {name: _Entry(*row) for name, *row in rows} if version == VERSION else {}


def _encode(entries: Mapping[int, _Entry]) -> bytes:
    kept = sorted(entries.items(), key=lambda it: (-it[1].strength, it[0]))[:ENTRIES_MAX]
    rows = [[name, it.reference, it.count, it.shoppers, it.text] for name, it in sorted(kept)]
    packed: bytes = msgpack.packb([VERSION, rows])
    return packed


def _aged(count: float, seconds: float) -> float:
    return float(count * 2.0 ** (-max(seconds, 0.0) / _HALF_LIFE_SECONDS))
