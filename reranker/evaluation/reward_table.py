"""A reward model for the doubly robust estimate: smoothed means by item and position. Pure.

Deliberately simple: DR stays right with a poor model as long as the propensities are right, and a
table cannot overfit unseen items. Means are shrunk towards the position's mean, and each row is
predicted from the other folds only (cross-fitting: Chernozhukov et al. 2018,
doi 10.1111/ectj.12097), so that no reward corrects a prediction it made.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

FOLDS = 5
PRIOR_IMPRESSIONS = 100.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What was shown where, numbered from 0, and what came of it: arrays [n]."""

    item: Numbers
    position: Numbers
    reward: Floats
    items: int
    positions: int


def cross_fitted(shown: Shown, target: Floats, fold: Numbers) -> tuple[Floats, Floats]:
    """Predicted reward of the item shown, and of the target policy's choice: two arrays [n].

    `target` is the new policy's choice [positions, items], rows that add up to 1. `fold` numbers
    each row's fold; rows that depend on each other (one search) belong into one fold.
    """
    of_shown, of_target = np.empty(shown.reward.size), np.empty(shown.reward.size)
    for number in np.unique(fold):
        out = fold == number
        table = means(shown, ~out)
        of_shown[out] = table[shown.position[out], shown.item[out]]
        of_target[out] = (table * target).sum(axis=1)[shown.position[out]]
    return of_shown, of_target


def folds(rows: int, seed: int, group: Numbers | None = None, count: int = FOLDS) -> Numbers:
    """A fold a row, the same for all rows of a group."""
    keys = np.arange(rows) if group is None else np.unique(group, return_inverse=True)[1]
    drawn = np.random.default_rng(seed).integers(0, count, size=int(keys.max()) + 1)
    return drawn[keys]


def means(shown: Shown, rows: NDArray[np.bool_], prior: float = PRIOR_IMPRESSIONS) -> Floats:
    """Mean reward [positions, items] over some rows; items that were not shown get the prior."""
    shape = (shown.positions, shown.items)
    cell = np.ravel_multi_index((shown.position[rows], shown.item[rows]), shape)
    size = shown.positions * shown.items
    count = np.bincount(cell, minlength=size).reshape(shape)
    total = np.bincount(cell, weights=shown.reward[rows], minlength=size).reshape(shape)
    overall = total.sum() / max(1.0, float(count.sum()))
    of_position = (total.sum(axis=1) + prior * overall) / (count.sum(axis=1) + prior)
    table: Floats = (total + prior * of_position[:, None]) / (count + prior)
    return table
