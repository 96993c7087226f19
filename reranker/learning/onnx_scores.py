"""Scores of many lists by an exported graph, batched; to prove that export changed nothing."""

import numpy as np
from numpy.typing import NDArray

from reranker.fusion.graph import opened
from reranker.learning.dataset import ListSet, batches, by_length
from reranker.learning.export import named
from reranker.learning.fit import SCORE_LISTS
from reranker.learning.vectors import Vectors, tensors


def scores(
    graph: bytes, lists: ListSet, vectors: Vectors, weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Prior plus residual, a number a row of `lists`."""
    session = opened(graph, "the exported graph")
    wanted = {i.name for i in session.get_inputs()}
    found = np.empty(len(lists.item), dtype=np.float32)
    for picked, rows in batches(lists, by_length(lists), SCORE_LISTS):
        batch, base = tensors(lists, vectors, picked, rows, turned=False)
        feed = {name: array for name, array in named(batch).items() if name in wanted}
        (heads,) = session.run(["heads"], feed)
        there = rows >= 0
        found[rows[there]] = (base.numpy() + heads @ weights)[there]
    return found
