"""How many units a difference takes to be found, and which one so many units find. Pure.

For two arms whose means are compared with variance s^2 a unit; normal approximation as in van Belle
(2008, "Statistical Rules of Thumb", ch. 2). The sequential test pays for being looked at all the
time with a wider interval, which is counted in.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from reranker.experiments import sequential

POWER = 0.8


@dataclass(frozen=True, slots=True)
class Baseline:
    """The metric as it is: its mean, and the standard deviation of one unit's (linear) value."""

    mean: float
    deviation: float


def units_needed(
    baseline: Baseline,
    relative_effect: float,
    shares: Sequence[float],
    alpha: float,
    *,
    power: float = POWER,
    fixed: bool = False,
) -> int:
    """Units of all arms together that find `relative_effect` against the first arm with `power`.

    The smallest other arm decides. `fixed`: for a test that is looked at once, at the end.
    """
    effect = abs(relative_effect * baseline.mean)
    if not effect:
        raise ValueError("an effect of nothing cannot be found")
    scale = baseline.deviation**2 * _unevenness(shares)
    return math.ceil(scale * (_distance(alpha, power, fixed=fixed) / effect) ** 2)


def detectable(
    baseline: Baseline,
    units: int,
    shares: Sequence[float],
    alpha: float,
    *,
    power: float = POWER,
    fixed: bool = False,
) -> float:
    """The least relative effect that `units` of all arms together find with `power`."""
    if units <= 0 or not baseline.mean:
        return math.inf
    scale = baseline.deviation * math.sqrt(_unevenness(shares) / units)
    return scale * _distance(alpha, power, fixed=fixed) / abs(baseline.mean)


def alpha_of_one(alpha: float, arms: int) -> float:
    """The level of one arm's comparison, so that all of them together keep `alpha` (Bonferroni)."""
    return alpha / max(1, arms - 1)


def _unevenness(shares: Sequence[float]) -> float:
    """Variance of a difference of means, times all units, for a variance of one: 4 for halves."""
    whole = math.fsum(shares)
    return whole / shares[0] + whole / min(shares[1:])


def _distance(alpha: float, power: float, *, fixed: bool) -> float:
    normal = NormalDist()
    if fixed:
        return normal.inv_cdf(1.0 - alpha / 2.0) + normal.inv_cdf(power)
    return sequential.threshold(1.0, alpha) + normal.inv_cdf(power)
