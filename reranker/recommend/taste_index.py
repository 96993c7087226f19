"""The index of behavioural item vectors as a reader knows it: its name, how it is asked. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

VECTOR = "taste"


def name(index: str, version: str) -> str:
    """Where the vectors of a version of the model are."""
    return f"hitweave_taste-{index}-{version.lower()}"


def search(vector: NDArray[np.float32], size: int) -> dict[str, Any]:
    """The body that finds the nearest items of a shopper's vector [width]."""
    knn = {"field": VECTOR, "query_vector": vector, "k": size, "num_candidates": size}
    return {"knn": knn, "size": size, "_source": False, "track_total_hits": False}
