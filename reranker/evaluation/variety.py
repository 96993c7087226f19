"""What a ranking shows beside what is relevant: coverage, novelty, diversity. Pure.

Accuracy alone rewards showing everybody the same few goods. Coverage: the share of the catalogue
that appears in any list (Herlocker et al. 2004, doi 10.1145/963770.963772). Novelty: the mean
self-information -log2 p(item) of the items shown, p by past behaviour (Zhou et al. 2010,
doi 10.1073/pnas.1000488107). Diversity: the mean cosine distance between items of one list
(Ziegler et al. 2005, doi 10.1145/1060745.1060754).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CUT = 10


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How many events there were in all, and of each item (at least of those shown)."""

    total: int
    by_item: Mapping[str, int]


def coverage(lists: Sequence[Sequence[str]], items: int, cut: int = CUT) -> float | None:
    """Share of a catalogue of `items` that the first `cut` of the lists show at all."""
    if not items:
        return None
    shown = {item for ids in lists for item in ids[:cut]}
    return len(shown) / items


def novelty(
    lists: Sequence[Sequence[str]], behaviour: Behaviour, items: int, cut: int = CUT
) -> float | None:
    """Mean bits of surprise of an item shown.

    Each of the `items` counts as met once more than it was, so that an item nobody met is the
    most surprising, not infinitely so. None where nothing was shown.
    """
    total = behaviour.total + items
    shown = [1.0 + behaviour.by_item.get(item, 0) for ids in lists for item in ids[:cut]]
    return float(np.log2(total / np.array(shown)).mean()) if shown else None


def diversity(
    lists: Sequence[Sequence[str]], vectors: Mapping[str, NDArray[np.float32]], cut: int = CUT
) -> float | None:
    """Mean over the lists of the mean pairwise cosine distance; items without a vector left out.

    Lists with fewer than two known items have no pair and do not count; None where all are so.
    """
    distances = [_mean_distance(_known(ids[:cut], vectors)) for ids in lists]
    known = [distance for distance in distances if distance is not None]
    return float(np.mean(known)) if known else None


def _known(
    ids: Sequence[str], vectors: Mapping[str, NDArray[np.float32]]
) -> list[NDArray[np.float32]]:
    return [vectors[item] for item in ids if item in vectors]


def _mean_distance(vectors: Sequence[NDArray[np.float32]]) -> float | None:
    if len(vectors) < 2:
        return None
    stacked = np.stack(vectors).astype(np.float64)
    unit = stacked / np.maximum(np.linalg.norm(stacked, axis=1, keepdims=True), 1e-12)
    upper = np.triu_indices(len(vectors), k=1)
    return float((1.0 - (unit @ unit.T)[upper]).mean())
