"""From candidates to an order with scores that never rise. Pure.

What cannot be shown now goes last, whatever its score; of a collapsed group only the best stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.retrieval.candidates import Candidates
from reranker.rules.placing import Placed

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Ordered:
    """Rows of the candidates [m], best first, and their scores [m] along that order."""

    rows: NDArray[np.intp]
    scores: Scores


def by_score(
    scores: Scores,
    *,
    available: NDArray[np.bool_] | None = None,
    groups: Sequence[str | None] | None = None,
    places: NDArray[np.intp] | None = None,
) -> Ordered:
    """Candidates by falling score; equal ones by `places`, else as they were found."""
    keys: list[NDArray[Any]] = [] if places is None else [places]
    rows = np.lexsort([*keys, -scores] if available is None else [*keys, -scores, ~available])
    if groups is not None:
        rows = _best_of_each(rows, groups)
    return Ordered(rows, np.minimum.accumulate(scores[rows]) if len(rows) else scores[:0])


def within(placed: Placed, ids: Sequence[str]) -> Ordered:
    """The order of those in `placed` that are among `ids`, by their rows there."""
    row_of = {name: row for row, name in enumerate(ids)}
    known = [
        (row_of[name], score)
        for name, score in zip(placed.ids, placed.scores, strict=True)
        if name in row_of
    ]
    rows = np.array([row for row, _ in known], dtype=np.intp)
    return Ordered(rows, np.array([score for _, score in known], dtype=np.float32))


def vector_scores(candidates: Candidates) -> Scores:
    """Scores of the vector leg as Elasticsearch gives them [n]."""
    scores: Scores = (1.0 + candidates.knn) / 2.0
    return scores


def _best_of_each(rows: NDArray[np.intp], groups: Sequence[str | None]) -> NDArray[np.intp]:
    seen: set[str] = set()
    kept = []
    for row in rows.tolist():
        group = groups[row]
        if group is None or group not in seen:
            kept.append(row)
        if group is not None:
            seen.add(group)
    return np.array(kept, dtype=np.intp)
