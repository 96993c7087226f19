"""Learned behavioural vectors of items, with a path for items never seen in training; pure.

Known items have a row found by their id's hash; for others the language-model vector is projected
into the same space, so that a new item starts where its text neighbours are. Vectors have length
one; how much there is of an item in the behaviour is told apart.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ItemTable:
    """`items` are sorted hashes [rows]; `vectors` [rows, width]; `projection` [dims, width];
    `weights` [rows] are above 0, None: all alike.
    """

    items: NDArray[np.uint64]
    vectors: NDArray[np.float32]
    projection: NDArray[np.float32]
    weights: NDArray[np.float32] | None = None

    @property
    def width(self) -> int:
        """Numbers in one behavioural vector."""
        return int(self.vectors.shape[1])

    def rows(self, items: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Row of each item [n] and whether it has one."""
        if not len(self.items):
            return np.zeros(len(items), np.intp), np.zeros(len(items), dtype=bool)
        row = np.minimum(np.searchsorted(self.items, items), len(self.items) - 1)
        return row, self.items[row] == items

    def lookup(
        self,
        items: NDArray[np.uint64],
        text_vectors: NDArray[np.float32] | None,
        projected: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Behavioural vectors [n, width]; `text_vectors` [n, dims] serve for unknown items, or
        what `project` made of them [n, width] before.
        """
        row, known = self.rows(items)
        if known.all():
            return self.vectors[row]
        found = np.zeros((len(items), self.width), dtype=np.float32)
        found[known] = self.vectors[row[known]]
        if projected is not None:
            found[~known] = projected[~known]
        elif text_vectors is not None:
            found[~known] = self.project(text_vectors[~known])
        return found

    def project(self, text_vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where items of these text vectors [n, dims] start [n, width]; zeros for a text model
        of another size.
        """
        if text_vectors.shape[1] != self.projection.shape[0]:
            return np.zeros((len(text_vectors), self.width), dtype=np.float32)
        return text_vectors @ self.projection

    def sized(
        self, items: NDArray[np.uint64], text_vectors: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """The vectors of `lookup` at their weight [n, width], to be found by inner products: so
        much of the shop's behaviour goes to what many take that likeness alone finds the rare.
        What is not known weighs as little as the least of what is.
        """
        found = self.lookup(items, text_vectors)
        if self.weights is None or not len(self.weights):
            return found
        row, known = self.rows(items)
        weights = np.where(known, self.weights[row], self.weights.min())
        return found * weights[:, None].astype(np.float32)


def load(path: Path) -> ItemTable:
    """The table of a file that `save` wrote."""
    with np.load(path) as data:
        return ItemTable(
            items=data["items"],
            vectors=data["vectors"].astype(np.float32),
            projection=data["projection"].astype(np.float32),
            weights=_weights(data["weights"]) if "weights" in data else None,
        )


def _weights(stored: NDArray[np.floating]) -> NDArray[np.float32] | None:
    return stored.astype(np.float32) if len(stored) else None


def save(table: ItemTable, path: Path) -> None:
    """Write the table, vectors as float16."""
    weights = np.ones(0) if table.weights is None else table.weights
    np.savez_compressed(
        path,
        items=table.items,
        vectors=table.vectors.astype(np.float16),
        projection=table.projection.astype(np.float16),
        weights=weights.astype(np.float16),
    )
