"""An arm against the first one in one metric, at any time. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reranker.experiments import cuped, sequential
from reranker.experiments.ratio import Floats, Sums


@dataclass(frozen=True, slots=True)
class Compared:
    """The difference to the first arm with its interval, valid whenever it is looked at.

    `relative` is it over the first arm's value. `variance_reduction` is the share that the past
    took off. Before there are units enough the interval is without end.
    """

    difference: float
    interval: tuple[float, float]
    relative: float
    p_value: float
    variance_reduction: float

    @property
    def is_found(self) -> bool:
        """Whether no difference at all is ruled out."""
        return self.interval[0] > 0 or self.interval[1] < 0


@dataclass(frozen=True, slots=True)
class Terms:
    """What was said beforehand: units of all arms together, and the level of one comparison."""

    units_planned: int
    alpha: float


def against_first(arms: Sequence[Sums], terms: Terms) -> list[Compared]:
    """Every other arm against the first one."""
    values = cuped.adjusted(arms)
    taken_off = cuped.reduction(arms, values)
    share = sum(map(len, arms)) / terms.units_planned
    return [_compared(values[0], other, share, terms, taken_off) for other in values[1:]]


def against_none(values: Floats, terms: Terms) -> Compared:
    """Whether the mean of values is another than 0, as that of interleaved preferences."""
    share = len(values) / terms.units_planned
    if len(values) < sequential.UNITS_MIN:
        return _unknown(float(values.mean()) if len(values) else 0.0, 0.0, 0.0)
    return _judged(float(values.mean()), _variance(values), share, terms)


def _compared(
    first: Floats, other: Floats, share: float, terms: Terms, taken_off: float
) -> Compared:
    if not (len(first) and len(other)):
        return _unknown(0.0, 0.0, taken_off)
    base = float(first.mean())
    difference = float(other.mean()) - base
    if min(len(first), len(other)) < sequential.UNITS_MIN:
        return _unknown(difference, base, taken_off)
    return _judged(difference, _variance(first) + _variance(other), share, terms, base, taken_off)


def _judged(
    estimate: float,
    variance: float,
    share: float,
    terms: Terms,
    base: float = 0.0,
    taken_off: float = 0.0,
) -> Compared:
    return Compared(
        difference=estimate,
        interval=sequential.interval(estimate, variance, share, terms.alpha),
        relative=estimate / base if base else 0.0,
        p_value=sequential.p_value(estimate, variance, share, terms.alpha),
        variance_reduction=taken_off,
    )


def _unknown(difference: float, base: float, taken_off: float) -> Compared:
    relative = difference / base if base else 0.0
    return Compared(difference, (-math.inf, math.inf), relative, 1.0, taken_off)


def _variance(values: Floats) -> float:
    """Of the mean."""
    return float(values.var(ddof=1)) / len(values)
