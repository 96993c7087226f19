"""Random list sets and vectors for tests of the network; everything from a seed."""

from itertools import pairwise

import numpy as np

from reranker.learning.dataset import ListSet
from reranker.learning.vectors import Vectors, vectors_of
from reranker.signals import definition
from reranker.signals.build import HISTORY_FEATURES, HISTORY_MAX

GOODS, DIMS, WIDTH, TABLES, QUERIES = 40, 24, 6, 2, 5


def vectors(seed: int = 0) -> Vectors:
    random = np.random.default_rng(seed)
    return vectors_of(
        random.normal(size=(GOODS, DIMS)).astype(np.float32),
        random.normal(size=(TABLES, GOODS, WIDTH)).astype(np.float32),
        random.normal(size=(QUERIES, DIMS)).astype(np.float32),
        8,
        random.normal(size=(TABLES, DIMS, WIDTH)).astype(np.float32),
    )


def list_set(
    count: int = 12,
    seed: int = 0,
    *,
    items: tuple[int, int] = (3, 9),
    signal: str = "own_purchases",
) -> ListSet:
    """Lists whose labelled row has the largest value of `signal`."""
    random = np.random.default_rng(seed)
    sizes = random.integers(*items, size=count)
    start = np.r_[0, np.cumsum(sizes)].astype(np.int64)
    total = int(start[-1])
    signals = random.normal(size=(total, len(definition.SIGNALS))).astype(np.float16)
    column = definition.INDEX[signal]
    labels = np.zeros((total, 3), dtype=np.float32)
    target = np.zeros(total, dtype=bool)
    for first, end in pairwise(start.tolist()):
        best = first + int(signals[first:end, column].argmax())
        labels[best, 2], target[best] = 1.0, True
    history = np.full((count, HISTORY_MAX), -1, dtype=np.int32)
    for row, depth in enumerate(random.integers(0, 6, size=count)):
        history[row, :depth] = random.integers(0, GOODS, size=depth)
    features = random.normal(size=(count, HISTORY_MAX, HISTORY_FEATURES)).astype(np.float16)
    return ListSet(
        start=start,
        signals=signals,
        item=random.integers(0, GOODS, size=total).astype(np.int32),
        labels=labels,
        target=target,
        hidden=np.zeros(total, dtype=bool),
        query=random.integers(0, QUERIES, size=count).astype(np.int32),
        history=history,
        history_features=features,
        table=random.integers(0, TABLES, size=count).astype(np.int32),
        bought_before=random.random(count) < 0.4,
        judged=np.zeros(count, dtype=bool),
        time=np.arange(count, dtype=np.float64),
    )
