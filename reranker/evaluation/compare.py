"""Is one system better than another, beyond noise: paired tests over the same queries. Pure.

A difference of means is never reported alone. The p-value is of the paired randomisation test,
which flips the sign of each query's difference (Fisher 1935; Smucker, Allan and Carterette 2007,
doi 10.1145/1321440.1321528, for its use on rankings), two-sided, with the observed one counted
among the flips, so it is never 0. The interval is the percentile bootstrap over queries (Efron
1979). Several baselines at once: Holm (1979). Equal seeds give equal numbers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDS = 10_000
CONFIDENCE = 0.95
CELLS_AT_ONCE = 4_000_000  # bounds the memory of the drawn signs and rows


@dataclass(frozen=True, slots=True)
class Comparison:
    """`a` minus `b` over the same queries; the interval is of the mean difference."""

    mean_difference: float
    p_value: float
    interval: tuple[float, float]
    wins: int
    losses: int
    ties: int

    @property
    def queries(self) -> int:
        """How many queries were compared."""
        return self.wins + self.losses + self.ties

    @property
    def better(self) -> bool:
        """Whether `a` is above `b` and the interval leaves out 0."""
        return self.interval[0] > 0

    @property
    def worse(self) -> bool:
        """Whether `a` is below `b` and the interval leaves out 0."""
        return self.interval[1] < 0


def paired(a: ArrayLike, b: ArrayLike, seed: int, rounds: int = ROUNDS) -> Comparison:
    """Compare per-query values of two systems; positive means `a` is better."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.shape != second.shape or first.ndim != 1 or not first.size:
        raise ValueError(f"paired values of the same queries: {first.shape} and {second.shape}")
    difference = first - second
    return Comparison(
        mean_difference=float(difference.mean()),
        p_value=sign_flip_p_value(difference, seed, rounds),
        interval=bootstrap_interval(difference, seed, rounds),
        wins=int((difference > 0).sum()),
        losses=int((difference < 0).sum()),
        ties=int((difference == 0).sum()),
    )


def sign_flip_p_value(difference: NDArray[np.float64], seed: int, rounds: int = ROUNDS) -> float:
    """Share of random sign flips whose mean is at least as far from 0 as the observed one."""
    moving = difference[difference != 0]
    observed = abs(float(moving.sum()))
    rng = np.random.default_rng(seed)
    tolerance = 1e-12 * max(1.0, observed)  # sums in another order differ in the last bits
    extreme = 0
    for count in _batches(rounds, moving.size):
        signs = rng.integers(0, 2, size=(count, moving.size), dtype=np.int8).astype(np.float32)
        flipped = (2.0 * signs - 1.0) @ moving
        extreme += int((np.abs(flipped) >= observed - tolerance).sum())
    return (1 + extreme) / (1 + rounds)


def bootstrap_interval(
    values: NDArray[np.float64], seed: int, rounds: int = ROUNDS, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Percentile interval of the mean over queries drawn with replacement."""
    rng = np.random.default_rng(seed)
    drawn = [
        values[rng.integers(0, values.size, size=(count, values.size))].mean(axis=1)
        for count in _batches(rounds, values.size)
    ]
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(np.concatenate(drawn), [tail, 1.0 - tail])
    return float(low), float(high)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values that bound the chance of any false claim over all the baselines."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    ordered = sorted(p_values, key=lambda name: p_values[name])
    for number, name in enumerate(ordered):
        highest = max(highest, min(1.0, (len(ordered) - number) * p_values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}


def _batches(rounds: int, width: int) -> Iterator[int]:
    """Sizes that add up to `rounds`, each small enough for memory."""
    size = max(1, CELLS_AT_ONCE // max(1, width))
    while rounds > 0:
        yield min(size, rounds)
        rounds -= size
