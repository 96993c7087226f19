"""How alike the items of a list are, by what is known of them. Pure.

Likeness is the inner product of unit rows, so that it is a kernel whatever is missing: an item
without a vector stands where those of its category stand on average, else all of them do, and is
its own for the rest. Where no item has a vector, shared categories and brands speak.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue import card

Array = NDArray[np.float32]
By = Literal["vectors", "vectors and categories", "categories", "nothing"]
TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Looks:
    """What is known of `n` items.

    `vectors` [n, dims] of any length, a zero row where there is none; `categories` [n, c] and
    `brands` [n] are tokens, 0 for none.
    """

    vectors: Array
    categories: NDArray[np.uint32]
    brands: NDArray[np.uint32]

    @classmethod
    def of_cards(cls, records: NDArray[Any]) -> Self:
        """Those of item cards."""
        return cls(card.vectors(records), records["categories"], records["brand"])

    @classmethod
    def of_names(cls, fields: Sequence[Mapping[str, Any]]) -> Self:
        """Those of items that bring names alone: `categories` and `brand`, where they say so."""
        categories = np.zeros((len(fields), card.CATEGORIES_MAX), np.uint32)
        for row, said in enumerate(fields):
            names = said.get("categories") or ()
            names = [names] if isinstance(names, str) else list(names)[: card.CATEGORIES_MAX]
            categories[row, : len(names)] = [card.token(str(name)) for name in names]
        brands = [card.token(str(said["brand"])) if said.get("brand") else 0 for said in fields]
        return cls(np.zeros((len(fields), 1), np.float32), categories, np.array(brands, np.uint32))

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, rows: NDArray[np.intp]) -> "Looks":
        """The items at `rows`, in that order."""
        return Looks(self.vectors[rows], self.categories[rows], self.brands[rows])

    def filled(self, others: "Looks") -> "Looks":
        """The same; of an item that nothing is known of, what `others` say of it."""
        known = self.has_vector | self.categories.any(axis=1) | (self.brands != 0)
        return Looks(
            self.vectors,
            np.where(known[:, None], self.categories, others.categories),
            np.where(known, self.brands, others.brands),
        )

    @cached_property
    def has_vector(self) -> NDArray[np.bool_]:
        """Which items have a vector [n]."""
        found: NDArray[np.bool_] = np.any(self.vectors, axis=1)
        return found

    @cached_property
    def kinds(self) -> NDArray[np.uint32]:
        """The last category of each item [n], 0 for none."""
        named = np.count_nonzero(self.categories, axis=1)
        last = np.take_along_axis(self.categories, np.maximum(named - 1, 0)[:, None], axis=1)
        kinds: NDArray[np.uint32] = last[:, 0]
        return kinds

    @property
    def by(self) -> By:
        """What likeness goes by."""
        if self.has_vector.any():
            return "vectors" if self.has_vector.all() else "vectors and categories"
        return "categories" if self.kinds.any() or self.brands.any() else "nothing"

    def likeness(self) -> Array:
        """Cosines of every pair [n, n], 1 on the diagonal."""
        if not self.has_vector.any():
            return _likeness_of(_shared(self))
        norms = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        unit = self.vectors / np.maximum(norms, TINY)
        return _likeness_of(unit if self.has_vector.all() else self._stood_in(unit))

    def _stood_in(self, unit: Array) -> Array:
        rows = unit.copy()
        everything = unit[self.has_vector].mean(axis=0)
        for row in np.flatnonzero(~self.has_vector).tolist():
            alike = self.has_vector & (self.kinds == self.kinds[row]) & (self.kinds[row] != 0)
            rows[row] = unit[alike].mean(axis=0) if alike.any() else everything
        return rows


def _likeness_of(rows: Array) -> Array:
    """Inner products [n, n] of rows no longer than 1; what a row lacks to 1 is its own."""
    found: Array = rows @ rows.T
    np.fill_diagonal(found, 1.0)
    return found


def _shared(looks: Looks) -> Array:
    """Unit rows [n, names] by categories and brand, all zero for items without any."""
    named = np.concatenate([looks.categories, looks.brands[:, None] ^ np.uint32(1)], axis=1)
    named[looks.brands == 0, -1] = 0  # a brand and a category of one name are two things
    names, at = np.unique(named, return_inverse=True)
    rows = np.zeros((len(named), len(names)), np.float32)
    np.put_along_axis(rows, at.reshape(named.shape), 1.0, axis=1)
    rows[:, names == 0] = 0.0
    unit: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), TINY)
    return unit
