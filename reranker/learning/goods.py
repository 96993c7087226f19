"""The catalogue as training sees it: ids, titles and cards in rows; reads, changes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import redis
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan
from numpy.typing import NDArray

from indexer import identity
from indexer.catalogue import card, card_store
from indexer.catalogue.generation import Generation
from indexer.catalogue.reading import text_at

PAGE = 1000
RATING_FIELDS = ("rating", "attributes.rating")


@dataclass(frozen=True, eq=False)
class Goods:
    """All items of an index; `cards` are records [items], `present` says which have one."""

    ids: list[str]
    titles: list[str]
    cards: NDArray[Any]
    present: NDArray[np.bool_]
    ratings: NDArray[np.float32] | None = None  # [items], NaN: not rated

    @cached_property
    def row(self) -> dict[str, int]:
        """Id → row."""
        return {item_id: row for row, item_id in enumerate(self.ids)}

    @cached_property
    def hashes(self) -> NDArray[np.uint64]:
        """Hash of each id [items]."""
        return identity.hashes(self.ids)

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """Text vectors [items, dims]."""
        return card.vectors(self.cards)

    @cached_property
    def _row_of_hash(self) -> dict[int, int]:
        return {number: row for row, number in enumerate(self.hashes.tolist())}

    def rows_of_hashes(self, hashes: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Rows of hashed ids [n], -1 for one that is not in the catalogue."""
        rows = [self._row_of_hash.get(number, -1) for number in hashes.tolist()]
        return np.array(rows, dtype=np.intp)

    def rows(self, ids: Sequence[str]) -> NDArray[np.intp]:
        """Rows of ids [n], -1 for one that is not in the catalogue."""
        return np.array([self.row.get(item_id, -1) for item_id in ids], dtype=np.intp)


def goods(
    ids: list[str],
    titles: list[str],
    blobs: Sequence[bytes | None],
    dims: int,
    ratings: Sequence[float] | None = None,
) -> Goods:
    """Goods of packed cards; `ratings` on any one scale, NaN: not rated."""
    cards, present = card.unpack_many(blobs, dims)
    rated = None if ratings is None else np.array(ratings, dtype=np.float32)
    return Goods(ids, titles, cards, present, rated)


def read(es: Elasticsearch, valkey: redis.Redis, generation: Generation) -> Goods:
    """All items of the index with their cards."""
    title_field = generation.config.theirs("title")
    ids, titles, ratings = [], [], []
    wanted = [title_field, *RATING_FIELDS]
    for hit in scan(es, index=generation.concrete, source_includes=wanted, size=PAGE):
        ids.append(hit["_id"])
        titles.append(text_at(hit["_source"], title_field) or "")
        ratings.append(rating(hit["_source"]))
    blobs = [blob for page in _pages(ids) for blob in _cards(valkey, generation.index, page)]
    return goods(ids, titles, blobs, generation.recipe.dims, ratings)


def rating(source: Mapping[str, Any]) -> float:
    """How reviews rate an item, as its catalogue says on a scale of its own; NaN: it does not."""
    attributes = source.get("attributes")
    inner = attributes.get("rating") if isinstance(attributes, Mapping) else None
    for said in (source.get("rating"), source.get("attributes.rating"), inner):
        if isinstance(said, int | float) and not isinstance(said, bool):
            return float(said)
    return float("nan")


def _pages(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(ids), PAGE):
        yield ids[first : first + PAGE]


def _cards(valkey: redis.Redis, index: str, ids: Sequence[str]) -> list[bytes | None]:
    blobs: list[bytes | None] = valkey.mget([card_store.key(index, i) for i in ids])  # type: ignore[assignment]
    return blobs
