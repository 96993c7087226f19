"""What of a shopper's history does not depend on the candidates; pure.

Serving computes it while Elasticsearch searches, so that a list with its candidates waits for
less.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour import copurchase
from indexer.behaviour.popularity import DAY_SECONDS, KINDS, PURCHASE
from indexer.behaviour.shopper_profile import ShopperProfile
from indexer.catalogue import card
from reranker.signals.item_table import ItemTable
from reranker.signals.listwise import log1p, log_days, log_price, unit

HISTORY_MAX = 50
RECENT_HALF_LIFE_DAYS = 60.0
# Of each history item: days since touched (log), times bought (log), last kind one-hot.
HISTORY_FEATURES = 2 + len(KINDS)
TABLES_MAX = 4  # of searches, of recommendations, of two arms


@dataclass(frozen=True, eq=False)
class Taste:
    """A shopper's side by the learned vectors of one table.

    `rows` [h, width] are those of the history, `closest` the same at unit length; `mean` [width]
    is the direction of all that was ever touched.
    """

    table: ItemTable
    rows: NDArray[np.float32]
    closest: NDArray[np.float32]
    mean: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Past:
    """A shopper's side of a list: `h` history items, their cards and `copurchase` rows."""

    shopper: ShopperProfile
    history_cards: NDArray[Any] | None  # [h]
    partners: Sequence[NDArray[np.void]]  # [h] rows
    now: float
    _tastes: dict[int, Taste] = field(default_factory=dict, init=False, repr=False)

    def prepare(self) -> "Past":
        """Compute everything now; later uses find it."""
        _ = (self.vectors, self.recency, self.partner_rows, self.strength, self.by_item)
        _ = (self.recency_share, self.features, self.usual_price)
        return self

    def taste(self, table: ItemTable) -> Taste:
        """The shopper's side by a table's vectors, kept for the tables that were asked with."""
        found = self._tastes.get(id(table))  # the kept one holds its table: no other has its id
        if found is None:
            if len(self._tastes) >= TABLES_MAX:
                self._tastes.clear()
            rows = table.lookup(self.history["item"], self.vectors)
            found = Taste(table, rows, unit(rows), self._mean(table))
            self._tastes[id(table)] = found
        return found

    def _mean(self, table: ItemTable) -> NDArray[np.float32]:
        records = self.shopper.records
        if not len(records):
            return np.zeros(table.width, dtype=np.float32)
        weight = log1p(records["count"][:, PURCHASE]) + 0.25
        # Counted from the last deed: a shopper who was away for years has a taste as well.
        age_days = np.maximum(records["last"].max() - records["last"], 0.0) / DAY_SECONDS
        weight = weight * np.exp2(-age_days / (4 * RECENT_HALF_LIFE_DAYS))
        past = unit(table.lookup(records["item"], None))
        mean: NDArray[np.float32] = unit((weight.astype(np.float32) @ past)[None, :])[0]
        return mean

    @cached_property
    def history(self) -> NDArray[np.void]:
        """Profile records of the history items [h], latest first."""
        return self.shopper.records[:HISTORY_MAX]

    @cached_property
    def vectors(self) -> NDArray[np.float32] | None:
        """Text vectors of the history items [h, dims]; None where there are no cards."""
        if self.history_cards is None or not len(self.history):
            return None
        return card.vectors(self.history_cards)

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """What was done with the history items, and when [h, HISTORY_FEATURES]."""
        history = self.history
        features = np.zeros((len(history), HISTORY_FEATURES), dtype=np.float32)
        if len(history):
            age_days = np.maximum(self.now - history["last"], 0.0) / DAY_SECONDS
            features[:, 0] = log_days(age_days)
            features[:, 1] = log1p(history["count"][:, PURCHASE])
            features[np.arange(len(history)), 2 + history["last_kind"].astype(np.intp)] = 1.0
        return features

    @cached_property
    def usual_price(self) -> float:
        """Mean log price of the history; NaN without one."""
        if self.history_cards is None:
            return float("nan")
        prices = log_price(self.history_cards["price"])
        known = prices[np.isfinite(prices)]
        return float(known.mean()) if len(known) else float("nan")

    @cached_property
    def recency(self) -> NDArray[np.float32]:
        """Weight of each history item [h], 1 for one touched now."""
        age_days = np.maximum(self.now - self.history["last"], 0.0) / DAY_SECONDS
        return np.exp2(-age_days / RECENT_HALF_LIFE_DAYS).astype(np.float32)

    @cached_property
    def recency_share(self) -> NDArray[np.float32]:
        """The same, summing to one [h]: also of a shopper who was last here years ago."""
        newest = self.history["last"].max(initial=-np.inf)
        age_days = np.maximum(newest - self.history["last"], 0.0) / DAY_SECONDS
        weight = np.exp2(-age_days / RECENT_HALF_LIFE_DAYS)
        share: NDArray[np.float32] = (weight / max(weight.sum(), 1.0)).astype(np.float32)
        return share

    @cached_property
    def by_item(self) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
        """Hashes of all items of the profile, sorted, and the record that each one has."""
        items = np.ascontiguousarray(self.shopper.records["item"])
        order = np.argsort(items)
        return items[order], order

    @cached_property
    def partner_rows(self) -> tuple[NDArray[np.uint64], NDArray[np.void], NDArray[np.intp]]:
        """All partners by hash: sorted hashes, their records, and whose partner each is."""
        rows, of = self._partners
        order = np.argsort(rows["item"], kind="stable")
        return np.ascontiguousarray(rows["item"][order]), rows[order], of[order]

    @cached_property
    def strength(self) -> NDArray[np.float32]:
        """Sum of the purchase weights of each history item's partners [h]."""
        rows, of = self._partners
        summed = np.bincount(of, weights=rows["purchase"], minlength=len(self.partners))
        return summed.astype(np.float32)

    @cached_property
    def _partners(self) -> tuple[NDArray[np.void], NDArray[np.intp]]:
        """All partners one after the other, and whose partner each is."""
        rows = np.frombuffer(b"".join(p.tobytes() for p in self.partners), copurchase.PARTNER)
        return rows, np.repeat(np.arange(len(self.partners)), [len(p) for p in self.partners])


def within(
    sorted_items: NDArray[np.uint64], items: NDArray[np.uint64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every pair of a place in `sorted_items` [p] and a place in `items` [p] with equal hashes."""
    first = np.searchsorted(sorted_items, items, side="left")
    count = np.searchsorted(sorted_items, items, side="right") - first
    column = np.repeat(np.arange(len(items)), count)
    start = np.repeat(first - np.concatenate(([0], np.cumsum(count)[:-1])), count)
    return start + np.arange(len(column)), column
