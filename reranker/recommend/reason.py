"""Why an item is recommended: which of the shopper's deeds or what of the shop it rests on. Pure.

Keys are those of `reranker.serving.sentences`, so a recommendation says what a search would say.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from indexer import identity
from indexer.behaviour.popularity import CART, PURCHASE, VIEW
from reranker.signals.past import Past

Kind = str
Vectors = NDArray[np.float32]
WEIGHTIEST: tuple[tuple[int, Kind], ...] = (
    (PURCHASE, "purchase"),
    (CART, "cart"),
    (VIEW, "view"),
)
OWN = {"purchase": "bought_before", "cart": "in_cart", "view": "looked_before"}
SEED: Kind = "seed"  # to start from an item is no deed: nobody needs to have put it in a cart
OF_VECTOR = {"content": "like", "collaborative": "because"}


@dataclass(frozen=True, slots=True)
class Ground:
    """The sentence's key, and the item of the shopper's that it names."""

    key: str
    item_id: str | None = None


POPULAR = Ground("popular")
FAVOURITE, IN_CATALOGUE = Ground("favourite"), Ground("in_catalogue")


@dataclass(frozen=True, eq=False)
class Grounds:
    """What reasons of one list rest on: the shopper's items [h] and their vectors by source.

    `look` gives, by source, those of the history [h, dims] and of the shown items [n, dims].
    `seeded` says that the history is what a recommendation was told to start from.
    """

    past: Past
    look: Mapping[str, Callable[[], tuple[Vectors, Vectors]]]
    seeded: bool = False
    _seen: dict[str, tuple[Vectors, Vectors]] = field(default_factory=dict, init=False, repr=False)

    def of(self, source: str, row: int, item_id: str) -> Ground:
        """Why the item at `row` of the shown ones is there, which `source` put highest."""
        if source == "own":
            kind = self._kind_of(item_id)
            return Ground(OWN[kind]) if kind else POPULAR
        if source == "bought_together":
            return self._partner(item_id)
        if source in self.look:
            return self._neighbour(source, row, item_id)
        return POPULAR

    def _partner(self, item_id: str) -> Ground:
        items, rows, of = self.past.partner_rows
        hashed = np.uint64(identity.hash64(item_id))
        pairs = slice(*(int(items.searchsorted(hashed, side)) for side in ("left", "right")))
        whose, rows = of[pairs], rows[pairs]
        kept = [at for at, item in enumerate(whose.tolist()) if self._kinds[item] is not None]
        if not kept:  # what was returned is no ground
            return POPULAR
        if len(kept) < len(whose):
            whose, rows = whose[kept], rows[kept]
        weights = rows["purchase"] * self.past.recency_share[whose]
        bought = bool(weights.max() > 0)
        best = int(whose[int((weights if bought else rows["view"]).argmax())])
        if not bought:
            return Ground("viewed_with", self._ids[best])
        return Ground(f"bought_with_{self._kinds[best]}", self._ids[best])

    def _neighbour(self, source: str, row: int, item_id: str) -> Ground:
        history, shown = self._vectors_of(source)
        alike = history @ shown[row]
        for best in np.argsort(-alike, kind="stable").tolist():
            kind = self._kinds[best]
            if kind is not None and self._ids[best] != item_id and alike[best] > 0:
                return Ground(f"{OF_VECTOR[source]}_{kind}", self._ids[best])
        return POPULAR

    def _vectors_of(self, source: str) -> tuple[Vectors, Vectors]:
        if source not in self._seen:
            self._seen[source] = self.look[source]()
        return self._seen[source]

    @cached_property
    def _ids(self) -> Sequence[str]:
        return self.past.shopper.ids(len(self.past.history))

    @cached_property
    def _kinds(self) -> Sequence[Kind | None]:
        """What was done with each history item [h]."""
        history = self.past.history
        return [SEED] * len(history) if self.seeded else kinds_of(history["count"])

    def _kind_of(self, item_id: str) -> Kind | None:
        found, order = self.past.by_item
        hashed = np.uint64(identity.hash64(item_id))
        at = int(found.searchsorted(hashed))
        if at == len(found) or found[at] != hashed:
            return None
        return kinds_of(self.past.shopper.records["count"][order[at : at + 1]])[0]


def kinds_of(counts: NDArray[np.float32]) -> Sequence[Kind | None]:
    """The weightiest deed of each item's counts [h, kinds]; None where all was taken back."""
    return [
        next((kind for column, kind in WEIGHTIEST if count[column] > 0), None)
        for count in counts.tolist()
    ]
