"""The index of behavioural item vectors as a reader knows it: its name, how it is asked. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Reading `_id` means reading documents from disk.
VECTOR, ID = "taste", "id"
IDS_BY_COLUMN = {"_source": False, "stored_fields": "_none_", "docvalue_fields": [ID]}


def name(index: str, version: str) -> str:
    """Where the vectors of a version of the model are."""
    return f"hitweave_taste-{index}-{version.lower()}"


def search(vector: NDArray[np.float32], size: int) -> dict[str, Any]:
    """The body that finds the nearest items of a shopper's vector [width].

    As a query, not as a search beside one: of one shard that is one phase instead of three.
    """
    knn = {"field": VECTOR, "query_vector": vector, "k": size, "num_candidates": size}
    return {"query": {"knn": knn}, "size": size, "track_total_hits": False, **IDS_BY_COLUMN}


def ids(hits: Iterable[Mapping[str, Any]]) -> list[str]:
    """The items of its hits."""
    return [hit["fields"][ID][0] for hit in hits]
