"""How likely a position is looked at, learned from logged impressions and clicks alone; pure.

Intervention harvesting, estimator AllPairs (Agarwal et al. 2019, Estimating Position Bias without
Intrusive Interventions): an item that the same search showed now here and now there was as good in
both places, so its click rates compare the places. What moved it must not have known better how
good it was: personal orders do a little, so a curve from them is somewhat too steep.

Fails safe: with few clicks on moved items there is no correction.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
POSITIONS_MAX = 20
CLICKS_MIN = 200  # on moved items, below which nothing is said
WEIGHT_MAX = 10.0
SMOOTHING = 1.0  # pull of neighbouring positions towards each other, in clicks
STEPS_MAX, TOLERANCE = 100, 1e-8
HALVES = 0.5 ** np.arange(30)


@dataclass(frozen=True, eq=False)
class Impressions:
    """Shown items, a row each; `pair` numbers the search text and item, positions count from 1."""

    pair: NDArray[np.int64]
    position: NDArray[np.int64]
    clicked: NDArray[np.bool_]


@dataclass(frozen=True)
class PositionBias:
    """Propensities of positions 1, 2, …, relative to the first; none: no correction.

    `estimated` are those before they were made to fall; `clicks` on items that were moved.
    """

    propensities: tuple[float, ...] = ()
    estimated: tuple[float, ...] = ()
    clicks: int = 0

    def weight(self, position: int) -> float:
        """What a click at a position (from 1) counts; deeper ones as the last that is known."""
        if not self.propensities:
            return 1.0
        place = min(max(position, 1), len(self.propensities)) - 1
        return min(1.0 / self.propensities[place], WEIGHT_MAX)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for a manifest."""
        return {
            "method": "harvest" if self.propensities else "none",
            "propensities": [round(value, 4) for value in self.propensities],
            "estimated": [round(value, 4) for value in self.estimated],
            "clicks_on_moved_items": self.clicks,
        }


NO_CORRECTION = PositionBias()


def harvest(seen: Impressions, clicks_min: int = CLICKS_MIN) -> PositionBias:
    """The propensities that `seen` tells of; no correction where too few clicks tell anything."""
    shown, clicked = _by_pair(seen)
    total = int(clicked.sum())
    if total < max(clicks_min, 1):
        return PositionBias(clicks=total)
    logged, strength = _fit(*_swaps(shown, clicked))
    falling = _falling(logged, strength)
    return PositionBias(
        propensities=tuple(np.clip(np.exp(falling - falling[0]), 1.0 / WEIGHT_MAX, 1.0).tolist()),
        estimated=tuple(np.exp(logged).tolist()),
        clicks=total,
    )


def _by_pair(seen: Impressions) -> tuple[Array, Array]:
    """Impressions and clicks [pairs, positions] of pairs that stood in more than one place."""
    near = seen.position <= POSITIONS_MAX
    position, clicked = seen.position[near] - 1, seen.clicked[near]
    if not len(position):
        return np.zeros((0, 1)), np.zeros((0, 1))
    numbers, pair = np.unique(seen.pair[near], return_inverse=True)
    width = int(position.max()) + 1
    cell, cells = pair * width + position, len(numbers) * width
    shown = np.bincount(cell, minlength=cells).reshape(-1, width).astype(np.float64)
    hits = np.bincount(cell, weights=clicked, minlength=cells).reshape(-1, width)
    moved = (shown > 0).sum(axis=1) > 1
    return shown[moved], hits[moved]


def _swaps(shown: Array, clicked: Array) -> tuple[Array, Array]:
    """For each two positions k, l: the clicks at k of pairs that stood at both [k, l], and how
    much those pairs weigh [k, l].

    A pair weighs as its fewer impressions allow (half their harmonic mean, as Mantel and Haenszel
    1959 weigh strata; in the paper every pair weighs the same), at both positions alike.
    """
    width = shown.shape[1]
    rate = np.divide(clicked, shown, out=np.zeros_like(clicked), where=shown > 0)
    clicks, weight = np.zeros((width, width)), np.zeros((width, width))
    for k in range(width):
        here = shown[:, k : k + 1]
        both = here * shown
        each = np.divide(both, here + shown, out=np.zeros_like(both), where=both > 0)
        each[:, k] = 0.0
        clicks[k] = rate[:, k] @ each
        weight[k] = each.sum(axis=0)
    return clicks, weight


@dataclass(frozen=True, eq=False)
class _Rates:
    """Click rates as sums of logarithms: cell i has the rate exp(design[i] @ x), seen hit[i] times
    and missed[i] times; `bend` is the quadratic penalty on x.
    """

    design: Array
    hit: Array
    missed: Array
    bend: Array

    def value(self, x: Array) -> float:
        """Penalised log likelihood; minus infinity where a rate would not be below one."""
        logged = self.design @ x
        if not (logged < 0).all():
            return float("-inf")
        fits = self.hit @ logged + self.missed @ np.log1p(-np.exp(logged))
        return float(fits - x @ self.bend @ x / 2)

    def step(self, x: Array, free: NDArray[np.intp]) -> Array:
        """Newton's step of the `free` parameters."""
        rate = np.exp(self.design @ x)
        slope = self.design.T @ (self.hit - self.missed * rate / (1 - rate)) - self.bend @ x
        pull = self.missed * rate / (1 - rate) ** 2
        curve = (self.design.T @ (pull[:, None] * self.design) + self.bend)[np.ix_(free, free)]
        step = np.zeros_like(x)
        step[free] = np.linalg.solve(curve, slope[free])
        return step


def _fit(clicks: Array, weight: Array) -> tuple[Array, Array]:
    """Log propensities [positions], the first zero, and the clicks that speak for each.

    A click at k of an item that also stood at l has probability p_k r_kl, r symmetric (equation 5
    of the paper). In logarithms the likelihood is concave: Newton's method finds its one maximum.
    """
    width = len(clicks)
    first, second = np.nonzero(np.triu(clicks + clicks.T, 1) > 0)
    pairs = len(first)
    at, other = np.r_[first, second], np.r_[second, first]
    hit = clicks[at, other]
    # One imaginary impression without a click on both sides keeps the rates below one.
    missed = weight[at, other] - hit + 1.0
    design = np.zeros((2 * pairs, width + pairs))
    design[np.arange(2 * pairs), at] = 1.0
    design[np.arange(2 * pairs), width + np.arange(2 * pairs) % pairs] = 1.0
    bend = np.zeros((width + pairs, width + pairs))
    steps = np.diff(np.eye(width), axis=0)
    bend[:width, :width] = SMOOTHING * steps.T @ steps
    start = np.zeros(width + pairs)
    both_hit, both_missed = hit.reshape(2, pairs).sum(axis=0), missed.reshape(2, pairs).sum(axis=0)
    start[width:] = np.log(both_hit / (both_hit + both_missed))
    found = _highest(_Rates(design, hit, missed, bend), start, free=np.arange(1, len(start)))
    return found[:width], np.bincount(at, hit, width).astype(np.float64)


def _highest(rates: _Rates, start: Array, free: NDArray[np.intp]) -> Array:
    """Where the likelihood is highest, by Newton steps that are halved until they climb."""
    found, value = start, rates.value(start)
    for _ in range(STEPS_MAX):
        step = rates.step(found, free)
        tried = (found + length * step for length in HALVES)
        better = next((x for x in tried if rates.value(x) > value + TOLERANCE), None)
        if better is None:
            break
        found, value = better, rates.value(better)
    return found


def _falling(values: Array, strength: Array) -> Array:
    """The closest values that never rise, by pooling adjacent violators (Ayer et al. 1955)."""
    blocks: list[tuple[float, float, int]] = []  # mean, strength, length
    for value, own in zip(values.tolist(), (strength + TOLERANCE).tolist(), strict=True):
        blocks.append((value, own, 1))
        while len(blocks) > 1 and blocks[-1][0] > blocks[-2][0]:
            (b, nb, lb), (a, na, la) = blocks.pop(), blocks.pop()
            blocks.append(((a * na + b * nb) / (na + nb), na + nb, la + lb))
    return np.concatenate([np.full(length, mean) for mean, _, length in blocks])
